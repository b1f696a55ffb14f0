"""Erasures that meet a kill, a freeze or a render at any call: row 52 of the faults."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from safelight.queued import Ingest
from tests.support.faults.cleaning import Cleaning
from tests.support.faults.injector import Source
from tests.support.faults.moments import READS
from tests.support.faults.supervisor import until
from tests.support.faults.ward import CAT, Ward, demand_of

Renders = tuple[Callable[[], Awaitable[Source]], Callable[[Source], Awaitable[None]]]
"""How to make an image, and how to have variants of it rendered."""
AT_ONCE = 4
"""How many images are interrupted at once: SQS gives up a message after ten receives."""


def removed(receipt: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the counts of a receipt."""
    parts = [receipt[name] for name in ("sources", "assets", "tags")]
    return [{name: n for name, n in part.items() if name != "confirmedAt"} for part in parts]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("late", [0, 1], ids=["first erasure", "late object"])
@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_row_52_cleanup_interrupted_before_any_write_gives_the_same_receipt(
    cleaning: Cleaning, fault: str, late: int
) -> None:
    ward = await Ward.open(cleaning, made_by=["cleanup"], without=READS, cleanups=AT_ONCE + 1)
    room = asyncio.Semaphore(AT_ONCE)

    async def erased(number: int) -> Source:
        """Erase an image whose call of this number is interrupted."""
        async with room:
            source = await ward.completed()
            if late:
                await cleaning.erase(source)
                await ward.until(source, "complete")
                calls = ward.moments.calls(source.image_id)
                await until(lambda: calls[-1] == "DeleteMessageBatch", "its message is deleted")
                await cleaning.rig.injector.put(CAT, key=source.key)
            ward.moments.plan(source.image_id, number, getattr(ward, fault)(source, late=late))
            await cleaning.erase(source, by="worker" if late else "operator")
            await ward.until(source, "complete", late=late)
        return source

    whole = await erased(0)
    await cleaning.rig.until_cleaned()
    calls = list(ward.moments.calls(whole.image_id))
    print(calls)
    assert "CreateInvalidation" in calls
    assert calls[-1] == "DeleteMessageBatch"
    others = await asyncio.gather(*(erased(number + 1) for number in range(len(calls))))
    await cleaning.cleaned()
    assert not ward.moments.missed, "\n".join(ward.moments.missed)
    expected = removed(await ward.alice.receipt(whole.image_id))
    for source in others:
        assert removed(await ward.alice.receipt(source.image_id)) == expected
        assert len(cleaning.references[f"#img-{source.image_id}"]) == 1 + late


async def ingests(ward: Ward, _: aiohttp.ClientSession) -> Renders:
    """Have sources settled whose events were lost."""
    rig = ward.cleaning.rig

    async def ask(source: Source) -> None:
        rig.injector.remember(source)
        body = Ingest(key=source.key).to_json()
        await rig.injector.send(body, queue_url=rig.stack.renders_queue_url)

    return lambda: ward.cleaning.picture(ward.alice, CAT, tags=["sea"]), ask


async def demands(ward: Ward, _: aiohttp.ClientSession) -> Renders:
    """Have workers render variants on demand."""
    rig = ward.cleaning.rig

    async def ask(source: Source) -> None:
        await rig.injector.send(demand_of(source), queue_url=rig.stack.renders_queue_url)

    return ward.completed, ask


async def requests(ward: Ward, http: aiohttp.ClientSession) -> Renders:
    """Have delivery render variants on demand."""
    url = await (await ward.cleaning.rig.delivery()).listening()

    async def ask(source: Source) -> None:
        async with http.get(f"{url}/small/{source.image_id}.webp") as answer:
            assert answer.status in (200, 404, 410), await answer.text()

    return ward.completed, ask


WAYS = {"ingests": ("renders", ingests), "demands": ("renders", demands),
        "requests": ("delivery", requests)}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "state"),
    [
        ("ingests", "requested"),
        ("ingests", "complete"),
        ("demands", "requested"),
        ("demands", "complete"),
        ("requests", "requested"),
        ("requests", "invalidated"),  # delivery has no message: the final check finds its object
    ],
)
async def test_row_52_an_erasure_before_any_call_of_a_render_leaves_nothing(
    cleaning: Cleaning, way: str, state: str
) -> None:
    made_by, prepare = WAYS[way]
    ward = await Ward.open(cleaning, made_by=[made_by])
    async with aiohttp.ClientSession() as http:
        picture, ask = await prepare(ward, http)

        async def erased(number: int) -> None:
            source = await picture()
            ward.moments.plan(source.image_id, number, ward.erased(source, state=state))
            await ask(source)
            if not number:
                await cleaning.rig.until_empty()
                calls.extend(ward.moments.calls(source.image_id))

        calls: list[str] = []
        await erased(0)
        print(calls)
        assert "PutObject" in calls
        await asyncio.gather(*(erased(number + 1) for number in range(len(calls))))
        world = await cleaning.cleaned()
        assert not ward.moments.missed, "\n".join(ward.moments.missed)
        erasures = [one for one in world.records.values() if one.erasure is not None]
        assert len(erasures) == len(calls)
