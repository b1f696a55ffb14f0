"""A table of DynamoDB as a value: moto evaluates the real expressions, one item at a time.

`CallingClient` takes the place of a client of DynamoDB in `Records` and turns its requests into
`Call`s. `Table.carry` answers them. So the conditions that are tested are those in the code.
"""

import json
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tests.support.interleavings import Answer, Call

Items = frozenset[tuple[str, str]]
"""The items of a table: each key with the item in DynamoDB's JSON. An item that is absent is not
in it."""
_TIMES = (":completedAt", ":processingTimeMs")
"""Attributes that differ from run to run, and that no condition reads."""


class ConditionalCheckFailed(ClientError):
    """The error of a condition that does not hold."""


class CallingClient:
    """A client of DynamoDB whose requests are calls of a program."""

    exceptions = SimpleNamespace(ConditionalCheckFailedException=ConditionalCheckFailed)

    async def get_item(self, **request: Any) -> Any:
        """Read an item."""
        return await self._answered("GetItem", request)

    async def update_item(self, **request: Any) -> Any:
        """Change an item, if its condition holds."""
        values = request["ExpressionAttributeValues"]
        stopped = {name: {"N": "0"} for name in _TIMES if name in values}
        request["ExpressionAttributeValues"] = {**values, **stopped}
        return await self._answered("UpdateItem", request)

    async def _answered(self, operation: str, request: Mapping[str, Any]) -> Any:
        answer = json.loads(await Call(operation, json.dumps(request, sort_keys=True)))
        if "Error" in answer:
            raise ConditionalCheckFailed(answer, operation)
        return answer


class Table:
    """Carries out calls. It must be used inside moto's `mock_aws`."""

    def __init__(self) -> None:
        self._client = boto3.client(
            "dynamodb",
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        self._client.create_table(
            TableName="images",
            KeySchema=[{"AttributeName": "imageId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "imageId", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self._changed = cache(self._change)

    def carry(self, items: Items, call: Call) -> tuple[Items, Answer]:
        """Carry out a call; return the items after it, and the answer."""
        request = json.loads(call.arguments)
        key = request["Key"]["imageId"]["S"]
        item = dict(items).get(key)
        if call.operation == "GetItem":
            return items, "{}" if item is None else f'{{"Item": {item}}}'
        changed, answer = self._changed(item, call.arguments)
        return (items - {(key, item or "")}) | {(key, changed)} if changed else items, answer

    def _change(self, item: str | None, arguments: str) -> tuple[str | None, Answer]:
        """Update one item; return it, or None if nothing changed, and the answer."""
        request = json.loads(arguments)
        place = {"TableName": "images", "Key": request["Key"]}
        self._client.delete_item(**place)
        if item is not None:
            self._client.put_item(TableName="images", Item=json.loads(item))
        try:
            answer = self._client.update_item(**request)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return None, _without_metadata(error.response)
        changed = self._client.get_item(**place)["Item"]
        return json.dumps(changed, sort_keys=True), _without_metadata(answer)


def _without_metadata(answer: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    return json.dumps(kept, sort_keys=True)
