"""Only S3 can send events of the bucket, and dead letters with events can be sent back."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.local.account import Principal
from ops.local.completions import Completions
from ops.local.system import LocalSystem
from ops.redrive import MAY_BE_FORGED
from safelight.queued import EraseImage, Ingest
from tests.acceptance.conftest import uploads_worker
from tests.support import pictures
from tests.support.events import s3_event
from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")
CAT = (Path(__file__).parents[2] / "samples" / "cat-451px.jpg").read_bytes()
PROGRAMS = ("api", "delivery", "uploads_worker", "renders_worker", "operator")
SAFELIGHT = Path(sys.executable).with_name("safelight")


async def record_of(system: LocalSystem, image_id: str) -> Mapping[str, Any]:
    async with system.account.client("dynamodb") as dynamodb:
        key = {"imageId": {"S": image_id}}
        answer = await dynamodb.get_item(TableName=system.stack.table, Key=key, ConsistentRead=True)
    item: Mapping[str, Any] = answer["Item"]
    return item


async def send(system: LocalSystem, who: Principal, queue_url: str, body: str) -> str:
    """Send a message as one of the programs; return `sent` or the error code."""
    async with system.account.as_principal(who).client("sqs") as sqs:
        try:
            await sqs.send_message(QueueUrl=queue_url, MessageBody=body)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
    return "sent"


async def letters(system: LocalSystem, number: int) -> list[tuple[str, str]]:
    """Wait for this many dead letters, make them visible again, and return reasons and bodies."""
    url, found = system.stack.dead_letter_queue_url, []
    async with asyncio.timeout(30), system.account.client("sqs") as sqs:
        while len(found) < number:
            answer = await sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            found += answer.get("Messages", [])
        for one in found:
            await sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=one["ReceiptHandle"], VisibilityTimeout=0
            )
    return [
        (one.get("MessageAttributes", {}).get("reason", {}).get("StringValue", ""), one["Body"])
        for one in found
    ]


async def redrive(system: LocalSystem, *words: str, exit_code: int = 0) -> str:
    """Send dead letters back as an operator, who has only OperatorPolicy; return the output."""
    command = await asyncio.create_subprocess_exec(
        SAFELIGHT, "redrive", *words,
        env={
            "PATH": os.environ["PATH"],
            **system.stack.operator.environment(system.emulator.endpoint_url),
            "SAFELIGHT_UPLOADS_BUCKET": system.stack.uploads_bucket,
            "SAFELIGHT_ASSETS_BUCKET": system.stack.assets_bucket,
            "SAFELIGHT_TABLE": system.stack.table,
            "SAFELIGHT_RENDERS_QUEUE_URL": system.stack.renders_queue_url,
            "SAFELIGHT_CLEANUP_QUEUE_URL": system.stack.cleanup_queue_url,
            "SAFELIGHT_DEAD_LETTER_QUEUE_URL": system.stack.dead_letter_queue_url,
        },
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await command.communicate()
    assert command.returncode == exit_code, output.decode()
    return output.decode()


async def until_empty(system: LocalSystem, *urls: str) -> None:
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    async with asyncio.timeout(30), system.account.client("sqs") as sqs:
        for url in urls:
            while True:
                answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
                if not any(int(answer["Attributes"][name]) for name in names):
                    break
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("who", PROGRAMS)
async def test_no_program_can_send_an_event_to_the_queue_of_s3s_events(
    system: LocalSystem, who: str
) -> None:
    body = s3_event(system.stack.uploads_bucket, "uploads/x.jpg")
    code = await send(system, getattr(system.stack, who), system.stack.uploads_queue_url, body)
    assert "Denied" in code


async def test_an_event_that_delivery_forges_changes_no_record_and_freezes_no_image(
    system: LocalSystem, alice: Person, completions: Completions
) -> None:
    ticket = await alice.ask(CAT)
    await alice.send(ticket, CAT)
    image_id = ticket["imageId"]
    await alice.settled(image_id)
    old = (await record_of(system, image_id))["versionId"]["S"]
    await alice.replace(image_id, pictures.encoded(pictures.noise(40, 30), "JPEG"))
    async with asyncio.timeout(30):
        while (await record_of(system, image_id))["width"] != {"N": "40"}:
            await asyncio.sleep(0.05)
    record = await record_of(system, image_id)
    # The replaced picture, under a sequencer that no later event of S3 could exceed.
    forged = s3_event(
        system.stack.uploads_bucket, ticket["key"], version_id=old, sequencer="F" * 32
    )
    renders = system.stack.renders_queue_url
    assert await send(system, system.stack.delivery, renders, forged) == "sent"
    assert await letters(system, 1) == [("wrong_queue", forged)]
    assert await record_of(system, image_id) == record
    # Sent back, the event is only the name of a key, whose current version S3 names.
    await redrive(system, "wrong_queue")
    await until_empty(system, renders, system.stack.dead_letter_queue_url)
    assert await record_of(system, image_id) == record
    ingest = Ingest(key=ticket["key"]).to_json()
    assert await send(system, system.stack.delivery, renders, ingest) == "sent"
    await until_empty(system, renders)
    assert await record_of(system, image_id) == record
    await alice.replace(image_id, CAT)
    async with asyncio.timeout(30):
        while (await record_of(system, image_id))["width"] == record["width"]:
            await asyncio.sleep(0.05)


async def test_an_erasure_that_delivery_forges_is_not_sent_back_to_the_queue_of_erasures(
    system: LocalSystem, alice: Person
) -> None:
    ticket = await alice.ask(CAT)
    await alice.send(ticket, CAT)
    image_id = ticket["imageId"]
    await alice.settled(image_id)
    record = await record_of(system, image_id)
    forged = EraseImage(image_id=image_id, key=ticket["key"], by="operator", at=1).to_json()
    stack = system.stack
    assert "Denied" in await send(system, stack.delivery, stack.cleanup_queue_url, forged)
    assert await send(system, stack.delivery, stack.renders_queue_url, forged) == "sent"
    assert await letters(system, 1) == [("wrong_queue", forged)]
    assert MAY_BE_FORGED in await redrive(system, "wrong_queue", exit_code=1)
    assert await letters(system, 1) == [("wrong_queue", forged)]
    await until_empty(system, stack.cleanup_queue_url)
    assert await record_of(system, image_id) == record
    (letter,) = json.loads((await redrive(system, "--show", "--json")).rpartition("]")[0] + "]")
    await redrive(system, "--delete", letter["id"])


async def test_a_message_that_is_no_event_is_a_dead_letter_at_once_with_its_reason(
    system: LocalSystem,
) -> None:
    root, letters_url = system.emulator.root, system.stack.dead_letter_queue_url
    question = '{"Type": "SubscriptionConfirmation", "Token": "t"}'
    assert await send(system, root, system.stack.uploads_queue_url, question) == "sent"
    async with asyncio.timeout(30), system.account.client("sqs") as sqs:
        while not (
            answer := await sqs.receive_message(QueueUrl=letters_url, MessageAttributeNames=["All"])
        ).get("Messages"):
            continue
        (letter,) = answer["Messages"]
        await sqs.delete_message(QueueUrl=letters_url, ReceiptHandle=letter["ReceiptHandle"])
    told = {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}
    assert letter["Body"] == question
    assert (told["reason"], told["receiveCount"]) == ("unreadable", "1")
    assert told["detail"].startswith("SNS sent SubscriptionConfirmation: confirm")


async def test_an_upload_whose_event_became_a_dead_letter_completes_when_it_is_sent_back(
    system: LocalSystem, alice: Person
) -> None:
    """No worker runs: the message becomes a dead letter without a reason, as by SQS itself."""
    await until_empty(system, system.stack.uploads_queue_url)
    worker = uploads_worker(system)
    await worker.stop(seconds=10)
    image_id = await alice.upload(CAT)
    async with system.account.client("sqs") as sqs:
        answer = await sqs.receive_message(
            QueueUrl=system.stack.uploads_queue_url, WaitTimeSeconds=5
        )
        (event,) = answer["Messages"]
        assert json.loads(event["Body"])["Records"]
        await sqs.send_message(
            QueueUrl=system.stack.dead_letter_queue_url, MessageBody=event["Body"]
        )
        await sqs.delete_message(
            QueueUrl=system.stack.uploads_queue_url, ReceiptHandle=event["ReceiptHandle"]
        )
    assert [reason for reason, _ in await letters(system, 1)] == [""]
    await redrive(system, "unexplained")
    assert (await alice.settled(image_id))["status"] == "completed"
    await until_empty(system, system.stack.renders_queue_url, system.stack.dead_letter_queue_url)
    await system.start_worker()
