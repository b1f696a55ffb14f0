"""The worker's loop: what it takes, what it gives back, and when."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry
from structlog.contextvars import bind_contextvars

from safelight import __version__
from safelight.aws.queue import Failure, Message
from safelight.errors import Misconfigured, Unavailable, Unreadable, WrongQueue
from tests.support.fakes import FakeDeadLetters, FakeQueue
from worker.breaker import FAILURES_TO_OPEN, Breaker
from worker.consumer import Consumer
from worker.disposal import Disposal
from worker.handler import Handler
from worker.lease import Leases
from worker.metrics import WorkerMetrics
from worker.verdict import Progress

Process = Callable[[Message], Awaitable[Progress]]


class Work:
    """A processor with a fixed outcome, which remembers its messages."""

    def __init__(self, outcome: Exception | None = None) -> None:
        self.begun: list[str] = []
        self.at_once = self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.outcome = outcome
        self.changed = asyncio.Condition()

    async def __call__(self, message: Message) -> Progress:
        self.begun.append(message.body)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        async with self.changed:
            self.changed.notify_all()
        try:
            await self.gate.wait()
            if self.outcome is not None:
                raise self.outcome
            return Progress.PUBLISHED
        finally:
            self.at_once -= 1

    async def until_begun(self, number: int) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(self.begun) >= number)


class Running:
    def __init__(self, consumer: Consumer, registry: CollectorRegistry) -> None:
        self.consumer = consumer
        self.registry = registry

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"safelight_{name}", labels) or 0.0


@asynccontextmanager
async def running(
    queue: FakeQueue,
    process: Process,
    *,
    slots: int = 2,
    prefetch: int = 1,
    drain_seconds: float = 10,
    dead_letters: FakeDeadLetters | None = None,
    rendering: bool = True,
) -> AsyncIterator[Running]:
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    room = asyncio.Event()
    breaker = Breaker(metrics, room=room, pause_seconds=0.01)
    handler = Handler(
        process=process,
        slots=slots,
        breaker=breaker,
        disposal=Disposal(
            queue,
            dead_letters=dead_letters,
            max_receives=queue.max_receive_count,
            metrics=metrics,
        ),
        metrics=metrics,
    )
    consumer = Consumer(
        queue=queue,
        handler=handler,
        leases=Leases(queue, visibility_seconds=queue.visibility_seconds, metrics=metrics),
        breaker=breaker,
        room=room,
        capacity=slots + prefetch,
        rendering=lambda: rendering,
        receive_wait_seconds=20,
        drain_seconds=drain_seconds,
        metrics=metrics,
    )
    run = asyncio.create_task(consumer.run())
    try:
        yield Running(consumer, registry)
    finally:
        consumer.drain()
        queue.wake()
        queue.send("the last one, that ends the long poll")
        async with asyncio.timeout(30):
            await run


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_settled_message_is_deleted() -> None:
    queue, work = FakeQueue(), Work()
    async with running(queue, work):
        number = queue.send("one")
        await until(lambda: queue.deleted == [number])


async def test_it_holds_no_more_than_its_slots_and_prefetch() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    for number in range(20):
        queue.send(str(number))
    async with running(queue, work, slots=2, prefetch=3) as run:
        await work.until_begun(2)
        await until(lambda: run.value("messages_held", state="waiting") == 3)
        depth = await queue.depth()
        assert (depth.in_flight, depth.visible) == (5, 15)
        assert work.most_at_once == 2
        work.gate.set()
        await until(lambda: len(queue.deleted) == 20)
        assert work.most_at_once == 2


async def test_the_age_of_the_oldest_message_is_told_while_it_is_held() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    queue.send("one")
    async with running(queue, work) as run:
        await work.until_begun(1)
        await until(lambda: run.value("queue_oldest_age_seconds") > 0)
        work.gate.set()
        await until(lambda: run.value("queue_oldest_age_seconds") == 0)


async def test_a_free_slot_is_filled_while_another_is_still_busy() -> None:
    queue, slow = FakeQueue(), asyncio.Event()
    begun: list[str] = []

    async def process(message: Message) -> Progress:
        begun.append(message.body)
        if message.body == "slow":
            await slow.wait()
        return Progress.PUBLISHED

    queue.send("slow")
    async with running(queue, process, slots=2, prefetch=0):
        for number in range(5):
            queue.send(str(number))
        await until(lambda: len(queue.deleted) == 5)
        assert begun[0] == "slow"
        slow.set()


async def test_deletions_of_one_moment_are_one_request() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    for number in range(8):
        queue.send(str(number))
    async with running(queue, work, slots=8, prefetch=0):
        await work.until_begun(8)
        work.gate.set()
        await until(lambda: len(queue.deleted) == 8)
        assert queue.calls["delete"] == 1


async def test_an_unreadable_message_is_a_dead_letter_after_one_try_and_says_why() -> None:
    queue, letters, work = FakeQueue(), FakeDeadLetters(), Work(WrongQueue("an event"))
    async with running(queue, work, dead_letters=letters):
        queue.send("forged")
        await until(lambda: bool(queue.deleted))
    assert work.begun == ["forged"]
    (letter,) = letters.letters
    assert (letter.body, letter.attributes["reason"]) == ("forged", "wrong_queue")
    assert letter.attributes["detail"] == "an event"
    assert letter.attributes["receiveCount"] == "1"


async def test_an_unreadable_message_reaches_the_dead_letter_queue_also_by_its_policy() -> None:
    queue, work = FakeQueue(max_receive_count=3), Work(Unreadable("no event"))
    async with running(queue, work):
        queue.send("nonsense")
        await until(lambda: queue.dead_letters == ["nonsense"])
    assert work.begun.count("nonsense") == 3


async def test_an_unavailable_service_lets_the_message_come_back() -> None:
    queue, work = FakeQueue(), Work(Unavailable("s3", "slow down"))
    async with running(queue, work) as run:
        queue.send("one")
        await until(lambda: run.value("messages_released_total", cause="unavailable") >= 1)
        assert queue.calls["change_visibility"] >= 1
        assert queue.deleted == []


async def test_only_the_entry_that_failed_is_deleted_again() -> None:
    class Stubborn(FakeQueue):
        asked: list[list[str]]

        async def delete(self, receipts: list[str]) -> tuple[Failure, ...]:
            self.asked.append(list(receipts))
            if len(self.asked) == 1:
                first = Failure(receipt=receipts[0], lost=False, detail="internal")
                return (*await super().delete(receipts[1:]), first)
            return await super().delete(receipts)

    queue, work = Stubborn(), Work()
    queue.asked = []
    work.gate.clear()
    for number in range(4):
        queue.send(str(number))
    async with running(queue, work, slots=4, prefetch=0):
        await work.until_begun(4)
        work.gate.set()
        await until(lambda: len(queue.deleted) == 4)
    assert [len(asked) for asked in queue.asked[:2]] == [4, 1]


async def test_drain_gives_back_what_was_not_started_and_finishes_what_was() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    for number in range(4):
        queue.send(str(number))
    async with running(queue, work, slots=1, prefetch=3) as run:
        await work.until_begun(1)
        await until(lambda: run.value("messages_held", state="waiting") == 3)
        run.consumer.drain()
        run.consumer.drain()
        await until(lambda: run.value("messages_held", state="waiting") == 0)
        depth = await queue.depth()
        assert (depth.visible, depth.in_flight) == (3, 1)
        work.gate.set()
        await until(lambda: queue.deleted == ["message-1"])
    assert work.begun == ["0"]
    assert all(entry.visible_at <= queue.now() for entry in queue.entries)


async def test_a_message_that_arrives_after_the_drain_began_is_given_back() -> None:
    queue, work = FakeQueue(), Work()
    async with running(queue, work) as run:
        await until(lambda: queue.calls["receive"] == 1)
        run.consumer.drain()
        queue.send("late")
        await until(lambda: queue.calls["change_visibility"] == 1)
    assert work.begun == []
    assert "late" in [entry.body for entry in queue.entries]


async def test_work_that_outlasts_the_drain_is_stopped_and_given_back() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    queue.send("endless")
    async with running(queue, work, drain_seconds=0.01):
        await work.until_begun(1)
    assert queue.deleted == []
    assert [entry.visible_at <= queue.now() for entry in queue.entries] == [True] * 2


async def test_a_lost_lease_stops_the_work_and_neither_deletes_nor_releases() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    queue.send("one")
    async with running(queue, work, slots=1, prefetch=0) as run:
        await work.until_begun(1)
        queue.entries[0].receipt = "message-1/taken-by-another"
        await run.consumer._leases.renew_all()
        await until(lambda: run.value("messages_held", state="working") == 0)
        await until(lambda: run.value("leases_lost_total") == 1)
        assert queue.calls["change_visibility"] == 1
        assert queue.calls["delete"] == 0
        assert run.value("leases_lost_total") == 1


@pytest.mark.parametrize("dependency", ["s3", "dynamodb", "sns"])
async def test_a_misconfiguration_holds_the_message_and_its_receive_count_does_not_pay(
    dependency: str,
) -> None:
    queue, work = FakeQueue(), Work(Misconfigured(dependency, "access denied"))
    async with running(queue, work, slots=1, prefetch=0):
        queue.send("one")
        await work.until_begun(5)
        assert queue.entries[0].receive_count == 1
        work.outcome = None
        await until(lambda: queue.deleted == ["message-1"])


@pytest.mark.parametrize(
    "failure", [Unavailable("sqs", "503"), Misconfigured("sqs", "denied"), RuntimeError("a bug")]
)
async def test_no_failing_receive_ends_the_loop(failure: Exception) -> None:
    queue, work = FakeQueue(), Work()
    queue.fail_next["receive"] = [failure]
    number = queue.send("one")
    async with running(queue, work) as run:
        await until(lambda: queue.deleted == [number])
        assert (
            sum(
                run.value("receive_errors_total", code=code)
                for code in ("Unavailable", "Misconfigured", "other")
            )
            == 1
        )


async def test_while_a_service_is_down_receiving_stops_and_no_receive_count_pays() -> None:
    queue, work = FakeQueue(), Work(Unavailable("s3", "503"))
    for number in range(40):
        queue.send(str(number))
    async with running(queue, work, slots=2, prefetch=2) as run:
        await until(lambda: run.value("breaker_open", dependency="s3") == 1)
        tried = len(work.begun)
        await work.until_begun(tried + 60)
        received = [entry.receive_count for entry in queue.entries]
        assert max(received) <= 3
        assert sum(received) <= FAILURES_TO_OPEN + 0.7 * len(work.begun)
        work.outcome = None
        await until(lambda: len(queue.deleted) == 40)
        assert run.value("breaker_open", dependency="s3") == 0


async def test_a_worker_that_holds_nothing_still_finds_out_when_a_service_is_back() -> None:
    queue, work = FakeQueue(), Work(Unavailable("s3", "503"))
    async with running(queue, work, slots=1, prefetch=0) as run:
        for _ in range(FAILURES_TO_OPEN):
            run.consumer._breaker.failed(Unavailable("s3", "503"))
        work.outcome = None
        number = queue.send("one")
        await until(lambda: queue.deleted == [number])


async def test_an_error_in_a_log_or_a_metric_does_not_end_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue, work = FakeQueue(), Work()

    def broken(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    async with running(queue, work) as run:
        monkeypatch.setattr("worker.consumer.log", SimpleNamespace(error=broken, info=broken))
        monkeypatch.setattr(run.consumer._metrics.receive_errors, "labels", broken)
        queue.fail_next["receive"] = [Unavailable("sqs", "503")]
        number = queue.send("one")
        await until(lambda: queue.deleted == [number])
        monkeypatch.setattr(run.consumer._metrics.receives, "inc", broken)
        number = queue.send("two")
        await until(lambda: queue.deleted[1:] == [number])
        monkeypatch.undo()


async def test_a_topic_that_is_down_does_not_stop_the_rendering_of_others() -> None:
    queue, work = FakeQueue(), Work(Unavailable("sns", "503"))
    for number in range(20):
        queue.send(str(number))
    async with running(queue, work, slots=2, prefetch=2):
        await until(lambda: set(work.begun) == {str(number) for number in range(20)})


async def test_while_nobody_can_be_told_whatever_is_settled_waits_here_to_be_told() -> None:
    queue, work = FakeQueue(), Work(Unavailable("sns", "503"))
    for number in range(100):
        queue.send(str(number))
    async with running(queue, work, slots=2, prefetch=2) as run:
        await until(lambda: run.consumer._breaker.held >= 98)
        tried = len(work.begun)
        await work.until_begun(tried + 10)
        work.outcome = None
        await until(lambda: len(queue.deleted) == 100)
        assert queue.calls["change_visibility"] == 0


async def test_of_all_that_wait_for_a_service_one_at_a_time_finds_out() -> None:
    breaker = Breaker(WorkerMetrics(CollectorRegistry()), room=asyncio.Event(), pause_seconds=0.001)
    breaker.failed(Unavailable("s3", "503"))
    at_once: list[int] = []
    trying = 0

    async def wait() -> None:
        nonlocal trying
        async with breaker.turn("s3"):
            trying += 1
            at_once.append(trying)
            await asyncio.sleep(0.01)
            trying -= 1

    async with asyncio.timeout(10):
        await asyncio.gather(*(wait() for _ in range(20)))
    assert at_once == [1] * 20
    assert breaker.held == 0


async def test_what_tells_of_no_picture_says_nothing_of_a_service() -> None:
    queue = FakeQueue()

    async def process(message: Message) -> Progress:
        if message.body == "removal":
            return Progress.NONE
        raise Unavailable("s3", "503")

    for number in range(FAILURES_TO_OPEN):
        queue.send(str(number))
    async with running(queue, process) as run:
        await until(lambda: run.value("breaker_open", dependency="s3") == 1)
        number = queue.send("removal")
        await until(lambda: queue.deleted == [number])
        assert run.value("breaker_open", dependency="s3") == 1


def test_what_is_made_for_nobody_to_be_told_closes_the_breaker_for_all_but_the_telling() -> None:
    registry = CollectorRegistry()
    breaker = Breaker(WorkerMetrics(registry), room=asyncio.Event())

    def opened() -> dict[str, float | None]:
        return {
            name: registry.get_sample_value("safelight_breaker_open", {"dependency": name})
            for name in ("s3", "dynamodb", "sns")
        }

    for name in ("s3", "dynamodb", "sns") * FAILURES_TO_OPEN:
        breaker.failed(Unavailable(name, "503"))
    assert breaker.open
    breaker.succeeded(Progress.STORED)
    assert not breaker.open
    assert opened() == {"s3": 0, "dynamodb": 0, "sns": 1}
    breaker.failed(Unavailable("s3", "503"))
    assert not breaker.open
    breaker.failed(Unavailable("dynamodb", "503"))  # it was read from, not written to
    assert breaker.open
    breaker.succeeded(Progress.PUBLISHED)
    assert opened() == {"s3": 0, "dynamodb": 0, "sns": 0}


async def test_with_too_many_held_receiving_stops_instead_of_burning_receives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.breaker.MOST_HELD", 20)
    queue, work = FakeQueue(), Work(Misconfigured("sns", "denied"))
    for number in range(60):
        queue.send(str(number))
    async with running(queue, work) as run:
        await until(lambda: run.value("messages_held", state="held") >= 30)
        assert {entry.receive_count for entry in queue.entries} <= {0, 1}
        work.outcome = None
        await until(lambda: len(queue.deleted) == 60)


async def test_nothing_is_held_for_what_only_this_worker_lacks() -> None:
    queue, work = FakeQueue(), Work(Misconfigured("spool", "no space left"))
    queue.send("one")
    async with running(queue, work) as run:
        await until(lambda: queue.calls["change_visibility"] == 1)
        assert run.consumer._breaker.held == 0
        assert not run.consumer.ready


async def test_a_message_on_its_last_attempt_becomes_a_dead_letter_that_explains_itself() -> None:
    queue, letters = FakeQueue(max_receive_count=3), FakeDeadLetters()

    async def process(message: Message) -> Progress:
        bind_contextvars(stage="render", image_id="01JZ6V8M7Q2N4R5T6W8X9Y0ZAB")
        raise KeyError(message.body)

    number = queue.send("broken", sent_at=1_790_000_000)
    queue.entries[0].receive_count = 2
    async with running(queue, process, dead_letters=letters):
        await until(lambda: queue.deleted == [number])
    assert letters.letters[0].body == "broken"
    assert letters.letters[0].attributes == {
        "reason": "unknown",
        "stage": "render",
        "exceptionType": "KeyError",
        "imageId": "01JZ6V8M7Q2N4R5T6W8X9Y0ZAB",
        "receiveCount": "3",
        "version": __version__,
        "firstSeen": "2026-09-21T14:13:20+00:00",
    }


async def test_a_message_that_cannot_be_buried_is_left_to_the_redrive_policy() -> None:
    queue, letters = FakeQueue(max_receive_count=1), FakeDeadLetters()
    letters.fail_next["send"] = [Unavailable("sqs", "503")]
    queue.send("broken")
    async with running(queue, Work(Unreadable("no event")), dead_letters=letters):
        await until(lambda: queue.calls["change_visibility"] == 1)
        queue.entries[0].visible_at = queue.now()
        queue.wake()
        await until(lambda: queue.dead_letters == ["broken"])
    assert [letter.body for letter in letters.letters if letter.body == "broken"] == []


@pytest.mark.parametrize(
    ("error", "slots"),
    [
        (Misconfigured("s3", "this one object's encryption key is denied"), 2),
        (Unavailable("s3", "has not the ETag that its event tells"), 2),
        (Unavailable("sns", "503"), 1),
    ],
    ids=["denied", "unavailable", "untold"],
)
async def test_a_message_that_always_fails_does_not_stop_the_others(
    error: Exception, slots: int
) -> None:
    queue, done = FakeQueue(), []

    async def process(message: Message) -> Progress:
        if message.body == "poison":
            raise error
        done.append(message.body)
        return Progress.PUBLISHED

    queue.send("poison")
    async with running(queue, process, slots=slots, prefetch=2):
        await until(lambda: queue.entries[0].receive_count == 1)
        for number in range(20):
            queue.send(str(number))
        await until(lambda: len(done) == 20)
        # With full jitter a pause may be 0 s: twice in a row in one run of 66, four times in one of
        # 57,000.
        assert queue.entries[0].receive_count <= 4


async def test_a_drain_in_an_outage_waits_for_nothing() -> None:
    queue, work = FakeQueue(), Work(Misconfigured("s3", "denied"))
    work.gate.clear()
    queue.send("one")
    async with running(queue, work, slots=1, prefetch=0, drain_seconds=3600) as run:
        await work.until_begun(1)
        run.consumer.drain()
        work.gate.set()
        await until(lambda: queue.calls["change_visibility"] == 1)


async def test_while_deletions_are_denied_receiving_stops() -> None:
    queue, work = FakeQueue(), Work()
    queue.fail_next["delete"] = [Misconfigured("sqs", "denied")]
    queue.send("one")
    async with running(queue, work, slots=1, prefetch=0) as run:
        await until(lambda: run.value("breaker_open", dependency="sqs") == 1)
        assert not run.consumer.ready
        queue.send("two")
        await until(lambda: run.consumer.ready)


async def test_a_message_that_is_settled_is_renewed_no_more() -> None:
    queue, deleting, gate = FakeQueue(), asyncio.Event(), asyncio.Event()

    async def slow_delete(receipts: list[str]) -> tuple[Failure, ...]:
        deleting.set()
        await gate.wait()
        return ()

    queue.delete = slow_delete  # type: ignore[method-assign] # a queue that takes its time
    queue.send("one")
    async with running(queue, Work(), slots=1, prefetch=0) as run:
        await deleting.wait()
        await run.consumer._leases.renew_all()
        gate.set()
        assert queue.calls["change_visibility"] == 0


async def test_empty_answers_that_come_at_once_do_not_make_it_spin() -> None:
    class Full(FakeQueue):
        async def receive(self, **_: int) -> tuple[Message, ...]:
            self.calls["receive"] += 1
            return ()

    queue = Full()
    async with running(queue, Work()) as run:
        await until(lambda: queue.calls["receive"] == 1)
        before = time.monotonic()
        await until(lambda: queue.calls["receive"] == 3)
        assert time.monotonic() - before > 1.5
        assert run.consumer.ready


async def test_a_fault_in_a_metric_ends_nothing() -> None:
    queue, work = FakeQueue(), Work()
    async with running(queue, work) as run:

        def broken(_: float) -> None:
            raise RuntimeError("a bug")

        run.consumer._metrics.receive_count.observe = broken  # type: ignore[method-assign] # acted out
        number = queue.send("one")
        await until(lambda: queue.deleted == [number])
