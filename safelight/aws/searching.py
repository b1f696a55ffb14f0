"""Writes a search as a DynamoDB query of the index by user."""

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.conditions import And, Attr, ConditionBase, ConditionExpressionBuilder, Key
from boto3.dynamodb.types import TypeSerializer

from safelight.search import Position, Range, Search

OWNER_INDEX = "owner-index"
_OPEN = Range(least=0, most=2**53)

_serialize = TypeSerializer().serialize


def query_of(search: Search, *, after: Position | None, most: int) -> dict[str, Any]:
    """Return the arguments of a Query that reads up to `most` images behind a position."""
    arguments: dict[str, Any] = {
        "IndexName": OWNER_INDEX,
        "ScanIndexForward": not search.newest_first,
        "Limit": most,
        **_expressions(search),
    }
    if after is not None:
        start = {
            "userId": search.user_id,
            "uploadedAt": after.uploaded_at,
            "imageId": after.image_id,
        }
        arguments["ExclusiveStartKey"] = {key: _serialize(value) for key, value in start.items()}
    return arguments


def _expressions(search: Search) -> dict[str, Any]:
    builder = ConditionExpressionBuilder()
    found = builder.build_expression(_key_of(search), is_key_condition=True)
    kept = builder.build_expression(_filter_of(search))
    values: Mapping[str, Any] = {
        **found.attribute_value_placeholders,
        **kept.attribute_value_placeholders,
    }
    return {
        "KeyConditionExpression": found.condition_expression,
        "FilterExpression": kept.condition_expression,
        "ExpressionAttributeNames": {
            **found.attribute_name_placeholders,
            **kept.attribute_name_placeholders,
        },
        "ExpressionAttributeValues": {name: _serialize(value) for name, value in values.items()},
    }


def _key_of(search: Search) -> ConditionBase:
    uploaded = search.uploaded
    least = _OPEN.least if uploaded.least is None else uploaded.least
    most = _OPEN.most if uploaded.most is None else uploaded.most
    return Key("userId").eq(search.user_id) & Key("uploadedAt").between(least, most)


def _filter_of(search: Search) -> ConditionBase:
    conditions: list[ConditionBase] = [Attr("status").is_in([str(one) for one in search.statuses])]
    if search.media_types:
        conditions.append(Attr("mediaType").is_in(list(search.media_types)))
    for name, sides in (("width", search.width), ("height", search.height)):
        if sides.least is not None:
            conditions.append(Attr(name).gte(sides.least))
        if sides.most is not None:
            conditions.append(Attr(name).lte(sides.most))
    if search.filename:
        conditions.append(Attr("filename").begins_with(search.filename))
    filtered = conditions[0]
    for condition in conditions[1:]:
        filtered = And(filtered, condition)
    return filtered
