"""A short soak, and its criteria: row 39 of the faults. `make soak` runs the long one."""

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import time_machine
from time_machine import Traveller

from tests.support.faults.cleaning import Cleaning
from tests.support.faults.footprint import Footprint
from tests.support.faults.proxy import Answer, Call
from tests.support.faults.witness import Witness
from tools.soak import Setup, Soak
from tools.trend import Sample, trend

MB = 1_000_000
IMAGE = "01KAJ0000000000000000000AA"


@pytest.mark.slow
@pytest.mark.parametrize("faults", [False, True], ids=["kills", "every fault"])
async def test_row_39_mixed_pictures_and_hurt_workers_leave_everything_settled(
    cleaning: Cleaning, seed: int, faults: bool
) -> None:
    setup = Setup(pictures=60, workers=2, seed=seed, kill_seconds=3, faults=faults, erase=20)
    run = Soak(cleaning, setup)
    await run.run()
    world = await cleaning.cleaned(rejected=run.rejected)
    assert run.settled == len(world.records) == 60
    assert run.kills or faults
    assert run.erased == {one for one, record in world.records.items() if record.erasure}
    assert run.erased
    assert run.wrong_exits == []
    assert run.samples[-1].worker.processes == 1 + 2 + 2  # fork server, resource tracker, slots
    assert 0 < run.samples[-1].parent.pss < run.samples[-1].worker.pss
    assert not run.veteran.sources()


def samples(*, memory_per_picture: float = 0, files_per_picture: float = 0) -> list[Sample]:
    """Make 6,000 samples of a worker that settles 3,000 pictures, a tenth of them large."""
    return [
        Sample(
            seconds=look / 4,
            settled=look // 2,
            worker=Footprint(
                pss=int(150 * MB + look // 2 * memory_per_picture + (look % 10 == 0) * 90 * MB),
                open_files=int(76 + look // 2 * files_per_picture),
            ),
            parent=Footprint(),
        )
        for look in range(6000)
    ]


def test_a_worker_that_takes_more_for_large_pictures_only_has_not_grown() -> None:
    seen = trend(samples(), pictures=3000)
    assert seen
    assert [one.settled for one in seen.windows] == [500, 1000, 1500, 2000, 2500, 2999]
    assert seen.reference.settled == 1000
    assert (seen.reference.at_rest, seen.reference.peak) == (150 * MB, 240 * MB)
    assert seen.reference.pictures_per_second == pytest.approx(2)
    assert seen.faults() == []


def test_a_worker_that_keeps_something_of_every_picture_has_grown() -> None:
    seen = trend(samples(memory_per_picture=20_000), pictures=3000)
    assert seen
    assert seen.faults() == ["memory grew to 1.25 of what it was after 1000 pictures"]


def test_a_worker_that_leaves_files_open_has_grown() -> None:
    seen = trend(samples(files_per_picture=0.01), pictures=3000)
    assert seen
    assert seen.faults() == ["open files grew to 1.24 of what it was after 1000 pictures"]


def test_of_a_run_that_ended_early_nothing_is_told() -> None:
    assert trend(samples()[:1500], pictures=3000) is None
    assert trend([], pictures=3000) is None


@pytest.fixture
def clock() -> Iterator[Traveller]:
    with time_machine.travel(1000, tick=False) as now:
        yield now


def receive(witness: Witness, worker: str, *, times: int, sent_at: float = 1000) -> None:
    record = {"s3": {"object": {"key": f"uploads/key%253Aalice/{IMAGE}"}}}
    attributes = {
        "ApproximateReceiveCount": str(times),
        "SentTimestamp": str(int(1000 * sent_at)),
    }
    message = {"Body": json.dumps({"Records": [record]}), "Attributes": attributes}
    body = json.dumps({"Messages": [message]}).encode()
    witness.see(_call("ReceiveMessage", worker), Answer(status=200, headers={}, body=body))


def publish(witness: Witness, worker: str, *, status: int = 200) -> None:
    body = urlencode({"Message": json.dumps({"subject": IMAGE})}).encode()
    witness.see(_call("Publish", worker, body), Answer(status=status, headers={}, body=b""))


def _call(operation: str, worker: str, body: bytes = b"") -> Call:
    return Call(
        number=1, service="", operation=operation, path="/", body=body, invocation="", attempt=1,
        caller=worker, at=0,
    )  # fmt: skip


def test_the_witness_times_what_nobody_disturbed_from_sent_to_published(clock: Traveller) -> None:
    witness = Witness()
    receive(witness, "one", times=1, sent_at=998)
    publish(witness, "one", status=500)
    clock.shift(3)
    publish(witness, "one")
    assert witness.undisturbed == {IMAGE: 5}
    assert witness.p99 == 5
    assert witness.killed("one") == []
    assert witness.recoveries == {}


@pytest.mark.parametrize(("seconds", "late"), [(8.9, False), (9.1, True)])
def test_the_witness_knows_which_recoveries_are_late(
    clock: Traveller, seconds: float, late: bool
) -> None:
    witness = Witness()
    witness.undisturbed["another"] = 3.0
    receive(witness, "one", times=1)
    assert witness.killed("two") == []
    assert witness.killed("one") == [IMAGE]
    receive(witness, "two", times=2)
    clock.shift(seconds)
    publish(witness, "two")
    assert list(witness.recoveries) == [IMAGE]
    assert list(witness.undisturbed) == ["another"]
    assert bool(witness.late(visibility_seconds=4)) is late
