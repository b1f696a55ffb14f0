"""Decides what becomes of a message, from what happened to it. One table, no side effects."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from safelight.errors import (
    ImageIdTaken,
    Misconfigured,
    TooEarly,
    Unavailable,
    Unreadable,
    WrongQueue,
)

UNKNOWN_RETRY_SECONDS = 30
"""The first delay after an error that Safelight has no class for."""
FIRST_RETRY_SECONDS = 5
"""The longest first delay while a service fails or is misconfigured."""
LONGEST_RETRY_SECONDS = 900
"""The longest delay of any retry."""


@dataclass(frozen=True, slots=True)
class Done:
    """The message is settled: delete it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The message comes back after a delay. SQS counts the receive."""

    after_seconds: int
    cause: str
    """Why the message was not settled, for logs and metrics."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """The lease was lost, and another worker may hold the message: write and delete nothing."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A retry is useless: move the message to the dead-letter queue, with the cause on it."""

    cause: str


Verdict = Done | Retry | Abandon | DeadLetter


class Progress(IntEnum):
    """How far processing got, which decides for which services the breaker may close."""

    NONE = 0
    STORED = 1
    """Variants were stored. There was nothing to publish."""
    PUBLISHED = 2
    """A completion was published."""


DRAINED = Retry(0, "drained")
"""Returns the message at once, because the worker is shutting down."""
NOT_BURIED = Retry(UNKNOWN_RETRY_SECONDS, "not_buried")
"""The dead-letter queue refused the message. The redrive policy will move it, without a cause."""


def growing_seconds(receive_count: int, *, first: int) -> int:
    """Return the first delay, doubled with every receive, up to 900 s."""
    return min(LONGEST_RETRY_SECONDS, first << min(receive_count - 1, 16))


def backoff_seconds(receive_count: int) -> int:
    """Return a random delay of up to 5 s x 2^n, at most 900 s, so that retries are spread out."""
    longest = growing_seconds(receive_count, first=FIRST_RETRY_SECONDS)
    return random.randint(0, longest)  # noqa: S311 - jitter, not a secret


def _unknown_seconds(receive_count: int) -> int:
    return growing_seconds(receive_count, first=UNKNOWN_RETRY_SECONDS)


@dataclass(frozen=True, slots=True)
class FailureKind:
    """One kind of failure, and what becomes of its messages."""

    error: type[Exception]
    """Covers its subclasses too, unless they have a row of their own."""
    cause: str
    """The name of the kind in metrics and dead letters."""
    retry_seconds: Callable[[int], int] | None
    """Returns the delay of a retry for the receive count. None if a retry is useless."""


FAILURE_KINDS = (
    FailureKind(Misconfigured, "misconfigured", backoff_seconds),
    FailureKind(Unavailable, "unavailable", backoff_seconds),
    FailureKind(TooEarly, "too_early", backoff_seconds),
    FailureKind(ImageIdTaken, "image_id_taken", backoff_seconds),
    FailureKind(Exception, "unknown", _unknown_seconds),
    FailureKind(Unreadable, "unreadable", None),
    FailureKind(WrongQueue, "wrong_queue", None),
)
"""Every kind of failure. The first rows are the most hopeful: a retry helps them most."""
_BY_ERROR = {kind.error: kind for kind in FAILURE_KINDS}
DEAD_LETTER_CAUSES = tuple(kind.cause for kind in FAILURE_KINDS)
"""Every cause that a dead letter can have."""


def verdict_on(error: Exception, *, receive_count: int, last_chance: bool = False) -> Verdict:
    """Decide what becomes of a message whose processing raised this error.

    A message becomes a dead letter if a retry is useless, and on its last attempt: the queue's
    redrive policy would move it without a cause.
    """
    kind = kind_of(error)
    if last_chance or kind.retry_seconds is None:
        return DeadLetter(kind.cause)
    return Retry(kind.retry_seconds(receive_count), kind.cause)


def kind_of(error: Exception) -> FailureKind:
    """Return the row of an error: that of its own class, or of its nearest base class."""
    return next(_BY_ERROR[base] for base in type(error).__mro__ if base in _BY_ERROR)


def most_hopeful(errors: Sequence[Exception]) -> Exception:
    """Return the failure of one message that a retry helps most.

    A record that cannot be read must not bury another upload of the message that is only delayed.
    """
    return min(errors, key=lambda error: FAILURE_KINDS.index(kind_of(error)))
