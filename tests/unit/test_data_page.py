"""docs/operate/data.md says what the templates say about data."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.uploads import A_DAY, PENDING_SECONDS
from tests.support.templates import Resolved, read, statements, words

PAGE = (Path(__file__).parents[2] / "docs" / "operate" / "data.md").read_text()
DATA = Resolved("data")
KINDS = {
    "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SNS::Topic",
    "AWS::SecretsManager::Secret",
}  # fmt: skip
RESOURCES = [name for name, one in DATA.resources.items() if one["Type"] in KINDS]
READS = {"s3:GetObject", "dynamodb:GetItem", "dynamodb:Query", "sqs:ReceiveMessage"}
WRITES = {
    "s3:PutObject", "dynamodb:PutItem", "dynamodb:UpdateItem", "sqs:SendMessage", "sns:Publish",
}  # fmt: skip


def rows(heading: str) -> dict[str, list[str]]:
    """Read the table below a heading: the cells of each resource."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in found}


def policies(resource: str, actions: Collection[str]) -> Iterator[str]:
    """Find the policies of programs that allow one of these actions on a resource."""
    for name, statement in statements(DATA.resources):
        of_program = DATA.resources[name]["Type"] == "AWS::IAM::ManagedPolicy"
        if of_program and {*words(statement["Action"])} & {*actions}:
            places = (re.search(r"<(\w+)", one) for one in words(statement["Resource"]))
            if resource in {place[1] for place in places if place}:
                yield name.removesuffix("Policy")


def kept(resource: str) -> str:
    """Say how long a resource keeps what it holds."""
    one = DATA.properties(resource)
    if "MessageRetentionPeriod" in one:
        return f"{one['MessageRetentionPeriod'] // A_DAY} days"
    rules = one.get("LifecycleConfiguration", {}).get("Rules", [])
    assert all("ExpirationInDays" not in rule for rule in rules)
    # It would delete a settled version that a stale upload hides.
    assert all("NoncurrentVersionExpiration" not in rule for rule in rules)
    if "TimeToLiveSpecification" in one:
        days = PENDING_SECONDS // A_DAY
        return f"until deleted; uploads that never arrived until {days} days after their URL ended"
    return "until deleted"


def encryption(resource: str) -> str:
    """Say what encrypts a resource at rest."""
    one = DATA.properties(resource)
    match DATA.resources[resource]["Type"]:
        case "AWS::S3::Bucket":
            (rule,) = one["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            return f"SSE-S3 ({rule['ServerSideEncryptionByDefault']['SSEAlgorithm']})"
        case "AWS::SQS::Queue":
            assert one["SqsManagedSseEnabled"] is True
            return "SQS (SSE-SQS)"
        case "AWS::DynamoDB::Table":
            assert "SSESpecification" not in one
            return "DynamoDB, with a key of AWS"
        case "AWS::SNS::Topic":
            assert "KmsMasterKeyId" not in one
            assert "KmsMasterKeyId" in Resolved(
                "data", TopicKeyArn="arn:aws:kms:eu-central-1:1:key/k"
            ).properties(resource)
            return "nothing, or your key (`TopicKeyArn`)"
    assert "KmsKeyId" not in one
    return "Secrets Manager, with a key of AWS"


@pytest.mark.parametrize(
    "heading",
    ["What is where", "How long, and how it is protected", "Who may read and write it"],
)
def test_each_table_has_every_resource_that_holds_data(heading: str) -> None:
    assert sorted(rows(heading)) == sorted(RESOURCES)


@pytest.mark.parametrize("resource", RESOURCES)
def test_time_encryption_and_end_are_those_of_the_template(resource: str) -> None:
    time, encrypted, end = rows("How long, and how it is protected")[resource]
    if resource not in ("Topic", "IdSecret"):
        assert time == kept(resource)
    assert encrypted == encryption(resource)
    stays = str(DATA.resources[resource].get("DeletionPolicy")).startswith("Retain")
    assert end.startswith("stays" if stays else "is deleted")


@pytest.mark.parametrize("resource", RESOURCES)
def test_readers_and_writers_are_those_of_the_policies(resource: str) -> None:
    read_by, written_by = rows("Who may read and write it")[resource]
    readers, writers = ([*policies(resource, actions)] for actions in (READS, WRITES))
    if readers:
        assert read_by == ", ".join(dict.fromkeys(readers))
    else:
        assert resource in ("Topic", "IdSecret")
    assert written_by.partition(":")[0] == (", ".join(dict.fromkeys(writers)) or "none")


def test_the_other_facts_of_the_page_are_those_of_the_templates() -> None:
    table = DATA.properties("Table")
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert f"`{table['GlobalSecondaryIndexes'][0]['IndexName']}`" in PAGE
    assert DATA.properties("UploadsBucket")["VersioningConfiguration"]["Status"] == "Enabled"
    for name in ("web", "workers", "cleanup"):
        days = read(name)["Parameters"]["LogDays"]["Default"]
        assert f"kept for {days} days (`LogDays`" in PAGE
    refusing = {
        DATA.resources[name]["Type"]
        for name, statement in statements(DATA.resources)
        if _without_tls(statement)
    }
    assert refusing == {"AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"}


def _without_tls(statement: dict[str, Any]) -> bool:
    condition = statement.get("Condition", {}).get("Bool", {})
    return statement["Effect"] == "Deny" and condition.get("aws:SecureTransport") == "false"
