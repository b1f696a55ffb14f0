"""Keeps the slots filled from the queue. Knows nothing of pictures, nor of what becomes of them.

It receives only what there is room for, never waits for a whole batch, holds every message under a
renewed lease, and on drain gives back at once what was not started. One user's backlog takes little
of the room.
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
from worker.handler import Handler
from worker.lease import Lease, Leases
from worker.metrics import WorkerMetrics
from worker.owners import UNKNOWN
from worker.turns import STUCK_SECONDS

log = structlog.get_logger()

LONGEST_PAUSE_SECONDS = 8
"""After failing receives: a queue that is back is found within that."""
LAST_RELEASES_SECONDS = 10
"""For giving back, after a drain, what was stopped; what is not comes back by itself."""
MOST_ASIDE = 16
"""Held messages that take no room while slow pictures keep the slots, as their user has another one
here: so deep behind a user's backlog another user's message is found. An idle worker cannot have
them meanwhile."""
SHORTEST_EMPTY_SECONDS = 1
"""Between receives that bring nothing: past its limit of messages in flight SQS answers at once."""


class Queue(Protocol):
    """Where messages come from."""

    async def receive(self, *, max_messages: int, wait_seconds: int) -> Sequence[Message]:
        """Wait for messages, up to so many."""
        ...


class Consumer:
    """The worker's loop. `run` returns when it has drained."""

    def __init__(
        self,
        *,
        queue: Queue,
        handler: Handler,
        leases: Leases,
        breaker: Breaker,
        capacity: int,
        rendering: Callable[[], bool],
        receive_wait_seconds: int,
        drain_seconds: float,
        metrics: WorkerMetrics,
    ) -> None:
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
        self._room = asyncio.Event()
        self._draining = asyncio.Event()
        self._receiving_well = False
        breaker.on_held = self._room.set
        metrics.messages_held.labels("working").set_function(lambda: handler.working)
        metrics.messages_held.labels("held").set_function(lambda: breaker.held)
        metrics.queue_oldest_age.set_function(self._oldest_age)
        metrics.messages_held.labels("waiting").set_function(
            lambda: len(self._handling) - handler.working - breaker.held
        )

    def drain(self) -> None:
        """Take nothing new and finish what is started. Saying it again changes nothing."""
        if not self._draining.is_set():
            log.info("draining", held=len(self._handling), working=self._handler.working)
        self._metrics.draining.set(1)
        self._draining.set()
        self._room.set()

    @property
    def ready(self) -> bool:
        """Whether messages are being received, as far as is known."""
        return self._receiving_well and not self._breaker.open and not self.draining

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
            except Exception as error:  # noqa: BLE001 - whatever happens, the loop goes on
                failures += 1
                seconds = self._pause_after(error, failures)
                with contextlib.suppress(Exception):  # also where the telling fails
                    self._tell_failure(error, seconds)

    async def _receive(self) -> None:
        asked_at = time.monotonic()
        messages = await self._queue.receive(
            max_messages=min(BATCH_SIZE, self._vacancies()),
            wait_seconds=self._receive_wait_seconds,
        )
        for message in messages:
            self._hold(message)
        self._receiving_well = True
        if self._breaker.open:  # what comes now is only to find out
            self._probed_at = asked_at
        if not messages:
            self._paused_until = asked_at + SHORTEST_EMPTY_SECONDS
        self._count_received(messages)

    async def _has_room(self) -> bool:
        """Wait until something may be received; False when that will not be, for draining."""
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
        """Count what may be received now: while the breaker is open, one message at a time.

        Those that are held for better times take nobody's room.
        """
        taken = len(self._handling) - self._breaker.held
        return 1 - taken if self._breaker.open else self._capacity - taken + self._aside()

    def _aside(self) -> int:
        """Count the messages that take no room while the slots are stuck: all but one of each user.

        Ordinary pictures soon free a slot, and then the next message is received anyway. While no
        picture is rendered, a service keeps the slots busy, and other users wait for it too.
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
        """Stop receiving for a while, jittered and longer with every failure: so many seconds."""
        longest = min(LONGEST_PAUSE_SECONDS, 0.5 * 2.0 ** min(failures, 10))
        seconds = longest * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
        if isinstance(error, Misconfigured):
            seconds = self._breaker.pause_seconds
        self._receiving_well = False
        self._paused_until = time.monotonic() + seconds
        return seconds

    def _tell_failure(self, error: Exception, seconds: float) -> None:
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
        handling = asyncio.create_task(self._handler.handle(lease))
        self._handling[handling] = lease
        handling.add_done_callback(self._let_go)
        if self._draining.is_set():
            lease.recall()

    def _let_go(self, handling: asyncio.Task[None]) -> None:
        self._leases.drop(self._handling.pop(handling))
        self._room.set()
