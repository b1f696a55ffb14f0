"""Draws SVG charts: series over time in panels, and bars in groups. Numbers in, text out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 150, 70, 40, 46
"""Pixels: a panel's width and height, the margin on its left, above the first, between two."""
BAR, BAR_GAP, LABELS, BARS_WIDTH = 18, 6, 250, 760
"""Pixels: a bar's height, the space between two, the width of their labels and of the chart."""
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#7f7f7f")
MOST_POINTS = 1500
"""Points of one line: more would fall on the same pixels."""
MOST_TICKS = 6
"""Steps of the time axis."""
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200)
"""Seconds between two ticks of the time axis; longer steps are whole days."""
DAY_SECONDS = 86400
UNITS = {3600: "hours", 60: "minutes", 1: "seconds"}
"""Seconds -> name: the time axis has the largest unit that its step is a multiple of."""
STYLE = (
    "text{font:11px sans-serif;fill:#444}.title{font-size:14px;font-weight:bold}"
    ".grid{stroke:#8884;stroke-width:1}polyline{fill:none;stroke-width:1.4}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)
BARS_STYLE = (
    "text{font:12px sans-serif;fill:#333}.title{font-size:14px;font-weight:bold}"
    ".group{font-weight:bold}.bar{fill:#9aa7b5}.ours{fill:#c0392b}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)

Point = tuple[float, float]
"""Seconds and a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Lines over one time axis, by name."""

    title: str
    lines: Mapping[str, Sequence[Point]]


def time_series(title: str, panels: Sequence[Panel]) -> str:
    """Draw the panels one below the other, over the time that they have in common."""
    points = [point for panel in panels for line in panel.lines.values() for point in line]
    start = min((at for at, _ in points), default=0)
    span = max((at for at, _ in points), default=1) - start or 1
    body = [f'<text class="title" x="0" y="18">{escape(title)}</text>']
    y = TOP
    for panel in panels:
        body += _panel(panel, y, start, span)
        y += HEIGHT + GAP
    body += [
        f'<text x="{LEFT + WIDTH * at / span:.0f}" y="{y - GAP + 28}" text-anchor="middle">'
        f"{label}</text>"
        for at, label in time_ticks(span)
    ]
    return _svg(body, width=LEFT + WIDTH + 60, height=y, style=STYLE)


def bars(*, title: str, groups: Mapping[str, Mapping[str, float]], ours: str = "Safelight") -> str:
    """Draw horizontal bars, group by group, with the bar named `ours` in another colour."""
    most = max(value for values in groups.values() for value in values.values())
    scale = (BARS_WIDTH - LABELS - 60) / most
    body, y = [f'<text class="title" x="0" y="16">{escape(title)}</text>'], 34
    for group, values in groups.items():
        body.append(f'<text class="group" x="0" y="{y + 14}">{escape(group)}</text>')
        y += BAR + BAR_GAP
        for label, value in values.items():
            kind = "ours" if label == ours else "bar"
            length = value * scale
            body += [
                f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>',
                f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}"/>',
                f'<text x="{LABELS + length + 6:.1f}" y="{y + 13}">{value:.2f}</text>',
            ]
            y += BAR + BAR_GAP
        y += BAR_GAP
    return _svg(body, width=BARS_WIDTH, height=y, style=BARS_STYLE)


def time_ticks(span: float) -> list[tuple[float, str]]:
    """List the ticks of a time axis: seconds and label. Numbers are round; the last has the unit.

    `span` is the length of the axis in seconds.
    """
    days = DAY_SECONDS * math.ceil(span / DAY_SECONDS / MOST_TICKS)
    step = next((step for step in STEPS if span / step <= MOST_TICKS), days)
    seconds, unit = next((size, name) for size, name in UNITS.items() if step % size == 0)
    last = math.floor(span / step + 0.01)  # samples of an hour end a second before it
    labels = [str(number * step // seconds) for number in range(last + 1)]
    labels[last] += f" {unit}"
    return [(number * step, label) for number, label in enumerate(labels)]


def _svg(body: Sequence[str], *, width: int, height: int, style: str) -> str:
    size = f'width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, f"<style>{style}</style>", *body, "</svg>"]) + "\n"


def _panel(panel: Panel, y: int, start: float, span: float) -> list[str]:
    most = max((v for line in panel.lines.values() for _, v in line if math.isfinite(v)), default=1)
    top = _round_up(most)
    drawn = [
        f'<line class="grid" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y + HEIGHT * (1 - share):.0f}"'
        f' y2="{y + HEIGHT * (1 - share):.0f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4 + HEIGHT * (1 - share):.0f}" text-anchor="end">'
        f"{top * share:.4g}</text>"
        for share in (0, 0.5, 1)
    ]
    x = LEFT
    drawn.append(f'<text x="{x}" y="{y - 8}" font-weight="bold">{escape(panel.title)}</text>')
    x += 12 + 7 * len(panel.title)
    for (name, line), colour in zip(panel.lines.items(), COLOURS * 4, strict=False):
        drawn.append(f'<text x="{x}" y="{y - 8}" style="fill:{colour}">{escape(name)}</text>')
        x += 14 + 7 * len(name)
        places = " ".join(
            f"{LEFT + WIDTH * (at - start) / span:.1f},{y + HEIGHT * (1 - value / top):.1f}"
            for at, value in _thinned(line)
        )
        drawn.append(f'<polyline points="{places}" stroke="{colour}"/>')
    return drawn


def _thinned(line: Sequence[Point]) -> Sequence[Point]:
    """Keep the highest point of each stretch: a reader looks for peaks."""
    known = [point for point in line if math.isfinite(point[1])]
    size = math.ceil(len(known) / MOST_POINTS) or 1
    return [max(known[at : at + size], key=lambda p: p[1]) for at in range(0, len(known), size)]


def _round_up(value: float) -> float:
    """Find the next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    if value <= 0:
        return 1
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= value * 0.9999)
