"""What the stack's principals may do, and what everybody is refused, on a backend that checks."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.local.account import Account, Principal
from ops.local.completions import subscribe
from ops.local.emulator import Emulator
from ops.local.stack import LOCAL_PARAMETERS, Stack, create, create_principal

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}


@pytest.fixture(scope="session")
def doors(emulator: Emulator, stack: Stack) -> dict[str, Account]:
    return {who: emulator.account.as_principal(getattr(stack, who)) for who in ("api", "worker")}


async def call(account: Account, service: str, operation: str, **arguments: Any) -> Any:
    async with account.client(service) as client:
        answer = await getattr(client, operation)(**arguments)
        if "Body" in answer:
            await answer["Body"].read()
        return answer


async def code_of(account: Account, service: str, operation: str, **arguments: Any) -> str:
    try:
        await call(account, service, operation, **arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "allowed"


def arguments_of(operation: str, stack: Stack) -> dict[str, Any]:
    """Arguments that would succeed for somebody who may."""
    table, index = stack.table, "user-id-index"
    key = {"imageId": {"S": "somebody"}}
    condition = {
        "KeyConditionExpression": "userId = :user",
        "ExpressionAttributeValues": {":user": {"S": "somebody"}},
    }
    return {
        "s3 put upload": {"Bucket": stack.uploads_bucket, "Key": "uploads/u/i", "Body": b"x"},
        "s3 put elsewhere": {"Bucket": stack.uploads_bucket, "Key": "other/u/i", "Body": b"x"},
        "s3 put asset": {"Bucket": stack.assets_bucket, "Key": "images/i/r/p.webp", "Body": b"x"},
        "s3 put other asset": {"Bucket": stack.assets_bucket, "Key": "other/p.webp", "Body": b"x"},
        "s3 get upload": {"Bucket": stack.uploads_bucket, "Key": "uploads/u/kept"},
        "s3 get asset": {"Bucket": stack.assets_bucket, "Key": "images/i/r/kept.webp"},
        "s3 delete upload": {"Bucket": stack.uploads_bucket, "Key": "uploads/u/kept"},
        "s3 delete asset": {"Bucket": stack.assets_bucket, "Key": "images/i/r/kept.webp"},
        "s3 list uploads": {"Bucket": stack.uploads_bucket},
        "s3 list assets": {"Bucket": stack.assets_bucket},
        "dynamodb get": {"TableName": table, "Key": key},
        "dynamodb put": {"TableName": table, "Item": key},
        "dynamodb update": {"TableName": table, "Key": key},
        "dynamodb delete": {"TableName": table, "Key": key},
        "dynamodb scan": {"TableName": table},
        "dynamodb query": {"TableName": table, "IndexName": index, **condition},
        "sqs receive": {"QueueUrl": stack.queue_url},
        "sqs send": {"QueueUrl": stack.queue_url, "MessageBody": "x"},
        "sqs depth": {"QueueUrl": stack.queue_url, "AttributeNames": ["All"]},
        "sqs purge": {"QueueUrl": stack.queue_url},
        "sqs dead send": {"QueueUrl": stack.dead_letter_queue_url, "MessageBody": "x"},
        "sqs dead receive": {"QueueUrl": stack.dead_letter_queue_url},
        "sqs dead depth": {"QueueUrl": stack.dead_letter_queue_url, "AttributeNames": ["All"]},
        "sns publish": {"TopicArn": stack.topic_arn, "Message": "x"},
    }[operation]


OPERATIONS = {
    "put": {"s3": "put_object", "dynamodb": "put_item"},
    "get": {"s3": "get_object", "dynamodb": "get_item"},
    "delete": {"s3": "delete_object", "dynamodb": "delete_item"},
    "list": {"s3": "list_objects_v2"},
    "update": {"dynamodb": "update_item"},
    "scan": {"dynamodb": "scan"},
    "query": {"dynamodb": "query"},
    "receive": {"sqs": "receive_message"},
    "send": {"sqs": "send_message"},
    "depth": {"sqs": "get_queue_attributes"},
    "purge": {"sqs": "purge_queue"},
    "publish": {"sns": "publish"},
}
MAY = {
    "api": {"s3 put upload", "s3 get asset", "dynamodb get", "dynamodb put"},
    "worker": {
        "s3 get upload",
        "s3 list uploads",
        "s3 put asset",
        "dynamodb get",
        "dynamodb update",
        "sqs receive",
        "sqs depth",
        "sqs dead send",
        "sqs dead depth",
        "sns publish",
    },
}
ALL = [
    "s3 put upload", "s3 put elsewhere", "s3 put asset", "s3 put other asset", "s3 get upload",
    "s3 get asset", "s3 delete upload", "s3 delete asset", "s3 list uploads", "s3 list assets",
    "dynamodb get", "dynamodb put", "dynamodb update", "dynamodb delete", "dynamodb scan",
    "dynamodb query", "sqs receive", "sqs send", "sqs depth", "sqs purge", "sqs dead send",
    "sqs dead receive",
    "sqs dead depth", "sns publish",
]  # fmt: skip


@pytest.fixture(scope="session")
def kept(emulator: Emulator, stack: Stack) -> tuple[tuple[str, str], ...]:
    return ((stack.uploads_bucket, "uploads/u/kept"), (stack.assets_bucket, "images/i/r/kept.webp"))


@pytest.mark.parametrize("operation", ALL)
@pytest.mark.parametrize("who", ["api", "worker"])
async def test_a_principal_may_do_only_what_its_policy_says(
    emulator, stack, doors, kept, who, operation
):
    for bucket, key in kept:
        await call(emulator.account, "s3", "put_object", Bucket=bucket, Key=key, Body=b"x")
    service, *words = operation.split()
    verb = next(word for word in words if word in OPERATIONS)
    code = await code_of(
        doors[who], service, OPERATIONS[verb][service], **arguments_of(operation, stack)
    )
    assert (code == "allowed") == (operation in MAY[who]), code
    assert code == "allowed" or code in DENIED


async def test_a_source_that_is_gone_is_told_from_one_that_is_denied(stack, doors):
    gone = {"Bucket": stack.uploads_bucket, "Key": "uploads/nobody/nothing"}
    assert await code_of(doors["worker"], "s3", "get_object", **gone) == "NoSuchKey"


async def test_a_principal_without_a_policy_may_not_publish(emulator, stack):
    stranger = await create_principal(emulator.account, "a-stranger")
    door = emulator.account.as_principal(stranger)
    code = await code_of(door, "sns", "publish", **arguments_of("sns publish", stack))
    assert code in DENIED


async def test_the_worker_may_publish_to_no_other_topic(emulator, doors):
    other = (await call(emulator.account, "sns", "create_topic", Name="another"))["TopicArn"]
    await call(  # as on AWS: one with its own policy, not the default one
        emulator.account,
        "sns",
        "set_topic_attributes",
        TopicArn=other,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )
    code = await code_of(doors["worker"], "sns", "publish", TopicArn=other, Message="x")
    assert code in DENIED


async def test_a_key_that_nobody_issued_is_refused(emulator, stack):
    nobody = Principal(access_key_id="AKIA0000000000000000", secret_access_key="guessed")
    door = emulator.account.as_principal(nobody)
    code = await code_of(door, "s3", "list_objects_v2", Bucket=stack.uploads_bucket)
    assert code == "InvalidAccessKeyId"


async def test_two_stacks_in_one_account_stand_beside_each_other(emulator, stack):
    outputs = await create(emulator.account, name="a-second-one", parameters=LOCAL_PARAMETERS)
    mine = {stack.uploads_bucket, stack.assets_bucket, stack.table, stack.topic_arn}
    theirs = {outputs[f"{n}BucketName"] for n in ("Uploads", "Assets")}
    theirs |= {outputs["TableName"], outputs["TopicArn"]}
    assert len(theirs) == 4
    assert not mine & theirs


async def test_as_it_ships_the_template_refuses_requests_without_tls(emulator):
    outputs = await create(emulator.account, name="tls-only", parameters={})
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [everything]}
    mighty = await create_principal(emulator.account, "mighty", document=document)
    door = emulator.account.as_principal(mighty)
    for refused in (
        code_of(door, "s3", "list_objects_v2", Bucket=outputs["UploadsBucketName"]),
        code_of(door, "s3", "list_objects_v2", Bucket=outputs["AssetsBucketName"]),
        code_of(door, "sqs", "get_queue_url", QueueName=outputs["QueueName"]),
        code_of(door, "sns", "publish", TopicArn=outputs["TopicArn"], Message="x"),
    ):
        assert await refused in DENIED


async def test_an_upload_is_announced_on_the_queue(emulator):
    outputs = await create(emulator.account, name="announcing", parameters=LOCAL_PARAMETERS)
    door = emulator.account
    url = (await call(door, "sqs", "get_queue_url", QueueName=outputs["QueueName"]))["QueueUrl"]
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


async def test_a_subscriber_hears_what_the_worker_publishes(emulator, stack, doors):
    async with subscribe(emulator.account, stack.topic_arn, queue_name="hears") as completions:
        message = {"TopicArn": stack.topic_arn, "Message": json.dumps({"type": "a test"})}
        await call(doors["worker"], "sns", "publish", **message)
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


@pytest.mark.parametrize("who", ["api", "worker"])
async def test_no_program_reads_the_secret_by_its_own_rights(stack, doors, who):
    """ECS hands it over: a container that was taken over cannot ask for its former versions."""
    refused = code_of(doors[who], "secretsmanager", "list_secrets")
    assert await refused in DENIED
