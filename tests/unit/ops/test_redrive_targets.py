"""Dead letters are sent back to the queue of the role that processes them."""

from typing import get_args

import pytest

from ops.redrive import MAY_BE_FORGED, Return, Targets
from safelight.aws.queue import Message
from safelight.presets import Preset
from safelight.queued import (
    DeleteAssets,
    DeleteVersion,
    Demand,
    EraseImage,
    EraseUser,
    Ingest,
    OfCleanup,
    Queued,
    ingest_of,
)
from tests.support.events import s3_event
from tests.support.fakes import FakeDeadLetters

IMAGE = "01M7YB1NC8XE9XQ3H3PCRZFKK6"
BUCKET = "uploads"
OF_RENDERS = (
    Demand(image_id=IMAGE, revision="v1", preset=Preset(name="a", format="avif")),
    Ingest(key="uploads/a"),
)
OF_CLEANUP = (
    EraseImage(image_id=IMAGE, by="owner", at=1),
    EraseUser(erasure_id=IMAGE, user_id="key:alice", before=1, by="owner"),
    DeleteVersion(image_id=IMAGE, key="uploads/a", version_id="v1"),
    DeleteAssets(image_id=IMAGE, at=1),
)
RENDERS, CLEANUP = FakeDeadLetters(), FakeDeadLetters()
TARGETS = Targets(renders=RENDERS, cleanup=CLEANUP)


def returned(body: str, targets: Targets = TARGETS, **attributes: str) -> Return:
    letter = Message(
        message_id="1", receipt="1", body=body, attributes=attributes, receive_count=1, sent_at=0,
        received_at=0,
    )  # fmt: skip
    return Return.of(letter, targets, bucket=BUCKET)


@pytest.mark.parametrize("message", OF_RENDERS, ids=lambda message: message.type)
def test_a_message_of_renders_goes_to_their_queue(message: Queued) -> None:
    sent = returned(message.to_json())
    assert (sent.bodies, sent.target, sent.fault) == ((message.to_json(),), RENDERS, None)


@pytest.mark.parametrize("message", OF_CLEANUP, ids=lambda message: message.type)
def test_a_message_of_cleanup_goes_to_its_queue(message: Queued) -> None:
    sent = returned(message.to_json())
    assert (sent.bodies, sent.target, sent.fault) == ((message.to_json(),), CLEANUP, None)


@pytest.mark.parametrize("message", OF_CLEANUP, ids=lambda message: message.type)
def test_an_erasure_from_a_wrong_queue_stays_because_it_may_be_forged(message: Queued) -> None:
    sent = returned(message.to_json(), reason="wrong_queue")
    if isinstance(message, EraseImage | EraseUser):
        assert (sent.bodies, sent.fault) == ((), MAY_BE_FORGED)
    else:
        assert (sent.bodies, sent.target) == ((message.to_json(),), CLEANUP)


def test_every_message_of_cleanup_is_tried() -> None:
    assert {type(one) for one in OF_CLEANUP} == {*get_args(OfCleanup)}


def test_an_event_goes_to_the_queue_of_renders_as_an_ingest() -> None:
    sent = returned(s3_event(BUCKET, "uploads/a"))
    assert (sent.bodies, sent.target) == ((ingest_of("uploads/a").to_json(),), RENDERS)


def test_a_message_of_cleanup_stays_without_the_setting_of_its_queue() -> None:
    sent = returned(OF_CLEANUP[0].to_json(), Targets(renders=RENDERS, cleanup=None))
    assert sent.bodies == ()
    assert "SAFELIGHT_CLEANUP_QUEUE_URL is not set" in str(sent.fault)
