"""What was read a moment ago, kept in memory: of a crowd that looks at one picture, one asks AWS.

Each class stands in front of what it keeps, and looks the same.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from cachetools import TTLCache

from api.delivery.lookup import Assets
from api.delivery.single_flight import Flights
from api.delivery.sources import Records
from safelight.aws.objects import PART_BYTES, Asset
from safelight.record import Record, Status

RECORD_SECONDS = 1
"""How long a picture that is erased or replaced may be shown after it."""
MOST_RECORDS = 1000
ASSET_SECONDS = 60
"""How long what was deleted from the bucket may be answered from here."""
AT_ONCE, WAITING, WAIT_SECONDS = 16, 1000, 5
"""Reads of one kind under way, and those that may wait, for so long. What hundreds of answers bring
to do at once would be done before anything else, `/healthz` too."""
_ASSET_OVERHEAD_BYTES = 1024
"""About what an asset takes beside its bytes."""


class SharedRecords:
    """Records as they stand; of all who read one at once, one asks."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._reads: Flights[Record | None] = Flights(
            at_once=AT_ONCE, waiting=WAITING, wait_seconds=WAIT_SECONDS
        )

    async def get(self, image_id: str) -> Record | None:
        """Read the record that stands. Raises `Busy` where too many others are read."""
        return await self._reads.join(image_id, lambda: self._records.get(image_id))


class RecentRecords:
    """Records, of which those of completed images may be a second old."""

    def __init__(self, records: Records, *, now: Callable[[], float] = time.monotonic) -> None:
        self._records = records
        self._recent: TTLCache[str, Record] = TTLCache(MOST_RECORDS, RECORD_SECONDS, timer=now)

    async def get(self, image_id: str) -> Record | None:
        """Read the record that stands, or stood a second ago."""
        record = self._recent.get(image_id)
        if record is None:
            record = await self._records.get(image_id)
            if record is not None and record.status is Status.COMPLETED:
                self._recent[image_id] = record
        return record


class RecentAssets:
    """Assets, of which those last asked for are kept: a key never changes its meaning."""

    def __init__(
        self, assets: Assets, *, most_bytes: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._assets = assets
        self._recent: TTLCache[str, Asset] = TTLCache(
            most_bytes, ASSET_SECONDS, timer=now, getsizeof=_held_bytes
        )
        self._reads: Flights[Asset | None] = Flights(
            at_once=AT_ONCE, waiting=WAITING, wait_seconds=WAIT_SECONDS
        )

    async def read(self, key: str, *, max_bytes: int, first: int = 0) -> Asset | None:
        """Read a part of an asset, if it is stored; what is kept has one part only."""
        if first:
            return await self._assets.read(key, max_bytes=max_bytes, first=first)
        recent = self._recent.get(key)
        return recent or await self._reads.join(key, lambda: self._read(key, max_bytes))

    async def _read(self, key: str, max_bytes: int) -> Asset | None:
        asset = await self._assets.read(key, max_bytes=max_bytes)
        if asset and asset.size_bytes <= PART_BYTES and _held_bytes(asset) <= self._recent.maxsize:
            self._recent[key] = asset
        return asset

    async def look(self, key: str) -> Asset | None:
        """Read what is known of an asset, if it is stored."""
        recent = self._recent.get(key)
        if recent is not None:
            return replace(recent, body=None)
        return await self._reads.join(f"look at {key}", lambda: self._assets.look(key))


def _held_bytes(asset: Asset) -> int:
    return asset.size_bytes + _ASSET_OVERHEAD_BYTES
