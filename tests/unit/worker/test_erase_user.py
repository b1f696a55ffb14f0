"""The role cleanup erases the images of a user: in turns, again after every fault, no others."""

import json

import pytest

from safelight import keys
from safelight.erasures import Erasure
from safelight.errors import Refused, Unavailable
from safelight.queued import EraseUser
from safelight.record import Record, Status
from tests.unit.worker.vault import AT, COMPLETED, Vault
from worker.verdict import Progress

ERASURE = "01JZ6V8M7Q2N4R5T6W8X9Y0ZAC"
MESSAGE = EraseUser(erasure_id=ERASURE, user_id="key:alice", before=AT, by="owner").to_json()


def record_of(user_id: str, *, uploaded_at: int = AT - 1) -> Record:
    image_id = keys.new_image_id()
    return COMPLETED.model_copy(
        update={
            "image_id": image_id,
            "user_id": user_id,
            "uploaded_at": uploaded_at,
            "original_key": keys.source_key(user_id=user_id, image_id=image_id),
        }
    )


def filled(*records: Record) -> Vault:
    vault = Vault(None)
    for record in records:
        vault.records.records[record.image_id] = record
        vault.objects.upload(record.original_key, b"12345")
        vault.put_asset("v1", record.image_id)
    return vault


def counts(vault: Vault) -> dict[str, object]:
    document: dict[str, object] = json.loads(vault.ledger.texts[f"erasures/users/{ERASURE}.json"])
    return document


async def test_all_images_of_a_user_are_erased_and_those_of_others_stay() -> None:
    mine = [record_of("key:alice") for _ in range(3)]
    others = [record_of("key:bob"), record_of("key:alice", uploaded_at=AT + 1)]
    vault = filled(*mine, *others)
    await vault.process(MESSAGE)
    assert counts(vault) == {
        "erasureId": ERASURE, "state": "running", "images": 3, "complete": 0, "bytes": 0,
    }  # fmt: skip
    await vault.run(most=100)
    assert counts(vault) | {"completedAt": 0} == {
        "erasureId": ERASURE, "state": "complete", "images": 3, "complete": 3, "bytes": 36,
        "completedAt": 0,
    }  # fmt: skip
    for record in mine:
        tombstone = vault.records.records[record.image_id]
        assert (tombstone.user_id, tombstone.original_key) == ("(erased)", "(erased)")
        assert tombstone.erasure
        assert tombstone.erasure.state == "complete"
        assert tombstone.erased_by == "user"
    for record in others:
        assert vault.records.records[record.image_id] == record
        assert vault.objects.sources[record.original_key]
    assert len(vault.objects.assets) == 2
    assert vault.published("safelight.user.erased") == [f"{ERASURE}:complete"]


async def test_many_images_of_a_user_share_invalidations_of_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.cleanup.erase_user.MOST_TAGS", 4)
    vault = filled(*(record_of("key:alice") for _ in range(5)))
    await vault.process(MESSAGE)
    await vault.run(most=100)
    assert list(vault.cdn.invalidated.values()) == ["/*"]


async def test_few_images_of_a_user_leave_the_copies_of_others_in_caches() -> None:
    mine = [record_of("key:alice") for _ in range(5)]
    vault = filled(*mine)
    await vault.process(MESSAGE)
    await vault.run(most=100)
    assert sorted(vault.cdn.invalidated.values()) == sorted(f"#img-{one.image_id}" for one in mine)


async def test_a_user_without_images_is_erased_once_the_index_is_up_to_date() -> None:
    vault = Vault(None)
    assert await vault.process(MESSAGE) is Progress.STORED
    assert counts(vault)["state"] == "running"
    await vault.run()
    assert (counts(vault)["state"], counts(vault)["images"]) == ("complete", 0)
    assert vault.value("deletions_total", what="user", outcome="counted") == 1


async def test_an_image_that_the_index_does_not_show_yet_is_erased_too() -> None:
    vault, late = Vault(None), record_of("key:alice")
    await vault.process(MESSAGE)
    vault.records.records[late.image_id] = late
    await vault.run(most=100)
    assert counts(vault)["complete"] == 1
    assert vault.records.records[late.image_id].status is Status.ERASED


async def test_a_turn_that_begins_erasures_counts_nothing() -> None:
    vault = filled(*(record_of("key:alice") for _ in range(3)))
    vault.records.fail_next["get"] = [None] * 6 + [Unavailable("dynamodb", "a seventh read")]
    await vault.process(MESSAGE)
    assert counts(vault)["images"] == 3


async def test_an_erasure_whose_message_was_lost_is_taken_up_again() -> None:
    by_hand, lost = record_of("key:alice"), record_of("key:alice")
    vault = filled(by_hand, lost)
    erased = {"status": Status.ERASED, "erased_at": 1, "erased_by": "owner"}
    long_ago = Erasure(requested_at=AT - 3_600_001)
    vault.records.records |= {
        by_hand.image_id: by_hand.model_copy(update=erased),
        lost.image_id: lost.model_copy(update=erased | {"erasure": long_ago}),
    }
    await vault.process(MESSAGE)
    await vault.run(most=100)
    assert (counts(vault)["state"], counts(vault)["complete"]) == ("complete", 2)


async def test_an_erasure_that_s3_refuses_is_not_asked_for_again_and_again() -> None:
    vault = filled(record_of("key:alice"))
    vault.deletions.fail_next["versions"] = [Refused("s3", "locked")] * 30
    await vault.process(MESSAGE)
    await vault.run(most=400)
    assert counts(vault)["state"] == "complete"
    assert vault.value("erasures_total", outcome="removed") == 1
    sent = [body for body in vault.sent if '"safelight.erase-image"' in body]
    assert len(sent) == 1 + 30 + 2  # by the turn, after each refusal, and for the last two steps


async def test_a_turn_begins_only_so_many_erasures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.cleanup.erase_user.MOST_IN_A_TURN", 2)
    vault = filled(*(record_of("key:alice") for _ in range(5)))
    await vault.process(MESSAGE)
    erased = [one for one in vault.records.records.values() if one.erasure]
    assert len(erased) == 2
    await vault.run(most=200)
    assert counts(vault)["complete"] == 5


@pytest.mark.parametrize(
    ("edge", "operation"),
    [
        ("records", "find"),
        ("records", "get"),
        ("queue", "send"),
        ("tombstones", "erase"),
        ("tombstones", "forget_user"),
        ("ledger", "put"),
        ("topic", "publish"),
    ],
)
@pytest.mark.parametrize("after", range(5))
async def test_a_turn_that_failed_anywhere_is_taken_again(
    edge: str, operation: str, after: int
) -> None:
    vault = filled(*(record_of("key:alice") for _ in range(3)))
    faulty = getattr(vault, edge)
    faulty.fail_next[operation] = [None] * after + [Unavailable("aws", "down")]
    await vault.deliver(MESSAGE)
    assert counts(vault)["state"] == "complete"
    assert counts(vault)["images"] == 3
    assert {one.user_id for one in vault.records.records.values()} == {"(erased)"}
    assert set(vault.published("safelight.user.erased")) == {f"{ERASURE}:complete"}


async def test_counts_that_are_final_are_not_counted_again_while_users_are_forgotten() -> None:
    vault = filled(*(record_of("key:alice") for _ in range(3)))
    vault.tombstones.fail_next["forget_user"] = [None, Unavailable("dynamodb", "down")]
    await vault.deliver(MESSAGE)
    assert counts(vault)["images"] == 3
