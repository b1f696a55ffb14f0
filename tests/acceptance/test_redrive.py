"""`safelight redrive` as an operator runs it, on queues that check every signature."""

import asyncio
import json
import os
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from ops.local.emulator import Emulator
from ops.local.stack import Stack, deploy

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("redrive")]
SAFELIGHT = Path(sys.executable).with_name("safelight")


class Desk:
    """An operator's terminal, and the two queues."""

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
        """Take everything out of a queue."""
        found: list[str] = []
        async with self._emulator.account.client("sqs") as sqs:
            while messages := (
                await sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
            ).get("Messages"):
                for message in messages:
                    found.append(message["Body"])
                    await sqs.delete_message(
                        QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"]
                    )
        return sorted(body for body in found if "s3:TestEvent" not in body)

    @property
    def queues(self) -> tuple[str, str]:
        return self._stack.queue_url, self._stack.dead_letter_queue_url

    async def redrive(self, *arguments: str, **changes: str) -> tuple[int, str]:
        """Run the command: its exit code and all that it printed."""
        environment = {
            "PATH": os.environ["PATH"],
            **self._emulator.root.environment(self._emulator.endpoint_url),
            **self._stack.settings(),
            "SAFELIGHT_QUEUE_URL": self._stack.queue_url,
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


@pytest_asyncio.fixture(loop_scope="session")
async def desk(emulator: Emulator) -> Desk:
    return Desk(emulator, await deploy(emulator.account, name=f"redrive-{uuid4().hex[:8]}"))


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
    await desk.bury("a", reason="unknown")
    await desk.bury("b", reason="unreadable")
    assert (await desk.redrive("unknown", "--dry-run"))[0] == 0
    code, told = await desk.redrive("unknown", "--rate", "100")
    assert code == 0, told
    queue, dead_letters = desk.queues
    assert await desk.bodies(queue) == ["a"]
    assert await desk.bodies(dead_letters) == ["b"]


async def test_what_cannot_be_done_is_said(desk: Desk) -> None:
    code, told = await desk.redrive()
    assert (code, told.strip()) == (0, "No dead letters.")
    code, told = await desk.redrive("unknown")
    assert code == 1
    assert "No dead letter has the reason unknown." in told
    code, told = await desk.redrive(SAFELIGHT_QUEUE_URL="")
    assert code == 2
    assert "SAFELIGHT_QUEUE_URL" in told
    code, told = await desk.redrive(SAFELIGHT_DEAD_LETTER_QUEUE_URL=f"{desk.queues[1]}-not-there")
    assert code == 1
    assert "Traceback" not in told
