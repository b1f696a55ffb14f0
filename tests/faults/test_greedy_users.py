"""Pictures of one user that take the whole time limit, and a small one of another: row 46."""

import asyncio

import pytest

from safelight import keys
from tests.support import pictures
from tests.support.faults.rig import Rig

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
D = 4
"""Time limit of a picture, in seconds."""
SLOTS = 2


def key_of(user: str) -> str:
    return keys.source_key(user_id=f"key:{user}", image_id=keys.new_image_id())


@pytest.mark.slow
async def test_row_46_one_users_slow_pictures_delay_another_by_one_at_most(rig: Rig) -> None:
    worker = await rig.worker(SLOTS=str(SLOTS), MAX_SECONDS=str(D), ACCEPT_SVG="true")
    burning = pictures.burning_svg().encode()
    hostile = [await rig.injector.put(burning, key=key_of("mallory")) for _ in range(10)]
    await rig.injector.notify(*hostile)
    while (await worker.metrics()).value("slots_busy") < SLOTS:  # the first user alone fills both
        await asyncio.sleep(0.05)
    good = await rig.injector.upload(CAT, key=key_of("alice"))
    while good.image_id not in (records := await rig.records()) or (
        records[good.image_id].status != "completed"
    ):
        await asyncio.sleep(0.05)
    # Counted, not timed: those that were being rendered already, and no other, ended before it.
    assert sum(one.image_id in records for one in hostile) <= SLOTS
    await rig.settled(seconds=90, rejected={one.image_id: "timeout" for one in hostile})
