"""Whose a message is, for sharing the slots."""

import json

import pytest

from safelight.presets import Preset
from safelight.queued import Demand, Ingest
from tests.unit.worker.test_events import IMAGE, eventbridge_body, s3_body, s3_record
from worker.owners import UNKNOWN, user_of


@pytest.mark.parametrize(
    ("body", "user"),
    [
        pytest.param(s3_body(), "key:alice", id="S3"),
        pytest.param(eventbridge_body(), "key:alice", id="EventBridge"),
        pytest.param(
            json.dumps({"Type": "Notification", "Message": s3_body()}), "key:alice", id="SNS"
        ),
        pytest.param(
            s3_body(s3_record(), s3_record(key=f"uploads/key%253Abob/{IMAGE}")),
            "key:alice",
            id="the first of two users",
        ),
        pytest.param(f"[{eventbridge_body()}]", "key:alice", id="EventBridge's pipe"),
        pytest.param(s3_body(s3_record(key="uploads/a/b")), "(adopted)", id="adopted"),
        pytest.param(Ingest(key=f"uploads/oidc%3A1/{IMAGE}").to_json(), "oidc:1", id="ingest"),
        pytest.param(
            Demand(image_id=IMAGE, revision="r", preset=Preset(name="p", format="jpeg")).to_json(),
            f"image:{IMAGE}",
            id="demand",
        ),
        pytest.param('{"type": "safelight.later"}', UNKNOWN, id="a later version's"),
        pytest.param('{"Event": "s3:TestEvent"}', UNKNOWN, id="S3's greeting"),
        pytest.param('{"Records": [{}]}', UNKNOWN, id="a record without a key"),
        pytest.param("no JSON", UNKNOWN, id="no JSON"),
        pytest.param("[" * 100_000, UNKNOWN, id="nested too deeply"),
    ],
)
def test_a_messages_user_is_read_from_its_body(body: str, user: str) -> None:
    assert user_of(body) == user
