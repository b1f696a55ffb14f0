"""Holds messages: renews their leases in batches during the work, and gives up what is lost.

take() --> waiting --begin()--> working --> ended (the outcome is decided)
                                 |   ^
                           rest()|   |begin()
                                 v   |
                                resting (waits for an outage to end)

recall()  on shutdown: stops a waiting or resting lease at once, a working one if it rests
stop()    in any state: cancels the work; the message is released
lose()    in any state: cancels the work; another worker may hold the message by now
"""

import asyncio
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol

import structlog

from safelight.aws.queue import BATCH_SIZE, Failure, Message
from worker.consumer_metrics import ConsumerMetrics
from worker.owners import user_of

log = structlog.get_logger()

RENEWALS_PER_VISIBILITY = 3
"""Renewals within the time for which SQS hides a message."""
LONGEST_HOLD_SECONDS = 8 * 3600
"""The longest that a message is held; SQS ends every hold after twelve hours. Work takes far less.
A held message may wait for long, but with all its receives it must not outlive the queue's
retention of four days."""


class Visibility(Protocol):
    """A queue that can hide messages for longer."""

    async def change_visibility(self, changes: dict[str, int]) -> tuple[Failure, ...]:
        """Hide each receipt's message for some seconds from now; return the failures."""
        ...


class Lease:
    """The hold on one message. A lost lease stays lost, and the work on its message stops."""

    def __init__(self, message: Message, *, expires_at: float, held_since: float) -> None:
        self.message = message
        self.user = user_of(message.body)
        """The user whose message it is, as far as its body shows."""
        self.expires_at = expires_at
        self.held_since = held_since
        self.started = False
        """Whether the message is being processed, not only waiting."""
        self.resting = False
        """Whether it waits for an outage to end."""
        self.lost = False
        self.ended = False
        """Whether the message's outcome is decided. The lease is not renewed after that."""
        self._stopped = False
        self._recalled = False
        self._work: asyncio.Task[Any] | None = None

    def held_by(self, work: asyncio.Task[Any]) -> None:
        """Set the task that processes the message."""
        self._work = work
        if self._stopped:
            work.cancel()

    def begin(self) -> None:
        """Mark the message as being processed."""
        self.started, self.resting = True, False

    def rest(self) -> None:
        """Mark it as idle. If it was recalled meanwhile, release it now."""
        self.started, self.resting = False, True
        if self._recalled:
            self.stop()

    def recall(self) -> None:
        """Release the message: at once if it waits, otherwise when its work ends."""
        self._recalled = True
        if not self.started:
            self.stop()

    def stop(self) -> None:
        """Cancel the work on the message."""
        self._stopped = True
        if self._work is not None:
            self._work.cancel()

    def lose(self) -> None:
        """Cancel the work for good, because another worker may hold the message now."""
        self.lost = True
        self.stop()


class Leases:
    """All leases of this worker, renewed every third of the visibility time."""

    def __init__(
        self,
        queue: Visibility,
        *,
        visibility_seconds: int,
        metrics: ConsumerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._visibility_seconds = visibility_seconds
        self._interval_seconds = visibility_seconds / RENEWALS_PER_VISIBILITY
        self._metrics = metrics
        self._clock = clock
        self._held: dict[str, Lease] = {}

    def take(self, message: Message) -> Lease:
        """Start to hold a message that was just received."""
        lease = Lease(
            message,
            expires_at=message.received_at + self._visibility_seconds,
            held_since=self._clock(),
        )
        self._held[message.receipt] = lease
        return lease

    def drop(self, lease: Lease) -> None:
        """Stop renewing a lease."""
        self._held.pop(lease.message.receipt, None)

    async def renew_forever(self) -> None:
        """Renew all leases in time, and lose those that run out, until cancelled."""
        due = self._clock() + self._interval_seconds
        async with asyncio.TaskGroup() as rounds:
            while True:
                wake_at = min([due, *(lease.expires_at for lease in self._renewed())])
                await asyncio.sleep(max(0.0, wake_at - self._clock()))
                self._lose_expired()
                if (late := self._clock() - due) >= 0:
                    self._metrics.renewal_lateness.observe(late)
                    due = self._clock() + self._interval_seconds
                    rounds.create_task(self.renew_all())  # one that hangs must not delay the next

    async def renew_all(self) -> None:
        """Renew all leases once, ten per request, and lose those that ran out."""
        held = iter(self._renewed())
        batches = iter(lambda: list(islice(held, BATCH_SIZE)), [])
        await asyncio.gather(*(self._renew(batch) for batch in batches))
        self._lose_expired()

    def _lose_expired(self) -> None:
        now = self._clock()
        for lease in self._renewed():
            if now >= lease.expires_at or now - lease.held_since > LONGEST_HOLD_SECONDS:
                self._lose(lease)

    def _renewed(self) -> list[Lease]:
        return [lease for lease in self._held.values() if not lease.ended]

    async def _renew(self, batch: list[Lease]) -> None:
        asked_at = self._clock()
        changes = {lease.message.receipt: self._visibility_seconds for lease in batch}
        try:
            async with asyncio.timeout(self._interval_seconds):
                failures = await self._queue.change_visibility(changes)
        except Exception as error:  # noqa: BLE001 - no error may end the renewals of the others
            self._metrics.lease_renewals.labels("failed").inc(len(batch))
            log.warning("renewal_failed", leases=len(batch), error=repr(error))
            return
        failed = {failure.receipt: failure for failure in failures}
        for lease in batch:
            failure = failed.get(lease.message.receipt)
            if failure is None:
                lease.expires_at = asked_at + self._visibility_seconds
            elif failure.lost and not lease.ended and lease.message.receipt in self._held:
                self._lose(lease)
            self._metrics.lease_renewals.labels("failed" if failure else "renewed").inc()

    def _lose(self, lease: Lease) -> None:
        self.drop(lease)
        self._metrics.leases_lost.inc()
        log.warning("lease_lost", message_id=lease.message.message_id)
        lease.lose()
