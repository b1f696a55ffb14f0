"""Permissions of the stack's principals, on a backend that checks every call."""

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from ops.local.account import Account, Principal
from ops.local.completions import subscribe
from ops.local.emulator import Emulator
from ops.local.stack import LOCAL_PARAMETERS, create, create_principal, deploy
from safelight.aws.day_index import DAY_INDEX
from safelight.aws.searching import OWNER_INDEX

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}


POLICIES = {
    "api": "ApiPolicy",
    "delivery": "DeliveryPolicy",
    "uploads": "UploadsWorkerPolicy",
    "renders": "RendersWorkerPolicy",
    "cleanup": "CleanupPolicy",
    "operator": "OperatorPolicy",
    "exporter": "ExportPolicy",
}
"""Permissions by principal. `uploads`, `renders` and `cleanup` are the roles of a worker."""
QUEUES = {
    "uploads": "UploadsQueue",
    "renders": "RendersQueue",
    "cleanup": "CleanupQueue",
    "dead": "DeadLetterQueue",
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def made(emulator: Emulator) -> dict[str, str]:
    """Return the outputs of the template's stack, with queue URLs that tests can call."""
    outputs = await create(emulator.account, name="policies", parameters=LOCAL_PARAMETERS)
    async with emulator.account.client("sqs") as sqs:
        for queue in QUEUES.values():
            answer = await sqs.get_queue_url(QueueName=outputs[f"{queue}Name"])
            outputs[f"{queue}Url"] = answer["QueueUrl"]
    return outputs


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def doors(emulator: Emulator, made: dict[str, str]) -> dict[str, Account]:
    """Return the account as each principal, which has only its own policy."""
    return {
        who: emulator.account.as_principal(
            await create_principal(emulator.account, f"the-{who}", policy_arn=made[f"{policy}Arn"])
        )
        for who, policy in POLICIES.items()
    }


async def call(account: Account, service: str, operation: str, **arguments: Any) -> Any:
    async with account.client(service) as client:
        return await ask(client, operation, **arguments)


async def ask(client: Any, operation: str, **arguments: Any) -> Any:
    answer = await getattr(client, operation)(**arguments)
    if "Body" in answer:
        await answer["Body"].read()
    return answer


async def code_of(account: Account, service: str, operation: str, **arguments: Any) -> str:
    async with account.client(service) as client:
        return await code_for(client, operation, **arguments)


async def code_for(client: Any, operation: str, **arguments: Any) -> str:
    try:
        await ask(client, operation, **arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "allowed"


SQS: dict[str, dict[str, Any]] = {
    "receive": {"WaitTimeSeconds": 0},
    "send": {"MessageBody": "x"},
    "depth": {"AttributeNames": ["All"]},
    "purge": {},
}


def arguments_of(operation: str, made: dict[str, str]) -> dict[str, Any]:
    """Return arguments with which a permitted call would succeed."""
    table, index = made["TableName"], OWNER_INDEX
    uploads, assets = made["UploadsBucketName"], made["AssetsBucketName"]
    key = {"imageId": {"S": "somebody"}}
    condition = {
        "KeyConditionExpression": "userId = :user",
        "ExpressionAttributeValues": {":user": {"S": "somebody"}},
    }
    return {
        "s3 put upload": {"Bucket": uploads, "Key": "uploads/u/i", "Body": b"x"},
        "s3 put elsewhere": {"Bucket": uploads, "Key": "other/u/i", "Body": b"x"},
        "s3 put ledger": {"Bucket": uploads, "Key": "erasures/i.json", "Body": b"x"},
        "s3 get ledger": {"Bucket": uploads, "Key": "erasures/kept.json"},
        "s3 get counts": {"Bucket": uploads, "Key": "erasures/users/kept.json"},
        "s3 delete ledger": {"Bucket": uploads, "Key": "erasures/kept.json"},
        "s3 put asset": {"Bucket": assets, "Key": "images/i/r/p.webp", "Body": b"x"},
        "s3 put other asset": {"Bucket": assets, "Key": "other/p.webp", "Body": b"x"},
        "s3 get upload": {"Bucket": uploads, "Key": "uploads/u/kept"},
        "s3 get asset": {"Bucket": assets, "Key": "images/i/r/kept.webp"},
        "s3 delete upload": {"Bucket": uploads, "Key": "uploads/u/kept"},
        "s3 delete asset": {"Bucket": assets, "Key": "images/i/r/kept.webp"},
        "s3 list uploads": {"Bucket": uploads},
        "s3 list assets": {"Bucket": assets},
        "s3 versions uploads": {"Bucket": uploads},
        "s3 versions assets": {"Bucket": assets},
        "dynamodb get": {"TableName": table, "Key": key},
        "dynamodb put": {"TableName": table, "Item": key},
        "dynamodb update": {"TableName": table, "Key": key},
        "dynamodb delete": {"TableName": table, "Key": key},
        "dynamodb scan": {"TableName": table},
        "dynamodb query": {"TableName": table, "IndexName": index, **condition},
        "dynamodb query days": {
            "TableName": table,
            "IndexName": DAY_INDEX,
            "KeyConditionExpression": "#day = :day",
            "ExpressionAttributeNames": {"#day": "day"},
            "ExpressionAttributeValues": {":day": {"S": "2026-11-28.7"}},
        },
        **{
            f"sqs {verb} {queue}": {"QueueUrl": made[f"{name}Url"], **arguments}
            for queue, name in QUEUES.items()
            for verb, arguments in SQS.items()
        },
        "sns publish": {"TopicArn": made["TopicArn"], "Message": "x"},
    }[operation]


OPERATIONS = {
    "put": {"s3": "put_object", "dynamodb": "put_item"},
    "get": {"s3": "get_object", "dynamodb": "get_item"},
    "delete": {"s3": "delete_object", "dynamodb": "delete_item"},
    "list": {"s3": "list_objects_v2"},
    "versions": {"s3": "list_object_versions"},
    "update": {"dynamodb": "update_item"},
    "scan": {"dynamodb": "scan"},
    "query": {"dynamodb": "query"},
    "receive": {"sqs": "receive_message"},
    "send": {"sqs": "send_message"},
    "depth": {"sqs": "get_queue_attributes"},
    "purge": {"sqs": "purge_queue"},
    "publish": {"sns": "publish"},
}
RENDERS_ITS_OWN = {
    "s3 get upload", "s3 list uploads", "s3 versions uploads", "s3 put asset", "dynamodb get",
    "dynamodb update", "sqs send dead", "sqs depth dead", "sqs send cleanup", "sns publish",
}  # fmt: skip
MAY = {
    "api": {
        "s3 put upload", "s3 get asset", "s3 get counts", "dynamodb get", "dynamodb put",
        "dynamodb update", "dynamodb query", "dynamodb query days",
        "sqs send cleanup",
    },
    "delivery": {
        "s3 get upload", "s3 list uploads", "s3 versions uploads", "s3 get asset", "s3 put asset",
        "s3 list assets", "dynamodb get", "sqs send renders",
    },
    "uploads": {*RENDERS_ITS_OWN, "sqs receive uploads", "sqs depth uploads"},
    "renders": {*RENDERS_ITS_OWN, "sqs receive renders", "sqs depth renders"},
    "cleanup": {
        "s3 delete upload", "s3 delete asset", "s3 list uploads", "s3 list assets",
        "s3 versions uploads", "s3 put ledger", "s3 get ledger", "s3 get counts", "dynamodb get",
        "dynamodb update", "dynamodb delete", "dynamodb query", "sqs receive cleanup",
        "sqs depth cleanup", "sqs send cleanup", "sqs send dead", "sqs depth dead", "sns publish",
    },
    "operator": {
        "sqs receive dead", "sqs depth dead", "sqs send renders", "dynamodb get", "dynamodb query",
        "dynamodb query days", "dynamodb update",
        "s3 list assets", "s3 versions uploads", "s3 get ledger", "s3 get counts",
        "sqs send cleanup",
    },
    "exporter": {
        "s3 get upload", "s3 list uploads", "s3 versions uploads", "dynamodb get", "dynamodb query",
    },
}  # fmt: skip
ALL = [
    "s3 put upload", "s3 put elsewhere", "s3 put asset", "s3 put other asset", "s3 get upload",
    "s3 put ledger", "s3 get ledger", "s3 get counts", "s3 delete ledger",
    "s3 get asset", "s3 delete upload", "s3 delete asset", "s3 list uploads", "s3 list assets",
    "s3 versions uploads", "s3 versions assets", "dynamodb get", "dynamodb put",
    "dynamodb update", "dynamodb delete", "dynamodb scan", "dynamodb query",
    "dynamodb query days",
    "sns publish", *(f"sqs {verb} {queue}" for queue in QUEUES for verb in SQS),
]  # fmt: skip


@pytest.mark.parametrize("who", POLICIES)
async def test_a_principal_may_do_only_what_its_policy_says(emulator, made, doors, who):
    kept = (
        (made["UploadsBucketName"], "uploads/u/kept"),
        (made["UploadsBucketName"], "erasures/kept.json"),
        (made["UploadsBucketName"], "erasures/users/kept.json"),
        (made["AssetsBucketName"], "images/i/r/kept.webp"),
    )
    codes = {}
    async with AsyncExitStack() as opened:
        owner = await opened.enter_async_context(emulator.account.client("s3"))
        clients = {
            service: await opened.enter_async_context(doors[who].client(service))
            for service in ("s3", "dynamodb", "sqs", "sns")
        }
        for operation in ALL:
            for bucket, key in kept:
                await owner.put_object(Bucket=bucket, Key=key, Body=b"x")
            service, *words = operation.split()
            verb = next(word for word in words if word in OPERATIONS)
            codes[operation] = await code_for(
                clients[service], OPERATIONS[verb][service], **arguments_of(operation, made)
            )
    assert {one for one, code in codes.items() if code == "allowed"} == MAY[who]
    assert set(codes.values()) <= {"allowed", *DENIED}


async def test_not_even_an_administrator_may_send_to_the_uploads_queue(emulator, made):
    """On AWS root is refused too; the embedded AWS allows it, so that tests can send events."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [everything]}
    principal = await create_principal(emulator.account, "administrator", document=document)
    door = emulator.account.as_principal(principal)
    for operation in ("send_message", "send_message_batch"):
        one = {"MessageBody": "x"}
        arguments = one if operation == "send_message" else {"Entries": [{"Id": "0", **one}]}
        uploads, renders = made["UploadsQueueUrl"], made["RendersQueueUrl"]
        code = await code_of(door, "sqs", operation, QueueUrl=uploads, **arguments)
        assert code in DENIED
        code = await code_of(door, "sqs", operation, QueueUrl=renders, **arguments)
        assert code == "allowed"


@pytest.mark.parametrize("who", ["uploads", "renders"])
async def test_a_source_that_is_gone_is_told_from_one_that_is_denied(made, doors, who):
    gone = {"Bucket": made["UploadsBucketName"], "Key": "uploads/nobody/nothing"}
    assert await code_of(doors[who], "s3", "get_object", **gone) == "NoSuchKey"


async def test_a_principal_without_a_policy_may_not_publish(emulator, made):
    stranger = await create_principal(emulator.account, "a-stranger")
    door = emulator.account.as_principal(stranger)
    code = await code_of(door, "sns", "publish", **arguments_of("sns publish", made))
    assert code in DENIED


@pytest.mark.parametrize("who", ["uploads", "renders"])
async def test_a_worker_may_publish_to_no_other_topic(emulator, doors, who):
    other = (await call(emulator.account, "sns", "create_topic", Name="another"))["TopicArn"]
    await call(  # as on AWS: one with its own policy, not the default one
        emulator.account,
        "sns",
        "set_topic_attributes",
        TopicArn=other,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )
    code = await code_of(doors[who], "sns", "publish", TopicArn=other, Message="x")
    assert code in DENIED


async def test_a_key_that_nobody_issued_is_refused(emulator, made):
    nobody = Principal(access_key_id="AKIA0000000000000000", secret_access_key="guessed")
    door = emulator.account.as_principal(nobody)
    code = await code_of(door, "s3", "list_objects_v2", Bucket=made["UploadsBucketName"])
    assert code == "InvalidAccessKeyId"


async def test_two_stacks_in_one_account_stand_beside_each_other(emulator, made):
    outputs = await create(emulator.account, name="a-second-one", parameters=LOCAL_PARAMETERS)
    names = ["UploadsBucketName", "AssetsBucketName", "TableName", "TopicArn"]
    names += [f"{queue}Name" for queue in QUEUES.values()]
    assert not {made[name] for name in names} & {outputs[name] for name in names}


async def test_as_it_ships_the_template_refuses_requests_without_tls(emulator):
    outputs = await create(emulator.account, name="tls-only", parameters={})
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [everything]}
    mighty = await create_principal(emulator.account, "mighty", document=document)
    door = emulator.account.as_principal(mighty)
    for refused in (
        code_of(door, "s3", "list_objects_v2", Bucket=outputs["UploadsBucketName"]),
        code_of(door, "s3", "list_objects_v2", Bucket=outputs["AssetsBucketName"]),
        *(
            code_of(door, "sqs", "get_queue_url", QueueName=outputs[f"{queue}Name"])
            for queue in QUEUES.values()
        ),
        code_of(door, "sns", "publish", TopicArn=outputs["TopicArn"], Message="x"),
    ):
        assert await refused in DENIED


async def test_an_upload_is_announced_on_the_uploads_queue(emulator):
    outputs = await create(emulator.account, name="announcing", parameters=LOCAL_PARAMETERS)
    door = emulator.account
    name = outputs["UploadsQueueName"]
    url = (await call(door, "sqs", "get_queue_url", QueueName=name))["QueueUrl"]
    for key in ("elsewhere/x", "uploads/u/i"):
        bucket = outputs["UploadsBucketName"]
        await call(door, "s3", "put_object", Bucket=bucket, Key=key, Body=b"x")
    events = []
    while len(events) < 1:
        answer = await call(
            door, "sqs", "receive_message", QueueUrl=url, WaitTimeSeconds=2, MaxNumberOfMessages=10
        )
        bodies = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        events += [record for body in bodies for record in body.get("Records", [])]
    assert [event["s3"]["object"]["key"] for event in events] == ["uploads/u/i"]


@pytest.mark.parametrize("who", ["uploads", "renders"])
async def test_a_subscriber_hears_what_a_worker_publishes(emulator, made, doors, who):
    topic, queue = made["TopicArn"], f"hears-{who}"
    async with subscribe(emulator.account, topic, queue_name=queue) as completions:
        message = {"TopicArn": topic, "Message": json.dumps({"type": "a test"})}
        await call(doors[who], "sns", "publish", **message)
        assert await completions.receive() == ({"type": "a test"},)


async def test_every_stack_makes_a_secret_of_its_own(emulator, stack):
    outputs = await create(emulator.account, name="another-secret", parameters=LOCAL_PARAMETERS)
    answer = await call(
        emulator.account, "secretsmanager", "get_secret_value", SecretId=outputs["IdSecretArn"]
    )
    made = answer["SecretString"]
    assert made != stack.id_secret
    assert {len(made), len(stack.id_secret)} == {64}


async def test_a_stack_takes_the_secret_that_it_is_given(emulator, stack):
    kept = await call(
        emulator.account, "secretsmanager", "create_secret", Name="kept", SecretString="k" * 64
    )
    given = LOCAL_PARAMETERS | {"IdSecretArn": kept["ARN"]}
    outputs = await create(emulator.account, name="restored", parameters=given)
    assert outputs["IdSecretArn"] == kept["ARN"]


@pytest.mark.parametrize("who", POLICIES)
async def test_no_program_reads_the_secret_by_its_own_rights(stack, doors, who):
    """ECS passes the secret on, so an exploited container cannot read its former versions."""
    refused = code_of(doors[who], "secretsmanager", "list_secrets")
    assert await refused in DENIED


async def test_an_api_that_serves_originals_may_read_sources(emulator):
    stack = await deploy(emulator.account, name="originals", originals=True)
    source = {"Bucket": stack.uploads_bucket, "Key": "uploads/u/i"}
    await call(emulator.account, "s3", "put_object", **source, Body=b"x")
    door = emulator.account.as_principal(stack.api)
    assert await code_of(door, "s3", "get_object", **source) == "allowed"
