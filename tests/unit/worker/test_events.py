"""Every form of message body that the worker must understand, and what it must do with each."""

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight import keys, users
from safelight.errors import Unreadable, WrongQueue
from safelight.presets import Preset
from safelight.queued import Demand, Ingest
from tests.support.fakes import IDS
from worker.envelopes import DEEPEST
from worker.events import Upload, read_events, source_keys

BUCKET = "uploads-bucket"
IMAGE = "01JZ6V8M7Q2N4R5T6W8X9Y0ZAB"
KEY = f"uploads/key%3Aalice/{IMAGE}"


def s3_record(**changes: object) -> dict:
    source = {
        "key": quote_plus(KEY, safe="/"),
        "size": 1234,
        "eTag": "abc",
        "versionId": "v1",
        "sequencer": "0055AED6DCD90281E5",
    }
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": "2026-11-02T03:04:05.678Z",
        "eventName": "ObjectCreated:Post",
        "s3": {"bucket": {"name": BUCKET}, "object": source},
    }
    for name, value in changes.items():
        where = source if name in source else record
        if value is None:
            del where[name]
        else:
            where[name] = value
    return record


def s3_body(*records: dict) -> str:
    return json.dumps({"Records": list(records or [s3_record()])})


def eventbridge_body(key: str = KEY, detail_type: str = "Object Created") -> str:
    return json.dumps(
        {
            "version": "0",
            "source": "aws.s3",
            "detail-type": detail_type,
            "time": "2026-11-02T03:04:05Z",
            "detail": {
                "bucket": {"name": BUCKET},
                "object": {
                    "key": key,
                    "size": 1234,
                    "etag": "abc",
                    "version-id": "v1",
                    "sequencer": "0055AED6DCD90281E5",
                },
            },
        }
    )


def sns_body(message: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn", "Message": message})


def read(body: str) -> tuple[Upload, ...]:
    events = read_events(body, bucket=BUCKET, ids=IDS)
    assert events.faults == ()
    return events.uploads


def a_list(*bodies: str) -> str:
    """A body as an EventBridge pipe sends it."""
    return f"[{', '.join(bodies)}]"


def sqs_body(message: str) -> str:
    """A message as a pipe that reads a queue passes it on."""
    return json.dumps({"messageId": "1", "eventSource": "aws:sqs", "body": message})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(s3_body(), id="s3"),
        pytest.param(sns_body(s3_body()), id="s3 through sns"),
        pytest.param(eventbridge_body(), id="eventbridge"),
        pytest.param(sns_body(eventbridge_body()), id="eventbridge through sns"),
        pytest.param(sns_body(sns_body(s3_body())), id="through two topics"),
        pytest.param(a_list(eventbridge_body()), id="a pipe"),
        pytest.param(a_list(s3_body()), id="a pipe of s3's events"),
        pytest.param(a_list(sqs_body(s3_body())), id="a pipe from a queue"),
        pytest.param(a_list(sqs_body(sns_body(s3_body()))), id="a pipe from a queue of a topic"),
        pytest.param(sns_body(a_list(eventbridge_body())), id="a pipe through sns"),
    ],
)
def test_every_envelope_tells_the_same_upload(body: str) -> None:
    (upload,) = read(body)
    assert upload.key == KEY
    assert (upload.image_id, upload.user_id) == (IMAGE, "key:alice")
    assert (upload.version_id, upload.etag, upload.size_bytes) == ("v1", "abc", 1234)
    assert upload.revision == "v1"
    assert upload.sequencer == keys.padded_sequencer("0055AED6DCD90281E5")
    assert int(upload.happened_at) == 1793588645
    assert not upload.removed


@pytest.mark.parametrize(
    "body", [{"Service": "Amazon S3", "Event": "s3:TestEvent"}, {"Records": []}]
)
def test_a_greeting_or_an_empty_list_tells_of_no_upload(body: dict) -> None:
    assert read(json.dumps(body)) == ()
    assert read(sns_body(json.dumps(body))) == ()


@pytest.mark.parametrize(
    "body",
    ["", "not json", "[]", "null", '"text"', "{}", '{"Type": "Notification"}', "[" * 100_000],
)
def test_a_body_that_is_no_event_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        read_events(body, bucket=BUCKET, ids=IDS)


def test_a_list_tells_of_all_its_uploads_in_order() -> None:
    other = KEY[:-1] + "C"
    third = KEY[:-1] + "D"
    body = a_list(
        eventbridge_body(),
        a_list(s3_body(s3_record(key=quote_plus(other, safe="/")))),
        eventbridge_body(third),
    )
    assert [upload.key for upload in read(body)] == [KEY, other, third]


@pytest.mark.parametrize("bad", ["1", "{}", "[]", sns_body("no JSON"), '{"Records": [{}]}'])
def test_a_bad_part_of_a_list_does_not_hide_the_good_one_beside_it(bad: str) -> None:
    events = read_events(a_list(bad, eventbridge_body()), bucket=BUCKET, ids=IDS)
    assert [upload.key for upload in events.uploads] == [KEY]
    assert len(events.faults) == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"Type": "SubscriptionConfirmation", "Token": "t"}', "SNS sent SubscriptionConfirmation"),
        ('{"Type": "UnsubscribeConfirmation"}', "SNS sent UnsubscribeConfirmation"),
        ('{"Type": ["Notification"]}', "no event of S3"),
        ('[{"Type": "SubscriptionConfirmation"}]', "SNS sent SubscriptionConfirmation"),
        ("[1]", "not a JSON object"),
        (sns_body("no JSON"), "not JSON"),
    ],
)
def test_a_body_without_an_event_is_unreadable_with_its_reason(body: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_events(body, bucket=BUCKET, ids=IDS)


def test_an_event_of_a_later_version_is_a_fault_that_names_the_version() -> None:
    events = read_events(s3_body(s3_record(eventVersion="3.0")), bucket=BUCKET, ids=IDS)
    (fault,) = events.faults
    assert str(fault) == "an event of S3 has version '3.0', and only 2.x is known"


def test_envelopes_without_end_are_unreadable() -> None:
    body = s3_body()
    for _ in range(DEEPEST):
        body = a_list(body)
    assert len(read(body)) == 1
    with pytest.raises(Unreadable, match="more than 8 envelopes"):
        read_events(a_list(body), bucket=BUCKET, ids=IDS)


def test_a_message_of_ours_in_an_envelope_is_of_the_wrong_queue() -> None:
    for body in (a_list(Ingest(key=KEY).to_json(), s3_body()), sns_body(Ingest(key=KEY).to_json())):
        with pytest.raises(WrongQueue):
            read_events(body, bucket=BUCKET, ids=IDS)


def test_a_bad_record_does_not_hide_the_good_one_beside_it() -> None:
    events = read_events(s3_body({"eventVersion": "2.1"}, s3_record()), bucket=BUCKET, ids=IDS)
    assert [upload.key for upload in events.uploads] == [KEY]
    assert len(events.faults) == 1


@pytest.mark.parametrize(
    "record",
    [
        s3_record(eventVersion="3.0"),
        s3_record(eventTime="yesterday"),
        s3_record(eventTime=None),
        s3_record(s3={"bucket": {"name": "other"}, "object": {"key": KEY}}),
        s3_record(s3={"bucket": {"name": BUCKET}, "object": {"key": "elsewhere/x"}}),
        s3_record(s3=None),
        s3_record(key=7),
    ],
    ids=["version", "time", "no time", "bucket", "prefix", "no s3", "key is a number"],
)
def test_a_record_that_cannot_be_acted_on_is_a_fault(record: dict) -> None:
    events = read_events(s3_body(record), bucket=BUCKET, ids=IDS)
    assert events.uploads == ()
    assert len(events.faults) == 1


@pytest.mark.parametrize("missing", ["size", "eTag", "versionId", "sequencer"])
def test_what_s3_may_leave_out_is_not_needed(missing: str) -> None:
    (upload,) = read(s3_body(s3_record(**{missing: None})))
    assert upload.revision


def test_an_event_without_sequencer_is_older_than_any_with_one() -> None:
    (without,) = read(s3_body(s3_record(sequencer=None)))
    (with_one,) = read(s3_body(s3_record(sequencer="01")))
    assert without.sequencer < with_one.sequencer


@pytest.mark.parametrize(
    ("name", "detail_type"),
    [
        ("ObjectRemoved:Delete", "Object Deleted"),
        ("ObjectRemoved:DeleteMarkerCreated", "Object Deleted"),
    ],
)
def test_a_removal_is_told_as_one(name: str, detail_type: str) -> None:
    assert read(s3_body(s3_record(eventName=name)))[0].removed
    assert read(eventbridge_body(detail_type=detail_type))[0].removed


def test_events_of_another_kind_tell_of_no_upload() -> None:
    assert read(s3_body(s3_record(eventName="ObjectTagging:Put"))) == ()


def test_a_folder_marker_is_no_upload() -> None:
    assert read(eventbridge_body("uploads/alice/")) == ()


def test_an_object_put_without_the_api_is_adopted_under_an_id_of_its_own() -> None:
    (first,) = read(eventbridge_body("uploads/key%3Aalice/holiday/beach 1.jpg"))
    (again,) = read(s3_body(s3_record(key="uploads/key%253Aalice/holiday/beach+1.jpg")))
    assert first.image_id == again.image_id == IDS.of_object(bucket=BUCKET, key=first.key)
    assert (first.user_id, first.filename) == ("key:alice", "beach 1.jpg")


@pytest.mark.parametrize(
    "key",
    [
        "uploads/beach.jpg", "uploads//beach.jpg", "uploads/alice/beach.jpg",
        f"uploads/alice/{IMAGE}", f"uploads/key:alice/{IMAGE}", f"uploads/key%3aalice/{IMAGE}",
        f"uploads/key%3Aalice%2F/{IMAGE}",
        f"uploads/oidc%3Aalice%2fbob/{IMAGE}", f"uploads/%28adopted%29/{IMAGE}",
        "uploads/key%3A/beach.jpg", "uploads/oidc%3A/beach.jpg", "uploads/%FF/beach.jpg",
    ],
)  # fmt: skip
def test_a_folder_that_is_no_user_id_makes_no_user(key: str) -> None:
    (upload,) = read(eventbridge_body(key))
    assert upload.user_id == users.ADOPTED


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(
        lambda text: not text.endswith("/")
    )
)
def test_any_key_is_read_back_exactly(name: str) -> None:
    key = f"uploads/{name}"
    encoded = quote_plus(key, safe="/")
    (from_s3,) = read(s3_body(s3_record(key=encoded)))
    (from_eventbridge,) = read(eventbridge_body(key))
    assert from_s3.key == from_eventbridge.key == key


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "Records",
                        "s3",
                        "object",
                        "bucket",
                        "key",
                        "detail",
                        "source",
                        "Type",
                        "Message",
                        "eventVersion",
                    ]
                ),
                inner,
            )
        ),
    )
)
def test_no_json_makes_the_reader_fail_otherwise(document: object) -> None:
    for body in (
        document, [document], {"Records": [document]}, {"source": "aws.s3", "detail": document},
    ):  # fmt: skip
        try:
            read_events(json.dumps(body), bucket=BUCKET, ids=IDS)
        except Unreadable:
            continue


def test_what_is_no_text_is_a_fault_of_its_record_alone() -> None:
    broken = json.loads(s3_body(s3_record(versionId="\ud800")))["Records"][0]
    events = read_events(s3_body(broken, s3_record()), bucket=BUCKET, ids=IDS)
    assert (len(events.uploads), len(events.faults)) == (1, 1)
    events = read_events(eventbridge_body("uploads/\ud800/x.jpg"), bucket=BUCKET, ids=IDS)
    assert (len(events.uploads), len(events.faults)) == (0, 1)


def test_a_message_of_ours_is_of_the_wrong_queue() -> None:
    demand = Demand(image_id=IMAGE, revision="v1", preset=Preset(name="a", format="avif"))
    for body in (demand.to_json(), Ingest(key=KEY).to_json(), '{"type": "safelight.of-tomorrow"}'):
        with pytest.raises(WrongQueue):
            read_events(body, bucket=BUCKET, ids=IDS)


@pytest.mark.parametrize("sequencer", ["zz", "G" * 32, "F" * 33, "~", "0x1F", "\u0661", "-1"])
def test_a_sequencer_that_is_not_in_s3s_form_is_older_than_any_that_is(sequencer: str) -> None:
    (upload,) = read(s3_body(s3_record(sequencer=sequencer)))
    assert upload.sequencer == keys.padded_sequencer(None)


def test_the_keys_of_a_letter_are_those_that_its_events_created_each_once() -> None:
    removed = s3_record()
    removed["eventName"] = "ObjectRemoved:Delete"
    body = s3_body(s3_record(), s3_record(), s3_record(key="uploads/x+y.jpg"), removed, {})
    found, faults = source_keys(body, bucket=BUCKET)
    assert (found, len(faults)) == ((KEY, "uploads/x y.jpg"), 1)
    assert source_keys(s3_body(removed), bucket=BUCKET) == ((), ())
    assert source_keys(a_list(eventbridge_body(), s3_body()), bucket=BUCKET) == ((KEY,), ())
    for foreign in (s3_record(key="elsewhere/x"), s3_record(key="\x1b[2J" * 99)):
        found, (fault,) = source_keys(s3_body(foreign), bucket=BUCKET)
        assert not found
        assert str(fault).isprintable()
        assert len(str(fault)) < 400
    for unreadable in ("no JSON", "{}"):
        with pytest.raises(Unreadable):
            source_keys(unreadable, bucket=BUCKET)
