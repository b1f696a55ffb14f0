"""What becomes of a message, decided from what happened to it. One table, no side effects."""

import random
from dataclasses import dataclass

from safelight.errors import Misconfigured, Unavailable, Unreadable

UNKNOWN_RETRY_SECONDS = 30
FIRST_RETRY_SECONDS = 5
LONGEST_RETRY_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Done:
    """Settled: delete the message."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Let it come back after some seconds; the redrive policy counts."""

    after_seconds: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """The lease was lost, somebody else may hold it: write nothing, delete nothing."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """No attempt is left: move it to the dead-letter queue, with the reason on it."""

    reason: str


Verdict = Done | Retry | Abandon | DeadLetter

RELEASE = Retry(0)
"""Give it back at once, untouched."""


def verdict_on(error: Exception, *, receive_count: int, last_chance: bool = False) -> Verdict:
    """Decide what becomes of a message whose processing raised this error.

    On its last chance it is buried: the queue's redrive policy would do that too, but silently.
    """
    if isinstance(error, Misconfigured):
        return RELEASE
    if last_chance:
        return DeadLetter(reason_of(error))
    match error:
        case Unavailable():
            return Retry(backoff_seconds(receive_count, first=FIRST_RETRY_SECONDS))
        case Unreadable():
            return RELEASE
        case _:
            return Retry(growing_seconds(receive_count, first=UNKNOWN_RETRY_SECONDS))


def reason_of(error: Exception) -> str:
    """Name why a message is a dead letter: a closed list."""
    match error:
        case Unreadable():
            return "unreadable"
        case Unavailable():
            return "unavailable"
        case _:
            return "unknown"


def growing_seconds(receive_count: int, *, first: int) -> int:
    """Double the first delay with every receive, up to 900 s."""
    return min(LONGEST_RETRY_SECONDS, first << min(receive_count - 1, 16))


def backoff_seconds(receive_count: int, *, first: int) -> int:
    """Full jitter: uniform up to the growing delay, so that a fleet does not come back as one."""
    return random.randint(0, growing_seconds(receive_count, first=first))  # noqa: S311 - jitter
