"""Handles one message: processes it in a slot, decides its outcome, logs it, carries it out."""

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable

import structlog
from structlog.contextvars import bind_contextvars, get_contextvars

from safelight.aws.queue import Message
from safelight.errors import Misconfigured, SafelightError, Unavailable
from worker.breaker import Breaker
from worker.consumer_metrics import ConsumerMetrics
from worker.disposal import Disposal
from worker.lease import Lease
from worker.turns import Turns
from worker.verdict import DRAINED, Abandon, Done, Progress, Retry, Verdict, verdict_on

log = structlog.get_logger()


class Handler:
    """Handles messages, as many at once as there are slots. Users take turns."""

    def __init__(
        self,
        *,
        process: Callable[[Message], Awaitable[Progress]],
        slots: int,
        breaker: Breaker,
        disposal: Disposal,
        metrics: ConsumerMetrics,
    ) -> None:
        self._process = process
        self.turns = Turns(slots)
        self._breaker = breaker
        self._disposal = disposal
        self._metrics = metrics
        self.working = 0
        """The number of busy slots."""
        metrics.slots.set(slots)
        metrics.slots_busy.set_function(lambda: self.working)
        metrics.messages_held.labels("working").set_function(lambda: self.working)

    async def handle(self, lease: Lease) -> None:
        """Process a message and carry out its verdict. If its lease is stopped, release it."""
        context = contextvars.copy_context()
        work = asyncio.create_task(self._work(lease), context=context)
        lease.held_by(work)
        await asyncio.wait([work])
        lease.ended = True
        verdict = self._decide(lease, work)
        context.run(self._log, lease, work, verdict)
        facts = {**context.run(get_contextvars), "detail": _detail_of(work)}
        try:
            await self._disposal.carry_out(verdict, lease.message, facts=facts)
        except SafelightError as error:  # the message comes back when its lease runs out
            self._count(error)
            log.error(
                "delete_or_release_failed", error=str(error), message_id=lease.message.message_id
            )
        else:
            if isinstance(verdict, Done):
                self._breaker.succeeded(work.result())

    async def _work(self, lease: Lease) -> Progress:
        """Process a message in a slot, and again after each failure of a service it depends on.

        Such a message is not at fault, so it is held instead of returned, which would use up its
        receives. While it waits it takes no slot, and a shutdown releases it.
        """
        missing: str | None = None
        while True:
            async with self._breaker.turn(missing), self.turns.turn(lease.user):
                if missing is None:
                    dwell = max(0.0, time.time() - lease.message.sent_at)
                    self._metrics.queue_dwell.observe(dwell)
                try:
                    return await self._attempt(lease)
                except (Unavailable, Misconfigured) as error:
                    if not self._breaker.holds(error):
                        raise
                    missing = error.dependency
                    log.error(
                        "waiting_for_dependency",
                        error=str(error),
                        message_id=lease.message.message_id,
                    )
                    lease.rest()

    async def _attempt(self, lease: Lease) -> Progress:
        """Process once."""
        self.working += 1
        lease.begin()
        try:
            return await self._process(lease.message)
        except SafelightError as error:
            self._count(error)
            raise
        finally:
            self.working -= 1

    def _count(self, error: SafelightError) -> None:
        if isinstance(error, Unavailable | Misconfigured):
            self._breaker.failed(error)

    def _decide(self, lease: Lease, work: asyncio.Task[Progress]) -> Verdict:
        if lease.lost:
            return Abandon()
        if work.cancelled():
            return DRAINED
        match work.exception():
            case None:
                return Done()
            case Exception() as error:
                return verdict_on(
                    error,
                    receive_count=lease.message.receive_count,
                    last_chance=self._disposal.is_last_chance(lease.message),
                )
            case error:
                raise error

    def _log(self, lease: Lease, work: asyncio.Task[Progress], verdict: Verdict) -> None:
        """Log the message's one wide event, and keep the exception's type for a dead letter."""
        error = None if work.cancelled() else work.exception()
        known = isinstance(error, SafelightError)
        if error:
            bind_contextvars(exception_type=type(error).__name__)
        (log.info if error is None else log.warning if known else log.error)(
            "message",
            message_id=lease.message.message_id,
            receive_count=lease.message.receive_count,
            verdict=type(verdict).__name__.lower(),
            retry_seconds=verdict.after_seconds if isinstance(verdict, Retry) else None,
            error=str(error) if error else None,
            exc_info=error if error and not known else None,
        )


def _detail_of(work: asyncio.Task[Progress]) -> str:
    """Return why a message failed, for its dead letter. Other errors may quote anything."""
    error = None if work.cancelled() else work.exception()
    return str(error) if isinstance(error, SafelightError) else ""
