"""What a worker does that meets the tombstone of an image: it has the image erased once more.

The worker may have stored assets after the erasure deleted all others, or it processes a source
that arrived later. It may not delete objects itself.
"""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from safelight.aws.queue import NO_ATTRIBUTES
from safelight.queued import EraseImage
from worker.metrics import WorkerMetrics

log = structlog.get_logger()


class CleanupQueue(Protocol):
    """The queue of the role `cleanup`."""

    async def send(
        self,
        body: str,
        *,
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
        delay_seconds: int = 0,
    ) -> None:
        """Send a message."""
        ...


class MetTombstones:
    """Sends an erasure again for each tombstone that is met."""

    def __init__(
        self,
        queue: CleanupQueue | None,
        *,
        metrics: WorkerMetrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._metrics = metrics
        self._now = now

    async def met(self, image_id: str, *, key: str | None) -> None:
        """Have an image erased again, with the source that has this key, if it is known.

        Call it before the worker's own message is deleted. Without a queue it only counts and logs.
        """
        if self._queue is None:
            log.error("erasure_not_sent", image_id=image_id, missing="SAFELIGHT_CLEANUP_QUEUE_URL")
        else:
            at = round(1000 * self._now())
            message = EraseImage(image_id=image_id, key=key, by="worker", at=at)
            await self._queue.send(message.to_json())
        self._metrics.tombstones_met.labels("not_sent" if self._queue is None else "sent").inc()
