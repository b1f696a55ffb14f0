"""The role cleanup erases images: every step, repeated, overtaken, refused, and begun again."""

import json
from typing import Any

import pytest

from safelight import keys
from safelight.erasures import Receipt
from safelight.errors import Misconfigured, Refused, Unavailable, Unreadable, WrongQueue
from safelight.queued import Ingest
from safelight.record import Record, Status
from tests.support.fakes import IDS
from tests.unit.worker.vault import AT, BUCKET, COMPLETED, IMAGE, KEY, START, Vault, asked
from worker.verdict import Progress

ERASED = "safelight.image.erased"
DUE = AT + 20_000
"""When caches are invalidated."""
DONE = "safelight.erasure.completed"
PENDING = Record(image_id=IMAGE, user_id="key:alice", uploaded_at=AT, original_key=KEY)


@pytest.fixture
async def vault() -> Vault:
    filled = Vault()
    await filled.fill()
    return filled


async def test_an_image_is_erased_to_the_end_and_only_its_tombstone_stays(vault: Vault) -> None:
    assert await vault.erase() is Progress.PUBLISHED
    assert vault.empty
    assert vault.state == "removed"
    await vault.run()
    assert vault.empty
    assert vault.state == "complete"
    tombstone = vault.tombstone
    assert (tombstone.original_key, tombstone.tags, tombstone.filename) == ("(erased)", (), None)
    assert tombstone.expires_at == START + 20 + 900 + 90 * 24 * 3600
    assert vault.published(ERASED) == [f"{IMAGE}:erased:{AT}"]
    assert len(vault.published(DONE)) == 1


async def test_the_receipt_says_what_was_removed_and_when(vault: Vault) -> None:
    await vault.erase(at=AT - 1000)
    await vault.run()
    assert Receipt.of(vault.tombstone).to_document() == {
        "imageId": IMAGE,
        "state": "complete",
        "requestedAt": "2027-01-15T07:59:59.000Z",
        "requestedBy": "owner",
        "tombstonedAt": "2027-01-15T08:00:00.000Z",
        "sources": {
            "versions": 2, "deleteMarkers": 1, "bytes": 11,
            "confirmedAt": "2027-01-15T08:15:20.000Z",
        },
        "assets": {
            "objects": 2, "bytes": 14, "lateObjects": 0,
            "confirmedAt": "2027-01-15T08:15:20.000Z",
        },
        "tags": {"entries": 2, "confirmedAt": "2027-01-15T08:15:20.000Z"},
        "caches": {
            "distribution": "E2FAKE", "invalidation": f"I-{IMAGE}-{DUE}",
            "confirmedAt": "2027-01-15T08:15:20.000Z",
        },
        "completedAt": "2027-01-15T08:15:20.000Z",
        "notCovered": list(Receipt.of(vault.tombstone).not_covered),
    }  # fmt: skip
    event = json.loads(vault.topic.published[-1].to_json())
    assert event["data"] == Receipt.of(vault.tombstone).to_document()
    assert vault.topic.published[-1].user_id == "key:alice"


async def test_the_ledger_has_the_image_before_anything_is_deleted(vault: Vault) -> None:
    vault.deletions.fail_next["versions"] = [Unavailable("s3", "slow down")]
    with pytest.raises(Unavailable):
        await vault.erase()
    entry = json.loads(vault.ledger.texts[f"erasures/{IMAGE}.json"])
    assert entry == {"imageId": IMAGE, "requestedAt": AT}
    assert vault.tombstone.erasure
    assert vault.tombstone.erasure.found
    assert vault.tombstone.erasure.found.versions == 2


async def test_sources_are_deleted_before_assets_so_that_nothing_is_rendered_again(
    vault: Vault,
) -> None:
    vault.deletions.fail_next["assets"] = [Unavailable("s3", "slow down")]
    with pytest.raises(Unavailable):
        await vault.erase()
    assert not any(vault.objects.sources.values())
    assert vault.objects.assets


@pytest.mark.parametrize(
    ("edge", "operation"),
    [
        ("ledger", "add"),
        ("tombstones", "erase"),
        ("tombstones", "advance"),
        ("deletions", "versions"),
        ("deletions", "assets"),
        ("tombstones", "delete_tag"),
        ("topic", "publish"),
        ("queue", "send"),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_step_that_failed_is_repeated_with_the_same_receipt(
    vault: Vault, edge: str, operation: str, after: int
) -> None:
    whole = Vault()
    await whole.fill()
    await whole.erase()
    await whole.run()
    getattr(vault, edge).fail_next[operation] = [None] * after + [Unavailable("aws", "down")]
    await vault.deliver(asked().to_json())
    assert vault.empty
    assert vault.state == "complete"
    erasures = [one.tombstone.erasure for one in (vault, whole)]
    counted, expected = ((one.found, one.late_objects) for one in erasures if one is not None)
    assert counted == expected
    assert set(vault.published(ERASED)) == {f"{IMAGE}:erased:{vault.tombstone.erased_at}"}
    assert len(set(vault.published(DONE))) == 1


async def test_doubled_messages_end_with_one_receipt(vault: Vault) -> None:
    for _ in range(3):
        await vault.erase()
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")
    assert len(set(vault.published(DONE))) == 1
    assert vault.cdn.invalidated == {f"{IMAGE}-{DUE}": f"#img-{IMAGE}"}


async def test_caches_are_invalidated_after_the_pause_however_often_a_message_comes(
    vault: Vault,
) -> None:
    for _ in range(3):
        await vault.erase()
        assert vault.cdn.invalidated == {}
    vault.now += 20
    await vault.erase()
    assert vault.state == "invalidated"
    await vault.erase()
    assert vault.state == "invalidated"


async def test_an_asset_that_appears_after_the_deletion_is_deleted_and_caches_are_invalidated_again(
    vault: Vault,
) -> None:
    await vault.erase()
    await vault.step()
    assert vault.state == "invalidated"
    vault.put_asset("late")
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")
    erasure = vault.tombstone.erasure
    assert erasure
    assert (erasure.late_objects, erasure.invalidations) == (1, 2)
    assert list(vault.cdn.invalidated) == [f"{IMAGE}-{DUE}", f"{IMAGE}-{DUE + 920_000}"]
    assert vault.now == START + 20 + 900 + 20 + 900
    assert vault.value("erased_late_objects_total") == 1


async def test_a_late_upload_after_the_end_is_deleted_by_the_key_in_the_message(
    vault: Vault,
) -> None:
    await vault.erase()
    await vault.run()
    vault.objects.upload(KEY, b"late")
    await vault.erase(by="worker")
    assert vault.empty
    assert vault.tombstone.expires_at is None
    await vault.run()
    assert vault.state == "complete"
    assert vault.tombstone.expires_at
    assert len(set(vault.published(DONE))) == 2


async def test_a_message_after_the_end_that_finds_nothing_is_a_step_and_keeps_the_receipt(
    vault: Vault,
) -> None:
    await vault.erase()
    await vault.run()
    before = vault.tombstone
    vault.now += 60
    assert await vault.erase() is Progress.PUBLISHED
    after = vault.tombstone
    assert before.erasure
    assert after.erasure
    assert after.erasure.step == before.erasure.step + 1
    assert after.erasure.tried_at == before.erasure.tried_at + 60_000
    assert after.expires_at == before.expires_at
    assert Receipt.of(after) == Receipt.of(before)


async def test_nothing_is_deleted_at_a_key_of_another_image(vault: Vault) -> None:
    other = KEY[:-1] + "0"
    vault.objects.upload(other, b"of another image")
    vault.objects.upload("erasures/x.json", b"no source")
    for key in (other, "erasures/x.json", "uploads/key%3Abob/photo.jpg"):
        await vault.erase(key=key)
    await vault.run()
    assert len(vault.objects.sources[other]) == 1
    assert len(vault.objects.sources["erasures/x.json"]) == 1


async def test_an_object_with_the_id_in_its_key_stays_if_another_image_was_made_of_it(
    vault: Vault,
) -> None:
    """It was stored without the API, under the id of an image that existed then."""
    foreign = keys.source_key(user_id="key:mallory", image_id=IMAGE)
    adopted = IDS.of_object(bucket=BUCKET, key=foreign)
    named = {"image_id": adopted, "original_key": foreign, "user_id": "key:mallory"}
    vault.records.records[adopted] = COMPLETED.model_copy(update=named)
    vault.objects.upload(foreign, b"of the other image")
    await vault.erase()
    await vault.erase(by="worker", key=foreign)
    await vault.run()
    await vault.erase(by="worker", key=foreign)
    await vault.run()
    assert vault.state == "complete"
    assert len(vault.objects.sources[foreign]) == 1


async def test_an_object_with_the_id_in_its_key_is_deleted_if_no_image_was_made_of_it(
    vault: Vault,
) -> None:
    foreign = keys.source_key(user_id="key:mallory", image_id=IMAGE)
    await vault.erase()
    await vault.run()
    vault.objects.upload(foreign, b"late")
    await vault.erase(by="worker", key=foreign)
    assert vault.empty


async def test_a_message_of_a_worker_begins_no_erasure(vault: Vault) -> None:
    assert await vault.erase(by="worker") is Progress.NONE
    assert vault.tombstone == COMPLETED
    assert vault.value("erasures_total", outcome="refused") == 1
    stranger = Vault(None)
    await stranger.erase(by="worker")
    assert stranger.records.records == {}


@pytest.mark.parametrize(
    ("keep_until", "state"), [(None, "none"), (AT + 1, "none"), (AT, "removed")]
)
async def test_retention_erases_only_what_need_not_be_kept_any_longer(
    keep_until: int | None, state: str
) -> None:
    vault = Vault(COMPLETED.model_copy(update={"keep_until": keep_until}))
    await vault.erase(by="retention")
    assert vault.state == state


async def test_a_message_of_a_worker_continues_an_erasure_that_only_the_ledger_knows() -> None:
    vault = Vault(None)
    await vault.fill()
    vault.ledger.texts[f"erasures/{IMAGE}.json"] = "{}"
    await vault.erase(by="worker")
    await vault.run()
    assert (vault.state, vault.tombstone.user_id) == ("complete", "(erased)")
    assert not any(vault.objects.sources.values())
    assert not vault.objects.assets


async def test_a_cancelled_upload_of_which_nothing_was_made_needs_no_invalidation() -> None:
    vault = Vault(PENDING)
    vault.objects.upload(KEY, b"uploaded")
    await vault.erase()
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")
    assert vault.cdn.invalidated == {}
    assert "caches" not in Receipt.of(vault.tombstone).to_document()


async def test_a_cancelled_upload_of_which_a_worker_made_assets_is_invalidated() -> None:
    vault = Vault(PENDING)
    await vault.erase()
    vault.put_asset("v1")
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")
    assert list(vault.cdn.invalidated.values()) == [f"#img-{IMAGE}"]


async def test_without_a_distribution_the_receipt_says_so() -> None:
    vault = Vault(caches=False)
    await vault.fill()
    await vault.erase()
    await vault.run()
    assert Receipt.of(vault.tombstone).to_document()["caches"] == "none configured"


async def test_erasures_that_flush_share_one_invalidation_at_the_next_ten_minutes(
    vault: Vault,
) -> None:
    vault.now += 590
    await vault.erase(caches="flush")
    await vault.step()
    assert vault.now == START + 1200
    assert vault.cdn.invalidated == {f"flush-{AT + 1_200_000}": "/*"}
    await vault.run()
    assert vault.state == "complete"


@pytest.mark.parametrize(
    "error",
    [Unavailable("cloudfront", "too many"), Misconfigured("cloudfront", "denied"),
     Refused("cloudfront", "?")],
)  # fmt: skip
async def test_an_invalidation_that_is_refused_is_tried_until_it_works(
    vault: Vault, error: Exception
) -> None:
    vault.cdn.fail_next["invalidate"] = [error, error]
    vault.cdn.fail_next["has_finished"] = [error]
    await vault.erase()
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")
    assert vault.value("erasures_total", outcome="not_invalidated") == 3


async def test_an_erasure_is_complete_only_when_its_invalidation_is(vault: Vault) -> None:
    vault.cdn.slow = True
    await vault.erase()
    for _ in range(4):
        await vault.step()
    assert vault.state == "invalidated"
    vault.cdn.slow = False
    await vault.run()
    assert vault.state == "complete"


async def test_an_object_that_s3_keeps_holds_the_erasure_until_it_can_be_deleted(
    vault: Vault,
) -> None:
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 2
    await vault.erase()
    assert vault.state == "requested"
    assert vault.published(ERASED) == []
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")
    assert vault.value("erasures_total", outcome="not_deleted") == 2


async def test_an_object_that_s3_keeps_keeps_no_variants_and_no_copies_in_caches(
    vault: Vault,
) -> None:
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 5
    await vault.erase()
    assert not vault.objects.assets
    assert not vault.records.entries
    assert vault.cdn.invalidated == {}
    for _ in range(3):
        await vault.step()
    assert vault.state == "requested"
    assert vault.cdn.invalidated == {f"{IMAGE}-{DUE}": f"#img-{IMAGE}"}
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")
    assert len(vault.cdn.invalidated) == 2


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, [DUE + 20_000]), (2, [DUE, DUE + 920_000])],
    ids=["before the invalidation", "after it"],
)
async def test_a_late_asset_is_invalidated_although_s3_keeps_an_object(
    vault: Vault, steps: int, expected: list[int]
) -> None:
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 20
    await vault.erase()
    for _ in range(steps - 1):
        await vault.step()
    vault.put_asset("late")
    for _ in range(3):
        await vault.step()
    assert (vault.state, vault.objects.assets) == ("requested", {})
    assert list(vault.cdn.invalidated) == [f"{IMAGE}-{due}" for due in expected]
    assert Receipt.of(vault.tombstone).to_document()["assets"]["lateObjects"] == 1
    assert vault.value("erased_late_objects_total") == 1


async def test_a_late_asset_of_a_cancelled_upload_that_s3_keeps_is_invalidated() -> None:
    vault = Vault(PENDING)
    vault.objects.upload(KEY, b"uploaded")
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 20
    await vault.erase()
    await vault.step()
    assert vault.now == START + 900
    assert vault.cdn.invalidated == {}
    vault.put_asset("late")
    for _ in range(2):
        await vault.step()
    assert list(vault.cdn.invalidated.values()) == [f"#img-{IMAGE}"]


async def test_assets_that_s3_keeps_are_not_late_and_are_invalidated_once(vault: Vault) -> None:
    vault.deletions.fail_next["assets"] = [Refused("s3", "denied")] * 20
    await vault.erase()
    for _ in range(4):
        await vault.step()
    assert vault.now == START + 20 + 3 * 900
    assert list(vault.cdn.invalidated) == [f"{IMAGE}-{DUE}"]
    vault.put_asset("late")
    for _ in range(2):
        await vault.step()
    assert len(vault.cdn.invalidated) == 2
    assert vault.value("erased_late_objects_total") == 1


async def test_an_invalidation_that_is_refused_while_s3_keeps_an_object_is_tried_again(
    vault: Vault,
) -> None:
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 5
    vault.cdn.fail_next["invalidate"] = [Unavailable("cloudfront", "too many")]
    await vault.erase(caches="flush")
    for _ in range(3):
        await vault.step()
    assert (vault.state, list(vault.cdn.invalidated.values())) == ("requested", ["/*"])


OTHER = keys.source_key(user_id="key:bob", image_id=IMAGE)


@pytest.mark.parametrize("when", ["at once", "after the end", "without a record"])
@pytest.mark.parametrize("caches", ["tag", "flush"])
@pytest.mark.parametrize(("sources", "most"), [([KEY], 4), ([OTHER], 4), ([KEY, OTHER], 8)])
async def test_messages_that_meet_a_locked_object_are_retried_by_one_for_each_source(
    when: str, caches: str, sources: list[str], most: int
) -> None:
    vault = Vault(None if when == "without a record" else COMPLETED)
    if when == "after the end":
        await vault.erase()
        await vault.run()
    for key in sources:
        vault.objects.upload(key, b"late")
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 1000
    for number in range(10):
        await vault.erase(caches=caches, key=sources[number % len(sources)], by="operator")
        vault.now += 1
    began = vault.now
    await vault.run_until(began + 7200)
    tried = len(vault.sent)
    await vault.run_until(began + 10_800)
    assert len(vault.sent) - tried <= most
    vault.deletions.fail_next.clear()
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")


@pytest.mark.parametrize(("edge", "operation"), [("queue", "send"), ("tombstones", "advance")])
@pytest.mark.parametrize("after", [1, 2, 3])
async def test_a_retry_that_failed_halfway_goes_on(
    vault: Vault, edge: str, operation: str, after: int
) -> None:
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 8
    getattr(vault, edge).fail_next[operation] = [None] * after + [Unavailable("aws", "down")]
    await vault.deliver(asked().to_json())
    assert (vault.empty, vault.state) == (True, "complete")


async def test_a_retry_that_names_another_source_is_not_ended_by_others(vault: Vault) -> None:
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 6
    vault.objects.upload(OTHER, b"late")
    await vault.erase(key=OTHER)
    for _ in range(2):
        await vault.erase()
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")


async def test_a_letter_with_an_earlier_retry_goes_on_if_the_later_one_was_lost(
    vault: Vault,
) -> None:
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 3
    await vault.erase()
    letter = vault.sent[-1]
    await vault.erase()
    vault.lose()
    vault.now += 10 * 24 * 3600
    await vault.deliver(letter)
    assert (vault.empty, vault.state) == (True, "complete")
    assert vault.tombstone.erasure
    assert not vault.tombstone.erasure.retries


@pytest.mark.parametrize("kind", ["versions", "assets"])
async def test_a_refused_step_comes_back_after_a_quarter_of_an_hour(
    vault: Vault, kind: str
) -> None:
    vault.deletions.fail_next[kind] = [Refused("s3", "locked")] * 3
    await vault.erase()
    await vault.step()
    await vault.step()
    assert vault.now == START + 20 + 900


async def test_the_second_life_of_an_id_is_erased_like_the_first(vault: Vault) -> None:
    await vault.erase()
    await vault.run()
    del vault.records.records[IMAGE]
    vault.now += 100 * 24 * 3600
    requested_at = round(1000 * vault.now)
    vault.records.records[IMAGE] = COMPLETED.model_copy(update={"uploaded_at": requested_at - 1})
    await vault.fill()
    await vault.erase(at=requested_at)
    await vault.run()
    assert (vault.empty, vault.state) == (True, "complete")
    assert len(vault.cdn.invalidated) == 2
    entry = json.loads(vault.ledger.texts[f"erasures/{IMAGE}.json"])
    assert entry["requestedAt"] == requested_at
    vault.records.records.clear()
    await vault.erase(at=AT)
    assert json.loads(vault.ledger.texts[f"erasures/{IMAGE}.json"]) == entry


async def test_a_receipt_confirms_nothing_while_a_late_object_is_deleted(vault: Vault) -> None:
    await vault.erase()
    await vault.run()
    vault.put_asset("late")
    await vault.erase(by="worker")
    receipt = Receipt.of(vault.tombstone).to_document()
    assert receipt["state"] == "removed"
    assert "completedAt" not in receipt
    assert "caches" not in receipt
    assert all("confirmedAt" not in receipt[part] for part in ("sources", "assets", "tags"))
    await vault.run()
    assert vault.value("erasure_seconds_count", to="complete") == 1
    assert Receipt.of(vault.tombstone).to_document()["completedAt"]


async def test_late_objects_are_counted_once_if_another_message_was_faster(vault: Vault) -> None:
    await vault.erase()
    vault.put_asset("late")
    advance, calls = vault.tombstones.advance, 0

    async def overtaken(*arguments: Any, **more: Any) -> Record | None:
        nonlocal calls
        calls += 1
        return None if calls == 1 else await advance(*arguments, **more)

    vault.tombstones.advance = overtaken  # type: ignore[method-assign]
    await vault.run()
    assert vault.value("erased_late_objects_total") == 1


async def test_erasures_that_flush_ask_for_the_invalidation_once(vault: Vault) -> None:
    asked_for: list[str] = []
    invalidate = vault.cdn.invalidate

    async def noted(what: str, *, reference: str) -> str:
        asked_for.append(reference)
        return await invalidate(what, reference=reference)

    vault.cdn.invalidate = noted  # type: ignore[method-assign]
    other = keys.new_image_id()
    vault.put_asset("v1", other)
    await vault.erase(caches="flush")
    await vault.erase(caches="flush", image_id=other, key=None)
    await vault.run()
    assert len(asked_for) == 1


async def test_an_erasure_that_takes_longer_than_an_hour_is_counted_as_late(vault: Vault) -> None:
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 100
    await vault.erase()
    while vault.now < START + 3600:
        assert vault.value("erasures_late_total", hours="1") == 0
        await vault.step()
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 10
    await vault.run(most=100)
    assert vault.state == "complete"
    assert 10 <= vault.value("erasures_late_total", hours="1") <= 15
    assert vault.value("erasures_late_total", hours="24") == 0


async def test_every_object_is_counted_by_its_kind(vault: Vault) -> None:
    await vault.erase()
    await vault.run()
    kinds = ("version", "delete_marker", "asset", "tag")
    assert [vault.value("erased_objects_total", kind=one) for one in kinds] == [2, 1, 2, 2]
    assert vault.value("erasure_seconds_count", to="complete") == 1


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (Ingest(key=KEY).to_json(), WrongQueue),
        ('{"Records": [{}]}', WrongQueue),
        ('{"type": "safelight.unknown"}', Unreadable),
        ("no JSON", Unreadable),
    ],
)
async def test_what_is_no_message_of_cleanup_is_refused(
    vault: Vault, body: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await vault.process(body)
    assert vault.tombstone.status is Status.COMPLETED
