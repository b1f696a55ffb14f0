"""Programs that store an object of an erased image, late: row 54 of the faults."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from tests.support.faults.cleaning import Cleaning
from tests.support.faults.injector import Source
from tests.support.faults.proxy import Answer, Call, ConnectionCut, Fault, Forward, before
from tests.support.faults.supervisor import until
from tests.support.faults.ward import CAT, Ward, demand_of

AT_ONCE = 4
LAST_LOOK_SECONDS = "9"
"""Longer than a lease and the steps before it, so that all objects come before the final check."""


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_row_54_what_a_worker_stores_that_was_frozen_across_its_lease_is_found(
    cleaning: Cleaning,
) -> None:
    ward = await Ward.open(
        cleaning, made_by=["uploads"], uploads=AT_ONCE + 1, last_look_seconds=LAST_LOOK_SECONDS
    )
    room = asyncio.Semaphore(AT_ONCE)

    def frozen(source: Source) -> Fault:
        """Freeze a worker until the image is erased and another worker has its message deleted."""

        async def freeze(call: Call) -> None:
            (worker,) = (one for one in cleaning.running if one.name == call.caller)
            worker.freeze()
            await cleaning.erase(source)
            await ward.until(source, "invalidated")
            calls = ward.moments.calls(source.image_id)
            await until(lambda: "DeleteMessageBatch" in calls, "another worker has the message")
            worker.thaw()

        return before(freeze)

    async def erased(number: int) -> Source:
        async with room:
            source = await cleaning.picture(ward.alice, CAT, tags=["sea", "sand"])
            ward.moments.plan(source.image_id, number, frozen(source))
            await cleaning.rig.injector.notify(source)
            if number:
                await ward.until(source, "complete")
            else:
                await ward.alice.settled(source.image_id)
                await cleaning.rig.until_empty()
        return source

    calls = list(ward.moments.calls((await erased(0)).image_id))
    print(calls)
    sources = await asyncio.gather(*(erased(number + 1) for number in range(len(calls))))
    await cleaning.cleaned()
    assert not ward.moments.missed, "\n".join(ward.moments.missed)
    late = []
    for source, call in zip(sources, calls, strict=True):
        receipt = await ward.alice.receipt(source.image_id)
        late += [receipt["assets"]["lateObjects"]] * (call == "PutObject")
    assert all(late), late


@pytest.mark.slow
async def test_row_54_what_a_program_stores_that_is_killed_just_afterwards_is_found(
    cleaning: Cleaning,
) -> None:
    callers = ("uploads", "renders", "delivery")
    ward = await Ward.open(cleaning, made_by=callers, last_look_seconds=LAST_LOOK_SECONDS)
    delivery = await cleaning.rig.delivery()
    url = await delivery.listening()
    waiting, demanded, asked = [
        await cleaning.picture(ward.alice, CAT), await ward.completed(), await ward.completed()
    ]  # fmt: skip

    def stop(call: Call) -> Callable[[], None]:
        workers = {worker.name: worker.kill for worker in cleaning.rig.workers}
        return workers.get(call.caller, delivery.kill)

    def killed(source: Source) -> Fault:
        """Erase the image before the call, carry the call out, and kill the caller."""

        async def fault(call: Call, forward: Forward) -> Answer:
            await cleaning.erase(source)
            await ward.until(source, "invalidated")
            await forward()
            stop(call)()
            raise ConnectionCut

        return fault

    for source in (waiting, demanded, asked):
        ward.moments.plan(source.image_id, 1, killed(source), operation="PutObject")
    await cleaning.rig.injector.notify(waiting)
    renders = cleaning.rig.stack.renders_queue_url
    await cleaning.rig.injector.send(demand_of(demanded), queue_url=renders)
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get(f"{url}/small/{asked.image_id}.webp")
    dead = [worker for worker in cleaning.running if worker.role in ("uploads", "renders")]
    await until(lambda: all(one.exit_code is not None for one in dead), "the workers are killed")
    for worker in dead:
        await cleaning.replace(worker)
    await cleaning.cleaned()
    for source in (waiting, demanded, asked):
        receipt = await ward.alice.receipt(source.image_id)
        assert receipt["assets"]["lateObjects"] >= 1
