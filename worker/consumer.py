"""Receives messages to keep the slots busy. It knows nothing about pictures or their outcomes.

It receives only as many messages as there is room for, and never waits for a whole batch. Every
message is held under a renewed lease. On shutdown, messages that have not been started are released
at once. One user's backlog takes little of the room.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from safelight.aws.queue import BATCH_SIZE, Message
from safelight.errors import Misconfigured, SafelightError
from safelight.program import background
from worker.breaker import Breaker
from worker.consumer_metrics import ConsumerMetrics
from worker.handler import Handler
from worker.lease import Lease, Leases
from worker.owners import UNKNOWN
from worker.turns import STUCK_SECONDS

log = structlog.get_logger()

LONGEST_PAUSE_SECONDS = 8
"""The longest pause after failed receives. A queue that works again is found within that time."""
LAST_RELEASES_SECONDS = 10
"""Time to release stopped messages at the end of a shutdown. The rest come back by themselves."""
MOST_ASIDE = 16
"""The most messages held beyond capacity behind slow pictures, of users who have others here. More
would find other users' messages deeper in a backlog, and keep more work from idle workers."""
SHORTEST_EMPTY_SECONDS = 1
"""The shortest time between empty receives. SQS answers at once when it has too many in flight."""


class Queue(Protocol):
    """The queue of this worker's role."""

    async def receive(self, *, max_messages: int, wait_seconds: int) -> Sequence[Message]:
        """Wait for messages; return at most `max_messages`."""
        ...


class Consumer:
    """The worker's loop. `run` returns once the worker has drained."""

    def __init__(
        self,
        *,
        queue: Queue,
        handler: Handler,
        leases: Leases,
        breaker: Breaker,
        room: asyncio.Event,
        capacity: int,
        rendering: Callable[[], bool],
        receive_wait_seconds: int,
        drain_seconds: float,
        metrics: ConsumerMetrics,
    ) -> None:
        """`room` is set when there may be room for another message; the breaker sets it too."""
        self._queue = queue
        self._handler = handler
        self._leases = leases
        self._breaker = breaker
        self._capacity = capacity
        self._rendering = rendering
        self._receive_wait_seconds = receive_wait_seconds
        self._drain_seconds = drain_seconds
        self._metrics = metrics
        self._handling: dict[asyncio.Task[None], Lease] = {}
        self._paused_until = 0.0
        self._probed_at = 0.0
        self._room = room
        self._draining = asyncio.Event()
        self._receiving_well = False
        metrics.queue_oldest_age.set_function(self._oldest_age)
        metrics.messages_held.labels("waiting").set_function(
            lambda: len(self._handling) - handler.working - breaker.held
        )

    def drain(self) -> None:
        """Receive no more messages, and finish those that are started. A repeat does nothing."""
        if not self._draining.is_set():
            log.info("draining", held=len(self._handling), working=self._handler.working)
        self._metrics.draining.set(1)
        self._draining.set()
        self._room.set()

    @property
    def ready(self) -> bool:
        """Return whether the last receive worked and the next one will be made."""
        return self._receiving_well and not self._breaker.open and not self.draining

    @property
    def draining(self) -> bool:
        """Return whether the worker is shutting down."""
        return self._draining.is_set()

    async def run(self) -> None:
        """Receive and handle messages until the worker has drained."""
        async with background(self._leases.renew_forever()):
            receiving = asyncio.create_task(self._receive_forever())
            receiving.add_done_callback(lambda _: self.drain())
            await self._draining.wait()
            for lease in self._handling.values():
                lease.recall()
            await asyncio.wait([receiving, *self._handling], timeout=self._drain_seconds)
            for lease in self._handling.values():
                lease.stop()
            await receiving
            if self._handling:
                await asyncio.wait(self._handling, timeout=LAST_RELEASES_SECONDS)

    async def _receive_forever(self) -> None:
        failures = 0
        while await self._has_room():
            try:
                await self._receive()
                failures = 0
            except Exception as error:  # noqa: BLE001 - no error may end the loop
                failures += 1
                seconds = self._pause_after(error, failures)
                with contextlib.suppress(Exception):  # even if the log cannot be written
                    self._report_failure(error, seconds)

    async def _receive(self) -> None:
        asked_at = time.monotonic()
        messages = await self._queue.receive(
            max_messages=min(BATCH_SIZE, self._vacancies()),
            wait_seconds=self._receive_wait_seconds,
        )
        for message in messages:
            self._hold(message)
        self._receiving_well = True
        if self._breaker.open:  # this receive was an attempt to find out whether work is possible
            self._probed_at = asked_at
        if not messages:
            self._paused_until = asked_at + SHORTEST_EMPTY_SECONDS
        self._count_received(messages)

    async def _has_room(self) -> bool:
        """Wait until there is room for a message. Return False once the worker drains."""
        while not self._draining.is_set():
            pause = self._pause_seconds()
            if pause <= 0 and self._vacancies() > 0:
                return True
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), pause if pause > 0 else STUCK_SECONDS)
        return False

    def _oldest_age(self) -> float:
        oldest = min((lease.message.sent_at for lease in self._handling.values()), default=None)
        return 0 if oldest is None else max(0.0, time.time() - oldest)

    def _pause_seconds(self) -> float:
        until = self._paused_until
        if self._breaker.open:
            until = max(until, self._probed_at + self._breaker.pause_seconds)
        return until - time.monotonic()

    def _vacancies(self) -> int:
        """Return how many messages may be received now: one at a time while the breaker is open.

        Messages held for an outage do not count against capacity.
        """
        taken = len(self._handling) - self._breaker.held
        return 1 - taken if self._breaker.open else self._capacity - taken + self._aside()

    def _aside(self) -> int:
        """Return how many messages take no room while the slots are stuck: all but one per user.

        Ordinary pictures soon free a slot, and then the next message is received in any case. If no
        picture is being rendered, the slots wait for a service, and other users wait for it too.
        """
        if not (self._handler.turns.stuck and self._rendering()):
            return 0
        users = [
            lease.user
            for lease in self._handling.values()
            if lease.user != UNKNOWN and not lease.resting
        ]
        return min(MOST_ASIDE, len(users) - len(set(users)))

    def _pause_after(self, error: Exception, failures: int) -> float:
        """Pause receiving, with jitter and longer after every failure; return the seconds."""
        longest = min(LONGEST_PAUSE_SECONDS, 0.5 * 2.0 ** min(failures, 10))
        seconds = longest * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
        if isinstance(error, Misconfigured):
            seconds = self._breaker.pause_seconds
        self._receiving_well = False
        self._paused_until = time.monotonic() + seconds
        return seconds

    def _report_failure(self, error: Exception, seconds: float) -> None:
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
        """Start to handle a message. One that arrives during the shutdown is released at once."""
        lease = self._leases.take(message)
        handling = asyncio.create_task(self._handler.handle(lease))
        self._handling[handling] = lease
        handling.add_done_callback(self._let_go)
        if self._draining.is_set():
            lease.recall()

    def _let_go(self, handling: asyncio.Task[None]) -> None:
        self._leases.drop(self._handling.pop(handling))
        self._room.set()
