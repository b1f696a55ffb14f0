"""Keeps records and small assets in memory for a short time, and coalesces concurrent reads.

Each class wraps what it caches and has the same methods.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from cachetools import TTLCache

from api.delivery.lookup import Assets
from api.delivery.single_flight import SingleFlight
from api.delivery.sources import Records
from safelight.aws.objects import PART_BYTES, Asset
from safelight.record import Record, Status

RECORD_SECONDS = 1
"""Seconds for which an image may still be delivered after it was erased or replaced."""
MOST_RECORDS = 1000
"""The most records that are kept."""
ASSET_SECONDS = 60
"""Seconds for which an asset may still be delivered after it was deleted from the bucket."""
AT_ONCE, WAITING, WAIT_SECONDS = 16, 1000, 5
"""Concurrent reads of one kind, reads that may wait, and for how many seconds. Unbounded, hundreds
of answers from AWS would be handled before any other request, `/healthz` included."""
_ASSET_OVERHEAD_BYTES = 1024
"""Approximate memory of a cached asset beside its bytes."""


class CoalescedRecords:
    """Current records: concurrent reads of one record are a single call to DynamoDB."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._reads: SingleFlight[Record | None] = SingleFlight(
            at_once=AT_ONCE, waiting=WAITING, wait_seconds=WAIT_SECONDS
        )

    async def get(self, image_id: str) -> Record | None:
        """Read the current record. Raises `Busy` while too many others are read."""
        return await self._reads.join(image_id, lambda: self._records.get(image_id))


class CachedRecords:
    """Records, where those of completed images may be a second old."""

    def __init__(self, records: Records, *, now: Callable[[], float] = time.monotonic) -> None:
        self._records = records
        self._cached: TTLCache[str, Record] = TTLCache(MOST_RECORDS, RECORD_SECONDS, timer=now)

    async def get(self, image_id: str) -> Record | None:
        """Read the current record, or the one of a second ago."""
        record = self._cached.get(image_id)
        if record is None:
            record = await self._records.get(image_id)
            if record is not None and record.status is Status.COMPLETED:
                self._cached[image_id] = record
        return record


class CachedAssets:
    """Assets, where those read last are kept: the bytes of a key never change."""

    def __init__(
        self, assets: Assets, *, most_bytes: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._assets = assets
        self._cached: TTLCache[str, Asset] = TTLCache(
            most_bytes, ASSET_SECONDS, timer=now, getsizeof=_memory_bytes
        )
        self._reads: SingleFlight[Asset | None] = SingleFlight(
            at_once=AT_ONCE, waiting=WAITING, wait_seconds=WAIT_SECONDS
        )

    async def read(self, key: str, *, max_bytes: int, first: int = 0) -> Asset | None:
        """Read a part of an asset, if it is stored. Only assets of a single part are kept."""
        if first:
            return await self._assets.read(key, max_bytes=max_bytes, first=first)
        cached = self._cached.get(key)
        return cached or await self._reads.join(key, lambda: self._read(key, max_bytes))

    async def _read(self, key: str, max_bytes: int) -> Asset | None:
        asset = await self._assets.read(key, max_bytes=max_bytes)
        most = self._cached.maxsize
        if asset and asset.size_bytes <= PART_BYTES and _memory_bytes(asset) <= most:
            self._cached[key] = asset
        return asset

    async def look(self, key: str) -> Asset | None:
        """Read the metadata of an asset, if it is stored."""
        cached = self._cached.get(key)
        if cached is not None:
            return replace(cached, body=None)
        return await self._reads.join(f"look at {key}", lambda: self._assets.look(key))


def _memory_bytes(asset: Asset) -> int:
    return asset.size_bytes + _ASSET_OVERHEAD_BYTES
