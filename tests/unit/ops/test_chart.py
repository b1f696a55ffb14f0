"""What charts show can be read off them."""

import pytest

from ops.chart import MOST_TICKS, Panel, bars, time_series, time_ticks


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (0.3, "0 seconds"),
        (65, "0, 15, 30, 45, 60 seconds"),
        (181, "0, 1, 2, 3 minutes"),
        (3599, "0, 10, 20, 30, 40, 50, 60 minutes"),
        (3600, "0, 10, 20, 30, 40, 50, 60 minutes"),
        (86_400, "0, 4, 8, 12, 16, 20, 24 hours"),
        (9 * 86_400, "0, 48, 96, 144, 192 hours"),
    ],
)
def test_a_time_axis_has_round_numbers(span, labels):
    ticks = time_ticks(span)
    assert ", ".join(label for _, label in ticks) == labels
    assert len(ticks) <= MOST_TICKS + 1
    assert all(0 <= at <= span * 1.01 for at, _ in ticks)


def test_texts_of_a_chart_are_escaped():
    lines = time_series("a < b", [Panel(title="c & d", lines={"<e>": [(0, 1), (60, 2)]})])
    assert [text in lines for text in ("a &lt; b", "c &amp; d", "&lt;e&gt;")] == [True] * 3
    assert "&lt;peer&gt;" in bars(title="", groups={"": {"<peer>": 1}})
