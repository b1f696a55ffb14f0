"""Deletes single versions of sources and assets, after asking the record whether they matter."""

from structlog.contextvars import bind_contextvars

from safelight.aws.cdn import tagged
from safelight.keys import read_asset_key
from safelight.queued import DeleteAssets, DeleteVersion
from safelight.record import Record, Status
from worker.cleanup.collaborators import Cdn, Later, Records
from worker.cleanup.metrics import CleanupMetrics
from worker.cleanup.remains import Deletions, Inventory
from worker.verdict import Progress


class Objects:
    """Deletes objects that no record names. A repeat deletes nothing."""

    def __init__(
        self,
        *,
        records: Records,
        inventory: Inventory,
        deletions: Deletions,
        cdn: Cdn | None,
        queue: Later,
        pause_ms: int,
        metrics: CleanupMetrics,
    ) -> None:
        self._records = records
        self._inventory = inventory
        self._deletions = deletions
        self._cdn = cdn
        self._queue = queue
        self._pause_seconds = -(-pause_ms // 1000)
        self._metrics = metrics

    async def delete_version(self, message: DeleteVersion) -> Progress:
        """Delete a version of a source if the record's tokens say that it never counts.

        If the version that the record names is gone, the other may be its copy from a backup, and
        is kept.
        """
        bind_contextvars(image_id=message.image_id)
        record = await self._records.get(message.image_id)
        if not _replaces(record, message):
            return self._report("version", deleted=False)
        stored = [one.version_id for one in await self._inventory.versions(message.key)]
        settled = record.version_id if record else None
        if settled is not None and settled not in stored:
            return self._report("version", deleted=False)
        await self._deletions.versions(message.key, [message.version_id])
        return self._report("version", deleted=True)

    async def delete_assets(self, message: DeleteAssets) -> Progress:
        """Delete assets that can be rendered again, and then their copies in caches.

        The message comes back once, after a pause, so that answers under way end before the
        invalidation. What viewers had rendered again meanwhile is deleted then.
        """
        bind_contextvars(image_id=message.image_id)
        record = await self._records.get(message.image_id)
        if record is not None and not message.keys and record.status is not Status.ERASED:
            return self._report("assets", deleted=False)
        listed = [one.key for one in await self._inventory.assets(message.image_id)]
        keys = [key for key in listed if _may_go(key, message, record)]
        if keys:
            await self._deletions.assets(keys)
            self._metrics.erased_objects.labels("asset").inc(len(keys))
        if keys and not message.last:
            again = message.model_copy(update={"last": True})
            await self._queue.send(again.to_json(), delay_seconds=self._pause_seconds)
        elif self._cdn is not None:
            reference = f"{message.image_id}-assets-{message.at}"
            await self._cdn.invalidate(tagged(message.image_id), reference=reference)
        return self._report("assets", deleted=True)

    def _report(self, what: str, *, deleted: bool) -> Progress:
        outcome = "deleted" if deleted else "kept"
        self._metrics.deletions.labels(what, outcome).inc()
        bind_contextvars(outcome=f"{what}_{outcome}")
        return Progress.STORED if deleted else Progress.NONE


def _replaces(record: Record | None, message: DeleteVersion) -> bool:
    """Return whether the version is of the record's source, and the record shows that it is stale.

    Without tokens, any version may become the one that counts.
    """
    if record is None or record.original_key != message.key:
        return False
    if record.status is Status.ERASED:
        return True
    return record.has_tokens and record.revision != message.version_id


def _may_go(key: str, message: DeleteAssets, record: Record | None) -> bool:
    """Return whether an asset is named by the message, and by no variant of the record."""
    if message.keys and key not in message.keys:
        return False
    variants = record.variants.values() if record is not None else ()
    return read_asset_key(key) is not None and key not in {one.key for one in variants}
