"""Receives completions as any subscriber would: through its own queue, subscribed to the topic."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ops.local.account import Account

WAIT_SECONDS = 1
"""The length of one long poll in seconds; short, so that a listener stops quickly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completions:
    """A subscription; it gets every later completion, once or more."""

    sqs: Any
    queue_url: str

    async def receive(self) -> tuple[Mapping[str, Any], ...]:
        """Wait up to `WAIT_SECONDS` for completions (CloudEvents); return and delete them."""
        answer = await self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_SECONDS
        )
        messages = answer.get("Messages", [])
        if messages:
            await self.sqs.delete_message_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ],
            )
        return tuple(json.loads(message["Body"]) for message in messages)


@asynccontextmanager
async def subscribe(
    account: Account, topic_arn: str, *, queue_name: str = "completions"
) -> AsyncIterator[Completions]:
    """Create a queue that the topic may send to, and subscribe it with raw delivery."""
    async with account.client("sqs") as sqs, account.client("sns") as sns:
        queue_url = (await sqs.create_queue(QueueName=queue_name))["QueueUrl"]
        answer = await sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        queue_arn = answer["Attributes"]["QueueArn"]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
                }
            ],
        }
        await sqs.set_queue_attributes(
            QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy)}
        )
        await sns.subscribe(
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=queue_arn,
            Attributes={"RawMessageDelivery": "true"},
        )
        yield Completions(sqs=sqs, queue_url=queue_url)
