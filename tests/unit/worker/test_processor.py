"""The way of an upload, and above all: that every step is harmless to repeat."""

import hashlib
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from safelight import keys
from safelight.errors import (
    ImageIdTaken,
    Misconfigured,
    Reason,
    Rejection,
    Unavailable,
    Unreadable,
)
from safelight.faces import Face
from safelight.imaging.render import Rendering
from safelight.queued import EraseImage
from safelight.record import Record, Status
from safelight.tags import TagEntry, entries_of
from tests.support.fakes import APPEARANCE, IDS, FakeFaces
from tests.unit.worker.house import BUCKET, IMAGE, KEY, NOW, PRESETS, House
from worker.metrics import WorkerMetrics
from worker.tombstones import MetTombstones
from worker.verdict import Progress


def pending() -> Record:
    return Record(
        image_id=IMAGE,
        user_id="key:alice",
        uploaded_at=1,
        original_key=KEY,
        filename="a b.jpg",
        tags=("holiday",),
        expires_at=99,
    )


async def test_an_upload_becomes_assets_a_record_and_a_completion(house: House) -> None:
    house.records.records[IMAGE] = pending()
    assert await house.process(house.upload(b"picture")) is Progress.PUBLISHED
    record = house.record
    assert record.status is Status.COMPLETED
    assert (record.filename, record.tags, record.expires_at) == ("a b.jpg", ("holiday",), None)
    assert (record.original_size, record.media_type) == (7, "image/jpeg")
    assert record.sha256 == hashlib.sha256(b"picture").hexdigest()
    assert record.placeholder == APPEARANCE.placeholder
    assert record.dominant_colour == APPEARANCE.dominant_colour
    assert record.perceptual_hash == APPEARANCE.perceptual_hash
    assert set(record.variants) == {preset.name for preset in PRESETS}
    for variant in record.variants.values():
        assert house.objects.assets[variant.key].sha256 == variant.sha256
        assert (variant.quality, variant.score) == (64, 71)
        assert len(house.objects.assets[variant.key].body) == variant.size
    (completion,) = house.topic.published
    assert completion.data.image_id == IMAGE
    assert house.outcomes("completed") == 1


async def test_a_settled_image_is_found_by_its_tags_before_its_completion(house: House) -> None:
    house.records.records[IMAGE] = pending().model_copy(update={"tags": ("a", "b")})
    event = house.upload()
    house.records.fail_next["put_tag"] = [Unavailable("dynamodb", "503")]
    with pytest.raises(Unavailable):
        await house.process(event)
    assert house.record.status is Status.COMPLETED
    assert house.topic.published == []
    await house.process(event)
    assert {key for key, (_, listed) in house.records.entries.items() if listed} == {
        entry.key for entry in entries_of(house.record)
    }
    assert len(house.records.entries) == 2
    assert len(house.topic.published) == 1


@pytest.mark.parametrize("outcome", [None, Rejection(Reason.TRUNCATED, "it ends early")])
async def test_an_image_without_the_api_is_kept_for_the_days_of_the_setting(
    tmp_path: Path, outcome: Exception | None
) -> None:
    house = House(tmp_path, keep_days=30)
    house.renderer.outcome = outcome
    await house.process(house.upload())
    record = house.record
    assert record.status is (Status.REJECTED if outcome else Status.COMPLETED)
    assert record.keep_until == record.uploaded_at + 30 * 24 * 3600 * 1000


async def test_an_upload_keeps_its_own_time_whatever_the_setting_says(tmp_path: Path) -> None:
    house = House(tmp_path, keep_days=30)
    house.records.records[IMAGE] = pending().model_copy(update={"keep_until": 123})
    await house.process(house.upload())
    assert house.record.keep_until == 123
    assert house.topic.published[0].data.keep_until == 123


async def test_a_pending_upload_without_an_end_is_kept_for_good_whatever_the_setting_says(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, keep_days=30)
    house.records.records[IMAGE] = pending()
    await house.process(house.upload())
    assert house.record.status is Status.COMPLETED
    assert house.record.keep_until is None


async def test_a_replaced_image_that_is_kept_for_good_stays_so_whatever_the_setting_says(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, keep_days=30)
    await house.process(house.upload(b"A", sequencer="01"))
    house.records.records[IMAGE] = house.record.model_copy(update={"keep_until": None})
    await house.process(house.upload(b"B", sequencer="02"))
    assert house.record.sha256 == hashlib.sha256(b"B").hexdigest()
    assert house.record.keep_until is None


async def test_without_the_setting_an_image_is_kept_for_good(house: House) -> None:
    await house.process(house.upload())
    assert house.record.keep_until is None


async def test_nothing_of_a_picture_is_left_in_the_spool(house: House) -> None:
    await house.process(house.upload())
    house.renderer.outcome = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        await house.process(house.upload(b"B", sequencer="02"))
    assert [path for path in house.spool.rglob("*") if path.is_file()] == []


async def test_a_redelivered_message_only_publishes_again(house: House) -> None:
    event = house.upload()
    await house.process(event)
    before = house.record
    await house.process(event)
    assert house.renderer.renders == house.objects.calls["fetch"] == 1
    assert house.record == before
    first, second = house.topic.published
    assert first.id == second.id
    assert house.outcomes("repeated") == 1


async def test_a_repeat_publishes_the_sequence_of_its_settlement_and_a_replacement_the_next(
    house: House,
) -> None:
    first, second = house.upload(b"A", sequencer="01"), house.upload(b"B", sequencer="02")
    for event in (first, first, second, second, first):
        await house.process(event)
    published = [(one.id, one.sequence) for one in house.topic.published]
    (older, _), _, (newer, _), _ = published
    assert published == [
        *[(older, "0000000001")] * 2,
        *[(newer, "0000000002")] * 2,
    ]
    assert older != newer


@pytest.mark.parametrize(
    ("older", "newer"), [("01", "02"), ("0055", "0055AED6"), ("00FF", "01"), ("a9", "B0")]
)
async def test_an_older_upload_that_comes_late_changes_nothing(
    house: House, older: str, newer: str
) -> None:
    late = house.upload(b"A", sequencer=older)
    await house.process(house.upload(b"B", sequencer=newer))
    settled, assets = house.record, dict(house.objects.assets)
    await house.process(late)
    assert house.record == settled
    assert house.objects.assets == assets
    assert len(house.topic.published) == 1
    assert house.outcomes("superseded") == 1


async def test_a_newer_upload_replaces_the_older_one(house: House) -> None:
    await house.process(house.upload(b"A", sequencer="01"))
    older = house.record
    await house.process(house.upload(b"BB", sequencer="02"))
    assert house.record.original_size == 2
    assert older.variants["small"].key != house.record.variants["small"].key
    assert older.variants["small"].key in house.objects.assets
    assert len({completion.id for completion in house.topic.published}) == 2


async def test_a_rejected_source_is_settled_and_published(house: House) -> None:
    house.renderer.outcome = Rejection(Reason.CORRUPT, "the picture's data is damaged")
    await house.process(house.upload())
    assert (house.record.status, house.record.reason) == (Status.REJECTED, Reason.CORRUPT)
    assert house.record.variants == {}
    assert house.topic.published[0].type == "safelight.image.rejected"


async def test_the_first_settlement_of_a_revision_stands(house: House) -> None:
    event = house.upload()
    standing = house.records.commit

    async def another_worker_first(record: Record) -> object:
        house.records.commit = standing  # type: ignore[method-assign] # a race, acted out
        house.renderer.outcome = None
        await house.process(event)
        return await standing(record)

    house.records.commit = another_worker_first  # type: ignore[method-assign,assignment]  # a table that is late
    house.renderer.outcome = Rejection(Reason.TIMEOUT, "slow here")
    await house.process(event)
    assert house.record.status is Status.COMPLETED
    assert {completion.outcome for completion in house.topic.published} == {"completed"}


async def test_a_source_that_is_gone_is_settled(house: House) -> None:
    event = house.upload()
    house.objects.sources.clear()
    await house.process(event)
    assert house.record.reason is Reason.SOURCE_GONE
    assert house.outcomes("rejected") == 1


async def test_a_source_too_large_is_rejected_before_it_is_fetched(house: House) -> None:
    await house.process(house.upload(b"x" * 1001))
    assert house.record.reason is Reason.TOO_MANY_BYTES
    assert house.renderer.renders == 0


async def test_a_removal_changes_nothing(house: House) -> None:
    event = house.upload()
    await house.process(event)
    settled = house.record
    removal = {**event, "eventName": "ObjectRemoved:Delete"}
    assert await house.process(removal) is Progress.NONE
    assert house.record == settled
    assert house.outcomes("removed") == 1


async def test_an_erased_image_is_neither_made_again_nor_published(house: House) -> None:
    house.records.records[IMAGE] = pending().model_copy(update={"status": Status.ERASED})
    await house.process(house.upload())
    assert house.record.status is Status.ERASED
    assert house.topic.published == []
    assert house.objects.assets == {}
    assert house.erasures() == [EraseImage(image_id=IMAGE, key=KEY, by="worker", at=NOW)]


async def test_a_late_upload_of_an_erased_image_is_not_adopted_under_another_id(
    house: House,
) -> None:
    """A finished tombstone does not know its key any more."""
    tombstone = pending().model_copy(update={"status": Status.ERASED, "original_key": "(erased)"})
    house.records.records[IMAGE] = tombstone
    await house.process(house.upload())
    assert house.records.records == {IMAGE: tombstone}
    assert house.erasures() == [EraseImage(image_id=IMAGE, key=KEY, by="worker", at=NOW)]


@pytest.mark.parametrize("key", [KEY, "(erased)"])
async def test_an_adopted_image_can_be_replaced_after_the_image_of_the_id_in_its_key_is_erased(
    house: House, key: str
) -> None:
    foreign = keys.source_key(user_id="key:mallory", image_id=IMAGE)
    adopted = IDS.of_object(bucket=BUCKET, key=foreign)
    house.records.records[IMAGE] = pending()
    await house.process(house.upload(key=foreign))
    tombstone = pending().model_copy(update={"status": Status.ERASED, "original_key": key})
    house.records.records[IMAGE] = tombstone
    event = house.upload(b"B", sequencer="02", key=foreign)
    assert await house.process(event) is Progress.PUBLISHED
    assert house.records.records[adopted].version_id == event["s3"]["object"]["versionId"]
    assert house.records.records[IMAGE] == tombstone
    assert house.erasures() == []


@pytest.mark.parametrize("key", [KEY, "(erased)"])
async def test_an_image_that_is_erased_while_it_renders_is_erased_again(
    house: House, key: str
) -> None:
    house.records.records[IMAGE] = pending()
    tombstone = pending().model_copy(update={"status": Status.ERASED, "original_key": key})

    def erase() -> None:
        house.records.records[IMAGE] = tombstone

    house.renderer.meanwhile = erase
    assert await house.process(house.upload()) is Progress.NONE
    assert house.objects.assets
    assert house.records.records == {IMAGE: tombstone}
    assert house.erasures() == [EraseImage(image_id=IMAGE, key=KEY, by="worker", at=NOW)]


async def test_an_image_whose_erasure_ends_before_its_tag_entries_are_written_has_none(
    house: House,
) -> None:
    """The finished tombstone does not name their tags, so cleanup cannot find them."""
    house.records.records[IMAGE] = pending().model_copy(update={"tags": ("a", "b")})
    tombstone = pending().model_copy(update={"status": Status.ERASED, "original_key": "(erased)"})
    put_tag = house.records.put_tag

    async def late(entry: TagEntry) -> None:
        house.records.records[IMAGE] = tombstone
        await put_tag(entry)

    house.records.put_tag = late  # type: ignore[method-assign]
    assert await house.process(house.upload()) is Progress.NONE
    assert [listed for _, listed in house.records.entries.values()] == [False, False]
    assert house.topic.published == []
    assert house.erasures() == [EraseImage(image_id=IMAGE, key=KEY, by="worker", at=NOW)]


async def test_a_message_stays_until_its_erasure_was_sent(house: House) -> None:
    house.records.records[IMAGE] = pending().model_copy(update={"status": Status.ERASED})
    house.cleanup.fail_next["send"] = [Unavailable("sqs", "down")]
    with pytest.raises(Unavailable):
        await house.process(house.upload())


async def test_without_a_cleanup_queue_met_tombstones_are_counted(house: House) -> None:
    metrics = WorkerMetrics(CollectorRegistry())
    await MetTombstones(None, metrics=metrics).met(IMAGE, key=KEY)
    assert metrics.tombstones_met.labels("not_sent")._value.get() == 1


async def test_a_key_that_borrows_anothers_image_id_becomes_an_image_of_its_own(
    house: House,
) -> None:
    house.records.records[IMAGE] = pending()
    borrowed = keys.source_key(user_id="key:mallory", image_id=IMAGE)
    await house.process(house.upload(key=borrowed))
    assert house.record == pending()
    own = IDS.of_object(bucket=BUCKET, key=borrowed)
    assert house.records.records[own].user_id == "key:mallory"


@pytest.mark.parametrize("step", ["fetch", "put", "get", "commit", "publish"])
@pytest.mark.parametrize(
    "error",
    [Unavailable("aws", "503"), Misconfigured("aws", "denied")],
    ids=lambda e: type(e).__name__,
)
async def test_after_a_failure_at_any_step_a_redelivery_completes_it_once(
    house: House, step: str, error: Exception
) -> None:
    event = house.upload()
    for fake in (house.objects, house.records, house.topic):
        fake.fail_next[step] = [error]
    with pytest.raises(type(error)):
        await house.process(event)
    for fake in (house.objects, house.records, house.topic):
        fake.fail_next[step] = []
    assert house.topic.published == []
    await house.process(event)
    assert house.record.status is Status.COMPLETED
    assert len(house.topic.published) == 1
    assert set(house.objects.assets) == {one.key for one in house.record.variants.values()}


async def test_nothing_is_committed_before_every_asset_is_stored(house: House) -> None:
    house.objects.fail_next["put"] = [None, None, None, Unavailable("s3", "slow down")]
    with pytest.raises(Unavailable):
        await house.process(house.upload())
    assert house.records.records == {}


async def test_one_variant_that_cannot_be_made_does_not_sink_the_others(house: House) -> None:
    house.renderer.failures = {"small": "could not be encoded"}
    await house.process(house.upload())
    assert house.record.status is Status.COMPLETED
    assert set(house.record.variants) == {"compressed", "medium", "large"}
    assert house.record.failed_variants == {"small": "could not be encoded"}


async def test_a_bad_record_in_a_message_does_not_keep_the_good_one_from_completing(
    house: House,
) -> None:
    with pytest.raises(Unreadable):
        await house.process({"eventVersion": "9.0"}, house.upload())
    assert house.record.status is Status.COMPLETED


async def test_one_failing_upload_of_a_message_does_not_keep_the_other_from_completing(
    house: House,
) -> None:
    other = keys.source_key(user_id="key:alice", image_id=keys.new_image_id())
    house.objects.fail_next["fetch"] = [Unavailable("s3", "slow down")]
    with pytest.raises(Unavailable):
        await house.process(house.upload(key=other), house.upload())
    assert house.record.status is Status.COMPLETED


async def test_a_record_that_cannot_be_read_does_not_bury_an_upload_that_is_only_delayed(
    house: House,
) -> None:
    house.objects.fail_next["fetch"] = [Unavailable("s3", "slow down")]
    with pytest.raises(Unavailable):
        await house.process({"eventVersion": "9.0"}, house.upload())


async def test_a_bug_met_by_one_upload_does_not_keep_the_other_from_completing(
    house: House,
) -> None:
    other = keys.source_key(user_id="key:alice", image_id=keys.new_image_id())
    house.objects.fail_next["fetch"] = [RuntimeError("a bug")]
    with pytest.raises(RuntimeError):
        await house.process(house.upload(key=other), house.upload())
    assert house.record.status is Status.COMPLETED


async def test_a_picture_is_counted_though_its_completion_had_to_wait(house: House) -> None:
    event = house.upload()
    house.topic.fail_next["publish"] = [Unavailable("sns", "503")]
    with pytest.raises(Unavailable):
        await house.process(event)
    assert (house.outcomes("completed"), house.outcomes("repeated")) == (1, 0)
    await house.process(event)
    assert (house.outcomes("completed"), house.outcomes("repeated")) == (1, 1)


async def test_a_full_disk_is_no_pictures_fault(house: House) -> None:
    house.objects.fail_next["fetch"] = [OSError(28, "No space left on device")]
    with pytest.raises(Misconfigured, match="No space left"):
        await house.process(house.upload())
    assert house.records.records == {}


async def test_an_image_id_taken_while_a_borrowed_key_was_worked_on_is_not_settled(
    house: House,
) -> None:
    borrowed = keys.source_key(user_id="key:mallory", image_id=IMAGE)
    event, render = house.upload(key=borrowed), house.renderer.render

    async def meanwhile(*arguments: object) -> Rendering:
        house.records.records.setdefault(IMAGE, pending())
        return await render(*arguments)  # type: ignore[arg-type] # handed on as they came

    house.renderer.render = meanwhile  # type: ignore[method-assign] # a race, acted out
    with pytest.raises(ImageIdTaken):
        await house.process(event)
    assert house.record == pending()
    await house.process(event)
    assert house.record == pending()
    assert (
        house.records.records[IDS.of_object(bucket=BUCKET, key=borrowed)].user_id == "key:mallory"
    )


FACE = Face(left=0.25, top=0.5, width=0.1, height=0.2)


@pytest.mark.parametrize("faces", [(FACE,), ()])
async def test_faces_found_at_ingest_are_kept_in_the_record_and_not_published(
    tmp_path: Path, faces: tuple[Face, ...]
) -> None:
    service = FakeFaces(*faces)
    house = House(tmp_path / "spool", faces=service)
    await house.process(house.upload())
    assert house.record.faces == faces
    assert service.calls["detect"] == 1
    (completion,) = house.topic.published
    assert "faces" not in completion.to_json()


async def test_without_a_detector_the_record_says_that_no_one_looked(house: House) -> None:
    await house.process(house.upload())
    assert house.record.faces is None


@pytest.mark.parametrize(
    "failure", [Unavailable("rekognition", "slow down"), Misconfigured("rekognition", "denied")]
)
async def test_an_upload_whose_faces_cannot_be_looked_for_now_is_tried_again(
    tmp_path: Path, failure: Exception
) -> None:
    service = FakeFaces(FACE)
    service.fail_next["detect"] = [failure]
    house = House(tmp_path / "spool", faces=service)
    event = house.upload()
    with pytest.raises(type(failure)):
        await house.process(event)
    assert (house.objects.assets, house.records.records, house.topic.published) == ({}, {}, [])
    await house.process(event)
    assert house.record.faces == (FACE,)
