"""What becomes of a message, decided from what happened to it. One table, no side effects."""

import random
from dataclasses import dataclass

from safelight.errors import Unavailable, Unreadable

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


Verdict = Done | Retry | Abandon

RELEASE = Retry(0)
"""Give it back at once, untouched."""


def verdict_on(error: Exception, *, receive_count: int) -> Verdict:
    """Decide what becomes of a message whose processing raised this error.

    `Misconfigured` is not here: it is no message's affair (see `Consumer`).
    """
    match error:
        case Unavailable():
            return Retry(backoff_seconds(receive_count))
        case Unreadable():
            return RELEASE
        case _:
            return Retry(UNKNOWN_RETRY_SECONDS)


def backoff_seconds(receive_count: int) -> int:
    """Full jitter: uniform up to 5 s x 2^n for the n-th retry, at most 900 s."""
    longest = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(receive_count - 1, 16))
    return random.randint(0, longest)  # noqa: S311 - jitter, not a secret
