"""The contract of the table of images, on every backend."""

import asyncio
from typing import Any, Protocol

import pytest
import pytest_asyncio
from boto3.dynamodb.types import TypeSerializer

from safelight import keys
from safelight.aws.records import Commit
from safelight.errors import Reason
from safelight.record import Record, Status, Variant
from tests.contract.conftest import Place
from tests.support.fakes import FakeRecords

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Table(Protocol):
    """The edge under test, and direct access to the table."""

    edge: Any
    """The edge of the worker, which settles images."""
    api: Any
    """The edge of the api, which creates them."""

    async def store(self, record: Record) -> None: ...
    async def remove(self, image_id: str) -> None: ...
    async def attributes(self, image_id: str) -> set[str]: ...


class FakeTable:
    def __init__(self):
        self.edge = self.api = FakeRecords()

    async def store(self, record):
        self.edge.records[record.image_id] = record

    async def remove(self, image_id):
        del self.edge.records[image_id]

    async def attributes(self, image_id):
        return set(self.edge.records[image_id].to_item())


class AwsTable:
    def __init__(self, place: Place, edge, api):
        self.edge, self.api = edge, api
        self._dynamodb, self._table = place.clients["dynamodb"], place.settings.table

    async def store(self, record):
        serialize = TypeSerializer().serialize
        item = {name: serialize(value) for name, value in record.to_item().items()}
        await self._dynamodb.put_item(TableName=self._table, Item=item)

    async def remove(self, image_id):
        key = {"imageId": {"S": image_id}}
        await self._dynamodb.delete_item(TableName=self._table, Key=key)

    async def attributes(self, image_id):
        key = {"imageId": {"S": image_id}}
        return set((await self._dynamodb.get_item(TableName=self._table, Key=key))["Item"])


@pytest_asyncio.fixture(loop_scope="session")
async def table(place) -> Table:
    if place is None:
        return FakeTable()
    return AwsTable(place, await place.as_worker.records(), await place.as_api.records())


def pending(**changes: Any) -> Record:
    record = Record(
        image_id=keys.new_image_id(),
        user_id="Zoë|auth0",
        uploaded_at=1_700_000_000_000,
        original_key="uploads/zoe/x",
        filename="a b+\u00fc(1)&=#%.jpg",
        tags=("holiday", "sea"),
        media_type="image/png",
        request_hash="f00d",
        expires_at=1_700_090_000,
    )
    return record.model_copy(update=changes)


def variant(size: int = 300) -> Variant:
    return Variant(
        key="images/i/v1/compressed-abc.webp",
        media_type="image/webp",
        width=40,
        height=30,
        size=size,
        sha256="0" * 64,
    )


def completed(image_id: str, revision: str = "v1", sequencer: str = "10", **changes: Any) -> Record:
    """Make a record as a worker commits it, from the event without the request."""
    record = Record(
        image_id=image_id,
        user_id="from the key",
        uploaded_at=1_800_000_000_000,
        original_key="uploads/zoe/x",
        filename="x",
        status=Status.COMPLETED,
        original_size=1000,
        media_type="image/jpeg",
        width=40,
        height=30,
        revision=revision,
        sequencer=keys.padded_sequencer(sequencer),
        variants={"compressed": variant(), "small": variant()},
        failed_variants={"large": "too_many_pixels"},
        processing_time_ms=12,
        completed_at=1_800_000_001_000,
    )
    return record.model_copy(update=changes)


def numbered(record: Record, sequence: int) -> Record:
    """Return a record as the table has it after so many settlements of its image."""
    return record.model_copy(update={"sequence": sequence})


def rejected(image_id: str, revision: str = "v1", sequencer: str = "10") -> Record:
    return Record(
        image_id=image_id,
        user_id="from the key",
        uploaded_at=1_800_000_000_000,
        original_key="uploads/zoe/x",
        status=Status.REJECTED,
        reason=Reason.TRUNCATED,
        detail="the picture ends early",
        revision=revision,
        sequencer=keys.padded_sequencer(sequencer),
        completed_at=1_800_000_001_000,
    )


async def test_an_image_that_never_was_has_no_record(table):
    assert await table.edge.get(keys.new_image_id()) is None


async def test_the_table_answers_a_check(table):
    await table.api.check()


async def test_a_created_record_is_read_back_as_it_was(table):
    record = pending()
    # The same object: so its writer knows that it did not exist before.
    assert await table.api.create(record) is record
    assert await table.edge.get(record.image_id) == record


async def test_the_second_to_create_a_record_gets_the_first_one(table):
    first = pending()
    second = first.model_copy(update={"filename": "another.jpg", "tags": ()})
    await table.api.create(first)
    assert await table.api.create(second) == first
    assert await table.edge.get(first.image_id) == first


async def test_a_pending_record_that_is_about_to_be_forgotten_is_written_anew(table):
    first = pending().model_copy(update={"expires_at": 1_900_000_000})
    second = first.model_copy(update={"filename": "b.jpg", "expires_at": 1_900_090_000})
    await table.api.create(first)
    assert await table.api.create(second, forgotten_before=1_900_000_000) == first
    other = second.model_copy(update={"request_hash": "of another request"})
    assert await table.api.create(other, forgotten_before=1_900_000_001) == first
    assert await table.api.create(second, forgotten_before=1_900_000_001) is second
    assert await table.edge.get(first.image_id) == second


async def test_a_settled_record_is_never_written_anew(table):
    settled = completed(keys.new_image_id())
    await table.edge.commit(settled)
    announced = pending().model_copy(update={"image_id": settled.image_id})
    assert await table.api.create(announced, forgotten_before=2**40) == numbered(settled, 1)


async def test_an_image_nobody_announced_is_settled_as_the_event_tells(table):
    record = completed(keys.new_image_id())
    stored = numbered(record, 1)
    assert await table.edge.commit(record) == Commit(result="written", record=stored)
    assert await table.edge.get(record.image_id) == stored


async def test_settling_keeps_what_the_request_said_and_ends_its_expiry(table):
    first = pending()
    await table.api.create(first)
    commit = await table.edge.commit(completed(first.image_id))
    standing = completed(
        first.image_id,
        user_id=first.user_id,
        uploaded_at=first.uploaded_at,
        filename=first.filename,
        tags=first.tags,
        request_hash=first.request_hash,
        sequence=1,
    )
    assert commit == Commit(result="written", record=standing)
    assert await table.edge.get(first.image_id) == standing
    assert "expiresAt" not in await table.attributes(first.image_id)


@pytest.mark.parametrize("settled", [completed, rejected])
@pytest.mark.parametrize("announced", [True, False])
async def test_no_settled_record_expires_by_itself(table, settled, announced):
    """The table would remove the record and leave its source and its assets behind."""
    image_id = keys.new_image_id()
    if announced:
        await table.api.create(pending(image_id=image_id))
        assert "expiresAt" in await table.attributes(image_id)
    for number in (1, 2):
        newer = settled(image_id, f"v{number}", f"1{number}")
        newer = newer.model_copy(update={"expires_at": 1_700_090_000})
        commit = await table.edge.commit(newer)
        assert commit.result == "written"
        assert "expiresAt" not in await table.attributes(image_id)
    await table.api.edit(commit.record, tags=("new",), filename="new.jpg")
    await table.edge.advance(commit.record, sequencer=keys.padded_sequencer("14"))
    assert "expiresAt" not in await table.attributes(image_id)


@pytest.mark.parametrize("announced", [1_800_000_000_000, None])
async def test_a_settlement_keeps_the_time_of_the_upload_and_adds_one_where_there_is_none(
    table, announced
):
    first = pending(keep_until=announced)
    await table.api.create(first)
    for number, default in ((1, 1_900_000_000_000), (2, 2_000_000_000_000)):
        newer = completed(first.image_id, f"v{number}", f"1{number}", keep_until=default)
        commit = await table.edge.commit(newer)
        assert commit.record.keep_until == (announced or 1_900_000_000_000)


async def test_the_same_settlement_again_is_repeated_and_changes_nothing(table):
    record = completed(keys.new_image_id())
    await table.edge.commit(record)
    again = record.model_copy(update={"completed_at": 1_900_000_000_000, "processing_time_ms": 1})
    stored = numbered(record, 1)
    assert await table.edge.commit(again) == Commit(result="repeated", record=stored)
    assert await table.edge.get(record.image_id) == stored


async def test_the_first_settlement_of_a_revision_wins_over_another_outcome(table):
    record = completed(keys.new_image_id())
    await table.edge.commit(record)
    commit = await table.edge.commit(rejected(record.image_id))
    assert commit == Commit(result="repeated", record=numbered(record, 1))


async def test_a_newer_revision_replaces_an_older_one(table):
    image_id = keys.new_image_id()
    await table.edge.commit(completed(image_id, "v1", "10"))
    newer = completed(image_id, "v2", "11", original_size=5, completed_at=1_900_000_000_000)
    commit = await table.edge.commit(newer)
    assert commit.result == "written"
    assert (commit.record.revision, commit.record.original_size) == ("v2", 5)


async def test_an_older_revision_that_comes_late_is_superseded(table):
    image_id = keys.new_image_id()
    newer = completed(image_id, "v2", "11")
    await table.edge.commit(newer)
    commit = await table.edge.commit(completed(image_id, "v1", "10"))
    assert commit == Commit(result="superseded", record=numbered(newer, 1))
    assert await table.edge.get(image_id) == numbered(newer, 1)


@pytest.mark.parametrize(
    ("older", "newer"),
    [("0055AED6DCD90281E5", "0055AED6DCD90281E6"), ("0055AED6", "0055AED6DC"), ("5A", "5b01")],
)
async def test_sequencers_of_any_length_order_revisions(table, older, newer):
    image_id = keys.new_image_id()
    assert (await table.edge.commit(completed(image_id, "b", newer))).result == "written"
    assert (await table.edge.commit(completed(image_id, "a", older))).result == "superseded"


async def test_of_two_revisions_without_an_order_the_last_one_stands(table):
    image_id = keys.new_image_id()
    await table.edge.commit(completed(image_id, "a", ""))
    assert (await table.edge.commit(completed(image_id, "b", ""))).result == "written"


async def test_an_older_settlement_leaves_nothing_behind_in_a_newer_one(table):
    image_id = keys.new_image_id()
    await table.edge.commit(completed(image_id, "v1", "10"))
    await table.edge.commit(rejected(image_id, "v2", "11"))
    left = await table.attributes(image_id)
    assert not left & {"compressedKey", "compressedSize", "savingsPercent", "thumbnails", "width"}
    assert (await table.edge.get(image_id)).variants == {}
    await table.edge.commit(completed(image_id, "v3", "12"))
    assert not await table.attributes(image_id) & {"reason", "detail"}


async def test_a_settled_revision_takes_a_later_sequencer_and_no_earlier_one(table):
    image_id = keys.new_image_id()
    settled = (await table.edge.commit(completed(image_id, "v1", ""))).record
    for sequencer in ("12", "11"):
        await table.edge.advance(settled, sequencer=keys.padded_sequencer(sequencer))
    standing = await table.edge.get(image_id)
    assert standing == settled.model_copy(update={"sequencer": keys.padded_sequencer("12")})
    another = settled.model_copy(update={"revision": "v2"})
    await table.edge.advance(another, sequencer=keys.padded_sequencer("13"))
    missing = settled.model_copy(update={"image_id": keys.new_image_id()})
    await table.edge.advance(missing, sequencer=keys.padded_sequencer("13"))
    assert await table.edge.get(image_id) == standing
    assert await table.edge.get(missing.image_id) is None


async def waiting_for(table, token: str, **changes: Any) -> Record:
    return await table.api.create(pending(upload_token=token, **changes))


async def test_a_settlement_with_the_awaited_token_uses_it_up(table):
    record = await waiting_for(table, "T1")
    commit = await table.edge.commit(completed(record.image_id, settled_token="T1"))
    assert commit.result == "written"
    stored = await table.edge.get(record.image_id)
    assert (stored.upload_token, stored.settled_token) == (None, "T1")


@pytest.mark.parametrize("token", ["T1", "T2", None])
async def test_after_the_settlement_no_other_upload_is_settled(table, token):
    record = await waiting_for(table, "T1")
    first = await table.edge.commit(completed(record.image_id, settled_token="T1"))
    late = completed(record.image_id, "v2", "20", settled_token=token)
    assert await table.edge.commit(late) == Commit(result="stale", record=first.record)
    again = completed(record.image_id, settled_token="T1")
    assert await table.edge.commit(again) == Commit(result="repeated", record=first.record)
    assert await table.edge.get(record.image_id) == first.record


async def test_a_settlement_with_another_token_or_without_one_is_stale(table):
    record = await waiting_for(table, "T2")
    for token in ("T1", None):
        commit = await table.edge.commit(completed(record.image_id, settled_token=token))
        assert commit == Commit(result="stale", record=record)


async def test_a_settlement_without_tokens_needs_an_image_without_tokens(table):
    record = await table.api.create(pending())
    settled = await table.edge.commit(completed(record.image_id, settled_token="T1"))
    assert settled.result == "superseded"
    assert (await table.edge.commit(completed(record.image_id))).result == "written"


async def test_an_image_may_go_on_waiting_after_a_settlement(table):
    record = await waiting_for(table, "T1")
    gone = rejected(record.image_id).model_copy(update={"upload_token": "T1"})
    assert (await table.edge.commit(gone)).record.upload_token == "T1"
    arrived = completed(record.image_id, "v2", "20", settled_token="T1")
    assert (await table.edge.commit(arrived)).result == "written"


@pytest.mark.parametrize(
    "backend", ["fake", "ministack"], indirect=True
)  # moto: in a few % of runs two win
async def test_of_many_uploads_with_one_token_that_are_settled_at_once_one_wins(table):
    record = await waiting_for(table, "T1")
    uploads = [
        completed(record.image_id, f"v{number}", f"{number:02}", settled_token="T1")
        for number in range(10)
    ]
    commits = await asyncio.gather(*map(table.edge.commit, uploads))
    assert sorted(commit.result for commit in commits) == ["stale"] * 9 + ["written"]


async def test_a_settled_image_waits_for_a_new_upload_and_keeps_all_else(table):
    record = await waiting_for(table, "T1")
    settled = (await table.edge.commit(completed(record.image_id, settled_token="T1"))).record
    opened = await table.api.await_upload(settled, token="T2", expires_at=None)
    assert opened == settled.model_copy(update={"upload_token": "T2"})
    assert await table.edge.get(record.image_id) == opened
    same = completed(record.image_id, settled_token="T2")
    assert (await table.edge.commit(same)).result == "repeated"
    other = completed(record.image_id, "v0", "05", settled_token="T2")
    assert (await table.edge.commit(other)).result == "written"


async def test_a_pending_image_waits_for_a_new_upload_and_is_kept_longer(table):
    record = await waiting_for(table, "T1")
    opened = await table.api.await_upload(record, token="T2", expires_at=1_700_099_999)
    expected = {"upload_token": "T2", "expires_at": 1_700_099_999, "request_hash": None}
    assert opened == record.model_copy(update=expected)
    assert await table.edge.get(record.image_id) == opened


async def test_a_new_upload_is_not_awaited_if_the_image_changed_since_it_was_read(table):
    record = await waiting_for(table, "T1")
    opened = await table.api.await_upload(record, token="T2", expires_at=None)
    assert await table.api.await_upload(record, token="T3", expires_at=None) is None
    await table.edge.commit(completed(record.image_id, settled_token="T2"))
    assert await table.api.await_upload(opened, token="T3", expires_at=None) is None
    assert (await table.edge.get(record.image_id)).upload_token is None


async def test_an_image_that_came_without_a_token_may_wait_for_an_upload(table):
    record = await table.api.create(pending())
    settled = (await table.edge.commit(completed(record.image_id))).record
    opened = await table.api.await_upload(settled, token="T1", expires_at=None)
    assert (await table.edge.commit(completed(record.image_id, "v2", "20"))).result == "stale"
    arrived = completed(record.image_id, "v2", "20", settled_token="T1")
    assert (await table.edge.commit(arrived)).record.settled_token == "T1"
    assert opened.upload_token == "T1"


async def test_an_erased_image_stays_erased(table):
    erased = pending(status=Status.ERASED, revision="v1", expires_at=None)
    await table.store(erased)
    commit = await table.edge.commit(completed(erased.image_id, "v1", "99"))
    assert commit == Commit(result="superseded", record=erased)
    assert await table.edge.get(erased.image_id) == erased


@pytest.mark.parametrize(
    "backend", ["fake", "ministack"], indirect=True
)  # moto: in a few % of runs two win
async def test_of_many_that_settle_one_revision_at_once_one_wins(table):
    image_id = keys.new_image_id()
    settlements = [completed(image_id, processing_time_ms=number) for number in range(16)]
    commits = await asyncio.gather(*(table.edge.commit(one) for one in settlements))
    assert sorted(commit.result for commit in commits) == ["repeated"] * 15 + ["written"]
    assert len({commit.record.processing_time_ms for commit in commits}) == 1


async def test_whatever_order_revisions_are_settled_in_the_newest_stands(table):
    image_id = keys.new_image_id()
    for number in (3, 1, 4, 2, 4, 3):
        await table.edge.commit(completed(image_id, f"v{number}", f"1{number}"))
    assert (await table.edge.get(image_id)).revision == "v4"


async def test_each_settlement_that_is_written_counts_up_the_sequence(table):
    image_id = keys.new_image_id()
    await table.api.create(pending(image_id=image_id))
    settlements = [("v2", "12"), ("v1", "11"), ("v2", "12"), ("v3", "13"), ("v3", "13")]
    commits = [await table.edge.commit(completed(image_id, *one)) for one in settlements]
    assert [(commit.result, commit.record.sequence) for commit in commits] == [
        ("written", 1),
        ("superseded", 1),
        ("repeated", 1),
        ("written", 2),
        ("repeated", 2),
    ]
    await table.edge.advance(commits[-1].record, sequencer=keys.padded_sequencer("14"))
    assert (await table.edge.get(image_id)).sequence == 2


async def test_the_table_counts_settlements_whatever_a_worker_believes(table):
    image_id = keys.new_image_id()
    await table.edge.commit(completed(image_id, "v1", "11", sequence=70))
    commit = await table.edge.commit(completed(image_id, "v2", "12", sequence=None))
    assert commit.record.sequence == 2


@pytest.mark.parametrize("settled", [completed, rejected])
async def test_a_record_that_was_settled_before_there_was_a_sequence_counts_as_none(table, settled):
    old = settled(keys.new_image_id(), "v1", "11")
    await table.store(old)
    assert "sequence" not in await table.attributes(old.image_id)
    repeated = await table.edge.commit(completed(old.image_id, "v1", "11"))
    assert (repeated.result, repeated.record.sequence) == ("repeated", None)
    newer = await table.edge.commit(completed(old.image_id, "v2", "12"))
    assert (newer.result, newer.record.sequence) == ("written", 1)


@pytest.mark.parametrize("backend", ["ministack", "moto"], indirect=True)
async def test_after_an_older_version_settled_an_image_the_count_goes_on(table):
    """It leaves the number of the settlement before its own in the record."""
    first = completed(keys.new_image_id(), "v1", "11")
    await table.edge.commit(first)
    of_older = completed(first.image_id, "v2", "12", sequence=1, schema_version=1)
    await table.store(of_older)
    assert (await table.edge.get(first.image_id)).sequence is None
    repeated = await table.edge.commit(completed(first.image_id, "v2", "12"))
    assert (repeated.result, repeated.record.sequence) == ("repeated", None)
    newer = await table.edge.commit(completed(first.image_id, "v3", "13"))
    assert (newer.result, newer.record.sequence) == ("written", 2)


@pytest.mark.parametrize(
    "backend", ["fake", "ministack"], indirect=True
)  # moto: in a few % of runs two win
async def test_of_revisions_that_are_settled_at_once_each_has_a_sequence_of_its_own(table):
    image_id = keys.new_image_id()
    settlements = [completed(image_id, f"v{number}", f"1{number}") for number in range(10)]
    commits = await asyncio.gather(*(table.edge.commit(one) for one in settlements))
    written = [one.record.sequence for one in commits if one.result == "written"]
    assert sorted(written) == list(range(1, len(written) + 1))
    stored = await table.edge.get(image_id)
    assert (stored.revision, stored.sequence) == ("v9", len(written))
