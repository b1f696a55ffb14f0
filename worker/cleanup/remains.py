"""What is left of an image in both buckets and in the index of tags: listed, then deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from safelight.aws.inventory import SourceVersion, StoredAsset
from safelight.erasures import Found
from safelight.errors import Refused
from safelight.image_ids import ImageIds
from safelight.keys import UPLOADS_PREFIX, read_source_key
from safelight.record import Record
from safelight.tags import TagEntry, entries_of
from worker.cleanup.metrics import CleanupMetrics


class Inventory(Protocol):
    """Lists both buckets."""

    async def versions(self, key: str) -> tuple[SourceVersion, ...]:
        """List the versions of a source and its delete markers."""
        ...

    async def assets(self, image_id: str) -> tuple[StoredAsset, ...]:
        """List all assets of an image."""
        ...


class Deletions(Protocol):
    """Deletes from both buckets."""

    async def versions(self, key: str, version_ids: Sequence[str]) -> None:
        """Delete versions of a source for ever."""
        ...

    async def assets(self, keys: Sequence[str]) -> None:
        """Delete assets."""
        ...


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read the current record of an image."""
        ...


class TagEntries(Protocol):
    """The index of tags."""

    async def delete_tag(self, entry: TagEntry) -> None:
        """Delete a tag entry, whatever its version."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What a listing found of an image."""

    versions: Mapping[str, Sequence[SourceVersion]]
    """By the source's key."""
    assets: Sequence[StoredAsset]

    @property
    def number(self) -> int:
        """The number of objects."""
        return len(self.assets) + sum(map(len, self.versions.values()))

    def counted(self, tombstone: Record) -> Found:
        """Return the counts for the receipt."""
        versions = [one for listed in self.versions.values() for one in listed]
        sizes = [one.size_bytes for one in versions if one.size_bytes is not None]
        return Found(
            versions=len(sizes),
            delete_markers=len(versions) - len(sizes),
            source_bytes=sum(sizes),
            objects=len(self.assets),
            asset_bytes=sum(one.size_bytes for one in self.assets),
            tags=len(tombstone.tags),
        )


class Remover:
    """Lists and deletes what is left of an image."""

    def __init__(
        self,
        *,
        records: Records,
        inventory: Inventory,
        deletions: Deletions,
        tags: TagEntries,
        metrics: CleanupMetrics,
        ids: ImageIds,
        uploads_bucket: str,
    ) -> None:
        self._records = records
        self._inventory = inventory
        self._deletions = deletions
        self._tags = tags
        self._metrics = metrics
        self._ids = ids
        self._uploads_bucket = uploads_bucket

    async def list(self, tombstone: Record, key: str | None) -> Remains:
        """List the objects of an image: at its key, and at the key of a message if it is its."""
        keys = dict.fromkeys(one for one in (tombstone.original_key, key) if one is not None)
        return Remains(
            versions={
                one: await self._inventory.versions(one)
                for one in keys
                if await self._has_source(tombstone, one)
            },
            assets=await self._inventory.assets(tombstone.image_id),
        )

    async def delete(self, remains: Remains, tombstone: Record) -> None:
        """Delete sources first, so that nothing can be rendered again, then assets and tag entries.

        Raises `Refused` if S3 keeps an object, after all others were deleted.
        """
        refusals: list[Refused] = []
        for key, versions in remains.versions.items():
            try:
                await self._delete_versions(key, versions)
            except Refused as error:
                refusals.append(error)
        try:
            await self._deletions.assets([one.key for one in remains.assets])
            self._metrics.erased_objects.labels("asset").inc(len(remains.assets))
        except Refused as error:
            refusals.append(error)
        await self.delete_tags(tombstone)
        self._metrics.erased_objects.labels("tag").inc(len(tombstone.tags))
        if refusals:
            raise refusals[0]

    async def kept_assets(self, remains: Remains, tombstone: Record) -> int:
        """Return how many of these assets are still there."""
        listed = {one.key for one in await self._inventory.assets(tombstone.image_id)}
        return sum(one.key in listed for one in remains.assets)

    async def _delete_versions(self, key: str, versions: Sequence[SourceVersion]) -> None:
        await self._deletions.versions(key, [one.version_id for one in versions])
        markers = sum(one.size_bytes is None for one in versions)
        deleted = self._metrics.erased_objects
        deleted.labels("version").inc(len(versions) - markers)
        deleted.labels("delete_marker").inc(markers)

    async def delete_tags(self, tombstone: Record) -> None:
        """Delete the tag entries of an image."""
        for entry in entries_of(tombstone):
            await self._tags.delete_tag(entry)

    async def _has_source(self, tombstone: Record, key: str) -> bool:
        """Return whether an object with this key is a source of the image, and of no other.

        An object that was stored without the API may have the id of this image in its key. Then it
        was adopted: the record of the id that is derived from its key names it.
        """
        if not key.startswith(UPLOADS_PREFIX):
            return False
        derived = self._ids.of_object(bucket=self._uploads_bucket, key=key)
        if derived == tombstone.image_id:
            return True
        named = read_source_key(key)
        if named is None or named[1] != tombstone.image_id:
            return False
        if key == tombstone.original_key:
            return True
        other = await self._records.get(derived)
        return other is None or other.original_key != key
