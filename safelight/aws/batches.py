"""Reads many items of the table at once."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from safelight.aws.dependency import Dependency
from safelight.aws.items import read_values
from safelight.errors import Unavailable

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

MOST_IN_A_BATCH = 100
"""The most items that DynamoDB reads in one BatchGetItem."""
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds to wait after each try to read a batch."""


async def read_batch(
    client: "DynamoDBClient",
    dependency: Dependency,
    *,
    table: str,
    keys: Sequence[str],
    attributes: Sequence[str],
) -> list[dict[str, Any]]:
    """Read these attributes of up to 100 items by `imageId`, eventually consistent, in no order.

    DynamoDB leaves out some of them while it is busy; those are read once more after a pause.
    """
    left: list[Any] = [{"imageId": {"S": key}} for key in keys]
    names = {f"#{number}": name for number, name in enumerate(attributes)}
    found: list[dict[str, Any]] = []
    for pause in (*_PAUSES, None) if left else ():
        async with dependency.call("BatchGetItem", table):
            answer = await client.batch_get_item(
                RequestItems={
                    table: {
                        "Keys": left,
                        "ProjectionExpression": ", ".join(names),
                        "ExpressionAttributeNames": names,
                    }
                }
            )
        found += map(read_values, answer["Responses"].get(table, ()))
        unread = answer["UnprocessedKeys"]
        if not unread:
            break
        if pause is None:
            raise Unavailable("dynamodb", "it is too busy to read a batch of records")
        left = list(unread[table]["Keys"])
        await asyncio.sleep(pause)
    return found
