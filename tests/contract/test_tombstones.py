"""The contract of tombstones, on every backend."""

from typing import Any

import pytest
import pytest_asyncio

from safelight import keys
from safelight.erasures import Erasure, Found, Receipt, entomb
from safelight.record import Record, Status
from safelight.tags import TagEntry, entries_of
from tests.contract.conftest import Place
from tests.contract.test_records import AwsTable, FakeTable, completed, pending
from tests.support.fakes import FakeTombstones

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT = 1_800_000_100_000
LATER = 1_800_000_200
"""In seconds."""


class Graves:
    """The edge under test, and the table below it."""

    def __init__(self, table: Any, edge: Any) -> None:
        self.table, self.edge = table, edge
        self.records = table.edge

    async def erase(self, image_id: str, before: Status | None) -> Record | None:
        return await self.edge.erase(
            image_id, before=before, by="owner", requested_at=AT - 5, at=AT
        )

    async def erased(self, record: Record) -> Record:
        await self.table.store(record)
        tombstone = await self.erase(record.image_id, record.status)
        assert tombstone is not None
        return tombstone


@pytest_asyncio.fixture(loop_scope="session")
async def graves(place: Place | None) -> Graves:
    if place is None:
        table = FakeTable()
        return Graves(table, FakeTombstones(table.edge))
    table = AwsTable(place, await place.as_worker.records(), await place.as_api.records())
    return Graves(table, await place.as_cleanup.tombstones())


@pytest.mark.parametrize("pending_before", [True, False])
async def test_a_tombstone_keeps_only_what_has_to_be_deleted_and_for_whom(graves, pending_before):
    record = pending(tags_version=3)
    if not pending_before:
        settled = completed(record.image_id, tags=record.tags, request_hash="f00d")
        record = settled.model_copy(update={"tags_version": 3})
    tombstone = await graves.erased(record)
    assert tombstone == Record(
        image_id=record.image_id,
        user_id=record.user_id,
        uploaded_at=record.uploaded_at,
        original_key=record.original_key,
        tags=("holiday", "sea"),
        tags_version=3,
        status=Status.ERASED,
        erased_at=AT,
        erased_by="owner",
        erasure=Erasure(requested_at=AT - 5, was_pending=pending_before),
    )
    assert await graves.records.get(record.image_id) == tombstone
    left = await graves.table.attributes(record.image_id)
    empty = {"variants", "failedVariants"}
    assert left - empty == set(tombstone.to_item()) - empty


async def test_an_image_with_another_status_by_now_is_not_erased(graves):
    record = pending()
    await graves.table.store(record)
    for before in (None, Status.COMPLETED, Status.ERASED):
        assert await graves.erase(record.image_id, before) is None
    assert await graves.erase(keys.new_image_id(), Status.PENDING) is None
    assert await graves.records.get(record.image_id) == record


async def test_an_image_without_a_record_gets_a_tombstone_that_older_versions_read(graves):
    image_id = keys.new_image_id()
    tombstone = await graves.erase(image_id, None)
    assert (tombstone.status, tombstone.user_id) == (Status.ERASED, "(erased)")
    assert tombstone.original_key == "(erased)"
    assert await graves.records.get(image_id) == tombstone
    assert {"userId", "uploadedAt", "originalKey"} <= await graves.table.attributes(image_id)


async def test_no_settlement_replaces_a_tombstone(graves):
    tombstone = await graves.erased(pending())
    commit = await graves.records.commit(completed(tombstone.image_id, "v9", "99"))
    assert (commit.result, commit.record) == ("superseded", tombstone)


async def test_an_erasure_goes_on_only_from_the_step_that_was_read(graves):
    tombstone = await graves.erased(completed(keys.new_image_id()))
    found = Found(versions=2, delete_markers=1, source_bytes=83018, objects=5, asset_bytes=9)
    progress = tombstone.erasure.model_copy(update={"found": found})
    first = await graves.edge.advance(tombstone, progress)
    assert first.erasure == progress.model_copy(update={"step": 1})
    assert await graves.edge.advance(tombstone, progress) is None
    removed = first.erasure.model_copy(update={"state": "removed", "due_at": AT + 20_000})
    second = await graves.edge.advance(first, removed)
    assert (second.erasure.state, second.erasure.step) == ("removed", 2)
    assert await graves.edge.advance(first, removed) is None
    assert await graves.records.get(tombstone.image_id) == second


async def test_a_record_that_is_not_erased_has_no_erasure_to_go_on_with(graves):
    record = completed(keys.new_image_id())
    await graves.table.store(record)
    assert await graves.edge.advance(record, Erasure(requested_at=AT)) is None
    assert await graves.records.get(record.image_id) == record


async def test_a_finished_tombstone_expires_and_has_neither_key_nor_tags(graves):
    tombstone = await graves.erased(pending())
    done = tombstone.erasure.model_copy(update={"state": "complete", "completed_at": AT + 9})
    finished = await graves.edge.advance(tombstone, done, expires_at=LATER)
    assert (finished.user_id, finished.expires_at) == (tombstone.user_id, LATER)
    assert (finished.original_key, finished.tags) == ("(erased)", ())
    attributes = await graves.table.attributes(tombstone.image_id)
    assert "tagsVersion" not in attributes or finished.tags_version == 0
    assert await graves.records.get(tombstone.image_id) == finished
    assert Receipt.of(finished).state == "complete"


async def test_a_finished_erasure_that_begins_again_does_not_expire_meanwhile(graves):
    tombstone = await graves.erased(pending())
    finished = await graves.edge.advance(tombstone, tombstone.erasure, expires_at=LATER)
    again = await graves.edge.advance(finished, finished.erasure)
    assert again.expires_at is None
    assert "expiresAt" not in await graves.table.attributes(tombstone.image_id)


async def test_entombing_again_changes_nothing(graves):
    record = pending()
    await graves.table.store(record)
    both = [
        await entomb(
            record.image_id,
            records=graves.records,
            tombstones=graves.edge,
            by=by,
            requested_at=AT - 5,
            at=at,
        )
        for by, at in (("owner", AT), ("worker", AT + 1))
    ]
    assert both[0] == both[1]
    assert (both[0].erased_by, both[0].erased_at) == ("owner", AT)


async def test_a_tombstone_forgets_its_user_and_a_record_does_not(graves):
    tombstone = await graves.erased(pending())
    for _ in range(2):
        await graves.edge.forget_user(tombstone)
    forgotten = tombstone.model_copy(update={"user_id": "(erased)"})
    assert await graves.records.get(tombstone.image_id) == forgotten
    record = pending()
    await graves.table.store(record)
    await graves.edge.forget_user(record)
    assert await graves.records.get(record.image_id) == record


async def test_a_tag_entry_is_deleted_whatever_its_version(graves):
    record = completed(keys.new_image_id(), tags=("sea",), tags_version=7)
    (entry,) = entries_of(record)
    for _ in range(2):
        await graves.records.put_tag(entry)
        await graves.edge.delete_tag(entry)
        assert not await entry_exists(graves, entry)


async def entry_exists(graves: Graves, entry: TagEntry) -> bool:
    if isinstance(graves.table, FakeTable):
        return entry.key in graves.records.entries
    key = {"imageId": {"S": entry.key}}
    answer = await graves.table._dynamodb.get_item(TableName=graves.table._table, Key=key)
    return "Item" in answer
