"""`safelight redrive`: list dead letters by reason, and send them back.

Everything goes to RendersQueue: only S3 sends to UploadsQueue. So an event of S3 becomes an ingest
of its key, and the worker asks S3 what is there. A forged event does no harm that way.

Safe to repeat and to stop at any moment: a message that comes twice is settled once.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from pydantic import Field
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from safelight.aws.queue import BATCH_SIZE, Failure, Message
from safelight.aws.session import connect
from safelight.errors import Unreadable
from safelight.queued import ingest_of, read_queued
from safelight.settings import AwsSettings
from worker.events import is_event, parsed, source_keys

HIDDEN_SECONDS = 300
"""How long letters that were read stay hidden from others; they are given back at the end."""
SILENT = "unexplained"
"""The reason of letters that the redrive policy moved, without a word."""


class RedriveSettings(AwsSettings):
    """Settings of `safelight redrive`. It needs the permissions of OperatorPolicy."""

    renders_queue_url: str = Field(min_length=1, description="RendersQueue, where letters go.")
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
    """RendersQueue."""

    async def send(self, body: str, *, attributes: dict[str, str]) -> None:
        """Put a message into it."""
        ...


async def redrive(reason: str | None, *, rate: float, dry_run: bool, as_json: bool) -> int:
    """List the letters by reason; with a reason, send those back, at most so many a second.

    Returns the exit code: 1 if there was something to send and nothing could be sent.
    """
    settings = RedriveSettings.load()
    async with connect(settings) as aws:
        letters = await aws.queue(settings.dead_letter_queue_url, visibility_seconds=HIDDEN_SECONDS)
        queue = await aws.queue(settings.renders_queue_url)
        found = [message async for message in _read(letters)]
        chosen = [message for message in found if reason in (reason_of(message), "all")]
        try:
            _tell(found, as_json=as_json)
            if reason and not chosen:
                print(f"No dead letter has the reason {reason}.", file=sys.stderr)
                return 1
            if not chosen:
                return 0
            returns = [Return.of(letter, bucket=settings.uploads_bucket) for letter in chosen]
            _explain_what_stays(returns)
            if not dry_run:
                await _send_back(returns, letters, queue, rate=rate)
        finally:
            await _release(letters, found)
    return 0 if any(one.bodies or not one.fault for one in returns) else 1


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """The messages that send a letter back, and why a part of it cannot be read, if so."""

    letter: Message
    bodies: tuple[str, ...]
    fault: str | None

    @classmethod
    def of(cls, letter: Message, *, bucket: str) -> Self:
        """Read a letter: each event of S3 becomes an ingest, our own messages stay as they are."""
        bodies: list[str] = []
        faults: list[Unreadable] = []
        try:
            document = parsed(letter.body)
            if is_event(document):
                keys, unreadable = source_keys(letter.body, bucket=bucket)
                faults += unreadable
                for key in keys:
                    try:
                        bodies.append(ingest_of(key).to_json())
                    except Unreadable as fault:
                        faults.append(fault)
            else:
                bodies.append(read_queued(document).to_json())
        except Unreadable as fault:
            faults.append(fault)
        return cls(letter=letter, bodies=tuple(bodies), fault=str(faults[0]) if faults else None)


def _explain_what_stays(returns: Sequence[Return]) -> None:
    for why, count in Counter(one.fault for one in returns if one.fault).items():
        letters = "1 letter cannot" if count == 1 else f"{count} letters cannot"
        print(f"{letters} be read whole and will stay: {why}", file=sys.stderr)


async def _send_back(
    returns: Sequence[Return], letters: Letters, queue: Queue, *, rate: float
) -> None:
    """Send the messages of each letter, then delete it: stopped in between, they come twice.

    A letter of which a part cannot be read stays, so that the part is not lost.
    """
    with Progress(console=Console(stderr=True)) as progress:
        for one in progress.track(returns, description="Sent back"):
            for body in one.bodies:
                await queue.send(body, attributes={})
                await asyncio.sleep(1 / rate)
            if one.fault is None:
                await letters.delete([one.letter.receipt])


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
    for words, count in rows.most_common():
        table.add_row(*map(escape, words), str(count))
    Console().print(table if found else "No dead letters.")
