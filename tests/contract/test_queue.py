"""The contract of the queue, on every backend."""

import time
from typing import Any, Protocol
from uuid import uuid4

import pytest
import pytest_asyncio

from safelight.aws.queue import Depth
from tests.contract.conftest import Place
from tests.support.fakes import FakeQueue

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAX_RECEIVE_COUNT = 2


class Box(Protocol):
    """The edge under test, and the sender's side of the queue."""

    edge: Any

    async def send(self, body: str) -> str: ...
    async def send_explained(self, body: str, attributes: dict[str, str]) -> None: ...
    async def reopen(self, *, visibility_seconds: int) -> None: ...
    async def dead(self) -> int: ...


class FakeBox:
    def __init__(self):
        self.edge = FakeQueue(max_receive_count=MAX_RECEIVE_COUNT)

    async def send(self, body):
        return self.edge.send(body)

    async def send_explained(self, body, attributes):
        self.edge.send(body, attributes=attributes)

    async def reopen(self, *, visibility_seconds):
        self.edge.visibility_seconds = visibility_seconds

    async def dead(self):
        return len(self.edge.dead_letters)


class AwsBox:
    def __init__(self, place: Place, edge, url: str, dead):
        self.edge = edge
        self._dead, self._url, self._sqs = dead, url, place.clients["sqs"]
        self._aws = place.as_owner

    async def send(self, body):
        answer = await self._sqs.send_message(QueueUrl=self._url, MessageBody=body)
        return answer["MessageId"]

    async def send_explained(self, body, attributes):
        await self.edge.send(body, attributes=attributes)

    async def reopen(self, *, visibility_seconds):
        self.edge = await self._aws.queue(self._url, visibility_seconds=visibility_seconds)

    async def dead(self):
        return (await self._dead.depth()).visible


async def make_queues(place: Place) -> AwsBox:
    sqs, name = place.clients["sqs"], uuid4()
    dead_url = (await sqs.create_queue(QueueName=f"{name}-dead"))["QueueUrl"]
    answer = await sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])
    arn = answer["Attributes"]["QueueArn"]
    redrive = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "{MAX_RECEIVE_COUNT}"}}'
    created = await sqs.create_queue(
        QueueName=f"{name}", Attributes={"VisibilityTimeout": "60", "RedrivePolicy": redrive}
    )
    url = created["QueueUrl"]
    return AwsBox(place, await place.as_owner.queue(url), url, await place.as_owner.queue(dead_url))


@pytest_asyncio.fixture(loop_scope="session")
async def box(place) -> Box:
    return FakeBox() if place is None else await make_queues(place)


async def receive(box, *, max_messages: int = 10, wait_seconds: int = 0):
    return await box.edge.receive(max_messages=max_messages, wait_seconds=wait_seconds)


async def receive_again(box, message):
    """Release a message and receive it again, so that its first receipt is stale."""
    assert await box.edge.change_visibility({message.receipt: 0}) == ()
    (again,) = await receive(box, wait_seconds=5)
    return again


async def test_a_message_comes_as_it_was_sent(box):
    sent_after, body = time.time(), '{"key": "a+b%C3%BC \u00fc"}'
    message_id = await box.send(body)
    (message,) = await receive(box, wait_seconds=5)
    assert (message.message_id, message.body, message.receive_count) == (message_id, body, 1)
    assert abs(message.sent_at - sent_after) < 60
    assert message.received_at <= time.monotonic()


async def test_what_is_written_on_a_message_comes_with_it(box):
    await box.send_explained("x", {"reason": "unknown", "stage": "render", "imageId": ""})
    (message,) = await receive(box, wait_seconds=5)
    assert message.attributes == {"reason": "unknown", "stage": "render"}


@pytest.mark.parametrize("backend", ["ministack", "moto"], indirect=True)
async def test_a_delayed_message_comes_after_its_delay_and_no_delay_is_longer_than_sqs_allows(box):
    await box.edge.send("x", delay_seconds=2)
    await box.edge.send("y", delay_seconds=10_000)
    assert await receive(box) == ()
    assert (await box.edge.depth()).delayed == 2
    (message,) = await receive(box, wait_seconds=10)
    assert message.body == "x"


async def test_a_received_message_is_hidden_from_others(box):
    await box.send("x")
    assert len(await receive(box, wait_seconds=5)) == 1
    assert await receive(box) == ()


async def test_how_long_a_message_is_hidden_is_the_receivers_to_say_not_the_queues(box):
    await box.reopen(visibility_seconds=0)
    await box.send("x")
    assert len(await receive(box, wait_seconds=5)) == 1
    assert len(await receive(box, wait_seconds=5)) == 1


async def test_never_more_messages_come_than_were_asked_for(box):
    for number in range(5):
        await box.send(str(number))
    assert len(await receive(box, max_messages=3)) <= 3


async def test_a_deleted_message_is_gone(box):
    await box.send("x")
    (message,) = await receive(box, wait_seconds=5)
    assert await box.edge.delete([message.receipt]) == ()
    assert await box.edge.depth() == Depth(visible=0, in_flight=0)


async def test_deleting_a_message_again_gives_no_reason_to_try_again(box):
    await box.send("x")
    (message,) = await receive(box, wait_seconds=5)
    await box.edge.delete([message.receipt])
    failures = await box.edge.delete([message.receipt])
    assert all(failure.lost for failure in failures)


async def test_a_message_that_is_given_back_comes_again_with_its_count(box):
    await box.send("x")
    (message,) = await receive(box, wait_seconds=5)
    again = await receive_again(box, message)
    assert (again.message_id, again.receive_count) == (message.message_id, 2)


async def test_a_renewed_message_stays_hidden(box):
    await box.send("x")
    (message,) = await receive(box, wait_seconds=5)
    assert await box.edge.change_visibility({message.receipt: 60}) == ()
    assert await receive(box) == ()


async def test_a_receipt_that_was_replaced_no_longer_deletes(box):
    await box.send("x")
    (first,) = await receive(box, wait_seconds=5)
    again = await receive_again(box, first)
    (failure,) = await box.edge.delete([first.receipt])
    assert (failure.receipt, failure.lost) == (first.receipt, True)
    assert await box.edge.delete([again.receipt]) == ()


async def test_a_receipt_that_was_replaced_no_longer_hides(box):
    await box.send("x")
    (first,) = await receive(box, wait_seconds=5)
    await receive_again(box, first)
    (failure,) = await box.edge.change_visibility({first.receipt: 0})
    assert (failure.receipt, failure.lost) == (first.receipt, True)


async def test_a_deleted_message_cannot_be_held_any_longer(box):
    await box.send("x")
    (message,) = await receive(box, wait_seconds=5)
    await box.edge.delete([message.receipt])
    (failure,) = await box.edge.change_visibility({message.receipt: 60})
    assert failure.lost


async def test_a_message_that_was_given_back_cannot_be_held_any_longer(box):
    await box.send("x")
    (message,) = await receive(box, wait_seconds=5)
    await box.edge.change_visibility({message.receipt: 0})
    (failure,) = await box.edge.change_visibility({message.receipt: 60})
    assert failure.lost


async def test_of_a_batch_only_what_failed_is_told(box):
    for number in range(3):
        await box.send(str(number))
    held = [(await receive(box, max_messages=1, wait_seconds=5))[0] for _ in range(3)]
    await box.edge.delete([held[1].receipt])
    failures = await box.edge.change_visibility({message.receipt: 30 for message in held})
    assert [failure.receipt for failure in failures] == [held[1].receipt]


async def test_the_depth_tells_waiting_from_held_messages(box):
    for number in range(3):
        await box.send(str(number))
    await receive(box, max_messages=1, wait_seconds=5)
    assert await box.edge.depth() == Depth(visible=2, in_flight=1)


async def test_a_message_received_too_often_goes_to_the_dead_letters(box):
    await box.send("x")
    (message,) = await receive(box, wait_seconds=5)
    again = await receive_again(box, message)
    await box.edge.change_visibility({again.receipt: 0})
    assert await receive(box, wait_seconds=1) == ()
    assert await box.dead() == 1
