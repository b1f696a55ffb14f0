"""`safelight reindex`: give the indexes the images that older versions settled.

It lists the keys of all sources, reads the records, and writes missing tag entries and days. Each
write is conditional, so it is harmless to repeat, to stop, and beside workers and editors.
"""

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from ops.exit_codes import ExitCode
from ops.operator import connected
from safelight.aws.settings import AwsSettings
from safelight.days import day_of
from safelight.image_ids import IdSettings, ImageIds
from safelight.record import Record, Status
from safelight.tags import TagEntry, entries_of

KEYS_AT_ONCE = 50
"""The sources of a step. Each may be one of two images, so a step reads up to 100 records."""
ENTRIES_AT_ONCE = 100
_PRINTED_EVERY = 10_000
_INDEXED = (Status.COMPLETED, Status.REJECTED)


class ReindexSettings(AwsSettings, IdSettings):
    """Settings of `safelight reindex`. It needs the permissions of OperatorPolicy."""


class Inventory(Protocol):
    """The uploads bucket."""

    def source_keys(self) -> AsyncIterator[str]:
        """Yield the key of every source that has or had a version."""
        ...


class Indexing(Protocol):
    """What the indexes lack of records."""

    async def read(self, image_ids: Sequence[str]) -> Mapping[str, Record]:
        """Read up to 100 records by image id."""
        ...

    async def listed(self, entries: Sequence[TagEntry]) -> frozenset[TagEntry]:
        """Return which of up to 100 tag entries are in the index."""
        ...

    async def put_day(self, read: Record, day: str) -> None:
        """Write the day of a record, unless it was settled again since."""
        ...


class Records(Protocol):
    """The table of images."""

    async def put_tag(self, entry: TagEntry) -> None:
        """Write a tag entry, unless a newer one is there."""
        ...


@dataclass(slots=True)
class Counts:
    """What was read, and what was missing."""

    sources: int = 0
    images: int = 0
    """The settled images among them."""
    days: int = 0
    entries: int = 0

    def __str__(self) -> str:
        return (
            f"{self.sources:,} sources, {self.images:,} settled images: {self.days:,} without "
            f"their day, {self.entries:,} tag entries missing"
        )


async def reindex(*, dry_run: bool, as_json: bool) -> ExitCode:
    """Write what is missing, or only count it; print the counts."""
    settings = ReindexSettings.load()
    async with connected(settings) as aws:
        work = Reindex(
            inventory=await aws.inventory(),
            indexing=await aws.indexing(),
            records=await aws.records(),
            ids=settings.image_ids,
            bucket=settings.uploads_bucket,
            dry_run=dry_run,
        )
        printed = 0
        async for counts in work.run():
            if counts.sources - printed >= _PRINTED_EVERY:
                printed = counts.sources
                print(counts, file=sys.stderr)
    counts = work.counts
    print(json.dumps(asdict(counts)) if as_json else f"{counts}.")
    if counts.days + counts.entries and not as_json:
        print("Nothing was written." if dry_run else "They are written.")
    return ExitCode.DONE


class Reindex:
    """One pass over all sources."""

    def __init__(
        self,
        *,
        inventory: Inventory,
        indexing: Indexing,
        records: Records,
        ids: ImageIds,
        bucket: str,
        dry_run: bool,
    ) -> None:
        self._inventory = inventory
        self._indexing = indexing
        self._records = records
        self._ids = ids
        self._bucket = bucket
        self._dry_run = dry_run
        self.counts = Counts()

    async def run(self) -> AsyncIterator[Counts]:
        """Go through all sources, and yield the counts after each step."""
        step: list[str] = []
        async for key in self._inventory.source_keys():
            step.append(key)
            if len(step) == KEYS_AT_ONCE:
                await self._reindex(step)
                yield self.counts
                step = []
        await self._reindex(step)
        yield self.counts

    async def _reindex(self, sources: Sequence[str]) -> None:
        self.counts.sources += len(sources)
        bucket = self._bucket
        ids = {one for key in sources for one in self._ids.of_source(bucket=bucket, key=key)}
        read = await self._indexing.read(sorted(ids))
        settled = [one for one in read.values() if one.status in _INDEXED]
        self.counts.images += len(settled)
        for record in settled:
            await self._put_day(record)
        entries = [entry for record in settled for entry in entries_of(record)]
        for start in range(0, len(entries), ENTRIES_AT_ONCE):
            await self._put_entries(entries[start : start + ENTRIES_AT_ONCE])

    async def _put_day(self, record: Record) -> None:
        if record.completed_at is None:
            return
        day = day_of(record.completed_at, record.image_id)
        if record.day != day:
            self.counts.days += 1
            if not self._dry_run:
                await self._indexing.put_day(record, day)

    async def _put_entries(self, entries: Sequence[TagEntry]) -> None:
        listed = await self._indexing.listed(entries)
        for entry in entries:
            if entry not in listed:
                self.counts.entries += 1
                if not self._dry_run:
                    await self._records.put_tag(entry)
