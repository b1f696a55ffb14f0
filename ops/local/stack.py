"""Deploys deploy/ecs/data.yaml to the embedded AWS, with a principal for each of its policies."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import WaiterError

from ops.local.account import Account, Principal
from ops.local.emulator import ROOT
from safelight.image_ids import ImageIds

TEMPLATE = ROOT / "deploy" / "ecs" / "data.yaml"
LOCAL_ORIGINS = "http://localhost:*,http://127.0.0.1:*"
"""The web pages of this machine. The emulator's guard lets no bucket permit all pages."""
LOCAL_PARAMETERS = {
    "UploadOrigins": LOCAL_ORIGINS,
    "PictureCorsOrigins": LOCAL_ORIGINS,
    "DeletionProtection": "false",
    "Target": "emulator",
}
QUEUES = ("UploadsQueue", "RendersQueue", "CleanupQueue", "DeadLetterQueue")
PRINCIPALS = {
    "api": "Api",
    "delivery": "Delivery",
    "uploads_worker": "UploadsWorker",
    "renders_worker": "RendersWorker",
    "cleanup": "Cleanup",
    "operator": "Operator",
    "exporter": "Export",
}
"""Policy in data.yaml by attribute of `Stack`."""


def serves_originals(settings: Mapping[str, str]) -> bool:
    """Return whether these variables let the API serve originals."""
    return settings.get("SAFELIGHT_ORIGINALS", "").lower() in ("true", "1", "yes", "on", "t", "y")


class StackFailed(Exception):
    """A stack could not be created; the message names each failed resource with its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The names of the template's resources, and the principals that may use them."""

    name: str
    uploads_bucket: str
    assets_bucket: str
    table: str
    uploads_queue_url: str
    renders_queue_url: str
    cleanup_queue_url: str
    dead_letter_queue_url: str
    topic_arn: str
    api: Principal
    """Holds ApiPolicy, and with originals the permission to read sources."""
    delivery: Principal
    """Holds DeliveryPolicy and nothing else."""
    uploads_worker: Principal
    """Holds UploadsWorkerPolicy and nothing else."""
    renders_worker: Principal
    """Holds RendersWorkerPolicy and nothing else."""
    cleanup: Principal
    """Holds CleanupPolicy and nothing else."""
    operator: Principal
    """Holds OperatorPolicy and nothing else."""
    exporter: Principal
    """Holds ExportPolicy and nothing else."""
    id_secret: str = field(repr=False)

    @property
    def image_ids(self) -> ImageIds:
        """Derives the same image ids as this stack's programs."""
        return ImageIds(self.id_secret)

    def worker_settings(self, role: str) -> dict[str, str]:
        """Return the settings that only workers of this role need."""
        queue_urls = {"uploads": self.uploads_queue_url, "renders": self.renders_queue_url}
        return {
            "SAFELIGHT_WORKER_ROLE": role,
            "SAFELIGHT_QUEUE_URL": queue_urls[role],
            "SAFELIGHT_CLEANUP_QUEUE_URL": self.cleanup_queue_url,
            "SAFELIGHT_DEAD_LETTER_QUEUE_URL": self.dead_letter_queue_url,
            "SAFELIGHT_TOPIC_ARN": self.topic_arn,
        }

    def cleanup_settings(self) -> dict[str, str]:
        """Return the settings that only the worker's role `cleanup` needs."""
        return {
            "SAFELIGHT_CLEANUP_QUEUE_URL": self.cleanup_queue_url,
            "SAFELIGHT_DEAD_LETTER_QUEUE_URL": self.dead_letter_queue_url,
            "SAFELIGHT_TOPIC_ARN": self.topic_arn,
        }

    def delivery_settings(self) -> dict[str, str]:
        """Return the settings that only the api's role `delivery` needs."""
        return {
            "SAFELIGHT_API_ROLES": "delivery",
            "SAFELIGHT_RENDERS_QUEUE_URL": self.renders_queue_url,
        }

    def settings(self) -> dict[str, str]:
        """Return the settings that every program needs."""
        return {
            "SAFELIGHT_UPLOADS_BUCKET": self.uploads_bucket,
            "SAFELIGHT_ASSETS_BUCKET": self.assets_bucket,
            "SAFELIGHT_TABLE": self.table,
            "SAFELIGHT_ID_SECRET": self.id_secret,
        }


async def deploy(
    account: Account,
    *,
    name: str = "safelight-local",
    template: Path = TEMPLATE,
    parameters: dict[str, str] | None = None,
    originals: bool = False,
) -> Stack:
    """Create the stack and the principals, and wait until all exist.

    With `originals` the API may also read sources, as with the parameter `Originals` of web.yaml.
    """
    outputs = await create(
        account, name=name, template=template, parameters=LOCAL_PARAMETERS | (parameters or {})
    )
    queue_urls, id_secret, principals = await asyncio.gather(
        _queue_urls(account, *(outputs[f"{queue}Name"] for queue in QUEUES)),
        _secret(account, outputs["IdSecretArn"]),
        _principals(account, name, outputs, originals=originals),
    )
    uploads, renders, cleanup, dead_letters = queue_urls
    return Stack(
        name=name,
        uploads_bucket=outputs["UploadsBucketName"],
        assets_bucket=outputs["AssetsBucketName"],
        table=outputs["TableName"],
        uploads_queue_url=uploads,
        renders_queue_url=renders,
        cleanup_queue_url=cleanup,
        dead_letter_queue_url=dead_letters,
        topic_arn=outputs["TopicArn"],
        id_secret=id_secret,
        **principals,
    )


async def _principals(
    account: Account, name: str, outputs: Mapping[str, str], *, originals: bool
) -> dict[str, Principal]:
    """Create an IAM user for each policy of the stack."""
    sources = f"arn:aws:s3:::{outputs['UploadsBucketName']}/uploads/*"
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": sources}
    reading = {"Version": "2012-10-17", "Statement": [statement]}
    users = await asyncio.gather(
        *(
            create_principal(
                account,
                f"{name}-{principal}",
                policy_arn=outputs[f"{policy}PolicyArn"],
                document=reading if originals and principal == "api" else None,
            )
            for principal, policy in PRINCIPALS.items()
        )
    )
    return dict(zip(PRINCIPALS, users, strict=True))


async def create_principal(
    account: Account, name: str, *, policy_arn: str | None = None, document: Any = None
) -> Principal:
    """Create an IAM user with a managed policy, an inline one, or none."""
    async with account.client("iam") as iam:
        await iam.create_user(UserName=name)
        if policy_arn:
            await iam.attach_user_policy(UserName=name, PolicyArn=policy_arn)
        if document:
            await iam.put_user_policy(
                UserName=name, PolicyName="inline", PolicyDocument=json.dumps(document)
            )
        key = (await iam.create_access_key(UserName=name))["AccessKey"]
    return Principal(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])


async def create(
    account: Account, *, name: str, template: Path = TEMPLATE, parameters: dict[str, str]
) -> dict[str, str]:
    """Create a stack, wait until it is complete, and return its outputs."""
    body = template.read_text()  # noqa: ASYNC240 - a few kilobytes, before anything runs
    async with account.client("cloudformation") as cloudformation:
        await cloudformation.create_stack(
            StackName=name,
            TemplateBody=body,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        waiter = cloudformation.get_waiter("stack_create_complete")
        try:
            await waiter.wait(StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
        except WaiterError as error:
            answer = await cloudformation.describe_stack_events(StackName=name)
            raise StackFailed(f"{name}: {_reasons(answer['StackEvents'])}") from error
        stacks = (await cloudformation.describe_stacks(StackName=name))["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in stacks[0]["Outputs"]}


def _reasons(events: Sequence[Mapping[str, Any]]) -> str:
    """List the resources that failed, with their reasons."""
    failed = [one for one in events if one["ResourceStatus"].endswith("_FAILED")]
    return "; ".join(
        f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason', '')}" for one in failed
    )


async def _secret(account: Account, arn: str) -> str:
    """Read the stack's secret, as ECS does for containers."""
    async with account.client("secretsmanager") as secrets:
        return str((await secrets.get_secret_value(SecretId=arn))["SecretString"])


async def _queue_urls(account: Account, *names: str) -> list[str]:
    """Look up the queues' URLs: the URLs in the emulator's stack outputs have another host."""
    async with account.client("sqs") as sqs:
        answers = await asyncio.gather(*(sqs.get_queue_url(QueueName=name) for name in names))
    return [answer["QueueUrl"] for answer in answers]
