"""Publishes the completions of settled images through SNS."""

import re
from typing import TYPE_CHECKING

from safelight.aws.dependency import Dependency
from safelight.completion import Completion

if TYPE_CHECKING:
    from types_aiobotocore_sns import SNSClient
    from types_aiobotocore_sns.type_defs import MessageAttributeValueTypeDef

_REFUSED_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that SNS and SQS refuse: all that XML 1.0 does not allow."""

PUBLISH_SECONDS = 5
"""The time limit in seconds. The picture occupies its slot meanwhile, and the next one waits."""


class Topic:
    """One SNS topic."""

    def __init__(self, client: "SNSClient", dependency: Dependency, *, topic_arn: str) -> None:
        self._client = client
        self._dependency = dependency
        self._topic_arn = topic_arn

    async def publish(self, completion: Completion) -> None:
        """Publish a completion; filter policies can use its `outcome` and `userId`.

        A repeat has the same id, so that receivers can drop it. A frozen worker may publish an
        older settlement late; receivers know it by its lower `sequence`.
        """
        async with self._dependency.call("Publish", self._topic_arn, seconds=PUBLISH_SECONDS):
            await self._client.publish(
                TopicArn=self._topic_arn,
                Message=completion.to_json(),
                MessageAttributes={
                    "outcome": _attribute(completion.outcome),
                    "userId": _attribute(completion.user_id),
                },
            )


def _attribute(value: str) -> "MessageAttributeValueTypeDef":
    """Build an attribute from any text; SNS refuses an empty value."""
    return {
        "DataType": "String",
        "StringValue": _REFUSED_CHARACTERS.sub("\ufffd", value) or "\ufffd",
    }
