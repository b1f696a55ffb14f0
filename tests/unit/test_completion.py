"""The completion as a CloudEvent."""

import json
from hashlib import sha256

import pytest
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from safelight.completion import MAX_BYTES, Completion
from safelight.errors import Reason
from safelight.record import Record, Status, Variant

SMALL = Variant(
    key="images/i/v1/small-abc.webp",
    media_type="image/webp",
    width=4,
    height=3,
    size=300,
    sha256="0" * 64,
)
SMALL_TOLD = {
    "key": "images/i/v1/small-abc.webp",
    "mediaType": "image/webp",
    "width": 4,
    "height": 3,
    "size": 300,
    "sha256": "0" * 64,
}


def completed(**changes) -> Record:
    record = Record(
        image_id="01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        user_id="zo\u00eb",
        uploaded_at=1_700_000_000_000,
        original_key="uploads/zo%C3%AB/01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        status=Status.COMPLETED,
        filename="a b+\u00fc(1)&=#%.jpg",
        tags=("sea",),
        original_size=1000,
        media_type="image/jpeg",
        sha256="1" * 64,
        width=40,
        height=30,
        placeholder="3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
        dominant_colour="#102030",
        perceptual_hash="00ff00ff00ff00ff",
        revision="v1",
        sequencer="0055AE",
        variants={"compressed": SMALL, "small": SMALL},
        failed_variants={"large": "too large"},
        processing_time_ms=12,
        render_time_ms=9,
        completed_at=1_700_000_001_500,
        expires_at=1,
        request_hash="secret to others",
    )
    return record.model_copy(update=changes)


def rejected(**changes) -> Record:
    settled = {"status": Status.REJECTED, "reason": Reason.TRUNCATED, "detail": "it ends early"}
    return completed(variants={}, failed_variants={}, **settled | changes)


def read(record: Record):
    """Read it back with the reference library, which checks every attribute."""
    return JSONFormat().read(None, Completion.of(record).to_json())


def test_a_completion_is_a_valid_cloudevent():
    event = read(completed())
    assert event.get_specversion() == "1.0"
    assert event.get_type() == "safelight.image.completed"
    assert event.get_source() == "/safelight"
    assert event.get_subject() == "01HF7YAT00V1ZYQZ0V1ZYQZ0V1"
    assert event.get_time().timestamp() == 1_700_000_001.5
    assert event.get_datacontenttype() == "application/json"


def test_its_data_are_the_records_public_facts_and_no_others():
    assert read(completed()).get_data() == {
        "imageId": "01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "userId": "zo\u00eb",
        "uploadedAt": 1_700_000_000_000,
        "originalKey": "uploads/zo%C3%AB/01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "status": "completed",
        "filename": "a b+\u00fc(1)&=#%.jpg",
        "tags": ["sea"],
        "originalSize": 1000,
        "mediaType": "image/jpeg",
        "sha256": "1" * 64,
        "width": 40,
        "height": 30,
        "placeholder": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
        "dominantColour": "#102030",
        "perceptualHash": "00ff00ff00ff00ff",
        "revisionTag": sha256(b"v1").hexdigest()[:16],
        "variants": {"compressed": SMALL_TOLD, "small": SMALL_TOLD},
        "failedVariants": {"large": "too large"},
        "savingsPercent": 70.0,
        "processingTimeMs": 12,
        "renderTimeMs": 9,
        "completedAt": 1_700_000_001_500,
    }


@pytest.mark.parametrize("record", [completed(), rejected()])
def test_nothing_told_holds_the_revision_which_gives_every_asset_key(record):
    secret = "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"
    event = Completion.of(record.model_copy(update={"revision": secret, "version_id": secret}))
    assert secret not in event.to_json()
    assert secret not in event.id


def test_a_rejection_says_why():
    event = read(rejected())
    assert event.get_type() == "safelight.image.rejected"
    data = event.get_data()
    assert (data["reason"], data["detail"]) == ("truncated", "it ends early")


def test_the_same_outcome_told_twice_has_the_same_id():
    again = completed(completed_at=1_800_000_000_000, processing_time_ms=99)
    assert Completion.of(completed()).id == Completion.of(again).id


@pytest.mark.parametrize("other", [completed(revision="v2"), rejected()])
def test_another_revision_or_outcome_has_another_id(other):
    assert Completion.of(completed()).id != Completion.of(other).id


@pytest.mark.parametrize("status", [Status.PENDING, Status.ERASED])
def test_only_a_settled_image_is_told_of(status):
    with pytest.raises(KeyError):
        Completion.of(completed(status=status))


def test_what_does_not_fit_is_left_out_and_named():
    many = {f"preset-{number}": SMALL for number in range(2000)}
    text = Completion.of(completed(variants=many)).to_json()
    data = json.loads(text)["data"]
    assert len(text) <= MAX_BYTES
    assert data["leftOut"] == ["failedVariants", "variants"]
    assert data["status"] == "completed"
    assert data["filename"] == "a b+\u00fc(1)&=#%.jpg"


@settings(max_examples=50)
@given(
    detail=st.text(),
    filename=st.text(),
    tags=st.lists(st.text()).map(tuple),
    times=st.integers(min_value=1, max_value=100_000),
)
def test_any_facts_make_a_valid_event_of_bounded_plain_text(detail, filename, tags, times):
    record = rejected(detail=detail * times, filename=filename, tags=tags)
    text = Completion.of(record).to_json()
    assert len(text.encode()) <= MAX_BYTES
    assert text.isascii()
    assert text.isprintable()
    event = JSONFormat().read(None, text)
    assert event.get_data().get("filename", filename) == filename


@pytest.mark.parametrize(
    ("number", "sequence"), [(1, "0000000001"), (12, "0000000012"), (10**10, "10000000000")]
)
def test_a_completion_has_the_number_of_its_settlement_as_a_text_that_sorts(number, sequence):
    event = read(completed(sequence=number))
    assert event.get_extension("sequence") == sequence


def test_sequences_as_texts_have_the_order_of_their_numbers():
    numbers = [1, 2, 9, 10, 11, 99, 100, 2**31, 10**10 - 1]
    texts = [Completion.of(completed(sequence=number)).sequence for number in numbers]
    assert texts == sorted(texts)


def test_a_record_without_a_number_gives_a_completion_without_a_sequence():
    assert "sequence" not in json.loads(Completion.of(completed()).to_json())


SCHEMA = Draft202012Validator(
    Completion.model_json_schema(mode="serialization"), format_checker=FormatChecker()
)


@pytest.mark.parametrize(
    "record",
    [
        completed(),
        completed(sequence=3),
        *(rejected(reason=reason) for reason in Reason),
        completed(variants={f"preset-{number}": SMALL for number in range(2000)}),
    ],
)
def test_every_completion_is_as_its_schema_says(record):
    SCHEMA.validate(json.loads(Completion.of(record).to_json()))


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"type": "safelight.image.pending"},
        {"sequence": 1},
        {"sequence": "1"},
        {"data": {"imageId": "i"}},
    ],
)
def test_the_schema_refuses_other_events(change):
    event = json.loads(Completion.of(completed(sequence=1)).to_json())
    assert SCHEMA.is_valid(event)
    assert not SCHEMA.is_valid(event | change)
