"""deploy/ecs/data.yaml as it is written; tests/contract/test_stack.py runs it."""

import fnmatch
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint import decode

TEMPLATE = Path(__file__).parents[2] / "deploy" / "ecs" / "data.yaml"


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    template, _ = decode.decode(str(TEMPLATE))
    return json.loads(json.dumps(template["Resources"]))  # plain values


def statements(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy, as AWS gets them."""
    found = []
    for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
        condition, if_met, _ = statement.get("Fn::If", ("always", statement, None))
        assert condition in ("always", "TlsOnly", "OnEmulator")
        found += [] if condition == "OnEmulator" else [if_met]
    return found


def words(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_cfn_lint_finds_nothing_wrong():
    linter = Path(sys.executable).with_name("cfn-lint")
    run = subprocess.run([linter, TEMPLATE], check=False, capture_output=True)
    assert run.stdout.decode() == ""
    assert run.returncode == 0


API = {
    "s3:PutObject": "${UploadsBucket.Arn}/uploads/*",
    "s3:GetObject": "${AssetsBucket.Arn}/images/*",
    "dynamodb:GetItem": "Table.Arn",
    "dynamodb:PutItem": "Table.Arn",
}
DELIVERY = {
    "dynamodb:GetItem": "Table.Arn",
    "s3:GetObject": "${AssetsBucket.Arn}/images/* ${UploadsBucket.Arn}/uploads/*",
    "s3:PutObject": "${AssetsBucket.Arn}/images/*",
    "s3:GetObjectVersion": "${UploadsBucket.Arn}/uploads/*",
    "s3:ListBucket": "UploadsBucket.Arn AssetsBucket.Arn",
    "s3:ListBucketVersions": "UploadsBucket.Arn AssetsBucket.Arn",
    "sqs:SendMessage": "Queue.Arn",
}
WORKER = {
    "sqs:ReceiveMessage": "Queue.Arn",
    "sqs:DeleteMessage": "Queue.Arn",
    "sqs:ChangeMessageVisibility": "Queue.Arn",
    "sqs:GetQueueAttributes": "Queue.Arn DeadLetterQueue.Arn",
    "sqs:SendMessage": "DeadLetterQueue.Arn",
    "s3:GetObject": "${UploadsBucket.Arn}/uploads/*",
    "s3:GetObjectVersion": "${UploadsBucket.Arn}/uploads/*",
    "s3:ListBucket": "UploadsBucket.Arn",
    "s3:ListBucketVersions": "UploadsBucket.Arn",
    "s3:PutObject": "${AssetsBucket.Arn}/images/*",
    "dynamodb:GetItem": "Table.Arn",
    "dynamodb:UpdateItem": "Table.Arn",
    "sns:Publish": "Topic",
}


@pytest.mark.parametrize(
    ("policy", "granted"),
    [("ApiPolicy", API), ("DeliveryPolicy", DELIVERY), ("WorkerPolicy", WORKER)],
)
def test_a_policy_grants_exactly_these_actions_on_exactly_these_resources(
    resources, policy, granted
):
    found: dict[str, str] = {}
    for statement in statements(resources[policy]):
        assert statement["Effect"] == "Allow"
        for action in words(statement["Action"]):
            for resource in words(statement["Resource"]):
                found[action] = f"{found.get(action, '')} {_shown(resource)}".strip()
    assert found == granted


def _shown(resource: Any) -> str:
    (value,) = resource.values()  # Ref, Fn::Sub or Fn::GetAtt
    return ".".join(words(value))


@pytest.mark.parametrize(
    "policy",
    [
        "ApiPolicy",
        "DeliveryPolicy",
        "WorkerPolicy",
        "QueuePolicy",
        "TopicPolicy",
        "UploadsBucketPolicy",
        "AssetsBucketPolicy",
    ],
)
def test_no_statement_allows_a_wildcard_action_or_everybody(resources, policy):
    for statement in statements(resources[policy]):
        if statement["Effect"] == "Allow":
            assert not any("*" in action for action in words(statement["Action"]))
            assert statement.get("Principal") != "*"
            assert statement["Resource"] != "*"


def test_the_queue_admits_only_this_stacks_uploads_bucket_of_this_account(resources):
    allow = [one for one in statements(resources["QueuePolicy"]) if one["Effect"] == "Allow"]
    assert len(allow) == 1
    assert allow[0]["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allow[0]["Action"] == "sqs:SendMessage"
    source = allow[0]["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    bucket = resources["UploadsBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    assert source == "arn:${AWS::Partition}:s3:::" + bucket
    assert allow[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


@pytest.mark.parametrize("bucket", ["UploadsBucket", "AssetsBucket"])
def test_a_bucket_is_private_encrypted_and_kept(resources, bucket):
    properties = resources[bucket]["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert "BucketEncryption" in properties
    assert resources[bucket]["DeletionPolicy"] == "RetainExceptOnCreate"


@pytest.mark.parametrize("bucket", ["UploadsBucket", "AssetsBucket"])
def test_a_bucket_refuses_whatever_comes_without_tls(resources, bucket):
    (deny,) = statements(resources[f"{bucket}Policy"])
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(deny["Resource"]) == 2


def test_every_queue_ends_in_the_dead_letter_queue_or_is_it(resources):
    queues = {n: r["Properties"] for n, r in resources.items() if r["Type"] == "AWS::SQS::Queue"}
    assert set(queues) == {"Queue", "DeadLetterQueue"}
    assert queues["Queue"]["RedrivePolicy"]["maxReceiveCount"] == 10
    kept = [queues[name]["MessageRetentionPeriod"] for name in ("DeadLetterQueue", "Queue")]
    assert kept == sorted(kept, reverse=True)


def test_the_table_can_be_restored_and_forgets_what_has_expired(resources):
    table = resources["Table"]["Properties"]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


def test_every_made_thing_is_named_in_the_outputs(resources):
    template, _ = decode.decode(str(TEMPLATE))
    told = json.dumps(template["Outputs"])
    for name, resource in resources.items():
        if not fnmatch.fnmatch(resource["Type"], "AWS::S*::*Policy"):
            assert f'"{name}"' in told or f'"{name}.' in told, name
