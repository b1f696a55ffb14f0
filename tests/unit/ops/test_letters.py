"""What `safelight redrive` does with single letters, and when it is stopped."""

import json

import pytest

from ops.redrive import Return, Targets, _send_back
from safelight.aws.queue import Message
from safelight.errors import Unavailable
from tests.support.events import s3_event
from tests.support.fakes import FakeDeadLetters

BUCKET = "uploads-bucket"


class Letters:
    """A dead-letter queue that remembers what was deleted."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def delete(self, receipts: list[str]) -> tuple[()]:
        self.deleted += receipts
        return ()


def returned(body: str, queue: FakeDeadLetters) -> Return:
    letter = Message(
        message_id="m", receipt="r", body=body, receive_count=1, sent_at=0.0, received_at=0.0
    )
    return Return.of(letter, Targets(renders=queue, cleanup=None), bucket=BUCKET)


async def test_a_letter_of_which_a_part_was_not_sent_stays() -> None:
    """Stopped or refused at any body, nothing is lost: the rest comes with the next redrive."""
    queue, letters = FakeDeadLetters(), Letters()
    queue.fail_next["send"] = [None, Unavailable("sqs", "503")]
    both = returned(s3_event(BUCKET, "uploads/a", "uploads/b"), queue)
    with pytest.raises(Unavailable):
        await _send_back([both], letters, rate=1000)
    assert letters.deleted == []
    await _send_back([both], letters, rate=1000)
    assert letters.deleted == ["r"]
    assert {json.loads(one.body)["key"] for one in queue.letters} == {"uploads/a", "uploads/b"}


async def test_a_letter_with_a_record_that_nobody_can_read_is_sent_and_stays() -> None:
    queue, letters = FakeDeadLetters(), Letters()
    document = json.loads(s3_event(BUCKET, "uploads/a"))
    document["Records"].append({"eventVersion": "3.0"})
    mixed = returned(json.dumps(document), queue)
    assert mixed.fault
    await _send_back([mixed], letters, rate=1000)
    assert [json.loads(one.body)["key"] for one in queue.letters] == ["uploads/a"]
    assert letters.deleted == []


@pytest.mark.parametrize(
    "body", ["no JSON", "[]", '{"type": "safelight.of-tomorrow"}', s3_event("another", "uploads/a")]
)
def test_what_nobody_can_read_sends_nothing_and_says_why(body: str) -> None:
    unreadable = returned(body, FakeDeadLetters())
    assert unreadable.bodies == ()
    assert unreadable.fault
