"""Erases an image, step by step. A message carries the erasure from one step to the next.

Each step reads the tombstone, lists what is left, does its work, writes the progress on condition
that nothing has progressed meanwhile, and sends the message on. So a step may be repeated, and two
messages of one image do no harm.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from structlog.contextvars import bind_contextvars

from safelight.erasure_events import ErasureEvent
from safelight.erasures import TOMBSTONE_SECONDS, Erasure, entomb
from safelight.errors import Misconfigured, Refused, Unavailable
from safelight.queued import EraseImage
from safelight.record import Record, Status
from worker.cleanup import ledger, steps
from worker.cleanup.caches import Caches
from worker.cleanup.collaborators import Cdn, Documents, Later, Records, Tombstones, Topic
from worker.cleanup.metrics import CleanupMetrics
from worker.cleanup.remains import Remains, Remover
from worker.verdict import Progress

TRIES = 5
"""How often a step begins again because another message progressed, before its message waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """How long an erasure waits, in milliseconds."""

    before_invalidation_ms: int
    before_last_look_ms: int
    """Also the time until a step is tried again that S3 or CloudFront refused."""


class _Overtaken(Exception):
    """Another message has progressed this erasure."""


class ImageErasures:
    """Takes the steps of erasures."""

    def __init__(
        self,
        *,
        records: Records,
        tombstones: Tombstones,
        ledger: Documents,
        remover: Remover,
        topic: Topic,
        cdn: Cdn | None,
        queue: Later,
        pauses: Pauses,
        metrics: CleanupMetrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._tombstones = tombstones
        self._ledger = ledger
        self._remover = remover
        self._topic = topic
        self._caches = Caches(cdn)
        self._queue = queue
        self._pauses = pauses
        self._metrics = metrics
        self._now = now

    async def go_on(self, message: EraseImage) -> Progress:
        """Take the next step of an erasure if it is due, and send the message on."""
        bind_contextvars(image_id=message.image_id, erased_by=message.by)
        for _ in range(TRIES):
            tombstone = await self._tombstone(message)
            if tombstone is None:
                return self._report("refused")
            if steps.is_retried(tombstone, key=message.key, retry=message.retry, at=self._ms()):
                return self._report("superseded")
            try:
                return await self._step(message, tombstone, steps.progress_of(tombstone))
            except _Overtaken:
                continue
        raise Unavailable("dynamodb", f"{message.image_id} progressed {TRIES} times meanwhile")

    async def _tombstone(self, message: EraseImage) -> Record | None:
        """Return the tombstone, and write it if there is none. None if the message may not.

        A worker may only continue an erasure, because it saw a tombstone. Retention may only erase
        what need not be kept any longer.
        """
        if not await self._may(message):
            return None
        return await entomb(
            message.image_id,
            records=self._records,
            tombstones=self._tombstones,
            by=message.by,
            requested_at=message.at,
            at=self._ms(),
        )

    async def _may(self, message: EraseImage) -> bool:
        if message.by not in ("worker", "retention"):
            return True
        record = await self._records.get(message.image_id)
        if record is None:
            return await ledger.has(self._ledger, message.image_id)
        if record.status is Status.ERASED:
            return True
        keep_until = record.keep_until
        return message.by == "retention" and keep_until is not None and keep_until <= self._ms()

    async def _step(self, message: EraseImage, tombstone: Record, erasure: Erasure) -> Progress:
        at = self._ms()  # before the listing: what was due then has been looked for since
        remains = await self._remover.list(tombstone, message.key)
        if steps.must_begin(erasure, remains):
            tombstone = await self._begin(message, tombstone, erasure, remains)
            erasure = steps.progress_of(tombstone)
        if erasure.state == "requested":
            return await self._remove(message, tombstone, erasure, remains)
        if erasure.state == "complete":
            # `safelight erase --wait` sees by this that the message was processed.
            await self._write(tombstone, erasure, expires_at=tombstone.expires_at)
            await self._topic.publish(ErasureEvent.completed(tombstone))
            return Progress.PUBLISHED
        if at < erasure.due_at:
            return await self._send_on(message, erasure.due_at - at)
        await self._remover.delete_tags(tombstone)
        if erasure.state == "removed":
            return await self._invalidate(message, tombstone, erasure, at)
        return await self._finish(message, tombstone, erasure, at)

    async def _begin(
        self, message: EraseImage, tombstone: Record, erasure: Erasure, remains: Remains
    ) -> Record:
        """Write what there is to delete, in the ledger and the tombstone, before it is deleted."""
        late = steps.late(erasure, remains)
        if erasure.found is None:
            await ledger.enter(self._ledger, tombstone, requested_at=erasure.requested_at)
            erasure = erasure.model_copy(update={"caches": message.caches})
        written = await self._write(tombstone, steps.begun(tombstone, erasure, remains))
        self._metrics.late_objects.inc(late)
        return written

    async def _remove(
        self, message: EraseImage, tombstone: Record, erasure: Erasure, remains: Remains
    ) -> Progress:
        try:
            await self._remover.delete(remains, tombstone)
        except Refused as error:
            return await self._hold(message, tombstone, erasure, remains, error)
        await self._topic.publish(ErasureEvent.erased(tombstone))
        at, pause_ms = self._ms(), self._pauses.before_invalidation_ms
        progress = steps.removed(erasure, at=at, pause_ms=pause_ms)
        await self._write(tombstone, progress)
        self._metrics.took("removed", erasure, at)
        await self._send_on(message, progress.due_at - at)
        return self._report("removed", Progress.PUBLISHED)

    async def _hold(
        self,
        message: EraseImage,
        tombstone: Record,
        erasure: Erasure,
        remains: Remains,
        error: Refused,
    ) -> Progress:
        """Invalidate caches once, after the pause, although S3 keeps an object.

        The assets are gone, and copies must not be served for as long as an object is locked. Late
        assets begin the pause and the invalidation again.
        """
        kept = await self._remover.kept_assets(remains, tombstone)
        at, pause_ms = self._ms(), self._pauses.before_invalidation_ms
        erasure = steps.held(erasure, at=at, pause_ms=pause_ms, kept_assets=kept)
        wait_ms = None
        if erasure.invalidation is None and self._caches.may_have(erasure):
            if at < erasure.due_at:
                wait_ms = erasure.due_at - at
            else:
                try:
                    started = await self._caches.invalidate(tombstone.image_id, erasure)
                except (Unavailable, Misconfigured, Refused) as refusal:
                    return await self._retry(message, tombstone, "not_invalidated", refusal)
                erasure = steps.invalidated_while_held(erasure, *started)
        changed = tombstone.model_copy(update={"erasure": erasure})
        return await self._retry(message, changed, "not_deleted", error, wait_ms=wait_ms)

    async def _invalidate(
        self, message: EraseImage, tombstone: Record, erasure: Erasure, at: int
    ) -> Progress:
        started = None
        if self._caches.may_have(erasure):
            try:
                started = await self._caches.invalidate(tombstone.image_id, erasure)
            except (Unavailable, Misconfigured, Refused) as error:
                return await self._retry(message, tombstone, "not_invalidated", error)
        last_look_ms = self._pauses.before_last_look_ms
        progress = steps.invalidated(erasure, started, at=at, last_look_ms=last_look_ms)
        await self._write(tombstone, progress)
        await self._send_on(message, progress.due_at - self._ms())
        return self._report("invalidated", Progress.STORED)

    async def _finish(
        self, message: EraseImage, tombstone: Record, erasure: Erasure, at: int
    ) -> Progress:
        try:
            finished = await self._caches.have_no_copy(erasure)
        except (Unavailable, Misconfigured, Refused) as error:
            return await self._retry(message, tombstone, "not_invalidated", error)
        if not finished:
            await self._write(tombstone, erasure)
            return await self._send_on(message, self._pauses.before_invalidation_ms)
        expires_at = at // 1000 + TOMBSTONE_SECONDS
        progress = steps.completed(erasure, at=at)
        finished_tombstone = await self._write(tombstone, progress, expires_at=expires_at)
        self._metrics.took("complete", erasure, at)
        await self._topic.publish(ErasureEvent.completed(finished_tombstone))
        return self._report("complete", Progress.PUBLISHED)

    async def _write(
        self, tombstone: Record, erasure: Erasure, *, expires_at: int | None = None
    ) -> Record:
        tried = erasure.model_copy(update={"tried_at": self._ms()})
        written = await self._tombstones.advance(tombstone, tried, expires_at=expires_at)
        if written is None:
            raise _Overtaken
        return written

    async def _send_on(self, message: EraseImage, wait_ms: int) -> Progress:
        """Send the message to itself. It comes back early if it has to wait longer than SQS can."""
        await self._queue.send(message.to_json(), delay_seconds=max(0, math.ceil(wait_ms / 1000)))
        self._metrics.stepped(self._ms() - message.at)
        return Progress.NONE

    async def _retry(
        self,
        message: EraseImage,
        tombstone: Record,
        outcome: str,
        error: Exception,
        *,
        wait_ms: int | None = None,
    ) -> Progress:
        """Keep the state, and try again later: the erasure ends once an operator has acted.

        The retry is sent before it is written. So an earlier one may end: a later one was sent.
        """
        bind_contextvars(detail=str(error))
        number, erasure = steps.next_retry(tombstone, message.key)
        later = message.model_copy(update={"retry": number})
        await self._send_on(later, wait_ms or self._pauses.before_last_look_ms)
        await self._write(tombstone, erasure)
        return self._report(outcome)

    def _report(self, outcome: str, progress: Progress = Progress.NONE) -> Progress:
        self._metrics.erasures.labels(outcome).inc()
        bind_contextvars(outcome=f"erasure_{outcome}")
        return progress

    def _ms(self) -> int:
        return round(1000 * self._now())
