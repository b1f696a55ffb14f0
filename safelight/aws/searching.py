"""Searches the index by owner: queries of DynamoDB, by time or by tag."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import And, Attr, ConditionBase, ConditionExpressionBuilder, Key

from safelight.aws.batches import MOST_IN_A_BATCH, read_batch
from safelight.aws.dependency import Dependency
from safelight.aws.items import read_values, written
from safelight.search import Found, Position, Range, Search, Summary
from safelight.tags import image_of, key_of, owner_of

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

OWNER_INDEX = "owner-index"
_OPEN = Range(least=0, most=2**53)
_SHOWN = tuple(field.alias or name for name, field in Summary.model_fields.items())


class Searcher:
    """Finds images of one user in the table."""

    def __init__(self, client: "DynamoDBClient", dependency: Dependency, *, table: str) -> None:
        self._client = client
        self._dependency = dependency
        self._table = table

    async def find(self, search: Search, *, after: Position | None, most: int) -> Found:
        """Read up to `most` images in order, and return those that the search finds."""
        if search.tags:
            return await self._find_tagged(search, after=after, most=min(most, MOST_IN_A_BATCH))
        items, inspected, ends_at = await self._query(query_of(search, after=after, most=most))
        summaries = tuple(map(Summary.model_validate, items))
        return Found(summaries=summaries, inspected=inspected, ends_at=ends_at)

    async def _find_tagged(self, search: Search, *, after: Position | None, most: int) -> Found:
        """Read entries of the first tag, then the records, which decide."""
        query = entries_query_of(search, after=after, most=most)
        items, inspected, ends_at = await self._query(query)
        image_ids = [image_of(item["imageId"]) for item in items]
        read = await self._summaries(image_ids)
        there = (read[image_id] for image_id in image_ids if image_id in read)
        summaries = tuple(filter(search.finds, there))
        tagged = sum(search.tags[0] in one.tags for one in read.values())
        stale = len(image_ids) - tagged
        return Found(summaries=summaries, inspected=inspected, ends_at=ends_at, stale=stale)

    async def _query(
        self, query: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], int, Position | None]:
        """Return the items of a Query, how many were read, and where it ended."""
        async with self._dependency.call("Query", self._table):
            answer = await self._client.query(TableName=self._table, **query)
        last = answer.get("LastEvaluatedKey")
        ends_at = None
        if last:
            values = read_values(last)
            ends_at = Position(time=values["uploadedAt"], image_id=image_of(values["imageId"]))
        return list(map(read_values, answer["Items"])), answer["ScannedCount"], ends_at

    async def _summaries(self, image_ids: Sequence[str]) -> Mapping[str, Summary]:
        """Read up to 100 records; return what a search shows of them."""
        items = await read_batch(
            self._client, self._dependency, table=self._table, keys=image_ids, attributes=_SHOWN
        )
        return {item["imageId"]: Summary.model_validate(item) for item in items}


def query_of(search: Search, *, after: Position | None, most: int) -> dict[str, Any]:
    """Return the arguments of a Query that reads up to `most` images behind a position."""
    image_id = after.image_id if after else ""
    return _query(search, search.user_id, image_id, after, most) | expressions(
        _key_of(search, search.user_id), filter_of(search)
    )


def entries_query_of(search: Search, *, after: Position | None, most: int) -> dict[str, Any]:
    """Return the arguments of a Query that reads up to `most` entries of the first tag."""
    tag = search.tags[0]
    owner = owner_of(search.user_id, tag)
    key = key_of(after.image_id, tag) if after else ""
    return _query(search, owner, key, after, most) | expressions(_key_of(search, owner), None)


def _query(
    search: Search, owner: str, key: str, after: Position | None, most: int
) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "IndexName": OWNER_INDEX,
        "ScanIndexForward": not search.newest_first,
        "Limit": most,
    }
    if after is not None:
        start = {"userId": owner, "uploadedAt": after.time, "imageId": key}
        arguments["ExclusiveStartKey"] = written(start)
    return arguments


def expressions(key: ConditionBase, filtered: ConditionBase | None) -> dict[str, Any]:
    """Return the arguments of a Query with these conditions."""
    builder = ConditionExpressionBuilder()
    found = builder.build_expression(key, is_key_condition=True)
    kept = builder.build_expression(filtered) if filtered else None
    parts = [part for part in (found, kept) if part]
    arguments = {
        "KeyConditionExpression": found.condition_expression,
        "ExpressionAttributeNames": {
            placeholder: name
            for part in parts
            for placeholder, name in part.attribute_name_placeholders.items()
        },
        "ExpressionAttributeValues": written(
            {
                placeholder: value
                for part in parts
                for placeholder, value in part.attribute_value_placeholders.items()
            }
        ),
    }
    return arguments | ({"FilterExpression": kept.condition_expression} if kept else {})


def _key_of(search: Search, owner: str) -> ConditionBase:
    uploaded = search.uploaded
    least = _OPEN.least if uploaded.least is None else uploaded.least
    most = _OPEN.most if uploaded.most is None else uploaded.most
    return Key("userId").eq(owner) & Key("uploadedAt").between(least, most)


def filter_of(search: Search) -> ConditionBase:
    """Return the conditions of a search but for its time."""
    conditions: list[ConditionBase] = [Attr("status").is_in([str(one) for one in search.statuses])]
    if search.media_types:
        conditions.append(Attr("mediaType").is_in(list(search.media_types)))
    for name, sides in (("width", search.width), ("height", search.height)):
        if sides.least is not None:
            conditions.append(Attr(name).gte(sides.least))
        if sides.most is not None:
            conditions.append(Attr(name).lte(sides.most))
    if search.keep_until:
        least, most = search.keep_until.least, search.keep_until.most
        conditions.append(
            Attr("keepUntil").between(
                _OPEN.least if least is None else least, _OPEN.most if most is None else most
            )
        )
    if search.filename:
        conditions.append(Attr("filename").begins_with(search.filename))
    filtered = conditions[0]
    for condition in conditions[1:]:
        filtered = And(filtered, condition)
    return filtered
