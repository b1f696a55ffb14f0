"""`safelight redrive`: list dead letters by reason, show or delete single ones, send them back.

Everything is sent to RendersQueue, because only S3 may send to UploadsQueue. An S3 event becomes an
ingest of its key: the worker looks up the object in S3, so a forged event does no harm.

Safe to repeat and to stop at any moment: a message that arrives twice is settled once.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import Field
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from ops.exit_codes import ExitCode
from ops.letters import delete_letters, print_letters, reason_of
from ops.tables import counted, make_table
from safelight.aws.queue import BATCH_SIZE, Message, Queue
from safelight.aws.session import connect
from safelight.aws.settings import AwsSettings
from safelight.errors import Unreadable
from safelight.queued import ingest_of, read_queued
from worker.envelopes import parsed
from worker.events import is_event, source_keys

HIDDEN_SECONDS = 300
"""How long a received letter is hidden from other receivers. It is returned at the end."""
ALL = "all"
"""The word that chooses letters of every reason."""


class RedriveSettings(AwsSettings):
    """Settings of `safelight redrive`. It needs the permissions of OperatorPolicy."""

    renders_queue_url: str = Field(min_length=1, description="RendersQueue, the target.")
    dead_letter_queue_url: str = Field(min_length=1, description="The dead-letter queue.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to do with the letters of a reason."""

    reason: str | None
    rate: float
    """The most messages sent back in a second."""
    dry_run: bool = False
    show: bool = False
    delete: Sequence[str] = ()
    """The ids of letters to delete instead."""
    as_json: bool = False


async def redrive(wanted: Wanted) -> int:
    """List the letters by reason, show or delete single ones, or send those of a reason back.

    Returns the exit code: `FAILED` if no letter was chosen, or none could be sent.
    """
    settings = RedriveSettings.load()
    async with connect(settings) as aws:
        letters = await aws.queue(settings.dead_letter_queue_url, visibility_seconds=HIDDEN_SECONDS)
        queue = await aws.queue(settings.renders_queue_url)
        found = [message async for message in _read(letters)]
        try:
            if wanted.delete:
                return await delete_letters(letters, found, wanted.delete)
            return await _treat(found, wanted, letters, queue, bucket=settings.uploads_bucket)
        finally:
            await _release(letters, found)


async def _treat(
    found: Sequence[Message], wanted: Wanted, letters: Queue, queue: Queue, *, bucket: str
) -> int:
    reason = ALL if wanted.show and wanted.reason is None else wanted.reason
    chosen = [message for message in found if reason in (reason_of(message), ALL)]
    if wanted.show:
        print_letters(chosen, as_json=wanted.as_json)
        return ExitCode.DONE if chosen else _without_letters(reason)
    _print_counts(found, as_json=wanted.as_json)
    if not chosen:
        return _without_letters(reason)
    returns = [Return.of(letter, bucket=bucket) for letter in chosen]
    _explain_what_stays(returns)
    if not wanted.dry_run:
        await _send_back(returns, letters, queue, rate=wanted.rate)
    _print_sum(returns, dry_run=wanted.dry_run)
    sent = any(one.bodies or not one.fault for one in returns)
    return ExitCode.DONE if sent else ExitCode.FAILED


def _without_letters(reason: str | None) -> ExitCode:
    """Return the exit code when no letter was chosen, and print why."""
    if reason in (None, ALL):
        return ExitCode.DONE
    print(f"No dead letter has the reason {reason}.", file=sys.stderr)
    return ExitCode.FAILED


def _print_sum(returns: Sequence["Return"], *, dry_run: bool) -> None:
    """Print what was sent, or would be."""
    messages = sum(len(one.bodies) for one in returns)
    letters = counted(sum(bool(one.bodies) for one in returns), "letter")
    verb = "Would send" if dry_run else "Sent"
    print(f"{verb} back {letters} as {counted(messages, 'message')}.", file=sys.stderr)


async def _read(letters: Queue) -> AsyncIterator[Message]:
    """Receive every letter. SQS may answer empty once although letters are left."""
    empty = 0
    while empty < 2:
        messages = await letters.receive(max_messages=BATCH_SIZE, wait_seconds=1)
        empty = 0 if messages else empty + 1
        for message in messages:
            yield message


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """The messages to send in place of a letter, and the fault of any unreadable part."""

    letter: Message
    bodies: tuple[str, ...]
    fault: str | None

    @classmethod
    def of(cls, letter: Message, *, bucket: str) -> Self:
        """Read a letter: each S3 event becomes an ingest, our own messages are sent unchanged."""
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
        letters = counted(count, "letter")
        print(f"{letters} cannot be read whole and will stay: {why}", file=sys.stderr)


async def _send_back(
    returns: Sequence[Return], letters: Queue, queue: Queue, *, rate: float
) -> None:
    """Send the messages of each letter, then delete it.

    If stopped in between, the messages are sent again next time. A letter with an unreadable part
    stays, so that the part is not lost.
    """
    with Progress(console=Console(stderr=True)) as progress:
        for one in progress.track(returns, description="Sent back"):
            for body in one.bodies:
                await queue.send(body, attributes={})
                await asyncio.sleep(1 / rate)
            if one.fault is None:
                await letters.delete([one.letter.receipt])


async def _release(letters: Queue, found: Sequence[Message]) -> None:
    """Return the letters to the queue. SQS refuses this for deleted ones, as it should."""
    for start in range(0, len(found), BATCH_SIZE):
        batch = found[start : start + BATCH_SIZE]
        await letters.change_visibility({message.receipt: 0 for message in batch})


def _print_counts(found: Sequence[Message], *, as_json: bool) -> None:
    rows = Counter(
        (
            reason_of(message),
            message.attributes.get("stage", ""),
            message.attributes.get("exceptionType", ""),
        )
        for message in found
    )
    if as_json:
        counts = [
            {"reason": reason, "stage": stage, "exceptionType": kind, "count": count}
            for (reason, stage, kind), count in rows.most_common()
        ]
        print(json.dumps(counts, indent=2))
        return
    table = make_table("reason", "stage", "exception", "letters", numbers=("letters",))
    for words, count in rows.most_common():
        table.add_row(*map(escape, words), str(count))
    Console().print(table if found else "No dead letters.")
