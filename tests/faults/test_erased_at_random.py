"""Images that are erased at any moment while programs die: row 51 of the faults."""

import asyncio
from dataclasses import dataclass
from random import Random

import pytest

from tests.support import pictures
from tests.support.faults.cleaning import Cleaning
from tests.support.person import Person

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
DRAWS = 50
"""How many images there are, each with a schedule of its own."""
AT_ONCE = 25
KEPT = 0.2
"""The share of images that are not erased, so that erasures of others must not touch them."""
RETURNING = 0.2
"""The share of erased images that are uploaded again after their erasure is complete."""


@dataclass
class Schedule:
    """What happens to one image, drawn from its own seed."""

    cleaning: Cleaning
    alice: Person
    draw: Random
    image_id: str = ""
    erased: bool = False
    late: int = 0
    """The number of versions that were stored after the erasure was complete."""

    async def run(self) -> None:
        """Upload, erase at a random moment from the request on, and maybe upload once more."""
        ticket = await self.alice.ask(CAT, tags=["sea", "sand"])
        self.image_id = ticket["imageId"]
        token = ticket["fields"]["x-amz-meta-upload-token"]
        self.erased = self.draw.random() >= KEPT
        returns = self.erased and self.draw.random() < RETURNING
        async with asyncio.TaskGroup() as group:
            group.create_task(self._upload(ticket["key"], token))
            if self.erased:
                group.create_task(self._erase())
        if returns:
            await self.cleaning.until_state(self.alice, self.image_id, "complete")
            self.late += 1
            await self._store(ticket["key"], token)

    async def _upload(self, key: str, token: str) -> None:
        """Use the form once or again later, and repeat the events."""
        for number in range(self.draw.randint(1, 2)):
            await asyncio.sleep(self.draw.uniform(0, 1 + 14 * number))
            await self._store(key, token)

    async def _store(self, key: str, token: str) -> None:
        injector = self.cleaning.rig.injector
        source = await injector.put(CAT, key=key, token=token)
        await injector.notify(source, times=self.draw.randint(1, 2))

    async def _erase(self) -> None:
        await asyncio.sleep(self.draw.uniform(0, 4))
        for _ in range(self.draw.randint(1, 2)):
            await self.alice.erase(self.image_id)


@pytest.mark.slow
async def test_row_51_images_erased_at_any_moment_leave_nothing_whatever_is_killed(
    cleaning: Cleaning,
) -> None:
    alice = await cleaning.rig.alice()
    await asyncio.gather(*(cleaning.start(role) for role in ("uploads", "cleanup") * 2))
    schedules = [
        Schedule(cleaning, alice, Random(cleaning.rig.random.random())) for _ in range(DRAWS)
    ]
    room = asyncio.Semaphore(AT_ONCE)

    async def in_turn(schedule: Schedule) -> None:
        async with room:
            await schedule.run()

    async with cleaning.killing():
        await asyncio.gather(*map(in_turn, schedules))
        await asyncio.sleep(10)  # the last erasures go on
    world = await cleaning.cleaned(seconds=240)
    erased = {one.image_id for one in schedules if one.erased}
    assert erased == {one for one, record in world.records.items() if record.erasure is not None}
    late = sum(record.erasure.late_objects for record in world.records.values() if record.erasure)
    print(f"{len(erased)} of {DRAWS} erased, {cleaning.kills} kills, {late} objects came later")
    assert late >= sum(one.late for one in schedules) > 0
    assert cleaning.kills
