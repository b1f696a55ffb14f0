"""The contract of the topic, on every backend."""

import json
from typing import Any, Protocol
from uuid import uuid4

import pytest
import pytest_asyncio

from safelight.completion import MAX_BYTES, Completion
from safelight.record import Record, Status
from tests.contract.conftest import Place
from tests.support.fakes import FakeTopic

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Channel(Protocol):
    """The edge under test, and a subscriber."""

    edge: Any

    async def heard(self) -> list[tuple[str, str, str]]:
        """Return the messages published since: body, outcome, user id."""
        ...


class FakeChannel:
    def __init__(self):
        self.edge = FakeTopic()

    async def heard(self):
        return [(one.to_json(), one.outcome, one.user_id) for one in self.edge.published]


class AwsChannel:
    def __init__(self, place: Place, edge, queue_url: str):
        self.edge = edge
        self._sqs, self._queue_url = place.clients["sqs"], queue_url

    async def heard(self):
        answer = await self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=5,
            MessageAttributeNames=["All"],
        )
        return [
            (
                message["Body"],
                message["MessageAttributes"]["outcome"]["StringValue"],
                message["MessageAttributes"]["userId"]["StringValue"],
            )
            for message in answer["Messages"]
        ]


async def subscribe(place: Place, **attributes: str) -> str:
    sqs = place.clients["sqs"]
    url = (await sqs.create_queue(QueueName=str(uuid4())))["QueueUrl"]
    answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = answer["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    await place.clients["sns"].subscribe(
        TopicArn=place.topic_arn,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true", **attributes},
    )
    return url


@pytest_asyncio.fixture(loop_scope="session")
async def channel(place) -> Channel:
    if place is None:
        return FakeChannel()
    edge = await place.as_worker.topic(place.topic_arn)
    return AwsChannel(place, edge, await subscribe(place))


def completion(**changes: Any) -> Completion:
    record = Record(
        image_id="01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        user_id="Zo\u00eb|auth0",
        uploaded_at=1_700_000_000_000,
        original_key="uploads/zoe/x",
        status=Status.COMPLETED,
        revision="v1",
        completed_at=1_700_000_001_000,
    )
    return Completion.of(record.model_copy(update=changes))


async def test_a_subscriber_hears_the_event_as_it_was_written(channel):
    told = completion(filename="a b+\u00fc\U0001f4f7\x07.jpg")
    await channel.edge.publish(told)
    assert await channel.heard() == [(told.to_json(), "completed", "Zo\u00eb|auth0")]


async def test_the_longest_completion_is_taken(channel):
    told = completion(filename="\u00fc" * MAX_BYTES, tags=("x" * (MAX_BYTES - 1000),))
    await channel.edge.publish(told)
    ((body, _, _),) = await channel.heard()
    assert json.loads(body)["id"] == told.id


@pytest.mark.parametrize("backend", ["ministack", "moto"], indirect=True)
async def test_a_filter_policy_on_the_outcome_lets_only_that_through(place):
    url = await subscribe(place, FilterPolicy=json.dumps({"outcome": ["rejected"]}))
    channel = AwsChannel(place, await place.as_worker.topic(place.topic_arn), url)
    await channel.edge.publish(completion())
    await channel.edge.publish(completion(status=Status.REJECTED))
    assert [outcome for _, outcome, _ in await channel.heard()] == ["rejected"]


@pytest.mark.parametrize("user_id", ["", "\x00\x07", "x" * 2000])
async def test_any_user_id_can_be_told(channel, user_id):
    await channel.edge.publish(completion(user_id=user_id))
    ((body, _, _),) = await channel.heard()
    assert json.loads(body)["data"]["userId"] == user_id
