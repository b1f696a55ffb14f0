"""The invariant finds whatever may remain of an erased image."""

from typing import Any

import pytest

from safelight.erasures import Erasure, Found
from safelight.record import Record, Status
from tests.support.faults.remains import remains_of

IMAGE = "01KAJ0000000000000000000AA"
LEDGER = frozenset({f"erasures/{IMAGE}.json"})
COMPLETE = Erasure(
    state="complete", requested_at=1, found=Found(versions=1), confirmed_at=2, completed_at=2
)
EVENTS = (
    {"subject": IMAGE, "type": "safelight.image.erased", "id": f"{IMAGE}:erased:1", "data": {}},
    {
        "subject": IMAGE,
        "type": "safelight.erasure.completed",
        "id": f"{IMAGE}:erasure:2",
        "data": {},
    },
)


def tombstone(**changes: Any) -> Record:
    record = Record(
        image_id=IMAGE, user_id="key:alice", uploaded_at=1, original_key="(erased)",
        status=Status.ERASED, erased_at=1, erased_by="owner", erasure=COMPLETE, expires_at=3,
    )  # fmt: skip
    return record.model_copy(update=changes)


def found(record: Record, **changes: Any) -> list[str]:
    world = {"stored": (), "ledger": LEDGER, "events": EVENTS, **changes}
    return remains_of(records={IMAGE: record}, **world)


def test_an_erased_image_of_which_nothing_remains_has_no_fault() -> None:
    assert found(tombstone()) == []


@pytest.mark.parametrize(
    "stored", [f"images/{IMAGE}/1/small.jpg", f"uploads/key%3Aalice/{IMAGE}", f"{IMAGE}\x1fsea"]
)
def test_an_asset_a_source_and_a_tag_entry_are_found(stored: str) -> None:
    assert len(found(tombstone(), stored=[stored])) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"erasure": COMPLETE.model_copy(update={"state": "invalidated"})},
        {"erasure": COMPLETE.model_copy(update={"found": None})},
        {"tags": ("sea",)},
        {"expires_at": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_unfinished_erasure_is_found(changes: dict[str, Any]) -> None:
    assert len(found(tombstone(**changes))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"ledger": frozenset()},
        {"events": EVENTS[:1]},
        {"events": EVENTS[1:]},
        {"events": ({**EVENTS[0], "id": f"{IMAGE}:erased:2"}, EVENTS[1])},
        {"events": (*EVENTS, {**EVENTS[0], "id": f"{IMAGE}:erased:2"})},
        {"earlier": frozenset({f"{IMAGE}:erased:0"})},
        {"events": (*EVENTS, {**EVENTS[1], "data": {"imageId": IMAGE}})},
    ],
    ids=["ledger", "receipt", "erased", "another id", "two ids", "no earlier id", "two contents"],
)
def test_a_missing_ledger_entry_and_wrong_events_are_found(changes: dict[str, Any]) -> None:
    assert len(found(tombstone(), **changes)) == 1


def test_an_image_that_a_backup_brought_back_has_the_event_of_each_erasure() -> None:
    earlier = f"{IMAGE}:erased:0"
    events = (*EVENTS, {**EVENTS[0], "id": earlier})
    others = "01KAJ0000000000000000000BB:erased:0"
    assert found(tombstone(), events=events, earlier=frozenset({earlier, others})) == []
