"""`deploy/ecs/data.yaml` on the embedded AWS, with the two principals that it is made for."""

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
LOCAL_PARAMETERS = {
    "UploadOrigins": "http://localhost:*,http://127.0.0.1:*",
    "DeletionProtection": "false",
    "Target": "emulator",
}


class StackFailed(Exception):
    """A stack could not be created; the message names each resource and its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What the template made, under the names it was given, and who may use it."""

    name: str
    uploads_bucket: str
    assets_bucket: str
    table: str
    queue_url: str
    dead_letter_queue_url: str
    topic_arn: str
    api: Principal
    """Holds ApiPolicy and nothing else."""
    delivery: Principal
    """Holds DeliveryPolicy and nothing else."""
    worker: Principal
    """Holds WorkerPolicy and nothing else."""
    id_secret: str = field(repr=False)

    @property
    def image_ids(self) -> ImageIds:
        """The image ids that this stack's programs derive."""
        return ImageIds(self.id_secret)

    def settings(self) -> dict[str, str]:
        """Write what api and worker must both be told."""
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
) -> Stack:
    """Create the stack and the principals, and wait until all of it is there."""
    outputs = await create(
        account, name=name, template=template, parameters=LOCAL_PARAMETERS | (parameters or {})
    )
    (queue_url, dead_letter_queue_url), id_secret, api, delivery, worker = await asyncio.gather(
        _queue_urls(account, outputs["QueueName"], outputs["DeadLetterQueueName"]),
        _secret(account, outputs["IdSecretArn"]),
        create_principal(account, f"{name}-api", policy_arn=outputs["ApiPolicyArn"]),
        create_principal(account, f"{name}-delivery", policy_arn=outputs["DeliveryPolicyArn"]),
        create_principal(account, f"{name}-worker", policy_arn=outputs["WorkerPolicyArn"]),
    )
    return Stack(
        name=name,
        uploads_bucket=outputs["UploadsBucketName"],
        assets_bucket=outputs["AssetsBucketName"],
        table=outputs["TableName"],
        queue_url=queue_url,
        dead_letter_queue_url=dead_letter_queue_url,
        topic_arn=outputs["TopicArn"],
        api=api,
        delivery=delivery,
        worker=worker,
        id_secret=id_secret,
    )


async def create_principal(
    account: Account, name: str, *, policy_arn: str | None = None, document: Any = None
) -> Principal:
    """Create an IAM user that holds one managed policy, or an inline one, or nothing at all."""
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
    """Create a stack, wait until it stands, and read its outputs."""
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
            told = await cloudformation.describe_stack_events(StackName=name)
            raise StackFailed(f"{name}: {_reasons(told['StackEvents'])}") from error
        answer = await cloudformation.describe_stacks(StackName=name)
    return {one["OutputKey"]: one["OutputValue"] for one in answer["Stacks"][0]["Outputs"]}


def _reasons(events: Sequence[Mapping[str, Any]]) -> str:
    """Say which resources could not be made, and why."""
    failed = [one for one in events if one["ResourceStatus"].endswith("_FAILED")]
    return "; ".join(
        f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason', '')}" for one in failed
    )


async def _secret(account: Account, arn: str) -> str:
    """Read what the stack made, as ECS does for the containers."""
    async with account.client("secretsmanager") as secrets:
        return str((await secrets.get_secret_value(SecretId=arn))["SecretString"])


async def _queue_urls(account: Account, *names: str) -> list[str]:
    """Ask for the queues' URLs: the emulator's stack outputs name a host of their own."""
    async with account.client("sqs") as sqs:
        answers = await asyncio.gather(*(sqs.get_queue_url(QueueName=name) for name in names))
    return [answer["QueueUrl"] for answer in answers]
