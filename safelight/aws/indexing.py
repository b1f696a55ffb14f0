"""What the indexes lack of settled records: the edge of `safelight reindex`."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from safelight.aws.batches import read_batch
from safelight.aws.dependency import Dependency
from safelight.aws.items import written
from safelight.record import Record
from safelight.tags import TagEntry

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

_NEEDED = (
    "imageId", "userId", "uploadedAt", "originalKey", "status", "tags", "tagsVersion",
    "completedAt", "day", "schemaVersion",
)  # fmt: skip


class Indexing:
    """Reads what the indexes need from the table, and writes the day of a record."""

    def __init__(self, client: "DynamoDBClient", dependency: Dependency, *, table: str) -> None:
        self._client = client
        self._dependency = dependency
        self._table = table

    async def read(self, image_ids: Sequence[str]) -> Mapping[str, Record]:
        """Read up to 100 records by image id, with the attributes that indexes need."""
        items = await read_batch(
            self._client, self._dependency, table=self._table, keys=image_ids, attributes=_NEEDED
        )
        return {item["imageId"]: Record.from_item(item) for item in items}

    async def listed(self, entries: Sequence[TagEntry]) -> frozenset[TagEntry]:
        """Return which of up to 100 tag entries are in the index."""
        items = await read_batch(
            self._client,
            self._dependency,
            table=self._table,
            keys=[entry.key for entry in entries],
            attributes=("imageId", "userId"),
        )
        there = {item["imageId"] for item in items if "userId" in item}
        return frozenset(entry for entry in entries if entry.key in there)

    async def put_day(self, read: Record, day: str) -> None:
        """Write the day of a record that was read, unless it was settled or erased since."""
        async with self._dependency.call("UpdateItem", self._table):
            with contextlib.suppress(self._client.exceptions.ConditionalCheckFailedException):
                await self._client.update_item(
                    TableName=self._table,
                    Key={"imageId": {"S": read.image_id}},
                    UpdateExpression="SET #day = :day",
                    ConditionExpression="#status = :status AND completedAt = :completedAt",
                    ExpressionAttributeNames={"#day": "day", "#status": "status"},
                    ExpressionAttributeValues=written(
                        {
                            ":day": day,
                            ":status": str(read.status),
                            ":completedAt": read.completed_at,
                        }
                    ),
                )
