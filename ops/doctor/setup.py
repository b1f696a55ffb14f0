"""Checks how the resources of a deployment are configured. Only reads.

Each check is a function in the table below, with the IAM action that it needs. Without that
permission the finding is `unknown`: api and worker lack most of them, operators have them.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

from botocore.exceptions import ClientError

from ops.doctor.findings import Finding
from ops.doctor.permissions import DENIED
from ops.doctor.places import Places
from ops.doctor.table import faults_of_table
from safelight.aws.failures import FOREIGN, code_of

Faults = Sequence[str]
Check = Callable[[Places], Awaitable[Faults]]
EVENTS = ("s3:ObjectCreated:*",)
PREFIX = "uploads/"


async def _uploads_queue(at: Places) -> Faults:
    queue = await _attributes(at, "UploadsQueue")
    faults = _faults_of_queue(at, queue)
    statements = json.loads(queue.get("Policy", "{}")).get("Statement", ())
    if not any(one["Effect"] == "Deny" and _names(one, "sqs:SendMessage") for one in statements):
        faults.append("its policy does not deny sqs:SendMessage: a program could forge S3 events")
    return faults


async def _renders_queue(at: Places) -> Faults:
    return _faults_of_queue(at, await _attributes(at, "RendersQueue"))


async def _cleanup_queue(at: Places) -> Faults:
    return _faults_of_queue(at, await _attributes(at, "CleanupQueue"))


def _faults_of_queue(at: Places, queue: Mapping[str, str]) -> list[str]:
    faults = []
    policy = json.loads(queue.get("RedrivePolicy", "{}"))
    if not policy:
        faults.append("no redrive policy: a message that always fails is retried for ever")
    elif int(policy["maxReceiveCount"]) != at.settings.max_receives:
        faults.append(
            f"maxReceiveCount is {policy['maxReceiveCount']}, SAFELIGHT_MAX_RECEIVES is "
            f"{at.settings.max_receives}: make them the same"
        )
    if not 30 <= int(queue["VisibilityTimeout"]) <= 300:
        faults.append(
            f"visibility time-out is {queue['VisibilityTimeout']} s, should be 60 s: messages of a "
            "worker that dies stay hidden for so long"
        )
    if int(queue["MessageRetentionPeriod"]) < 86_400:
        faults.append("messages are kept for less than a day: a long outage loses pictures")
    return faults


async def _dead_letters(at: Places) -> Faults:
    letters = await _attributes(at, "DeadLetterQueue")
    faults = []
    for name in ("UploadsQueue", "RendersQueue", "CleanupQueue"):
        if not at.named(name):
            continue
        queue = await _attributes(at, name)
        target = json.loads(queue.get("RedrivePolicy", "{}")).get("deadLetterTargetArn")
        if target != letters["QueueArn"]:
            faults.append(f"dead letters of {name} go to {target}, not to {letters['QueueArn']}")
        if int(letters["MessageRetentionPeriod"]) <= int(queue["MessageRetentionPeriod"]):
            faults.append(
                f"dead letters are kept no longer than messages in {name}: SQS counts their age"
                " from the first sending"
            )
    return faults


async def _notification(at: Places) -> Faults:
    answer = await at.s3.get_bucket_notification_configuration(Bucket=at.settings.uploads_bucket)
    sent = {
        event
        for one in answer.get("QueueConfigurations", ())
        if one["QueueArn"] == at.arn("UploadsQueue") and _prefix(one) in ("", PREFIX)
        for event in one["Events"]
    }
    if answer.get("EventBridgeConfiguration") is not None or answer.get("TopicConfigurations"):
        return ()  # events may arrive indirectly, which is not checked
    missing = [event for event in EVENTS if not any(fnmatch(event, one) for one in sent)]
    return [f"the queue gets no {event} events for {PREFIX}" for event in missing]


async def _versioning(at: Places) -> Faults:
    answer = await at.s3.get_bucket_versioning(Bucket=at.settings.uploads_bucket)
    if answer.get("Status") != "Enabled":
        return ["versioning is off: an upload to the same key replaces a source during its render"]
    return ()


async def _cors(at: Places) -> Faults:
    origins = [one.strip() for one in at.settings.cors_origins.split(",") if one.strip()]
    if not origins:
        return ()
    try:
        answer = await at.s3.get_bucket_cors(Bucket=at.settings.uploads_bucket)
    except ClientError as error:
        if code_of(error) != "NoSuchCORSConfiguration":
            raise
        answer = {"CORSRules": []}
    return [
        f"pages of {origin} may call the api, but not {method} to the uploads bucket"
        for origin in origins
        for method in ("POST", "PUT")
        if not any(
            method in rule["AllowedMethods"]
            and any(fnmatch(origin, allowed) for allowed in rule["AllowedOrigins"])
            for rule in answer["CORSRules"]
        )
    ]


async def _table(at: Places) -> Faults:
    return faults_of_table((await at.dynamodb.describe_table(TableName=at.settings.table))["Table"])


async def _topic(at: Places) -> Faults:
    await at.sns.get_topic_attributes(TopicArn=at.settings.topic_arn)
    return ()


CHECKS: Mapping[str, tuple[str, str, Check]] = {
    "uploads queue": ("UploadsQueue", "sqs:GetQueueAttributes", _uploads_queue),
    "renders queue": ("RendersQueue", "sqs:GetQueueAttributes", _renders_queue),
    "cleanup queue": ("CleanupQueue", "sqs:GetQueueAttributes", _cleanup_queue),
    "dead-letter queue": ("DeadLetterQueue", "sqs:GetQueueAttributes", _dead_letters),
    "bucket notification": ("UploadsQueue", "s3:GetBucketNotification", _notification),
    "bucket versioning": ("UploadsBucket", "s3:GetBucketVersioning", _versioning),
    "bucket CORS": ("UploadsBucket", "s3:GetBucketCORS", _cors),
    "table": ("Table", "dynamodb:DescribeTable", _table),
    "topic": ("Topic", "sns:GetTopicAttributes", _topic),
}
"""By name: the resource that settings must name, the IAM action needed, and the check."""


async def look_at_setup(places: Places) -> list[Finding]:
    """Check every resource that the settings name."""
    return [
        await _look(name, action, check, places)
        for name, (part, action, check) in CHECKS.items()
        if places.named(part)
    ]


async def _look(name: str, action: str, check: Check, places: Places) -> Finding:
    finding = Finding(area="setup", what=name)
    try:
        faults = await check(places)
    except FOREIGN as error:
        if code_of(error) in DENIED:
            return replace(finding, state="unknown", detail=f"not checked: needs {action}")
        return replace(finding, state="failed", detail=str(error))
    if faults:
        return replace(finding, state="failed", detail="; ".join(faults))
    return finding


async def _attributes(at: Places, queue: str) -> Mapping[str, str]:
    url = at.queue_url(queue)
    answer = await at.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    attributes: Mapping[str, str] = answer["Attributes"]
    return attributes


def _names(statement: Mapping[str, Any], action: str) -> bool:
    actions = statement["Action"]
    return action in ([actions] if isinstance(actions, str) else actions)


def _prefix(configuration: Mapping[str, Any]) -> str:
    rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    return next((rule["Value"] for rule in rules if rule["Name"].lower() == "prefix"), "")
