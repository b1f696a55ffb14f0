"""The table of verdicts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.errors import (
    ImageIdTaken,
    Misconfigured,
    TooEarly,
    Unavailable,
    Unreadable,
    UnusableWatermark,
    WrongQueue,
)
from worker.verdict import (
    DEAD_LETTER_CAUSES,
    DeadLetter,
    Retry,
    backoff_seconds,
    most_hopeful,
    verdict_on,
)

RUNBOOK = Path(__file__).parents[3] / "docs" / "operate" / "runbooks" / "dead-letters.md"


@pytest.mark.parametrize(
    ("error", "cause"), [(Unreadable("x"), "unreadable"), (WrongQueue("x"), "wrong_queue")]
)
def test_a_message_that_no_try_makes_readable_is_a_dead_letter_at_once(
    error: Exception, cause: str
) -> None:
    assert verdict_on(error, receive_count=1) == DeadLetter(cause)


@given(st.integers(1, 1000))
def test_an_unavailable_service_is_retried_with_full_jitter_up_to_the_cap(count: int) -> None:
    longest = min(900, 5 * 2 ** min(count - 1, 20))
    verdict = verdict_on(Unavailable("s3", "slow down"), receive_count=count)
    assert isinstance(verdict, Retry)
    assert 0 <= verdict.after_seconds <= longest


def test_jitter_uses_its_whole_range() -> None:
    drawn = {backoff_seconds(3) for _ in range(2000)}
    assert drawn == set(range(21))


def test_an_unknown_error_is_tried_again_after_growing_delays() -> None:
    error = RuntimeError("x")
    delays = [verdict_on(error, receive_count=n) for n in range(1, 10)]
    assert delays == [
        Retry(seconds, "unknown") for seconds in (30, 60, 120, 240, 480, 900, 900, 900, 900)
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unreadable("x"), "unreadable"),
        (WrongQueue("x"), "wrong_queue"),
        (Unavailable("s3", "x"), "unavailable"),
        (Misconfigured("spool", "x"), "misconfigured"),
        (UnusableWatermark("logos/x", "gone"), "unknown"),
        (KeyError("x"), "unknown"),
    ],
)
def test_on_its_last_attempt_a_message_is_a_dead_letter_with_a_reason(
    error: Exception, reason: str
) -> None:
    assert verdict_on(error, receive_count=10, last_chance=True) == DeadLetter(reason)


def test_of_several_failures_the_one_that_a_retry_helps_most_decides() -> None:
    errors = [
        Misconfigured("spool", "x"),
        Unavailable("s3", "x"),
        KeyError("x"),
        Unreadable("x"),
        WrongQueue("x"),
    ]
    while errors:
        assert most_hopeful(errors[::-1]) is errors.pop(0)


@pytest.mark.parametrize("cause", DEAD_LETTER_CAUSES)
def test_the_runbook_of_dead_letters_explains_every_cause(cause: str) -> None:
    rows = [line for line in RUNBOOK.read_text().splitlines() if line.startswith("| `")]
    assert any(f"`{cause}`" in row.split("|")[1] for row in rows)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (TooEarly("the latest version does not count"), "too_early"),
        (ImageIdTaken("another object has the id"), "image_id_taken"),
    ],
)
def test_work_that_the_data_does_not_allow_yet_is_returned_and_opens_no_breaker(
    error: Exception, cause: str
) -> None:
    verdict = verdict_on(error, receive_count=3)
    assert isinstance(verdict, Retry)
    assert (verdict.cause, verdict.after_seconds <= 20) == (cause, True)
    assert not isinstance(error, (Unavailable, Misconfigured))
