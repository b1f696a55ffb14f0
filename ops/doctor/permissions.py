"""Checks that the caller has a program's permissions, by calls that change nothing.

The list comes from the policies in data.yaml. Each probe is a real call with no effect: it names a
missing object, or has an argument that AWS refuses after the permission check.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ops.cloudformation import Template
from ops.doctor.findings import Finding
from ops.doctor.places import ANY, DISTRIBUTION, Places
from safelight.aws.day_index import DAY_INDEX
from safelight.aws.failures import FOREIGN, code_of
from safelight.aws.records import NOBODY
from safelight.aws.searching import OWNER_INDEX

POLICIES = {
    "worker": "UploadsWorkerPolicy",
    "api": "ApiPolicy",
    "delivery": "DeliveryPolicy",
    "cleanup": "CleanupPolicy",
}
"""Policy in data.yaml by program; a worker in the role `renders` has `RENDERS_POLICY`."""
RENDERING = frozenset({"worker", "delivery"})
"""The roles that have render children."""
RENDERS_POLICY = "RendersWorkerPolicy"
DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Forbidden",
    }
)
HARMLESS = frozenset(
    {
        "404",
        "BadDigest",
        "ConditionalCheckFailedException",
        "InconsistentQuantities",
        "InvalidDigest",
        "InvalidImageFormatException",
        "InvalidMessageContents",
        "InvalidParameter",
        "InvalidParameterException",
        "NoSuchInvalidation",
        "NoSuchKey",
        "NoSuchVersion",
        "ReceiptHandleIsInvalid",
        "XAmzContentChecksumMismatch",
    }
)
"""Error codes of a probe that was permitted and then failed as intended."""
LISTING = {"s3:GetObject": "s3:ListBucket", "s3:GetObjectVersion": "s3:ListBucketVersions"}
"""Without this permission S3 answers 403 instead of 404 for a missing object."""

_KEY = "safelight-doctor/none"
_OTHER_SHA256 = "A" * 43 + "="
_NEVER = "attribute_exists(imageId)"
_TOO_LONG = 1_000_000
"""Bytes of a message that SNS refuses: its limit is 256 KiB."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One action on one resource in data.yaml, such as `UploadsBucket/uploads/*`."""

    action: str
    resource: str


Probe = Callable[[Places], Awaitable[Any]]


def _nobody() -> dict[str, Any]:
    return {"imageId": {"S": NOBODY}}


def _get(bucket: str, prefix: str, **which: str) -> Probe:
    return lambda at: at.s3.get_object(
        Bucket=getattr(at.settings, bucket), Key=prefix + _KEY, **which
    )


def _put(bucket: str, prefix: str) -> Probe:
    return lambda at: at.s3.put_object(
        Bucket=getattr(at.settings, bucket),
        Key=prefix + _KEY,
        Body=b"refused, because this is not its checksum",
        ChecksumSHA256=_OTHER_SHA256,
    )


def _erase(bucket: str, prefix: str) -> Probe:
    """Delete an object on condition that it exists: without that, S3 would add a delete marker."""
    return lambda at: at.s3.delete_object(
        Bucket=getattr(at.settings, bucket), Key=prefix + _KEY, IfMatch="*"
    )


def _erase_version(bucket: str, prefix: str) -> Probe:
    return lambda at: at.s3.delete_object(
        Bucket=getattr(at.settings, bucket), Key=prefix + _KEY, VersionId="null"
    )


def _list(bucket: str, operation: str) -> Probe:
    return lambda at: getattr(at.s3, operation)(Bucket=getattr(at.settings, bucket), MaxKeys=1)


def _send(queue: str) -> Probe:
    return lambda at: at.sqs.send_message(QueueUrl=at.queue_url(queue), MessageBody="\0")


def _measure(queue: str) -> Probe:
    return lambda at: at.sqs.get_queue_attributes(
        QueueUrl=at.queue_url(queue), AttributeNames=["QueueArn"]
    )


def _receive(queue: str) -> Probe:
    """Receive a message, if there is any, and return it at once: that adds one to its count."""
    return lambda at: at.sqs.receive_message(
        QueueUrl=at.queue_url(queue), VisibilityTimeout=0, WaitTimeSeconds=0
    )


def _delete(queue: str) -> Probe:
    return lambda at: at.sqs.delete_message_batch(
        QueueUrl=at.queue_url(queue), Entries=[{"Id": "0", "ReceiptHandle": "none"}]
    )


def _hide(queue: str) -> Probe:
    return lambda at: at.sqs.change_message_visibility_batch(
        QueueUrl=at.queue_url(queue),
        Entries=[{"Id": "0", "ReceiptHandle": "none", "VisibilityTimeout": 0}],
    )


UPLOADS, ASSETS = ("uploads_bucket", "uploads/"), ("assets_bucket", "images/")
LEDGER, COUNTS = (UPLOADS[0], "erasures/"), (UPLOADS[0], "erasures/users/")
FACES = Permission("rekognition:DetectFaces", ANY)
"""What every program that looks for faces needs, from the policies of workers.yaml and web.yaml."""
CACHES = tuple(
    Permission(f"cloudfront:{action}", DISTRIBUTION)
    for action in ("CreateInvalidation", "GetInvalidation")
)
"""What CleanupPolicy has in addition if data.yaml has a DistributionArn."""
PROBES: Mapping[Permission, Probe] = {
    Permission("s3:GetObject", "UploadsBucket/uploads/*"): _get(*UPLOADS),
    Permission("s3:GetObject", "UploadsBucket/erasures/users/*"): _get(*COUNTS),
    Permission("s3:GetObject", "AssetsBucket/images/*"): _get(*ASSETS),
    Permission("s3:GetObjectVersion", "UploadsBucket/uploads/*"): _get(*UPLOADS, VersionId="null"),
    Permission("s3:GetObject", "UploadsBucket/erasures/*"): _get(*LEDGER),
    Permission("s3:PutObject", "UploadsBucket/uploads/*"): _put(*UPLOADS),
    Permission("s3:PutObject", "UploadsBucket/erasures/*"): _put(*LEDGER),
    Permission("s3:PutObject", "AssetsBucket/images/*"): _put(*ASSETS),
    Permission("s3:DeleteObject", "UploadsBucket/uploads/*"): _erase(*UPLOADS),
    Permission("s3:DeleteObject", "AssetsBucket/images/*"): _erase(*ASSETS),
    Permission("s3:DeleteObjectVersion", "UploadsBucket/uploads/*"): _erase_version(*UPLOADS),
    Permission("s3:ListBucket", "UploadsBucket"): _list(UPLOADS[0], "list_objects_v2"),
    Permission("s3:ListBucket", "AssetsBucket"): _list(ASSETS[0], "list_objects_v2"),
    Permission("s3:ListBucketVersions", "UploadsBucket"): _list(UPLOADS[0], "list_object_versions"),
    **{
        Permission(f"sqs:{action}", queue): probe(queue)
        for queue in ("UploadsQueue", "RendersQueue", "CleanupQueue")
        for action, probe in (
            ("ReceiveMessage", _receive),
            ("DeleteMessage", _delete),
            ("ChangeMessageVisibility", _hide),
            ("GetQueueAttributes", _measure),
        )
    },
    Permission("sqs:GetQueueAttributes", "DeadLetterQueue"): _measure("DeadLetterQueue"),
    Permission("sqs:SendMessage", "RendersQueue"): _send("RendersQueue"),
    Permission("sqs:SendMessage", "CleanupQueue"): _send("CleanupQueue"),
    Permission("sqs:SendMessage", "DeadLetterQueue"): _send("DeadLetterQueue"),
    Permission("dynamodb:GetItem", "Table"): lambda at: at.dynamodb.get_item(
        TableName=at.settings.table, Key=_nobody()
    ),
    Permission("dynamodb:BatchGetItem", "Table"): lambda at: at.dynamodb.batch_get_item(
        RequestItems={at.settings.table: {"Keys": [_nobody()]}}
    ),
    Permission("dynamodb:PutItem", "Table"): lambda at: at.dynamodb.put_item(
        TableName=at.settings.table, Item=_nobody(), ConditionExpression=_NEVER
    ),
    Permission("dynamodb:UpdateItem", "Table"): lambda at: at.dynamodb.update_item(
        TableName=at.settings.table, Key=_nobody(), ConditionExpression=_NEVER
    ),
    Permission("dynamodb:DeleteItem", "Table"): lambda at: at.dynamodb.delete_item(
        TableName=at.settings.table, Key=_nobody(), ConditionExpression=_NEVER
    ),
    Permission("dynamodb:Query", f"Table/index/{OWNER_INDEX}"): lambda at: at.dynamodb.query(
        TableName=at.settings.table,
        IndexName=OWNER_INDEX,
        KeyConditionExpression="userId = :user",
        ExpressionAttributeValues={":user": {"S": _KEY}},
        Limit=1,
    ),
    Permission("dynamodb:Query", f"Table/index/{DAY_INDEX}"): lambda at: at.dynamodb.query(
        TableName=at.settings.table,
        IndexName=DAY_INDEX,
        KeyConditionExpression="#day = :day",
        ExpressionAttributeNames={"#day": "day"},
        ExpressionAttributeValues={":day": {"S": _KEY}},
        Limit=1,
    ),
    Permission("sns:Publish", "Topic"): lambda at: at.sns.publish(
        TopicArn=at.settings.topic_arn, Message="x" * _TOO_LONG
    ),
    FACES: lambda at: at.rekognition.detect_faces(Image={"Bytes": b"no picture"}),
    CACHES[0]: lambda at: at.cloudfront.create_invalidation(
        DistributionId=at.settings.distribution_id,
        InvalidationBatch={"Paths": {"Quantity": 1, "Items": []}, "CallerReference": _KEY},
    ),
    CACHES[1]: lambda at: at.cloudfront.get_invalidation(
        DistributionId=at.settings.distribution_id, Id="NONE"
    ),
}


def policy_of(role: str, worker_role: str) -> str:
    """Return the name of the policy that a program holds."""
    return RENDERS_POLICY if (role, worker_role) == ("worker", "renders") else POLICIES[role]


def permissions_of(policy: str) -> list[Permission]:
    """List the permissions that a managed policy in data.yaml grants."""
    policies = Template.read("data.yaml").resources("AWS::IAM::ManagedPolicy")
    return [
        Permission(action, _shown(resource))
        for statement in policies[policy]["PolicyDocument"]["Statement"]
        for action in _words(statement["Action"])
        for resource in _words(statement["Resource"])
    ]


async def look_at_permissions(role: str, places: Places) -> list[Finding]:
    """Probe every permission that a role needs."""
    permissions = permissions_of(policy_of(role, places.settings.worker_role))
    permissions += [FACES] if role in RENDERING else []
    permissions += CACHES if role == "cleanup" else ()
    looked = [one for one in permissions if places.named(one.resource)]
    return list(await asyncio.gather(*(_look(one, places) for one in looked)))


async def _look(permission: Permission, places: Places) -> Finding:
    finding = Finding(area="permission", what=f"{permission.action} on {permission.resource}")
    try:
        await PROBES[permission](places)
    except FOREIGN as error:
        return _judged(finding, permission, places.arn(permission.resource), error)
    return finding


def _judged(finding: Finding, permission: Permission, arn: str, error: Exception) -> Finding:
    code, said = code_of(error), str(error)
    if code in HARMLESS:
        return finding
    if code not in DENIED:
        return Finding(area=finding.area, what=finding.what, state="failed", detail=said)
    listing = LISTING.get(permission.action)
    meant = re.search(r"not authorized to perform: ([\w:]+)", said)
    if listing and meant and meant[1] == listing:
        return finding  # only the permission to see a 404 is missing
    if listing and not meant and isinstance(error, ClientError):
        detail = f"refused; without {listing} S3 answers the same for a missing object"
        return Finding(area=finding.area, what=finding.what, state="unknown", detail=detail)
    detail = f"allow {permission.action} on {arn}"
    return Finding(area=finding.area, what=finding.what, state="failed", detail=detail)


def _shown(resource: Any) -> str:
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]} | {"Ref": name}:
            return str(name)
        case str(text):
            return re.sub(r"\$\{(\w+)\.Arn\}", r"\1", text)
    raise ValueError(f"unknown form of a resource: {resource}")


def _words(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
