"""What is stored of an image, and when it answers for an upload."""

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from safelight.errors import Reason
from safelight.faces import Face, kept
from safelight.keys import padded_sequencer
from safelight.record import SCHEMA_VERSION, SINCE, Record, Status, Variant

texts = st.text(max_size=40)
shares = st.floats(0, 1)
faces = st.lists(st.builds(Face, left=shares, top=shares, width=shares, height=shares)).map(kept)
counts = st.integers(min_value=0, max_value=10**15)
variants = st.builds(
    Variant,
    key=texts,
    media_type=texts,
    width=counts,
    height=counts,
    size=counts,
    sha256=texts,
    quality=st.none() | counts,
    score=st.none() | counts,
)
records = st.builds(
    Record,
    image_id=texts,
    user_id=texts,
    uploaded_at=counts,
    original_key=texts,
    status=st.sampled_from(Status),
    reason=st.none() | st.sampled_from(Reason),
    detail=st.none() | texts,
    sequence=st.none() | counts,
    filename=st.none() | texts,
    tags=st.lists(texts, max_size=4).map(tuple),
    original_size=st.none() | counts,
    media_type=st.none() | texts,
    sha256=st.none() | texts,
    width=st.none() | counts,
    height=st.none() | counts,
    placeholder=st.none() | texts,
    dominant_colour=st.none() | texts,
    perceptual_hash=st.none() | texts,
    faces=st.none() | faces,
    revision=st.none() | texts,
    sequencer=st.none() | texts,
    variants=st.dictionaries(texts | st.just("compressed"), variants, max_size=4),
    failed_variants=st.dictionaries(texts, texts, max_size=3),
    processing_time_ms=st.none() | counts,
    completed_at=st.none() | counts,
    expires_at=st.none() | counts,
    request_hash=st.none() | texts,
    upload_token=st.none() | texts,
    settled_token=st.none() | texts,
)


def record(**changes) -> Record:
    facts = {"image_id": "i", "user_id": "u", "uploaded_at": 1, "original_key": "uploads/u/i"}
    return Record(**facts | changes)


def variant(size: int) -> Variant:
    return Variant(
        key="images/x", media_type="image/webp", width=4, height=3, size=size, sha256="0"
    )


@given(record=records)
def test_a_record_comes_back_from_the_table_as_it_was(record):
    stored = {name: TypeSerializer().serialize(value) for name, value in record.to_item().items()}
    read = {name: TypeDeserializer().deserialize(value) for name, value in stored.items()}
    assert Record.from_item(read) == record


def test_a_record_from_before_there_were_such_facts_is_read():
    item = record(status=Status.COMPLETED, sha256="0" * 64, placeholder="xx").to_item()
    later = {"sha256", "placeholder", "dominantColour", "perceptualHash", "faces"}
    old = Record.from_item({name: value for name, value in item.items() if name not in later})
    assert (old.status, old.sha256, old.placeholder) == (Status.COMPLETED, None, None)


def test_attributes_that_an_older_version_left_in_a_record_of_its_own_are_not_read():
    """It settled a newer revision, and knows nothing about these attributes of the older one."""
    item = record(status=Status.COMPLETED, sequence=7).to_item()
    assert Record.from_item(item).sequence == 7
    of_a_revision = {name: since for name, since in SINCE.items() if since > 1}
    assert of_a_revision
    for name, since in of_a_revision.items():
        old = Record.from_item(item | {name: "of another revision", "schemaVersion": since - 1})
        assert name not in old.to_item()


def test_the_number_of_edits_is_read_whichever_version_settled():
    item = record(status=Status.COMPLETED).to_item() | {"tagsVersion": 3, "schemaVersion": 1}
    assert Record.from_item(item).tags_version == 3


def test_attributes_of_a_later_version_are_ignored():
    item = record(variants={"small": variant(1)}).to_item()
    later = item | {"schemaVersion": SCHEMA_VERSION + 1, "colours": ["#102030"]}
    later["variants"] = {"small": item["variants"]["small"] | {"colour": "p3"}}
    read = Record.from_item(later)
    assert read == record(variants={"small": variant(1)}, schema_version=SCHEMA_VERSION + 1)


def test_the_schema_version_is_that_of_the_newest_attribute():
    assert max(SINCE.values()) == SCHEMA_VERSION
    assert SINCE.keys() <= {field.alias for field in Record.model_fields.values()}


def test_attributes_without_a_value_are_not_stored():
    assert "reason" not in record().to_item()
    assert "expiresAt" not in record().to_item()


def test_what_published_consumers_know_stands_under_its_old_names():
    item = record(
        status=Status.COMPLETED,
        original_size=1000,
        variants={"compressed": variant(300), "small": variant(10)},
    ).to_item()
    assert item["compressedKey"] == "images/x"
    assert item["compressedSize"] == 300
    assert float(item["savingsPercent"]) == 70.0
    assert item["thumbnails"] == {"small": "images/x"}


@pytest.mark.parametrize(
    ("original", "compressed", "percent"), [(1000, 300, 70.0), (1000, 1500, -50.0), (3, 1, 66.7)]
)
def test_savings_are_told_in_percent_of_the_source(original, compressed, percent):
    told = record(original_size=original, variants={"compressed": variant(compressed)})
    assert told.savings_percent == percent


@pytest.mark.parametrize("original", [None, 0])
def test_without_a_size_there_are_no_savings_to_tell(original):
    told = record(original_size=original, variants={"compressed": variant(1)})
    assert told.savings_percent is None
    assert record(original_size=1000).savings_percent is None


def settled(revision: str, sequencer: str, status: Status = Status.COMPLETED) -> Record:
    return record(status=status, revision=revision, sequencer=padded_sequencer(sequencer))


@pytest.mark.parametrize(
    ("standing", "answers"),
    [
        (record(), False),
        (settled("v2", "20"), True),
        (settled("v2", "20", Status.REJECTED), True),
        (settled("v3", "30"), True),
        (settled("v1", "10"), False),
        (settled("other", "20"), False),
        (record(status=Status.ERASED), True),
    ],
    ids=["pending", "the same", "rejected", "newer", "older", "no order", "erased"],
)
def test_a_record_answers_for_its_own_and_for_older_revisions(standing, answers):
    assert standing.settles(revision="v2", sequencer=padded_sequencer("20")) is answers
