"""Tombstones in DynamoDB: records of erased images, with the conditions that protect them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.aws.dependency import Dependency
from safelight.aws.items import read_values, written
from safelight.erasures import By, Erasure
from safelight.record import ATTRIBUTES, SCHEMA_VERSION, Record, Status
from safelight.tags import TagEntry
from safelight.users import ERASED

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

KEPT = ("userId", "uploadedAt", "originalKey", "tags", "tagsVersion")
"""What a tombstone keeps of its record: who may read the receipt, and what has to be deleted."""
_GONE = frozenset({"originalKey", "tags", "tagsVersion"})
"""What a finished tombstone does not keep. Its key is a placeholder, as older versions need one."""
_ABSENT = "attribute_not_exists(imageId)"


class Tombstones:
    """The tombstones in the table of images."""

    def __init__(self, client: "DynamoDBClient", dependency: Dependency, *, table: str) -> None:
        self._client = client
        self._dependency = dependency
        self._table = table

    async def erase(
        self, image_id: str, *, before: Status | None, by: By, requested_at: int, at: int
    ) -> Record | None:
        """Write a tombstone in place of a record with the status `before`, and return it.

        `before` is None if the image has no record. Times are milliseconds since 1970. Returns
        None, and changes nothing, if the image has another status by now.
        """
        erasure = Erasure(requested_at=requested_at, was_pending=before is Status.PENDING)
        item: dict[str, Any] = {
            "status": str(Status.ERASED),
            "erasedAt": at,
            "erasedBy": by,
            "erasure": erasure.to_item(),
            "schemaVersion": SCHEMA_VERSION,
        }
        if before is None:
            item |= {"userId": ERASED, "uploadedAt": at, "originalKey": ERASED}
            return await self._update(image_id, item, frozenset(), _ABSENT, {})
        removed = ATTRIBUTES - item.keys() - {"imageId", *KEPT}
        return await self._update(
            image_id, item, removed, "#status = :before", {":before": str(before)}
        )

    async def advance(
        self, read: Record, erasure: Erasure, *, expires_at: int | None = None
    ) -> Record | None:
        """Write the progress of an erasure whose tombstone was read; return the new tombstone.

        With `expires_at`, in seconds since 1970, the erasure is finished: the tombstone keeps only
        what its receipt needs. Returns None, and changes nothing, if it has progressed meanwhile.
        """
        before = read.erasure.step if read.erasure else 0
        item: dict[str, Any] = {
            "erasure": erasure.model_copy(update={"step": before + 1}).to_item()
        }
        removed = {"expiresAt"}
        if expires_at is not None:
            item |= {"originalKey": ERASED, "expiresAt": expires_at}
            removed = set(_GONE)
        return await self._update(
            read.image_id,
            item,
            removed - item.keys(),
            "#status = :erased AND erasure.#step = :step",
            {":erased": str(Status.ERASED), ":step": before},
        )

    async def forget_user(self, tombstone: Record) -> None:
        """Take the user out of a tombstone, which then is in no list of a user any more."""
        await self._update(
            tombstone.image_id,
            {"userId": ERASED},
            frozenset(),
            "#status = :erased",
            {":erased": str(Status.ERASED)},
        )

    async def delete_tag(self, entry: TagEntry) -> None:
        """Delete a tag entry, whatever its version."""
        async with self._dependency.call("DeleteItem", self._table):
            await self._client.delete_item(TableName=self._table, Key={"imageId": {"S": entry.key}})

    async def _update(
        self,
        image_id: str,
        item: Mapping[str, Any],
        removed: frozenset[str] | set[str],
        condition: str,
        values: Mapping[str, Any],
    ) -> Record | None:
        named = {name for name in ("status", "step") if f"#{name}" in condition}
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in item)
        if removed:
            update += " REMOVE " + ", ".join(f"#{name}" for name in sorted(removed))
        arguments: dict[str, Any] = {
            "ExpressionAttributeNames": {
                f"#{name}": name for name in sorted({*item, *removed, *named})
            },
            "ExpressionAttributeValues": written(
                {**{f":{name}": value for name, value in item.items()}, **values}
            ),
        }
        async with self._dependency.call("UpdateItem", self._table):
            try:
                answer = await self._client.update_item(
                    TableName=self._table,
                    Key={"imageId": {"S": image_id}},
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ReturnValues="ALL_NEW",
                    **arguments,
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
        return Record.from_item(read_values(answer["Attributes"]))
