"""An upload is settled once: what counts is decided by the token of its form."""

from typing import Any

import pytest

from safelight.aws.objects import ObjectVersion
from safelight.errors import Reason, Rejection, TooEarly, Unavailable
from safelight.queued import DeleteVersion, EraseImage, Ingest
from safelight.record import Record, Status
from tests.unit.worker.house import IMAGE, KEY, NOW, House
from worker.verdict import Progress

INGEST = Ingest(key=KEY).to_json()
FIRST = "T1"


def waiting(house: House, token: str | None = FIRST, **changes: Any) -> None:
    """Let the image wait for the upload with this token, as the API does."""
    usual: dict[str, Any] = {
        "image_id": IMAGE, "user_id": "key:alice", "uploaded_at": 1, "original_key": KEY,
        "expires_at": 99, "request_hash": "f00d",
    }  # fmt: skip
    stored = house.records.records.get(IMAGE)
    if stored is not None and stored.status is Status.PENDING:
        changes = {"request_hash": None} | changes
    changed = (stored or Record(**usual)).model_copy(update={"upload_token": token, **changes})
    house.records.records[IMAGE] = changed


async def test_a_settlement_uses_its_token_up(house: House) -> None:
    waiting(house)
    assert await house.process(house.upload(token="T1")) is Progress.PUBLISHED
    assert house.record.status is Status.COMPLETED
    assert (house.record.upload_token, house.record.settled_token) == (None, "T1")


async def test_a_form_that_is_used_after_the_settlement_changes_nothing(house: House) -> None:
    waiting(house)
    await house.process(house.upload(b"moderated", token="T1"))
    settled, fetches = house.record, house.objects.calls["fetch"]
    late = house.upload(b"another", sequencer="02", token="T1")
    assert await house.process(late) is Progress.NONE
    assert await house.process(late) is Progress.NONE
    assert house.record == settled
    assert house.objects.calls["fetch"] == fetches
    assert len(house.topic.published) == 1
    assert house.outcomes("stale") == 2


@pytest.mark.parametrize("first", [0, 1])
async def test_of_two_uploads_with_one_form_the_first_that_is_processed_is_settled(
    house: House, first: int
) -> None:
    """A client whose answer was lost uploads again, and its image is settled either way."""
    waiting(house)
    uploads = [
        house.upload(bytes([number]), sequencer=f"0{number}", token="T1") for number in (1, 2)
    ]
    await house.process(uploads[first])
    await house.process(uploads[1 - first])
    assert (house.record.status, house.record.version_id) == (Status.COMPLETED, f"v{first + 1}")
    assert house.outcomes("stale") == 1
    await house.process(uploads[first])
    assert house.outcomes("repeated") == 1


async def test_of_two_workers_with_uploads_of_one_form_one_settles(house: House) -> None:
    waiting(house)
    first, second = (
        house.upload(bytes([number]), sequencer=f"0{number}", token="T1") for number in (1, 2)
    )
    commit = house.records.commit

    async def another_worker_first(record: Record) -> object:
        house.records.commit = commit  # type: ignore[method-assign] # a race, acted out
        await house.process(first)
        return await commit(record)

    house.records.commit = another_worker_first  # type: ignore[method-assign,assignment]
    assert await house.process(second) is Progress.NONE
    assert (house.record.version_id, house.record.sequence) == ("v1", 1)
    assert house.outcomes("stale") == 1


@pytest.mark.parametrize("found_out", ["before the fetch", "by the fetch", "by the commit"])
async def test_the_version_of_a_stale_upload_is_deleted(house: House, found_out: str) -> None:
    waiting(house)
    await house.process(house.upload(b"settled", token="T1"))
    late = house.upload(b"late", sequencer="02", token="T1")
    if found_out == "by the fetch":
        waiting(house, "T2")
    elif found_out == "by the commit":
        waiting(house, "T1")
        commit = house.records.commit

        async def settled_first(record: Record) -> object:
            waiting(house, None)
            return await commit(record)

        house.records.commit = settled_first  # type: ignore[method-assign,assignment] # a race
    await house.process(late)
    request = DeleteVersion(image_id=IMAGE, key=KEY, version_id="v2")
    assert [letter.body for letter in house.cleanup.letters] == [request.to_json()]


async def test_a_stale_upload_is_processed_again_until_its_deletion_is_requested(
    house: House,
) -> None:
    waiting(house)
    await house.process(house.upload(b"settled", token="T1"))
    late = house.upload(b"late", sequencer="02", token="T1")
    house.cleanup.fail_next["send"] = [Unavailable("sqs", "503")]
    with pytest.raises(Unavailable):
        await house.process(late)
    await house.process(late)
    assert len(house.cleanup.letters) == 1


async def test_an_older_upload_without_tokens_is_superseded_and_its_version_stays(
    house: House,
) -> None:
    older = house.upload(b"older", sequencer="01")
    await house.process(house.upload(b"newer", sequencer="02"))
    await house.process(older)
    assert house.outcomes("superseded") == 1
    assert house.cleanup.letters == []


async def test_a_replacement_is_settled_and_the_form_before_it_no_longer_counts(
    house: House,
) -> None:
    waiting(house)
    await house.process(house.upload(b"old", token="T1"))
    waiting(house, "T2")
    await house.process(house.upload(b"late", sequencer="02", token="T1"))
    await house.process(house.upload(b"without", sequencer="03"))
    assert (house.record.version_id, house.record.upload_token) == ("v1", "T2")
    await house.process(house.upload(b"new", sequencer="04", token="T2"))
    assert (house.record.version_id, house.record.settled_token) == ("v4", "T2")
    assert house.record.upload_token is None
    assert house.outcomes("stale") == 2


async def test_an_upload_whose_form_was_replaced_before_it_arrived_does_not_count(
    house: House,
) -> None:
    waiting(house, "T1")
    late = house.upload(b"late", token="T1")
    waiting(house, "T2")
    assert await house.process(late) is Progress.NONE
    assert (house.record.status, house.record.upload_token) == (Status.PENDING, "T2")


async def test_a_form_that_is_replaced_during_a_render_does_not_count(house: House) -> None:
    waiting(house, "T1")
    commit = house.records.commit

    async def replaced(record: Record) -> object:
        waiting(house, "T2")
        return await commit(record)

    house.records.commit = replaced  # type: ignore[method-assign,assignment] # a race, acted out
    assert await house.process(house.upload(token="T1")) is Progress.NONE
    assert (house.record.status, house.record.upload_token) == (Status.PENDING, "T2")


async def test_a_form_of_an_api_without_tokens_counts_while_the_image_is_pending(
    house: House,
) -> None:
    waiting(house, "T1")
    await house.process(house.upload(b"from an older API"))
    assert (house.record.status, house.record.settled_token) == (Status.COMPLETED, "T1")


async def test_without_tokens_the_newest_upload_counts_whatever_token_it_has(house: House) -> None:
    """An object may have been copied with the token of another."""
    waiting(house, None)
    await house.process(house.upload(b"first", sequencer="01", token="copied"))
    await house.process(house.upload(b"second", sequencer="02", token="copied"))
    assert (house.record.version_id, house.record.has_tokens) == ("v2", False)


async def test_a_rejected_upload_uses_its_token_up(house: House) -> None:
    waiting(house)
    house.renderer.outcome = Rejection(Reason.CORRUPT, "damaged")
    await house.process(house.upload(token="T1"))
    assert (house.record.status, house.record.settled_token) == (Status.REJECTED, "T1")
    house.renderer.outcome = None
    await house.process(house.upload(b"again", sequencer="02", token="T1"))
    assert house.record.status is Status.REJECTED


async def test_an_upload_that_is_gone_is_rejected_and_the_next_one_still_counts(
    house: House,
) -> None:
    """Its token cannot be known, so it may be one that was replaced."""
    waiting(house, "T2")
    gone = house.upload(b"gone", token="T1")
    del house.objects.sources[KEY][0]
    await house.process(gone)
    assert (house.record.status, house.record.reason) == (Status.REJECTED, Reason.SOURCE_GONE)
    await house.process(house.upload(b"new", sequencer="02", token="T2"))
    assert (house.record.status, house.record.settled_token) == (Status.COMPLETED, "T2")


async def test_an_upload_that_is_gone_does_not_take_the_place_of_a_replacement(
    house: House,
) -> None:
    waiting(house, "T1")
    await house.process(house.upload(b"old", token="T1"))
    waiting(house, "T2")
    gone = house.upload(b"deleted", sequencer="02", token="T1")
    del house.objects.sources[KEY][1]
    assert await house.process(gone) is Progress.NONE
    assert (house.record.status, house.record.upload_token) == (Status.COMPLETED, "T2")


async def test_an_ingest_waits_until_a_version_that_hides_an_upload_is_deleted(
    house: House,
) -> None:
    waiting(house, "T2")
    house.upload(b"new", token="T2")
    house.upload(b"late", token="T1")
    with pytest.raises(TooEarly, match="does not count"):
        await house.render(INGEST)
    assert house.record.status is Status.PENDING
    del house.objects.sources[KEY][1]
    assert await house.render(INGEST) is Progress.PUBLISHED
    assert (house.record.version_id, house.record.settled_token) == ("v1", "T2")


@pytest.mark.parametrize("step", ["put", "put_tag"])
async def test_an_ingest_of_an_upload_ends_if_its_image_is_erased_meanwhile(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before the commit or after it."""
    waiting(house, "T1", tags=("sea",))
    house.upload(b"new", token="T1")
    edge = house.objects if step == "put" else house.records
    take = getattr(edge, step)

    async def erased_first(*arguments: Any, **more: Any) -> Any:
        erased = {"status": Status.ERASED, "original_key": "(erased)", "tags": ()}
        house.records.records[IMAGE] = house.record.model_copy(update=erased)
        return await take(*arguments, **more)

    monkeypatch.setattr(edge, step, erased_first)
    assert await house.render(INGEST) is Progress.NONE
    assert house.record.status is Status.ERASED
    assert house.ingests("superseded") == 1
    assert house.erasures() == [EraseImage(image_id=IMAGE, key=KEY, by="worker", at=NOW)]


async def test_an_ingest_of_a_settled_upload_ends_although_a_later_version_hides_it(
    house: House,
) -> None:
    waiting(house)
    await house.process(house.upload(b"settled", token="T1"))
    house.upload(b"late", token="T1")
    assert await house.render(INGEST) is Progress.NONE
    assert house.record.version_id == "v1"
    assert house.ingests("superseded") == 1


@pytest.mark.parametrize("before", ["settled", "pending", "unknown"])
async def test_an_ingest_settles_a_replacement_that_is_requested_and_arrives_meanwhile(
    house: House, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """The ingest has read the record, and S3 answers with the version that came afterwards."""
    if before != "unknown":
        waiting(house)
    if before == "settled":
        await house.process(house.upload(b"old", token="T1"))
    ask = house.objects.current_version

    async def replaced_first(key: str) -> ObjectVersion | None:
        if house.objects.calls["current_version"] == 0:
            waiting(house, "T2")
            house.upload(b"new", token="T2")
        return await ask(key)

    monkeypatch.setattr(house.objects, "current_version", replaced_first)
    assert await house.render(INGEST) is Progress.PUBLISHED
    assert (house.record.settled_token, house.record.upload_token) == ("T2", None)
    assert house.cleanup.letters == []


async def test_a_form_without_a_token_that_was_replaced_during_its_render_never_counts(
    house: House,
) -> None:
    """Its version is deleted, so its event must not settle it afterwards. An API of 0.1.0 issued
    the form."""
    waiting(house, None)
    old = house.upload(b"old")
    house.renderer.meanwhile = lambda: waiting(house, "T1")
    assert await house.process(old) is Progress.NONE
    house.renderer.meanwhile = lambda: None
    assert await house.process(old) is Progress.NONE
    assert (house.record.status, house.record.upload_token) == (Status.PENDING, "T1")
    assert await house.process(house.upload(b"new", token="T1")) is Progress.PUBLISHED
    assert (house.record.version_id, house.record.settled_token) == ("v2", "T1")


@pytest.mark.parametrize("sequencer", ["01", "03"])
async def test_a_stale_version_that_is_deleted_never_rejects_an_image_that_waits_for_another(
    house: House, sequencer: str
) -> None:
    waiting(house, "T1")
    waiting(house, "T2")
    late = house.upload(b"late", sequencer="02", token="T1")
    await house.process(late)
    del house.objects.sources[KEY][0]
    assert await house.process(late) is Progress.NONE
    assert (house.record.status, house.topic.published) == (Status.PENDING, [])
    good = house.upload(b"good", sequencer=sequencer, token="T2")
    assert await house.process(good) is Progress.PUBLISHED


async def test_an_awaited_upload_is_settled_although_s3_ordered_it_before_one_that_is_gone(
    house: House,
) -> None:
    waiting(house)
    gone = house.upload(b"gone", sequencer="02", token="T1")
    del house.objects.sources[KEY][0]
    await house.process(gone)
    assert house.record.reason is Reason.SOURCE_GONE
    good = house.upload(b"good", sequencer="01", token="T1")
    assert await house.process(good) is Progress.PUBLISHED
    assert (house.record.status, house.record.settled_token) == (Status.COMPLETED, "T1")


async def test_a_record_of_a_backup_without_its_tokens_takes_the_latest_version(
    house: House,
) -> None:
    waiting(house)
    await house.process(house.upload(b"old", token="T1"))
    backup = house.record
    waiting(house, "T2")
    await house.process(house.upload(b"new", sequencer="02", token="T2"))
    restored = backup.model_copy(update={"upload_token": None, "settled_token": None})
    house.records.records[IMAGE] = restored
    assert await house.render(INGEST) is Progress.PUBLISHED
    assert (house.record.version_id, house.cleanup.letters) == ("v2", [])
