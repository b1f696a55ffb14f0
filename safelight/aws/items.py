"""Translates values to and from the types of DynamoDB."""

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def written(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with their types, as requests have them."""
    return {name: _serialize(value) for name, value in values.items()}


def read_values(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an item."""
    return {name: _deserialize(value) for name, value in item.items()}
