"""Checks the table and its indexes against data.yaml."""

from collections.abc import Mapping
from typing import Any

from ops.cloudformation import Template
from safelight.aws.day_index import DAY_INDEX
from safelight.aws.searching import OWNER_INDEX

INDEXES = (OWNER_INDEX, DAY_INDEX)
"""The indexes that lists and searches read."""
_USABLE = ("ACTIVE", "UPDATING")
"""States in which DynamoDB answers requests."""


def faults_of_table(table: Mapping[str, Any]) -> list[str]:
    """List what is wrong with a table as DescribeTable describes it."""
    faults = []
    if (keys := _keys(table)) != {"imageId": "HASH"}:
        faults.append(f"its key is {keys}, not imageId alone")
    if table["TableStatus"] not in _USABLE:
        faults.append(f"it is {table['TableStatus']}")
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", ())}
    for name in INDEXES:
        if name in indexes:
            faults += _faults_of_index(indexes[name], _declared()[name])
        else:
            faults.append(f"it has no index {name}: deploy data.yaml")
    return faults


def _faults_of_index(index: Mapping[str, Any], declared: Mapping[str, Any]) -> list[str]:
    name, faults = index["IndexName"], []
    status = index.get("IndexStatus", "ACTIVE")  # the embedded AWS gives none
    if status not in _USABLE:
        built = "still being built" if status == "CREATING" else "not usable"
        faults.append(f"index {name} is {built} ({status})")
    if (keys := _keys(index)) != _keys(declared):
        faults.append(f"index {name} has the key {keys}, not {_keys(declared)}")
    missing = sorted(_projected(declared) - _projected(index))
    if missing and index["Projection"]["ProjectionType"] != "ALL":
        faults.append(f"index {name} lacks {', '.join(missing)}")
    return faults


def _declared() -> dict[str, Any]:
    table = Template.read("data.yaml").resources("AWS::DynamoDB::Table")["Table"]
    return {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}


def _keys(described: Mapping[str, Any]) -> dict[str, str]:
    return {key["AttributeName"]: key["KeyType"] for key in described["KeySchema"]}


def _projected(index: Mapping[str, Any]) -> set[str]:
    return set(index["Projection"].get("NonKeyAttributes", ()))
