"""The table's description against data.yaml: its key, its indexes, their states and attributes."""

from copy import deepcopy
from typing import Any

import pytest

from ops.cloudformation import Template
from ops.doctor.table import INDEXES, faults_of_table


@pytest.fixture
def table() -> dict[str, Any]:
    """Return the table of data.yaml as DescribeTable describes it."""
    declared = Template.read("data.yaml").resources("AWS::DynamoDB::Table")["Table"]
    indexes = deepcopy(declared["GlobalSecondaryIndexes"])
    for index in indexes:
        index["IndexStatus"] = "ACTIVE"
        index["Projection"]["NonKeyAttributes"].reverse()  # DynamoDB keeps no order
    return {**declared, "TableStatus": "ACTIVE", "GlobalSecondaryIndexes": indexes}


def index_of(table: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in table["GlobalSecondaryIndexes"] if one["IndexName"] == name]
    return found  # type: ignore[no-any-return]


def test_the_table_of_data_yaml_has_no_fault(table: dict[str, Any]) -> None:
    assert faults_of_table(table) == []


def test_a_table_with_another_key_is_reported(table: dict[str, Any]) -> None:
    table["KeySchema"] = [{"AttributeName": "id", "KeyType": "HASH"}]
    assert faults_of_table(table) == ["its key is {'id': 'HASH'}, not imageId alone"]


@pytest.mark.parametrize("name", INDEXES)
def test_a_missing_index_is_reported(table: dict[str, Any], name: str) -> None:
    table["GlobalSecondaryIndexes"].remove(index_of(table, name))
    assert faults_of_table(table) == [f"it has no index {name}: deploy data.yaml"]


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_is_still_being_built_is_reported(table: dict[str, Any], name: str) -> None:
    index_of(table, name)["IndexStatus"] = "CREATING"
    assert faults_of_table(table) == [f"index {name} is still being built (CREATING)"]


def test_an_index_that_is_being_deleted_is_reported(table: dict[str, Any]) -> None:
    index_of(table, "day-index")["IndexStatus"] = "DELETING"
    assert faults_of_table(table) == ["index day-index is not usable (DELETING)"]


def test_an_index_answers_while_it_is_updated(table: dict[str, Any]) -> None:
    index_of(table, "owner-index")["IndexStatus"] = table["TableStatus"] = "UPDATING"
    assert faults_of_table(table) == []


def test_an_index_with_another_key_is_reported(table: dict[str, Any]) -> None:
    index_of(table, "owner-index")["KeySchema"].pop()
    (fault,) = faults_of_table(table)
    assert fault.startswith("index owner-index has the key {'userId': 'HASH'}, not ")


@pytest.mark.parametrize("name", INDEXES)
def test_attributes_that_an_index_lacks_are_named(table: dict[str, Any], name: str) -> None:
    projection = index_of(table, name)["Projection"]
    projection["NonKeyAttributes"] = [
        one for one in projection["NonKeyAttributes"] if one not in ("tags", "mediaType")
    ]
    assert faults_of_table(table) == [f"index {name} lacks mediaType, tags"]


def test_an_index_of_keys_alone_lacks_all_attributes(table: dict[str, Any]) -> None:
    index_of(table, "day-index")["Projection"] = {"ProjectionType": "KEYS_ONLY"}
    (fault,) = faults_of_table(table)
    assert "filename" in fault


def test_an_index_of_all_attributes_lacks_none(table: dict[str, Any]) -> None:
    index_of(table, "owner-index")["Projection"] = {"ProjectionType": "ALL"}
    assert faults_of_table(table) == []
