"""`safelight redrive`: tell why messages are dead letters, and give them another chance.

Safe to repeat and to stop at any moment: a message that comes twice is settled once.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from pydantic import Field
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from safelight.aws.queue import BATCH_SIZE, Failure, Message
from safelight.aws.session import connect
from safelight.settings import AwsSettings

HIDDEN_SECONDS = 300
"""How long letters that were read stay hidden from others; they are given back at the end."""
SILENT = "unexplained"
"""The reason of letters that the redrive policy moved, without a word."""


class RedriveSettings(AwsSettings):
    """Settings of `safelight redrive`: the worker's own, with somebody's rights to both queues."""

    queue_url: str = Field(min_length=1, description="The SQS queue of S3's events.")
    dead_letter_queue_url: str = Field(min_length=1, description="The dead-letter queue.")


class Letters(Protocol):
    """The dead-letter queue."""

    async def receive(self, *, max_messages: int, wait_seconds: int) -> Sequence[Message]:
        """Take some letters, and hide them from others."""
        ...

    async def delete(self, receipts: Sequence[str]) -> Sequence[Failure]:
        """Remove letters for good."""
        ...

    async def change_visibility(self, changes: dict[str, int]) -> Sequence[Failure]:
        """Give letters back."""
        ...


class Queue(Protocol):
    """The queue that letters go back to."""

    async def send(self, body: str, *, attributes: dict[str, str]) -> None:
        """Put a message into it."""
        ...


async def redrive(reason: str | None, *, rate: float, dry_run: bool, as_json: bool) -> int:
    """List the letters by reason; with a reason, send those back at most so many a second."""
    settings = RedriveSettings.load()
    async with connect(settings) as aws:
        letters = await aws.queue(settings.dead_letter_queue_url, visibility_seconds=HIDDEN_SECONDS)
        queue = await aws.queue(settings.queue_url)
        found = [message async for message in _read(letters)]
        chosen = [message for message in found if reason in (reason_of(message), "all")]
        try:
            _tell(found, as_json=as_json)
            if reason and not chosen:
                print(f"No dead letter has the reason {reason}.", file=sys.stderr)
                return 1
            if chosen and not dry_run:
                await _send_back(chosen, letters, queue, rate=rate)
        finally:
            await _release(letters, found)
    return 0


def reason_of(message: Message) -> str:
    """Name why a message is a dead letter."""
    return message.attributes.get("reason", SILENT)


async def _read(letters: Letters) -> AsyncIterator[Message]:
    """Read every letter there is; SQS may say twice that there is none before it is true."""
    empty = 0
    while empty < 2:
        messages = await letters.receive(max_messages=BATCH_SIZE, wait_seconds=1)
        empty = 0 if messages else empty + 1
        for message in messages:
            yield message


async def _send_back(
    chosen: Sequence[Message], letters: Letters, queue: Queue, *, rate: float
) -> None:
    """Send each letter to the queue, then delete it: stopped between, it only comes twice."""
    with Progress(console=Console(stderr=True)) as progress:
        for message in progress.track(chosen, description="Sent back"):
            await queue.send(message.body, attributes={})
            await letters.delete([message.receipt])
            await asyncio.sleep(1 / rate)


async def _release(letters: Letters, found: Sequence[Message]) -> None:
    """Give back what was only read. What was deleted is refused, which is right."""
    for start in range(0, len(found), BATCH_SIZE):
        batch = found[start : start + BATCH_SIZE]
        await letters.change_visibility({message.receipt: 0 for message in batch})


def _tell(found: Sequence[Message], *, as_json: bool) -> None:
    rows = Counter(
        (
            reason_of(message),
            message.attributes.get("stage", ""),
            message.attributes.get("exceptionType", ""),
        )
        for message in found
    )
    if as_json:
        told = [
            {"reason": reason, "stage": stage, "exceptionType": kind, "count": count}
            for (reason, stage, kind), count in rows.most_common()
        ]
        print(json.dumps(told, indent=2))
        return
    table = Table("reason", "stage", "exception", "letters")
    for (reason, stage, kind), count in rows.most_common():
        table.add_row(reason, stage, kind, str(count))
    Console().print(table if found else "No dead letters.")
