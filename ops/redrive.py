"""`safelight redrive`: list dead letters by reason, show or delete single ones, send them back.

Messages of the role `cleanup` are sent to CleanupQueue, all others to RendersQueue, because only S3
may send to UploadsQueue. An S3 event becomes an ingest of its key: the worker looks up the object
in S3, so a forged event does no harm. An erasure that was in another queue stays: programs that may
send there may have forged it.

Safe to repeat and to stop at any moment: a message that arrives twice is settled once.
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

from ops.exit_codes import ExitCode
from ops.letters import delete_letters, print_letters, reason_of
from ops.tables import counted, make_table
from safelight.aws.queue import BATCH_SIZE, Message, Queue
from safelight.aws.session import connect
from safelight.aws.settings import AwsSettings
from safelight.errors import Unreadable
from safelight.queued import EraseImage, EraseUser, OfCleanup, OfRenders, ingest_of, read_ours
from worker.envelopes import parsed
from worker.events import is_event, source_keys

HIDDEN_SECONDS = 300
"""How long a received letter is hidden from other receivers. It is returned at the end."""
ALL = "all"
"""The word that chooses letters of every reason."""
NO_CLEANUP = "it belongs to the role cleanup, and SAFELIGHT_CLEANUP_QUEUE_URL is not set"
"""Why a letter stays if no setting names its queue."""
WRONG_QUEUE = "wrong_queue"
"""The reason of letters whose message was in a queue of another role."""
MAY_BE_FORGED = (
    "an erasure in the wrong queue may be forged; ask for the erasure again with safelight erase"
)
"""Why such an erasure stays: programs that may send to that queue need not be allowed to erase."""


class RedriveSettings(AwsSettings):
    """Settings of `safelight redrive`. It needs the permissions of OperatorPolicy."""

    renders_queue_url: str = Field(
        min_length=1, description="RendersQueue, the target of demands and uploads."
    )
    cleanup_queue_url: str | None = Field(
        default=None, min_length=1, description="CleanupQueue, the target of what is to be erased."
    )
    dead_letter_queue_url: str = Field(min_length=1, description="The dead-letter queue.")


class Target(Protocol):
    """A queue that letters are sent back to."""

    async def send(self, body: str) -> None:
        """Send a message."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The queues that letters are sent back to."""

    renders: Target
    cleanup: Target | None
    """None if no setting names CleanupQueue: its letters stay."""

    def of(self, message: OfRenders | OfCleanup, *, reason: str) -> Target:
        """Return the queue of the role that processes a message.

        Raises `Unreadable` without it, and for an erasure that may be forged.
        """
        if isinstance(message, EraseImage | EraseUser) and reason == WRONG_QUEUE:
            raise Unreadable(MAY_BE_FORGED)
        if not isinstance(message, OfCleanup):
            return self.renders
        if self.cleanup is None:
            raise Unreadable(NO_CLEANUP)
        return self.cleanup


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
        cleanup = settings.cleanup_queue_url
        targets = Targets(
            renders=await aws.queue(settings.renders_queue_url),
            cleanup=await aws.queue(cleanup) if cleanup else None,
        )
        found = [message async for message in _read(letters)]
        try:
            if wanted.delete:
                return await delete_letters(letters, found, wanted.delete)
            return await _treat(found, wanted, letters, targets, bucket=settings.uploads_bucket)
        finally:
            await _release(letters, found)


async def _treat(
    found: Sequence[Message], wanted: Wanted, letters: Queue, targets: Targets, *, bucket: str
) -> int:
    reason = ALL if wanted.show and wanted.reason is None else wanted.reason
    chosen = [message for message in found if reason in (reason_of(message), ALL)]
    if wanted.show:
        print_letters(chosen, as_json=wanted.as_json)
        return ExitCode.DONE if chosen else _without_letters(reason)
    _print_counts(found, as_json=wanted.as_json)
    if not chosen:
        return _without_letters(reason)
    returns = [Return.of(letter, targets, bucket=bucket) for letter in chosen]
    _explain_what_stays(returns)
    if not wanted.dry_run:
        await _send_back(returns, letters, rate=wanted.rate)
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
    """The messages to send in place of a letter, and the fault of any part that stays."""

    letter: Message
    bodies: tuple[str, ...]
    target: Target
    fault: str | None

    @classmethod
    def of(cls, letter: Message, targets: Targets, *, bucket: str) -> Self:
        """Read a letter: each S3 event becomes an ingest, our own messages are sent unchanged."""
        bodies: list[str] = []
        faults: list[Unreadable] = []
        target = targets.renders
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
                ours = read_ours(document)
                target = targets.of(ours, reason=reason_of(letter))
                bodies.append(ours.to_json())
        except Unreadable as fault:
            faults.append(fault)
        return cls(
            letter=letter,
            bodies=tuple(bodies),
            target=target,
            fault=str(faults[0]) if faults else None,
        )


def _explain_what_stays(returns: Sequence[Return]) -> None:
    for why, count in Counter(one.fault for one in returns if one.fault).items():
        letters = counted(count, "letter")
        print(f"{letters} cannot be sent back whole and will stay: {why}", file=sys.stderr)


async def _send_back(returns: Sequence[Return], letters: Queue, *, rate: float) -> None:
    """Send the messages of each letter, then delete it.

    If stopped in between, the messages are sent again next time. A letter with an unreadable part
    stays, so that the part is not lost.
    """
    with Progress(console=Console(stderr=True)) as progress:
        for one in progress.track(returns, description="Sent back"):
            for body in one.bodies:
                await one.target.send(body)
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
