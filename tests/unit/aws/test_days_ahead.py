"""Searches by day end at the present: later days have no images, and are not queried."""

import pytest

from safelight.aws.day_index import step_of
from safelight.search import EVERYONE, Position, Range, Search

NOW = 1_796_000_000_000
YEAR_10000 = 253_402_350_000_000
AHEAD = 300_000
"""Milliseconds that the clock of a worker may be ahead."""


def search(most: int, *, newest_first: bool) -> Search:
    return Search(user_id=EVERYONE, uploaded=Range(most=most), newest_first=newest_first)


@pytest.mark.parametrize("most", [NOW + 30 * 24 * 3600 * 1000, YEAR_10000])
def test_a_search_until_a_time_to_come_begins_with_today(most: int) -> None:
    step = step_of(search(most, newest_first=True), None, now=NOW)
    assert step is not None
    assert step.times.most == NOW + AHEAD


@pytest.mark.parametrize("most", [NOW + 30 * 24 * 3600 * 1000, YEAR_10000])
def test_a_search_from_the_oldest_ends_with_today(most: int) -> None:
    read = Position(time=NOW, image_id="01")
    step = step_of(search(most, newest_first=False), read, now=NOW)
    assert step is not None
    assert (step.times.most, step.last) == (NOW + AHEAD, True)


def test_a_search_until_a_time_past_ends_there() -> None:
    step = step_of(search(NOW - 5000, newest_first=True), None, now=NOW)
    assert step is not None
    assert step.times.most == NOW - 5000
