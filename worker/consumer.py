"""Keeps the slots filled from the queue, and carries out what becomes of each message.

It receives only what it has room for, never waits for a whole batch, holds every message under a
renewed lease, and on drain gives back at once what was not started. It knows nothing of pictures.
"""

import asyncio
import contextlib
import contextvars
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from structlog.contextvars import get_contextvars

from safelight import __version__
from safelight.aws.queue import Failure, Message
from safelight.errors import Misconfigured, SafelightError, Unavailable
from safelight.telemetry import background
from worker.batch import BATCH_SIZE, Batch
from worker.breaker import Breaker
from worker.lease import Lease, Leases
from worker.metrics import WorkerMetrics
from worker.verdict import RELEASE, Abandon, DeadLetter, Done, Retry, Verdict, verdict_on

log = structlog.get_logger()

LONGEST_PAUSE_SECONDS = 30
SETTLING_TRIES = 3


class Queue(Protocol):
    """Where messages come from and go back to."""

    async def receive(self, *, max_messages: int, wait_seconds: int) -> Sequence[Message]:
        """Wait for messages, up to so many."""
        ...

    async def delete(self, receipts: Sequence[str]) -> Sequence[Failure]:
        """Delete up to ten messages; answer the failures."""
        ...

    async def change_visibility(self, changes: Mapping[str, int]) -> Sequence[Failure]:
        """Hide up to ten messages for so many seconds from now; answer the failures."""
        ...


class DeadLetters(Protocol):
    """Where messages go that nothing could be done with."""

    async def send(self, body: str, *, attributes: Mapping[str, str]) -> None:
        """Keep a message, with words on it."""
        ...


class Consumer:
    """The worker's loop. `run` returns when it has drained."""

    def __init__(
        self,
        *,
        queue: Queue,
        process: Callable[[Message], Awaitable[None]],
        leases: Leases,
        slots: int,
        prefetch: int,
        receive_wait_seconds: int,
        drain_seconds: float,
        metrics: WorkerMetrics,
        breaker: Breaker,
        dead_letters: DeadLetters | None = None,
        max_receives: int = 10,
        hopeless_pause_seconds: float = 5,
    ) -> None:
        self._queue = queue
        self._process = process
        self._leases = leases
        self._capacity = slots + prefetch
        self._slots = asyncio.Semaphore(slots)
        self._receive_wait_seconds = receive_wait_seconds
        self._drain_seconds = drain_seconds
        self._metrics = metrics
        self._breaker = breaker
        self._dead_letters = dead_letters
        self._max_receives = max_receives if dead_letters else sys.maxsize
        self._hopeless_pause_seconds = hopeless_pause_seconds
        self._deletes: Batch[None] = Batch(lambda items: queue.delete(list(items)))
        self._releases: Batch[int] = Batch(queue.change_visibility)
        self._handlers: dict[asyncio.Task[None], Lease] = {}
        self._working = 0
        self._paused_until = 0.0
        self._room = asyncio.Event()
        self._draining = asyncio.Event()
        self.receiving_well = False
        metrics.slots.set(slots)
        metrics.slots_busy.set_function(lambda: self._working)
        metrics.messages_held.labels("working").set_function(lambda: self._working)
        metrics.messages_held.labels("waiting").set_function(
            lambda: len(self._handlers) - self._working
        )

    def drain(self) -> None:
        """Take nothing new and finish what is started. Saying it again changes nothing."""
        if not self._draining.is_set():
            log.info("draining", held=len(self._handlers), working=self._working)
        self._metrics.draining.set(1)
        self._draining.set()
        self._room.set()

    @property
    def draining(self) -> bool:
        """Whether it was told to drain."""
        return self._draining.is_set()

    async def run(self) -> None:
        """Receive and handle messages until drained."""
        async with background(self._leases.renew_forever()):
            receiving = asyncio.create_task(self._receive_forever())
            receiving.add_done_callback(lambda _: self.drain())
            await self._draining.wait()
            self._stop_work(lambda lease: not lease.started)
            await asyncio.wait([receiving, *self._handlers], timeout=self._drain_seconds)
            self._stop_work(lambda _: True)
            await receiving
            await asyncio.gather(*self._handlers)

    def _stop_work(self, which: Callable[[Lease], bool]) -> None:
        for lease in self._handlers.values():
            if which(lease):
                lease.stop()

    async def _receive_forever(self) -> None:
        failures = 0
        while await self._has_room():
            try:
                messages = await self._queue.receive(
                    max_messages=min(BATCH_SIZE, self._vacancies()),
                    wait_seconds=self._receive_wait_seconds,
                )
            except Exception as error:  # noqa: BLE001 - whatever happens, the loop goes on
                failures += 1
                self._pause_after(error, failures)
            else:
                failures = 0
                self.receiving_well = True
                self._count_received(messages)
                for message in messages:
                    self._hold(message)

    async def _has_room(self) -> bool:
        """Wait until something may be received; False when that will not be, for draining."""
        while not self._draining.is_set():
            pause = self._paused_until - time.monotonic()
            if pause > 0:
                await self._sleep(pause)
            elif self._vacancies() > 0:
                return True
            else:
                self._room.clear()
                await self._room.wait()
        return False

    def _vacancies(self) -> int:
        """Count what may be received now; while the breaker is open, one message at most is held.

        One it must be: somebody has to find out when the service is back.
        """
        capacity = 1 if self._breaker.open else self._capacity
        return capacity - len(self._handlers)

    def _pause_after(self, error: Exception, failures: int) -> None:
        """Stop receiving for a while: longer with every failure, jittered."""
        longest = min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 10))
        seconds = longest * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
        if isinstance(error, Misconfigured):
            seconds = self._hopeless_pause_seconds
        self.receiving_well = False
        self._paused_until = time.monotonic() + seconds
        code = type(error).__name__ if isinstance(error, SafelightError) else "other"
        self._metrics.receive_errors.labels(code).inc()
        log.error("receive_failed", code=code, error=str(error), again_in_seconds=seconds)

    def _count_received(self, messages: Sequence[Message]) -> None:
        self._metrics.receives.inc()
        self._metrics.receive_messages.inc(len(messages))
        if not messages:
            self._metrics.receive_empty.inc()
        for message in messages:
            self._metrics.receive_count.observe(message.receive_count)

    def _hold(self, message: Message) -> None:
        """Begin with a message. One that arrives after the drain began is given back at once."""
        lease = self._leases.take(message)
        handler = asyncio.create_task(self._handle(lease))
        self._handlers[handler] = lease
        handler.add_done_callback(self._let_go)
        if self._draining.is_set():
            lease.stop()

    def _let_go(self, handler: asyncio.Task[None]) -> None:
        self._leases.drop(self._handlers.pop(handler))
        self._room.set()

    async def _handle(self, lease: Lease) -> None:
        """See one message through: work on it in a slot, decide, carry out, log."""
        context = contextvars.copy_context()
        work = asyncio.create_task(self._work(lease), context=context)
        lease.held_by(work)
        await asyncio.wait([work])
        verdict = self._decide(lease, work)
        if isinstance(verdict, DeadLetter):
            verdict = await self._bury(lease, work, verdict, context.run(get_contextvars))
        context.run(self._tell, lease, work, verdict)
        await self._carry_out(verdict, lease)

    async def _work(self, lease: Lease) -> None:
        async with self._slots:
            lease.started = True
            self._working += 1
            self._metrics.queue_dwell.observe(max(0.0, time.time() - lease.message.sent_at))
            try:
                await self._process_in_better_times(lease.message)
            finally:
                self._working -= 1

    async def _process_in_better_times(self, message: Message) -> None:
        """Process; while it is hopeless for reasons of others, hold the message and try again.

        The message is no more at fault than the others, so its receive count must not pay.
        """
        while True:
            try:
                await self._process(message)
            except (Unavailable, Misconfigured) as error:
                self._breaker.failed(error)
                held = self._breaker.holds(error, receive_count=message.receive_count)
                if self._draining.is_set() or not held:
                    raise
                log.error("held", error=str(error), message_id=message.message_id)
                await self._sleep(self._hopeless_pause_seconds * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            else:
                self._breaker.succeeded()
                self._room.set()
                return

    def _decide(self, lease: Lease, work: asyncio.Task[None]) -> Verdict:
        if lease.lost:
            return Abandon()
        if work.cancelled():
            return RELEASE
        match work.exception():
            case None:
                return Done()
            case Exception() as error:
                return verdict_on(
                    error,
                    receive_count=lease.message.receive_count,
                    max_receives=self._max_receives,
                )
            case error:
                raise error

    async def _bury(
        self,
        lease: Lease,
        work: asyncio.Task[None],
        verdict: DeadLetter,
        known: Mapping[str, Any],
    ) -> Verdict:
        """Send the message to the dead-letter queue, with all that is known of its death on it.

        If that fails it is released: the redrive policy then moves it, without a word.
        """
        message = lease.message
        attributes = {
            "reason": verdict.reason,
            "stage": str(known.get("stage", "read")),
            "exceptionType": type(work.exception()).__name__,
            "imageId": str(known.get("image_id", "")),
            "receiveCount": str(message.receive_count),
            "version": __version__,
            "firstSeen": datetime.fromtimestamp(message.sent_at, UTC).isoformat(),
        }
        try:
            assert self._dead_letters  # noqa: S101 - without one no verdict is a dead letter
            await self._dead_letters.send(message.body, attributes=attributes)
        except SafelightError as error:
            log.error("not_buried", error=str(error), message_id=message.message_id)
            return RELEASE
        return verdict

    def _tell(self, lease: Lease, work: asyncio.Task[None], verdict: Verdict) -> None:
        """Write the message's one wide event."""
        error = None if work.cancelled() else work.exception()
        known = isinstance(error, SafelightError)
        (log.info if error is None else log.warning if known else log.error)(
            "message",
            message_id=lease.message.message_id,
            receive_count=lease.message.receive_count,
            verdict=type(verdict).__name__.lower(),
            retry_seconds=verdict.after_seconds if isinstance(verdict, Retry) else None,
            error=str(error) if error else None,
            exc_info=error if error and not known else None,
        )

    async def _carry_out(self, verdict: Verdict, lease: Lease) -> None:
        """Delete the message or let it come back. If that fails, its lease runs out: harmless."""
        receipt = lease.message.receipt
        match verdict:
            case Done():
                await self._settle(self._deletes, receipt, None)
            case Retry(after_seconds):
                cause = "retry" if after_seconds else "release"
                self._metrics.messages_released.labels(cause).inc()
                await self._settle(self._releases, receipt, after_seconds)
            case DeadLetter(reason):
                self._metrics.messages_buried.labels(reason).inc()
                await self._settle(self._deletes, receipt, None)
            case Abandon():
                self._metrics.messages_released.labels("abandon").inc()

    async def _settle(self, batch: Batch[Any], receipt: str, item: int | None) -> None:
        """Send one entry; retry only it while it fails for a passing cause."""
        for attempt in range(SETTLING_TRIES):
            try:
                failure = await batch.add(receipt, item)
            except SafelightError as error:
                failure = Failure(receipt=receipt, lost=False, detail=str(error))
            if failure is None or failure.lost:
                return
            log.warning("not_settled", detail=failure.detail, attempt=attempt + 1)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but wake when draining begins."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._draining.wait(), seconds)
