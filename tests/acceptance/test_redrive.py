"""`safelight redrive` as operators run it, on queues that check every signature."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from ops.local.emulator import Emulator
from ops.local.stack import Stack, deploy
from safelight.presets import Preset
from safelight.queued import Demand, EraseImage
from tests.support.events import s3_event

ERASURE = EraseImage(
    image_id="01M7YB1NC8XE9XQ3H3PCRZFKK6", key=None, by="owner", at=1_800_000_000_000
).to_json()
DEMAND = Demand(
    image_id="01M7YB1NC8XE9XQ3H3PCRZFKK6", revision="v1", preset=Preset(name="a", format="avif")
).to_json()
pytestmark = pytest.mark.asyncio(loop_scope="session")
SAFELIGHT = Path(sys.executable).with_name("safelight")


class Desk:
    """Runs the command with the permissions of OperatorPolicy, and reads the queues."""

    def __init__(self, emulator: Emulator, stack: Stack) -> None:
        self._emulator, self._stack = emulator, stack

    async def bury(self, body: str, **attributes: str) -> None:
        async with self._emulator.account.client("sqs") as sqs:
            await sqs.send_message(
                QueueUrl=self._stack.dead_letter_queue_url,
                MessageBody=body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in attributes.items()
                },
            )

    async def bodies(self, queue_url: str) -> list[str]:
        """Receive and delete all messages of a queue; return their bodies."""
        found: list[str] = []
        async with self._emulator.account.client("sqs") as sqs:
            while messages := (
                await sqs.receive_message(
                    QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0
                )
            ).get("Messages"):
                for message in messages:
                    found.append(message["Body"])
                    await sqs.delete_message(
                        QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"]
                    )
        return sorted(body for body in found if "s3:TestEvent" not in body)

    def event(self, *keys: str) -> str:
        """Make the event that the uploads bucket sends for these objects."""
        return s3_event(self._stack.uploads_bucket, *keys)

    @property
    def queues(self) -> tuple[str, str]:
        return self._stack.renders_queue_url, self._stack.dead_letter_queue_url

    @property
    def cleanup_queue(self) -> str:
        return self._stack.cleanup_queue_url

    async def redrive(self, *arguments: str, **changes: str) -> tuple[int, str]:
        """Run the command; return its exit code and output."""
        environment = {
            "PATH": os.environ["PATH"],
            **self._stack.operator.environment(self._emulator.endpoint_url),
            **self._stack.settings(),
            "SAFELIGHT_RENDERS_QUEUE_URL": self._stack.renders_queue_url,
            "SAFELIGHT_CLEANUP_QUEUE_URL": self._stack.cleanup_queue_url,
            "SAFELIGHT_DEAD_LETTER_QUEUE_URL": self._stack.dead_letter_queue_url,
            **changes,
        }
        command = await asyncio.create_subprocess_exec(
            SAFELIGHT, "redrive", *arguments,
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await command.communicate()
        return command.returncode or 0, (
            output if "--json" in arguments else output + errors
        ).decode()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def redrives(emulator: Emulator) -> Stack:
    return await deploy(emulator.account, name="redrive")


@pytest_asyncio.fixture(loop_scope="session")
async def desk(emulator: Emulator, redrives: Stack) -> Desk:
    """Return a desk whose queues are empty."""
    opened = Desk(emulator, redrives)
    async with emulator.account.client("sqs") as sqs:
        for url in (*opened.queues, redrives.cleanup_queue_url):
            await sqs.purge_queue(QueueUrl=url)
    return opened


async def test_letters_are_told_by_reason_and_stay_where_they_are(desk: Desk) -> None:
    await desk.bury("a", reason="unknown", stage="put", exceptionType="KeyError")
    await desk.bury("b", reason="unknown", stage="put", exceptionType="KeyError")
    await desk.bury("c")
    code, told = await desk.redrive("--json")
    assert code == 0
    assert json.loads(told) == [
        {"reason": "unknown", "stage": "put", "exceptionType": "KeyError", "count": 2},
        {"reason": "unexplained", "stage": "", "exceptionType": "", "count": 1},
    ]
    queue, dead_letters = desk.queues
    assert await desk.bodies(dead_letters) == ["a", "b", "c"]
    assert await desk.bodies(queue) == []


async def test_those_of_one_reason_go_back_and_the_others_stay(desk: Desk) -> None:
    await desk.bury(DEMAND, reason="unknown")
    await desk.bury(ERASURE, reason="unknown")
    await desk.bury("b", reason="unreadable")
    assert (await desk.redrive("unknown", "--dry-run"))[0] == 0
    code, told = await desk.redrive("unknown", "--rate", "100")
    assert code == 0, told
    queue, dead_letters = desk.queues
    assert await desk.bodies(queue) == [DEMAND]
    assert await desk.bodies(desk.cleanup_queue) == [ERASURE]
    assert await desk.bodies(dead_letters) == ["b"]


async def test_events_of_s3_go_back_as_the_keys_of_their_sources(desk: Desk) -> None:
    await desk.bury(desk.event("uploads/a b.jpg", "uploads/c.jpg", "uploads/a b.jpg"))
    await desk.bury(desk.event())
    code, told = await desk.redrive("unexplained", "--rate", "100")
    assert code == 0, told
    queue, dead_letters = desk.queues
    assert await desk.bodies(queue) == [
        '{"type":"safelight.ingest","key":"uploads/a b.jpg"}',
        '{"type":"safelight.ingest","key":"uploads/c.jpg"}',
    ]
    assert await desk.bodies(dead_letters) == []


async def test_what_nobody_can_read_stays_and_is_counted(desk: Desk) -> None:
    hostile = '{"type":"safelight.demand","imageId":"\\ud800","revision":"v1","preset":{}}'
    for body in ("no JSON", "no JSON", '{"type": "safelight.of-tomorrow"}', hostile):
        await desk.bury(body, reason="unreadable")
    code, told = await desk.redrive("unreadable")
    assert code == 1
    assert "2 letters cannot be sent back whole and will stay: the body is not JSON" in told
    assert "1 letter cannot be sent back whole and will stay" in told
    queue, dead_letters = desk.queues
    assert len(await desk.bodies(dead_letters)) == 4
    assert await desk.bodies(queue) == []


async def test_what_cannot_be_done_is_said(desk: Desk) -> None:
    code, told = await desk.redrive()
    assert (code, told.strip()) == (0, "No dead letters.")
    code, told = await desk.redrive("unknown")
    assert code == 1
    assert "No dead letter has the reason unknown." in told
    code, told = await desk.redrive(SAFELIGHT_RENDERS_QUEUE_URL="")
    assert code == 2
    assert "SAFELIGHT_RENDERS_QUEUE_URL" in told
    code, told = await desk.redrive(SAFELIGHT_DEAD_LETTER_QUEUE_URL=f"{desk.queues[1]}-not-there")
    assert code == 1
    assert "Traceback" not in told


async def test_single_letters_are_shown_and_deleted_by_their_ids(desk: Desk) -> None:
    await desk.bury("first", reason="unknown", detail="KeyError: 'a'")
    await desk.bury("no \u202eJSON", reason="unreadable")
    code, shown = await desk.redrive("--show", "--json")
    letters = {letter["reason"]: letter for letter in json.loads(shown)}
    assert (code, letters["unknown"]["body"]) == (0, "first")
    assert letters["unknown"]["detail"] == "KeyError: 'a'"
    code, shown = await desk.redrive("unreadable", "--show")
    assert code == 0
    assert f"id: {letters['unreadable']['id']}\n" in shown
    assert "body: no \ufffdJSON\n" in shown
    assert "first" not in shown
    one = letters["unreadable"]["id"]
    assert await desk.redrive("--delete", one) == (0, "Deleted 1 letter.\n")
    assert await desk.redrive("--delete", one) == (
        1,
        f"No dead letter has the id {one}.\nDeleted 0 letters.\n",
    )
    assert (await desk.redrive("unknown", "--delete", one))[0] == 2
    queue, dead_letters = desk.queues
    assert await desk.bodies(dead_letters) == ["first"]
    assert await desk.bodies(queue) == []
