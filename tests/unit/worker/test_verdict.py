"""The table of verdicts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.errors import Unavailable, Unreadable
from worker.verdict import RELEASE, Retry, backoff_seconds, verdict_on


def test_an_unreadable_message_comes_back_at_once_so_that_redrive_moves_it() -> None:
    assert verdict_on(Unreadable("x"), receive_count=1) == RELEASE


@given(st.integers(1, 1000))
def test_an_unavailable_service_is_retried_with_full_jitter_up_to_the_cap(count: int) -> None:
    longest = min(900, 5 * 2 ** min(count - 1, 20))
    verdict = verdict_on(Unavailable("s3", "slow down"), receive_count=count)
    assert isinstance(verdict, Retry)
    assert 0 <= verdict.after_seconds <= longest


def test_jitter_uses_its_whole_range() -> None:
    drawn = {backoff_seconds(3) for _ in range(2000)}
    assert drawn == set(range(21))


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyError("x")])
def test_an_unknown_error_is_tried_again_after_a_while(error: Exception) -> None:
    assert verdict_on(error, receive_count=1) == Retry(30)
