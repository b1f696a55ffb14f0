"""Leases are renewed together in time, and given up when they cannot be."""

import asyncio
import time
from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry

from safelight.aws.queue import Failure, Message
from safelight.errors import Unavailable
from worker.lease import LONGEST_HOLD_SECONDS, Lease, Leases
from worker.metrics import WorkerMetrics

VISIBILITY = 60


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Visibility:
    """Remembers the requests, and fails on request."""

    def __init__(self) -> None:
        self.calls: list[dict[str, int]] = []
        self.failing: list[Failure] = []
        self.unavailable = False

    async def change_visibility(self, changes: Mapping[str, int]) -> tuple[Failure, ...]:
        self.calls.append(dict(changes))
        if self.unavailable:
            raise Unavailable("sqs", "503")
        return tuple(failure for failure in self.failing if failure.receipt in changes)


class Hanging(Visibility):
    """Remembers what was asked, and never answers."""

    async def change_visibility(self, changes: Mapping[str, int]) -> tuple[Failure, ...]:
        await super().change_visibility(changes)
        await asyncio.Event().wait()
        return ()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue() -> Visibility:
    return Visibility()


@pytest.fixture
def leases(queue: Visibility, clock: Clock) -> Leases:
    metrics = WorkerMetrics(CollectorRegistry())
    return Leases(queue, visibility_seconds=VISIBILITY, metrics=metrics, clock=clock)


def message(number: int = 0, received_at: float = 1000.0) -> Message:
    return Message(
        message_id=f"m{number}",
        receipt=f"r{number}",
        body="",
        receive_count=1,
        sent_at=0.0,
        received_at=received_at,
    )


async def held(lease: Lease) -> "asyncio.Task[None]":
    async def work() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(work())
    lease.held_by(task)
    await asyncio.sleep(0)
    return task


async def test_leases_are_renewed_ten_a_request(leases: Leases, queue: Visibility) -> None:
    for number in range(23):
        leases.take(message(number))
    await leases.renew_all()
    assert [len(call) for call in queue.calls] == [10, 10, 3]
    assert {seconds for call in queue.calls for seconds in call.values()} == {VISIBILITY}


async def test_a_dropped_lease_is_not_renewed(leases: Leases, queue: Visibility) -> None:
    lease = leases.take(message())
    leases.drop(lease)
    await leases.renew_all()
    assert queue.calls == []


async def test_a_lease_that_the_queue_refuses_is_lost_alone(
    leases: Leases, queue: Visibility
) -> None:
    refused, kept = leases.take(message(1)), leases.take(message(2))
    work = await held(refused)
    queue.failing = [Failure(receipt="r1", lost=True, detail="stale")]
    await leases.renew_all()
    await asyncio.wait([work])
    assert (refused.lost, kept.lost, work.cancelled()) == (True, False, True)
    await leases.renew_all()
    assert list(queue.calls[-1]) == ["r2"]


async def test_a_failing_renewal_loses_the_lease_only_when_it_has_run_out(
    leases: Leases, queue: Visibility, clock: Clock
) -> None:
    lease = leases.take(message())
    queue.unavailable = True
    clock.now += VISIBILITY - 1
    await leases.renew_all()
    assert not lease.lost
    clock.now += 1
    await leases.renew_all()
    assert lease.lost


async def test_a_renewal_counts_from_before_it_was_asked(leases: Leases, clock: Clock) -> None:
    lease = leases.take(message())
    clock.now += 20
    await leases.renew_all()
    assert lease.expires_at == 1020 + VISIBILITY


async def test_a_lease_is_not_held_for_ever(leases: Leases, clock: Clock) -> None:
    lease = leases.take(message())
    while clock.now < 1000 + LONGEST_HOLD_SECONDS:
        assert not lease.lost
        clock.now += VISIBILITY / 3
        await leases.renew_all()
    clock.now += VISIBILITY
    await leases.renew_all()
    assert lease.lost


async def test_work_that_begins_on_a_lost_lease_is_stopped(
    leases: Leases, queue: Visibility, clock: Clock
) -> None:
    lease = leases.take(message())
    queue.unavailable = True
    clock.now += VISIBILITY
    await leases.renew_all()
    work = await held(lease)
    await asyncio.wait([work])
    assert work.cancelled()


async def test_a_renewal_that_hangs_is_given_up_and_the_lease_lost_when_it_runs_out(
    clock: Clock,
) -> None:
    queue = Hanging()
    metrics = WorkerMetrics(CollectorRegistry())
    leases = Leases(queue, visibility_seconds=3, metrics=metrics, clock=clock)
    lease = leases.take(message())
    async with asyncio.timeout(10):
        await leases.renew_all()
    assert not lease.lost
    clock.now += 3
    async with asyncio.timeout(10):
        await leases.renew_all()
    assert lease.lost


async def test_a_renewal_that_hangs_does_not_delay_the_next_round() -> None:
    queue = Hanging()
    metrics = WorkerMetrics(CollectorRegistry())
    leases = Leases(queue, visibility_seconds=1, metrics=metrics)
    lease = leases.take(message(received_at=time.monotonic()))
    work = await held(lease)
    renewing = asyncio.create_task(leases.renew_forever())
    async with asyncio.timeout(10):
        await asyncio.wait([work])
    assert lease.lost
    assert time.monotonic() >= lease.expires_at
    assert len(queue.calls) >= 2
    renewing.cancel()


async def test_a_lease_that_ended_is_neither_renewed_nor_lost(
    leases: Leases, queue: Visibility, clock: Clock
) -> None:
    lease = leases.take(message())
    lease.ended = True
    clock.now += 10 * VISIBILITY
    await leases.renew_all()
    assert (lease.lost, queue.calls) == (False, [])
