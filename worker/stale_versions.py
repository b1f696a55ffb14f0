"""Has stale versions deleted: those of uploads that their image does not wait for.

A stale version hides the settled one. Workers may not delete objects themselves.
"""

import structlog

from safelight.queued import DeleteVersion
from worker.events import Upload
from worker.metrics import WorkerMetrics
from worker.tombstones import CleanupQueue

log = structlog.get_logger()


class StaleVersions:
    """Requests the deletion of each stale version that is met."""

    def __init__(self, queue: CleanupQueue | None, *, metrics: WorkerMetrics) -> None:
        self._queue = queue
        self._metrics = metrics

    async def met(self, upload: Upload) -> None:
        """Have the version of a stale upload deleted.

        Call it before the worker's own message is deleted. Without a queue it only counts and logs.
        A bucket without versions has nothing to delete: the settled source is overwritten.
        """
        if upload.version_id is None or upload.revision != upload.version_id:
            return
        if self._queue is None:
            log.error(
                "stale_version_not_sent",
                image_id=upload.image_id,
                missing="SAFELIGHT_CLEANUP_QUEUE_URL",
            )
        else:
            message = DeleteVersion(
                image_id=upload.image_id, key=upload.key, version_id=upload.version_id
            )
            await self._queue.send(message.to_json())
        self._metrics.stale_versions.labels("not_sent" if self._queue is None else "sent").inc()
