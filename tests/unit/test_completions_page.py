"""The statements of docs/guide/completions.md are true, and its receiver gets the order right."""

import asyncio
import json
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.aws.records import Commit
from safelight.completion import SEQUENCE_DIGITS, Completion, Facts
from safelight.keys import padded_sequencer
from safelight.record import Record, Status, Variant
from tests.support.fakes import FakeRecords
from tests.support.pages import ROOT, blocks, load

PAGE = (ROOT / "docs" / "guide" / "completions.md").read_text()
EXAMPLE, *_ = map(json.loads, blocks("guide/completions.md", "json"))
IMAGE = "01M7YB1NC8XE9XQ3H3PCRZFKK6"


def members(heading: str) -> set[str]:
    """Return the names in the first column of a table."""
    (table,) = re.findall(rf"^\| {heading} \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }


def test_the_example_is_a_completion() -> None:
    completion = Completion.model_validate(EXAMPLE)
    assert json.loads(completion.to_json()) == EXAMPLE
    assert completion.outcome == "completed"


def test_every_attribute_and_every_member_is_explained() -> None:
    own = {"specversion", "datacontenttype", "data"}  # CloudEvents explains them
    assert members("attribute") == Completion.model_fields.keys() - own
    assert members("member of `data`") == {one.alias for one in Facts.model_fields.values()}


def test_a_variant_is_explained() -> None:
    (row,) = re.findall(r"^\| `variants` \| (.*) \|$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == {one.alias for one in Variant.model_fields.values()}


def test_the_first_sequence_is_the_one_that_the_page_shows() -> None:
    assert f"from `{1:0{SEQUENCE_DIGITS}}`" in PAGE


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Load the page's receiver."""
    _, program = blocks("guide/completions.md", "python")
    return load(program, tmp_path_factory.mktemp("receiver"))


def settlement(revision: int, completed_at: int) -> Record:
    return Record(
        image_id=IMAGE,
        user_id="key:alice",
        uploaded_at=1,
        original_key="uploads/x",
        status=Status.COMPLETED,
        revision=f"v{revision}",
        sequencer=padded_sequencer(f"{revision:04X}"),
        completed_at=completed_at,
    )


async def settle(
    revisions: Sequence[int], records: FakeRecords, clocks: random.Random
) -> list[Commit]:
    """Settle revisions in this order, by workers whose clocks have nothing in common."""
    return [
        await records.commit(settlement(revision, clocks.randrange(10**12)))
        for revision in revisions
    ]


@settings(max_examples=40)
@given(
    revisions=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    old=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_in_whatever_order_completions_arrive_the_receiver_ends_with_the_newest(
    receiver: dict[str, Any], revisions: list[int], old: bool, chance: random.Random
) -> None:
    """Settlements in any order, repeats, frozen workers, and the network's own duplicates."""
    before = settlement(0, -1)
    records = FakeRecords(*([before] if old else []))
    commits = asyncio.run(settle(revisions, records, chance))
    published = [Completion.of(before)] if old else []
    published += [Completion.of(one.record) for one in commits if one.result != "superseded"]
    arriving = [json.loads(one.to_json()) for one in published for _ in range(2)]
    chance.shuffle(arriving)
    database = receiver["connect"](":memory:")
    new = [event for event in arriving if receiver["store"](database, event)]
    assert len({event["id"] for event in new}) == len(new)
    ((data,),) = database.execute("SELECT data FROM images").fetchall()
    current = records.records[IMAGE]
    assert json.loads(data)["revisionTag"] == current.revision_tag
    database.close()
