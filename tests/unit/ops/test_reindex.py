"""`safelight reindex`: what it writes, and that it changes nothing else."""

from typing import Any

import pytest

from ops.reindex import KEYS_AT_ONCE, Reindex
from safelight import keys
from safelight.days import day_of
from safelight.record import Record, Status
from safelight.tags import entries_of, entry_of
from tests.support.fakes import IDS, FakeIndexing, FakeInventory, FakeObjects, FakeRecords

BUCKET = "uploads-bucket"
SETTLED_AT = 1_795_900_000_000


class Table:
    """Records with their sources, and the pass over them."""

    def __init__(self) -> None:
        self.objects = FakeObjects()
        self.records = FakeRecords()
        self.indexing = FakeIndexing(self.records)

    def settled(self, *, key: str | None = None, **changes: Any) -> Record:
        """Store an image as 0.1.0 settled it: with tags, without entries and without its day."""
        image_id = keys.new_image_id()
        source = key or keys.source_key(user_id="key:alice", image_id=image_id)
        if key:
            image_id = IDS.of_object(bucket=BUCKET, key=key)
        usual = {"status": Status.COMPLETED, "tags": ("sea", "sun"), "completed_at": SETTLED_AT}
        record = Record(
            image_id=image_id, user_id="key:alice", uploaded_at=1, original_key=source,
            **usual | changes,
        )  # fmt: skip
        self.objects.upload(source, b"A")
        self.records.records[image_id] = record
        return record

    async def reindex(self, *, dry_run: bool = False) -> tuple[int, int, int, int]:
        work = Reindex(
            inventory=FakeInventory(self.objects),
            indexing=self.indexing,
            records=self.records,
            ids=IDS,
            bucket=BUCKET,
            dry_run=dry_run,
        )
        async for _ in work.run():
            pass
        counts = work.counts
        return counts.sources, counts.images, counts.days, counts.entries

    def listed(self) -> set[str]:
        return {key for key, (_, listed) in self.records.entries.items() if listed}


async def test_an_image_of_an_older_version_gets_its_day_and_its_entries_once() -> None:
    table = Table()
    record = table.settled()
    assert await table.reindex() == (1, 1, 1, 2)
    assert table.records.records[record.image_id].day == day_of(SETTLED_AT, record.image_id)
    assert table.listed() == {entry.key for entry in entries_of(record)}
    assert await table.reindex() == (1, 1, 0, 0)
    assert (table.indexing.calls["put_day"], table.records.calls["put_tag"]) == (1, 2)


async def test_a_dry_run_counts_the_same_and_writes_nothing() -> None:
    table = Table()
    table.settled()
    assert await table.reindex(dry_run=True) == (1, 1, 1, 2)
    assert (table.indexing.calls["put_day"], table.records.calls["put_tag"]) == (0, 0)


@pytest.mark.parametrize("status", [Status.PENDING, Status.ERASED])
async def test_images_that_are_not_settled_stay_out_of_the_indexes(status: Status) -> None:
    table = Table()
    table.settled(status=status)
    assert await table.reindex() == (1, 0, 0, 0)
    assert table.listed() == set()


async def test_a_day_that_an_older_version_left_behind_is_replaced() -> None:
    """It settled a newer revision on another day and does not know the attribute."""
    table = Table()
    record = table.settled(day="2026-11-27.3", schema_version=1, status=Status.REJECTED)
    read = Record.from_item(record.to_item())
    assert read.day == "2026-11-27.3"
    assert await table.reindex() == (1, 1, 1, 2)
    assert table.records.records[record.image_id].day == day_of(SETTLED_AT, record.image_id)


async def test_adopted_images_and_those_with_a_deleted_source_are_found() -> None:
    table = Table()
    adopted = table.settled(key="uploads/camera/DSC_1.JPG")
    gone = table.settled()
    table.objects.upload(gone.original_key, None)
    assert await table.reindex() == (2, 2, 2, 4)
    assert table.records.records[adopted.image_id].day


async def test_an_entry_that_an_editor_dropped_meanwhile_stays_dropped() -> None:
    table = Table()
    record = table.settled()
    read = table.indexing.read

    async def read_late(image_ids: Any) -> Any:
        found = await read(image_ids)
        newer = record.model_copy(update={"tags": ("sea",), "tags_version": 1})
        table.records.records[record.image_id] = newer
        await table.records.drop_tag(entry_of(record, "sun", version=1), now=0)
        return found

    table.indexing.read = read_late  # type: ignore[method-assign]
    await table.reindex()
    assert table.listed() == {entry_of(record, "sea", version=0).key}


async def test_many_sources_are_read_in_steps() -> None:
    table = Table()
    for _ in range(KEYS_AT_ONCE + 1):
        table.settled(tags=tuple("abcdefghij"))
    assert await table.reindex() == (51, 51, 51, 510)
    assert table.indexing.calls["read"] == 2
