"""Queues in SQS: receives, deletes, hides and sends messages, and measures their number."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from safelight.aws.dependency import CALL_SECONDS, Dependency

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import BatchResultErrorEntryTypeDef, MessageTypeDef

BATCH_SIZE = 10
"""SQS's limit on messages in one request."""
LONGEST_DELAY_SECONDS = 900
"""SQS's limit on the delay of a message. The emulators accept more."""
NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})
LOST = frozenset(
    {
        "AWS.SimpleQueueService.MessageNotInflight",
        "InvalidParameterValue",
        "MessageNotInflight",
        "ReceiptHandleIsInvalid",
    }
)
"""Entry errors that mean another receiver has the message now, or it does not exist any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message from SQS. Its receipt is our lease, valid until the message is received again."""

    message_id: str
    receipt: str
    body: str
    receive_count: int
    """The number of times it was received, including this time."""
    sent_at: float
    """Seconds since 1970, by SQS's clock."""
    received_at: float
    """Seconds on this process's monotonic clock."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The sender's attributes; a dead letter has its reason here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One entry of a batch request that failed."""

    receipt: str
    lost: bool
    """Whether our lease is lost: a retry cannot succeed."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """The approximate number of messages in a queue."""

    visible: int
    in_flight: int
    delayed: int = 0


class Queue:
    """One SQS queue. Received messages stay hidden for `visibility_seconds`."""

    def __init__(
        self,
        client: "SQSClient",
        dependency: Dependency,
        *,
        queue_url: str,
        visibility_seconds: int = 60,
    ) -> None:
        self._client = client
        self._dependency = dependency
        self._queue_url = queue_url
        self._visibility_seconds = visibility_seconds

    async def receive(self, *, max_messages: int, wait_seconds: int) -> tuple[Message, ...]:
        """Wait for up to `max_messages` messages, at most ten; none if the wait ends first."""
        async with self._dependency.call(
            "ReceiveMessage", self._queue_url, seconds=CALL_SECONDS + wait_seconds
        ):
            answer = await self._client.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=max_messages,
                WaitTimeSeconds=wait_seconds,
                # Set here, not left to the queue: renewals depend on the same number.
                VisibilityTimeout=self._visibility_seconds,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                MessageAttributeNames=["All"],
            )
        received_at = time.monotonic()
        return tuple(_message(raw, received_at) for raw in answer.get("Messages", ()))

    async def delete(self, receipts: Sequence[str]) -> tuple[Failure, ...]:
        """Delete up to ten messages; return the failures."""
        async with self._dependency.call("DeleteMessageBatch", self._queue_url):
            answer = await self._client.delete_message_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": receipt}
                    for number, receipt in enumerate(receipts)
                ],
            )
        return _failures(receipts, answer.get("Failed", ()))

    async def change_visibility(self, changes: Mapping[str, int]) -> tuple[Failure, ...]:
        """Hide up to ten messages, by receipt, for this many seconds; return the failures."""
        receipts = tuple(changes)
        async with self._dependency.call("ChangeMessageVisibilityBatch", self._queue_url):
            answer = await self._client.change_message_visibility_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": receipt,
                        "VisibilityTimeout": changes[receipt],
                    }
                    for number, receipt in enumerate(receipts)
                ],
            )
        return _failures(receipts, answer.get("Failed", ()))

    async def send(
        self,
        body: str,
        *,
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
        delay_seconds: int = 0,
    ) -> None:
        """Send a message with at most ten attributes; empty ones are left out.

        It stays hidden for the delay, which is at most `LONGEST_DELAY_SECONDS`.
        """
        async with self._dependency.call("SendMessage", self._queue_url):
            await self._client.send_message(
                QueueUrl=self._queue_url,
                MessageBody=body,
                DelaySeconds=min(LONGEST_DELAY_SECONDS, delay_seconds),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in attributes.items()
                    if value
                },
            )

    async def depth(self) -> Depth:
        """Measure the approximate number of messages."""
        async with self._dependency.call("GetQueueAttributes", self._queue_url):
            answer = await self._client.get_queue_attributes(
                QueueUrl=self._queue_url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateNumberOfMessagesDelayed",
                ],
            )
        counts: Mapping[Any, str] = answer["Attributes"]
        return Depth(
            visible=int(counts["ApproximateNumberOfMessages"]),
            in_flight=int(counts["ApproximateNumberOfMessagesNotVisible"]),
            delayed=int(counts.get("ApproximateNumberOfMessagesDelayed", 0)),
        )


def _message(raw: "MessageTypeDef", received_at: float) -> Message:
    attributes = raw["Attributes"]
    return Message(
        message_id=raw["MessageId"],
        receipt=raw["ReceiptHandle"],
        body=raw["Body"],
        receive_count=int(attributes["ApproximateReceiveCount"]),
        sent_at=int(attributes["SentTimestamp"]) / 1000,
        received_at=received_at,
        attributes={
            name: attribute.get("StringValue", "")
            for name, attribute in raw.get("MessageAttributes", {}).items()
        },
    )


def _failures(
    receipts: Sequence[str], failed: "Sequence[BatchResultErrorEntryTypeDef]"
) -> tuple[Failure, ...]:
    return tuple(
        Failure(
            receipt=receipts[int(entry["Id"])],
            lost=entry["Code"] in LOST,
            detail=f"{entry['Code']}: {entry.get('Message', '')}",
        )
        for entry in failed
    )
