"""What becomes of a message, decided from what happened to it. One table, no side effects."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from safelight.errors import Misconfigured, Unavailable, Unreadable, WrongQueue

UNKNOWN_RETRY_SECONDS = 30
FIRST_RETRY_SECONDS = 5
LONGEST_RETRY_SECONDS = 900

Cause = Literal[
    "misconfigured", "unavailable", "unknown", "unreadable", "wrong_queue", "drained", "not_buried"
]
"""Why a message was not settled: a closed list, for metrics and dead letters."""


@dataclass(frozen=True, slots=True)
class Done:
    """Settled: delete the message."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Let it come back after some seconds; the redrive policy counts."""

    after_seconds: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Abandon:
    """The lease was lost, somebody else may hold it: write nothing, delete nothing."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Trying again is useless: move it to the dead-letter queue, with the cause on it."""

    cause: Cause


class Progress(IntEnum):
    """How far the pictures of a message went, and so how much was seen to work."""

    NONE = 0
    STORED = 1
    """Rendered and stored, for nobody to be told."""
    PUBLISHED = 2
    """All the way."""


Verdict = Done | Retry | Abandon | DeadLetter

DRAINED = Retry(0, "drained")
"""Give it back at once, untouched."""
NOT_BURIED = Retry(UNKNOWN_RETRY_SECONDS, "not_buried")
"""The dead-letter queue did not take it: the redrive policy will move it, without a word."""


def verdict_on(error: Exception, *, receive_count: int, last_chance: bool = False) -> Verdict:
    """Decide what becomes of a message whose processing raised this error.

    A message that cannot be read, or is not of its queue's kind, goes to the dead-letter queue at
    once. So does any other on its last chance: the queue's redrive policy would move it silently.
    """
    cause = cause_of(error)
    if last_chance:
        return DeadLetter(cause)
    match cause:
        case "unavailable" | "misconfigured":
            return Retry(backoff_seconds(receive_count), cause)
        case "unknown":
            return Retry(growing_seconds(receive_count, first=UNKNOWN_RETRY_SECONDS), cause)
        case _:
            return DeadLetter(cause)


def cause_of(error: Exception) -> Cause:
    """Name what an error means for its message."""
    match error:
        case Misconfigured():
            return "misconfigured"
        case Unavailable():
            return "unavailable"
        case WrongQueue():
            return "wrong_queue"
        case Unreadable():
            return "unreadable"
        case _:
            return "unknown"


_BY_HOPE: tuple[Cause, ...] = (
    "misconfigured", "unavailable", "unknown", "unreadable", "wrong_queue",
)  # fmt: skip


def most_hopeful(errors: Sequence[Exception]) -> Exception:
    """Choose, of several failures in one message, the one that trying again helps most.

    A record that cannot be read must not bury the upload beside it, which a service only delays.
    """
    return min(errors, key=lambda error: _BY_HOPE.index(cause_of(error)))


def growing_seconds(receive_count: int, *, first: int) -> int:
    """Double the first delay with every receive, up to 900 s."""
    return min(LONGEST_RETRY_SECONDS, first << min(receive_count - 1, 16))


def backoff_seconds(receive_count: int) -> int:
    """Full jitter: uniform up to 5 s x 2^n, at most 900 s, so that a fleet does not come as one."""
    longest = growing_seconds(receive_count, first=FIRST_RETRY_SECONDS)
    return random.randint(0, longest)  # noqa: S311 - jitter, not a secret
