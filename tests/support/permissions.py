"""Lists the permissions that data.yaml grants, and makes principals that lack one of them."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ops.local.account import Account, Principal
from ops.local.stack import create_principal
from tests.support.faults.proxy import Answer, Call, Fault, Forward, refused
from tests.support.templates import Resolved, words

_BATCHES = {
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
}
"""Actions that include batch calls on AWS, and that the embedded AWS checks separately."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One action of one statement of one policy."""

    policy: str
    sid: str
    action: str

    def __str__(self) -> str:
        return f"{self.policy}-{self.sid}-{self.action}"


def permissions_of(policy: str, **parameters: str) -> list[Permission]:
    """List the permissions of a managed policy of data.yaml with these parameters, as on AWS."""
    document = Resolved("data", **parameters).properties(policy)["PolicyDocument"]
    return [
        Permission(policy, statement["Sid"], action)
        for statement in document["Statement"]
        for action in words(statement["Action"])
    ]


class Refusals:
    """The calls that a program was refused, as observed by a proxy."""

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.came = asyncio.Event()

    def see(self, call: Call, answer: Answer) -> None:
        some = call.operation == "POST"  # S3 may refuse some deletions of a batch
        if (answer.status in (400, 403) or some) and (
            b"AccessDenied" in answer.body or b"Authoriz" in answer.body
        ):
            self.operations.append(call.operation)
            self.came.set()


async def principal_without(account: Account, permission: Permission, *, stack: str) -> Principal:
    """Create a principal that has the stack's policy except for this one permission."""
    async with account.client("cloudformation") as cloudformation, account.client("iam") as iam:
        answer = await cloudformation.describe_stack_resource(
            StackName=stack, LogicalResourceId=permission.policy
        )
        arn = answer["StackResourceDetail"]["PhysicalResourceId"]
        version = (await iam.get_policy(PolicyArn=arn))["Policy"]["DefaultVersionId"]
        answer = await iam.get_policy_version(PolicyArn=arn, VersionId=version)
    document = answer["PolicyVersion"]["Document"]
    if isinstance(document, str):
        document = json.loads(document)
    name = "lacking-" + re.sub(r"\W", "-", str(permission))
    return await create_principal(
        account, f"{stack}-{name}", document=_reduced(document, permission)
    )


def hiding_what_is_gone(door: Account) -> Fault:
    """Answer 403 instead of 404 to a caller who may not list the bucket, as S3 documents.

    The embedded AWS answers 404 to every caller. A list request of the same caller shows whether it
    may list.
    """

    async def fault(call: Call, forward: Forward) -> Answer:
        answer = await forward()
        if answer.status != 404:
            return answer
        bucket = call.path.split("/")[1]
        async with door.client("s3") as s3:
            versions = b"NoSuchVersion" in answer.body
            listing = s3.list_object_versions if versions else s3.list_objects_v2
            try:
                await listing(Bucket=bucket, MaxKeys=1)
            except ClientError:
                return await refused(403, "AccessDenied")(call, forward)
        return answer

    return fault


def _reduced(document: Mapping[str, Any], permission: Permission) -> dict[str, Any]:
    lacking = {permission.action, _BATCHES.get(permission.action)}
    statements = []
    for statement in document["Statement"]:
        ours = statement["Sid"] == permission.sid or statement["Sid"].endswith("InBatches")
        kept = [one for one in words(statement["Action"]) if not ours or one not in lacking]
        if kept:
            statements.append({**statement, "Action": kept})
    assert statements != document["Statement"], f"{permission} is not in the policy"
    return {**document, "Statement": statements}
