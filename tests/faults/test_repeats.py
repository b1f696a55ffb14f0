"""Workers that die, repeat each other or come too late: rows 1 to 7 and 12 of the faults."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from tests.support import pictures
from tests.support.faults.injector import removal, s3_record
from tests.support.faults.proxy import Call, Rule, after, before, instead, together
from tests.support.faults.rig import Rig
from tests.support.faults.supervisor import VISIBILITY_SECONDS, Worker, until
from tests.support.faults.witness import Witness

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
ASTRONAUT = (pictures.SAMPLES / "astronaut-800px.jpg").read_bytes()
CAMERA = (pictures.SAMPLES / "camera-10mp-5mb.jpg").read_bytes()
VARIANTS = 4


async def _kill_at_call(rig: Rig, worker: Worker, operation: str, nth: int, when: Callable) -> None:
    """Kill the worker when its n-th call of an operation is carried out, or instead of it."""

    async def kill(_: Call) -> None:
        worker.kill()

    rig.proxy.add(Rule(operation, when(kill), first=nth, times=1))
    await rig.injector.upload(CAMERA)
    await until(lambda: worker.exit_code is not None, "the worker is killed")


async def _kill_at_file(rig: Rig, worker: Worker, seen: Callable[[], bool]) -> None:
    """Kill the worker when its spool shows that it has reached a step."""
    await rig.injector.upload(CAMERA)
    await until(seen, "the spool shows the step")
    worker.kill()


def _fetched(worker: Worker) -> bool:
    return any(path.stat().st_size == len(CAMERA) for path in worker.sources())


STEPS: dict[str, Callable[[Rig, Worker], Awaitable[None]]] = {
    "receive": lambda rig, worker: _kill_at_call(rig, worker, "ReceiveMessage", 1, after),
    "fetch": lambda rig, worker: _kill_at_call(rig, worker, "GetObject", 1, after),
    "probe": lambda rig, worker: _kill_at_file(rig, worker, lambda: _fetched(worker)),
    "render": lambda rig, worker: _kill_at_file(rig, worker, lambda: bool(worker.variants())),
    "first put": lambda rig, worker: _kill_at_call(rig, worker, "PutObject", 1, after),
    "all puts": lambda rig, worker: _kill_at_call(rig, worker, "PutObject", VARIANTS, after),
    "commit": lambda rig, worker: _kill_at_call(rig, worker, "UpdateItem", 1, after),
    "publish": lambda rig, worker: _kill_at_call(rig, worker, "Publish", 1, after),
    "delete": lambda rig, worker: _kill_at_call(rig, worker, "DeleteMessageBatch", 1, instead),
}
QUICK = ("render", "commit")
"""Steps that run by default; the others are slow."""
COMMITTED = ("commit", "publish", "delete")


@pytest.mark.parametrize(
    "step",
    [step if step in QUICK else pytest.param(step, marks=pytest.mark.slow) for step in STEPS],
)
async def test_row_02_a_worker_killed_at_any_step_costs_nothing(rig: Rig, step: str) -> None:
    await STEPS[step](rig, await rig.worker())
    renders = rig.proxy.count("PutObject")
    await rig.worker()
    world = await rig.settled()
    if step in COMMITTED:
        assert rig.proxy.count("PutObject") == renders == VARIANTS
        assert rig.proxy.count("UpdateItem") == 1
    assert len(world.assets) == VARIANTS
    assert len(world.completions) == (2 if step in ("publish", "delete") else 1)


@pytest.mark.slow
async def test_row_03_five_workers_with_the_same_message_make_one_image(rig: Rig) -> None:
    source = await rig.injector.put(CAT)
    # All read the record before any of them commits, so each does the whole work.
    rig.proxy.add(Rule("GetItem", together(5), text=source.image_id, times=5))
    rig.proxy.add(Rule("UpdateItem", together(5), times=5))
    workers = await rig.fleet(5, SLOTS="1", PREFETCH="0", VISIBILITY_SECONDS="30")
    await rig.injector.notify(source, times=5)
    world = await rig.settled()
    assert rig.proxy.count("UpdateItem") == 5
    assert len(world.assets) == VARIANTS
    assert len({completion["id"] for completion in world.completions}) == 1
    pages = [await worker.metrics() for worker in workers]
    results = {
        result: sum(page.value("commits_total", result=result) for page in pages)
        for result in ("written", "repeated")
    }
    assert results == {"written": 1, "repeated": 4}
    levels = [event.get("level") for worker in workers for event in worker.events()]
    assert {"warning", "error", "critical"}.isdisjoint(levels)


async def test_row_04_a_redelivery_long_after_completion_only_tells_again(rig: Rig) -> None:
    """Simulated: the test does not wait for an hour, since no code uses a message's age."""
    await rig.worker()
    source = await rig.injector.upload(CAT)
    await rig.settled()
    before_it = rig.proxy.counts()
    await rig.injector.notify(source)
    world = await rig.settled()
    new = rig.proxy.counts() - before_it
    assert new["GetItem"] == new["Publish"] == new["DeleteMessageBatch"] == 1
    assert new["GetObject"] == new["PutObject"] == new["UpdateItem"] == 0
    first, second = world.completions
    assert first["id"] == second["id"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param("0055AED6DCD90281E5", "0055AED6DCD90281E6", id="equal length"),
        pytest.param("0055", "0055AED6DC", id="different length", marks=pytest.mark.slow),
    ],
)
async def test_row_05_an_overwrite_told_in_the_wrong_order_shows_the_newer(
    rig: Rig, older: str, newer: str
) -> None:
    first = await rig.injector.put(CAT, sequencer=older)
    second = await rig.injector.put(ASTRONAUT, key=first.key, sequencer=newer)
    worker = await rig.worker()
    await rig.injector.notify(second)
    await rig.until_empty()
    assets = await rig.assets()
    await rig.injector.notify(first)
    world = await rig.settled()
    record = world.records[first.image_id]
    assert (record.revision, record.width) == (second.revision, 800)
    assert world.assets == assets
    assert (await worker.metrics()).value("images_total", outcome="superseded") == 1
    assert {one["data"]["revisionTag"] for one in world.completions} == {record.revision_tag}


async def test_row_06_removals_and_arrivals_in_any_order_settle_by_the_larger_sequencer(
    rig: Rig,
) -> None:
    first = await rig.injector.put(CAT, sequencer="01")
    await rig.injector.remove(first)
    again = await rig.injector.put(ASTRONAUT, key=first.key, sequencer="03")
    worker = await rig.worker()
    for source in (again, removal(first, sequencer="02"), first):
        await rig.injector.notify(source)
        await rig.until_empty()
    world = await rig.settled()
    assert world.records[first.image_id].revision == again.revision
    page = await worker.metrics()
    outcomes = ("completed", "removed", "superseded")
    assert [page.value("images_total", outcome=one) for one in outcomes] == [1, 1, 1]


async def test_row_06_a_source_that_vanished_is_settled_and_no_dead_letter(rig: Rig) -> None:
    gone = await rig.injector.put(CAT, sequencer="01")
    await rig.injector.remove(gone, version=True)
    await rig.worker()
    await rig.injector.notify(removal(gone, sequencer="02"), gone)
    world = await rig.settled(rejected={gone.image_id: "source_gone"})
    assert len(world.completions) == 1
    assert rig.proxy.count("GetObject") == 1


@pytest.mark.parametrize(
    "step", ["UpdateItem", pytest.param("DeleteMessageBatch", marks=pytest.mark.slow)]
)
async def test_row_07_a_frozen_worker_that_comes_back_changes_nothing(rig: Rig, step: str) -> None:
    zombie = await rig.worker()
    thawed = asyncio.Event()

    async def freeze(_: Call) -> None:
        """Its call is delayed, and arrives after another worker has finished the message."""
        zombie.freeze()
        await thawed.wait()

    rig.proxy.add(Rule(step, before(freeze), times=1))
    await rig.injector.upload(CAT)
    await until(lambda: rig.proxy.count(step), f"the zombie is frozen at {step}")
    other = await rig.worker()
    await rig.until_empty()
    settled, assets = await rig.records(), await rig.assets()
    zombie.thaw()
    thawed.set()
    await until(lambda: zombie.events("message"), "the zombie logs its message")
    world = await rig.settled()
    assert world.records == settled
    assert world.assets == assets
    assert zombie.exit_code is other.exit_code is None
    assert (await zombie.metrics()).value("commits_total", result="written") == (
        step == "DeleteMessageBatch"
    )


async def _chaos(rig: Rig, *, batch: int, workers: int, kills: int) -> Witness:
    """Repeatedly send a batch of pictures, kill a random worker in mid-render, and start another.

    At most two batches are unsettled at a time: behind a long backlog undisturbed pictures take so
    long that any recovery would be in time.
    """
    witness = Witness()
    rig.proxy.watch(witness.see)
    fleet = await rig.fleet(workers)
    for _ in range(kills):
        while sum(await rig.depth()) > batch:
            await asyncio.sleep(0.05)
        for number in range(batch):
            await rig.injector.upload(CAMERA if number % 4 == 0 else ASTRONAUT)
        await until(
            lambda: any(worker.variants() for worker in fleet), "a worker renders", seconds=60
        )
        rendering = [worker for worker in fleet if worker.variants()] or fleet
        victim = rig.random.choice(rendering)
        witness.killed(victim.name)
        victim.kill()
        fleet.remove(victim)
        fleet.append(await rig.worker())
    return witness


async def _assert_row_01(rig: Rig, *, batch: int, kills: int) -> None:
    witness = await _chaos(rig, batch=batch, workers=2, kills=kills)
    world = await rig.settled(seconds=170)
    print(witness.summary())
    assert len(world.records) == batch * kills
    assert len(witness.recoveries) > kills / 2  # some kills come just after the last publish
    assert witness.late(VISIBILITY_SECONDS) == []


@pytest.mark.slow
async def test_row_01_workers_killed_in_mid_render_lose_no_picture(rig: Rig) -> None:
    """Scaled: 16 pictures and 4 kills among two workers."""
    await _assert_row_01(rig, batch=4, kills=4)


@pytest.mark.slow
async def test_row_01_with_two_hundred_pictures_and_twenty_kills(rig: Rig) -> None:
    await _assert_row_01(rig, batch=10, kills=20)


@pytest.mark.slow
async def test_row_12_half_a_fleet_told_to_stop_and_killed_soon_after_loses_nothing(
    rig: Rig,
) -> None:
    """Scaled: 30 pictures and four workers."""
    fleet = await rig.fleet(4)
    for number in range(30):
        await rig.injector.upload(CAMERA if number % 3 == 0 else ASTRONAUT)
    await until(lambda: any(worker.variants() for worker in fleet), "they render")
    half = rig.random.sample(fleet, 2)
    for worker in half:
        worker.terminate()
    await asyncio.wait([asyncio.create_task(worker.wait()) for worker in half], timeout=2)
    for worker in half:
        worker.kill()
    world = await rig.settled(seconds=120)
    assert len(world.records) == 30


async def test_row_03_two_events_of_one_upload_in_one_message_make_one_image(rig: Rig) -> None:
    source = await rig.injector.put(CAT)
    await rig.worker()
    await rig.injector.send(json.dumps({"Records": [s3_record(source)] * 2}))
    rig.injector.remember(source)
    world = await rig.settled()
    assert rig.proxy.count("UpdateItem") == 1
    assert len(world.assets) == VARIANTS
