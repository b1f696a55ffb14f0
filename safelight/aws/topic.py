"""Publishes events through SNS: completions of settled images, and erasures."""

import re
from typing import TYPE_CHECKING, Protocol

from safelight.aws.dependency import Dependency

if TYPE_CHECKING:
    from types_aiobotocore_sns import SNSClient
    from types_aiobotocore_sns.type_defs import MessageAttributeValueTypeDef

_REFUSED_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that SNS and SQS refuse: all that XML 1.0 does not allow."""

PUBLISH_SECONDS = 5
"""The time limit in seconds. The picture occupies its slot meanwhile, and the next one waits."""


class Event(Protocol):
    """What is published, with what filter policies can use."""

    @property
    def outcome(self) -> str:
        """What became of the image."""
        ...

    @property
    def user_id(self) -> str:
        """The owner of the image."""
        ...

    def to_json(self) -> str:
        """Return the event as JSON."""
        ...


class Topic:
    """One SNS topic."""

    def __init__(self, client: "SNSClient", dependency: Dependency, *, topic_arn: str) -> None:
        self._client = client
        self._dependency = dependency
        self._topic_arn = topic_arn

    async def publish(self, event: Event) -> None:
        """Publish an event; filter policies can use its `outcome` and `userId`.

        A repeat has the same id, so that receivers can drop it. A frozen worker may publish an
        older settlement late; receivers know it by its lower `sequence`.
        """
        async with self._dependency.call("Publish", self._topic_arn, seconds=PUBLISH_SECONDS):
            await self._client.publish(
                TopicArn=self._topic_arn,
                Message=event.to_json(),
                MessageAttributes={
                    "outcome": _attribute(event.outcome),
                    "userId": _attribute(event.user_id),
                },
            )


def _attribute(value: str) -> "MessageAttributeValueTypeDef":
    """Build an attribute from any text; SNS refuses an empty value."""
    return {
        "DataType": "String",
        "StringValue": _REFUSED_CHARACTERS.sub("\ufffd", value) or "\ufffd",
    }
