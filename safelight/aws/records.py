"""The records of images in DynamoDB, with the conditions that protect them."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from botocore.exceptions import ClientError

from safelight.aws.day_index import DaySearcher
from safelight.aws.dependency import Dependency
from safelight.aws.items import read_values, written
from safelight.aws.searching import Searcher
from safelight.aws.waiting import waiting, waits_for
from safelight.record import ATTRIBUTES, Record, Status
from safelight.search import EVERYONE, Found, Position, Search
from safelight.tags import DROPPED_SECONDS, TagEntry

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

Result = Literal["written", "repeated", "superseded", "stale"]
"""What became of a settlement. It is `stale` if the image does not wait for its upload."""

KEPT = (
    "userId", "uploadedAt", "originalKey", "filename", "tags", "tagsVersion", "keepUntil",
    "requestHash",
)  # fmt: skip
"""Facts about the upload that the pending record knows better than the event: a settlement keeps
them. It replaces or removes all other attributes."""
COUNTED = "sequence"
"""The attribute that each settlement raises by one, whatever the settling worker knows about it."""
_SETTLED = ATTRIBUTES - {"imageId", COUNTED, *KEPT}
_ABSENT = "attribute_not_exists(imageId)"
_ABSENT_OR_FORGOTTEN = (
    f"{_ABSENT} OR (#status = :pending AND expiresAt < :soon AND requestHash = :requestHash)"
)
_NEWER = f"{_ABSENT} OR (#status <> :erased AND #originalKey = :originalKey AND %s)"
"""The condition for writing a settlement: the image has the same source object, waits for this
upload, and its current record does not settle it already (`Record.settles`)."""
NOBODY = "0" * 26
"""An image id that belongs to no image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The result of a settlement, and the current record."""

    result: Result
    record: Record

    @classmethod
    def found(cls, current: Record, *, revision: str | None) -> Self:
        """Return the result for an upload of this revision if the current record stays."""
        if current.status is Status.ERASED:
            return cls(result="superseded", record=current)
        if current.revision == revision:
            return cls(result="repeated", record=current)
        return cls(result="stale" if current.has_tokens else "superseded", record=current)


class Records:
    """The table of images."""

    def __init__(
        self,
        client: "DynamoDBClient",
        dependency: Dependency,
        *,
        table: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._dependency = dependency
        self._table = table
        self._searcher = Searcher(client, dependency, table=table)
        self._days = DaySearcher(client, dependency, table=table, now=now)

    async def get(self, image_id: str) -> Record | None:
        """Read the current record, strongly consistent; None if there is none."""
        async with self._dependency.call("GetItem", self._table):
            answer = await self._client.get_item(
                TableName=self._table, Key={"imageId": {"S": image_id}}, ConsistentRead=True
            )
        return _read(answer["Item"]) if "Item" in answer else None

    async def check(self) -> None:
        """Raise unless the table answers."""
        await self.get(NOBODY)

    async def find(self, search: Search, *, after: Position | None = None, most: int) -> Found:
        """Read up to `most` images in order, and return those that a search finds.

        For `EVERYONE` it reads one day, by at least one image of each shard.

        The index is eventually consistent: an image shows up about a second after it is written.
        """
        searcher = self._days if search.user_id == EVERYONE else self._searcher
        return await searcher.find(search, after=after, most=most)

    async def put_tag(self, entry: TagEntry) -> None:
        """Write a tag entry, unless one of a newer version of the image's tags is there."""
        await self._write_entry(
            entry,
            "SET userId = :owner, uploadedAt = :uploadedAt, #version = :version REMOVE expiresAt",
            {":owner": entry.owner, ":uploadedAt": entry.uploaded_at},
        )

    async def drop_tag(self, entry: TagEntry, *, now: float) -> None:
        """Take a tag entry out of the index, unless one of a newer version is there.

        Its version stays for a week, so that a late writer does not put the entry back. `now` is in
        seconds since 1970.
        """
        await self._write_entry(
            entry,
            "SET #version = :version, expiresAt = :end REMOVE userId, uploadedAt",
            {":end": int(now) + DROPPED_SECONDS},
        )

    async def _write_entry(
        self, entry: TagEntry, update: str, values: Mapping[str, int | str]
    ) -> None:
        async with self._dependency.call("UpdateItem", self._table):
            with contextlib.suppress(self._client.exceptions.ConditionalCheckFailedException):
                await self._client.update_item(
                    TableName=self._table,
                    Key={"imageId": {"S": entry.key}},
                    UpdateExpression=update,
                    ConditionExpression="attribute_not_exists(#version) OR #version <= :version",
                    ExpressionAttributeNames={"#version": "version"},
                    ExpressionAttributeValues=written({**values, ":version": entry.version}),
                )

    async def edit(
        self, read: Record, *, tags: tuple[str, ...], filename: str | None
    ) -> Record | None:
        """Change the tags and the file name of an image whose record was read.

        Returns the new record. Returns None, and changes nothing, if the record has another state
        or other tags by now, or another user. A file name of None stays as it is.
        """
        item: dict[str, Any] = {"tags": list(tags), "tagsVersion": read.tags_version + 1}
        item |= {"filename": filename} if filename is not None else {}
        before = {"status": str(read.status), "user": read.user_id, "version": read.tags_version}
        unnumbered = " OR attribute_not_exists(tagsVersion)" if read.tags_version == 0 else ""
        return await self._changed(
            read,
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in item),
            ConditionExpression="#status = :status AND userId = :user"
            f" AND (tagsVersion = :version{unnumbered})",
            ExpressionAttributeNames={f"#{name}": name for name in (*item, "status")},
            ExpressionAttributeValues=written(
                {f":{name}": value for name, value in (item | before).items()}
            ),
        )

    async def await_upload(
        self, read: Record, *, token: str, expires_at: int | None
    ) -> Record | None:
        """Let an image whose record was read wait for the upload with this token, and no other.

        `expires_at` (seconds since 1970) is the new end of a pending record. Returns the new
        record. Returns None, and changes nothing, if the record has another state or other tokens
        by now.
        """
        return await self._changed(read, **waiting(read, token=token, expires_at=expires_at))

    async def _changed(self, read: Record, **update: Any) -> Record | None:
        """Update a record; return the new one, or None if the update's condition fails."""
        async with self._dependency.call("UpdateItem", self._table):
            try:
                answer = await self._client.update_item(
                    TableName=self._table,
                    Key={"imageId": {"S": read.image_id}},
                    **update,
                    ReturnValues="ALL_NEW",
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
        return _read(answer["Attributes"])

    async def create(self, record: Record, *, forgotten_before: int = 0) -> Record:
        """Write a record unless its image has one; return the current one.

        A pending record for the same request that expires before `forgotten_before` (seconds since
        1970) is replaced: it could expire before its upload is settled.
        """
        async with self._dependency.call("PutItem", self._table):
            try:
                await self._client.put_item(
                    TableName=self._table,
                    Item=written(record.to_item()),
                    ConditionExpression=_ABSENT_OR_FORGOTTEN,
                    ExpressionAttributeNames={"#status": "status"},
                    ExpressionAttributeValues={
                        ":pending": {"S": str(Status.PENDING)},
                        ":soon": {"N": str(forgotten_before)},
                        ":requestHash": {"S": record.request_hash or ""},
                    },
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                return _read(_current(error))
        return record

    async def commit(self, record: Record) -> Commit:
        """Settle an upload in one conditional write, which is the only reference to its assets.

        Nothing is written if the image is erased, or this or a newer revision is settled. So of two
        settlements of one revision the first one wins, and is the one to publish. With a
        `settled_token`, the image must wait for it, and then waits for no upload. With an
        `upload_token`, it must wait for it, and goes on waiting. With neither, it must have no
        tokens. Each settlement has the next `sequence` of its image.
        """
        async with self._dependency.call("UpdateItem", self._table):
            try:
                answer = await self._client.update_item(
                    TableName=self._table,
                    Key={"imageId": {"S": record.image_id}},
                    **_settlement(record),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                return Commit.found(_read(_current(error)), revision=record.revision)
        return Commit(result="written", record=_read(answer["Attributes"]))

    async def advance(self, record: Record, *, sequencer: str) -> None:
        """Set a later sequencer in a settled record: that of its event, which arrived afterwards.

        The revision was settled by its key, without an event. Nothing changes if the record has
        another revision by now, or a sequencer that is not smaller.
        """
        async with self._dependency.call("UpdateItem", self._table):
            with contextlib.suppress(self._client.exceptions.ConditionalCheckFailedException):
                await self._client.update_item(
                    TableName=self._table,
                    Key={"imageId": {"S": record.image_id}},
                    UpdateExpression="SET sequencer = :sequencer",
                    ConditionExpression="revision = :revision AND sequencer < :sequencer",
                    ExpressionAttributeValues={
                        ":sequencer": {"S": sequencer},
                        ":revision": {"S": record.revision or ""},
                    },
                )


def _current(error: ClientError) -> Mapping[str, Any]:
    """Return the item that made the condition fail."""
    response: Mapping[str, Any] = error.response
    item: Mapping[str, Any] = response["Item"]
    return item


def _settlement(record: Record) -> dict[str, Any]:
    """Build the update: keep the upload's facts, replace the settlement's, remove leftovers."""
    item = record.model_copy(update={"expires_at": None, COUNTED: None}).to_item()
    del item["imageId"]
    sets = [
        f"#{name} = if_not_exists(#{name}, :{name})" if name in KEPT else f"#{name} = :{name}"
        for name in item
    ]
    leftovers = sorted(_SETTLED - item.keys())
    waits, awaited = waits_for(record)
    return {
        "UpdateExpression": f"SET {', '.join(sets)}"
        f" REMOVE {', '.join(f'#{name}' for name in leftovers)} ADD #{COUNTED} :one",
        "ConditionExpression": _NEWER % waits,
        "ExpressionAttributeNames": {f"#{name}": name for name in (*item, *leftovers, COUNTED)},
        "ExpressionAttributeValues": {
            **{f":{name}": value for name, value in written(item).items()},
            ":erased": {"S": str(Status.ERASED)},
            ":one": {"N": "1"},
            **awaited,
        },
    }


def _read(item: Mapping[str, Any]) -> Record:
    return Record.from_item(read_values(item))
