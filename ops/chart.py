"""Draws series over time as SVG, panels one below the other. Numbers in, text out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 150, 70, 40, 46
"""Pixels: of a panel, of what stands left of it, above the first, and between two."""
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#7f7f7f")
MOST_POINTS = 1500
"""Of one line: more than pixels nobody sees."""
STYLE = (
    "text{font:11px sans-serif;fill:#444}.title{font-size:14px;font-weight:bold}"
    ".grid{stroke:#8884;stroke-width:1}polyline{fill:none;stroke-width:1.4}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Lines over one time axis: by name, points of seconds and a value."""

    title: str
    lines: dict[str, Sequence[Point]]


def draw(title: str, panels: Sequence[Panel], *, unit: tuple[str, float] = ("minutes", 60)) -> str:
    """Draw the panels over their common time; `unit` names the axis and its seconds."""
    points = [point for panel in panels for line in panel.lines.values() for point in line]
    start = min((at for at, _ in points), default=0)
    span = max((at for at, _ in points), default=1) - start or 1
    body = [f'<text class="title" x="0" y="18">{escape(title)}</text>']
    y = TOP
    for panel in panels:
        body += _panel(panel, y, start, span)
        y += HEIGHT + GAP
    body += [
        f'<text x="{LEFT + WIDTH * share:.0f}" y="{y - GAP + 28}" text-anchor="middle">'
        f"{span * share / unit[1]:.3g} {unit[0]}</text>"
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    size = f'width="{LEFT + WIDTH + 60}" height="{y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, f"<style>{STYLE}</style>", *body, "</svg>"]) + "\n"


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
    """Keep of each stretch the point of the highest value: peaks are what is looked for."""
    known = [point for point in line if math.isfinite(point[1])]
    size = math.ceil(len(known) / MOST_POINTS) or 1
    return [max(known[at : at + size], key=lambda p: p[1]) for at in range(0, len(known), size)]


def _round_up(value: float) -> float:
    """Find the next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    if value <= 0:
        return 1
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= value * 0.9999)
