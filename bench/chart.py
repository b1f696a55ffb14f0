"""Draws a bar chart as SVG. Plain text in, plain text out; nothing is measured here."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

BAR, GAP, LABELS, WIDTH = 18, 6, 250, 760
"""Pixels."""
STYLE = (
    "text{font:12px sans-serif;fill:#333}.title{font-size:14px;font-weight:bold}"
    ".group{font-weight:bold}.bar{fill:#9aa7b5}.ours{fill:#c0392b}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)


def bars(*, title: str, groups: Mapping[str, Mapping[str, float]], ours: str = "Safelight") -> str:
    """Draw horizontal bars, group by group; the bar named `ours` stands out."""
    most = max(value for values in groups.values() for value in values.values())
    scale = (WIDTH - LABELS - 60) / most
    drawn, y = [f'<text class="title" x="0" y="16">{escape(title)}</text>'], 34
    for group, values in groups.items():
        drawn.append(f'<text class="group" x="0" y="{y + 14}">{escape(group)}</text>')
        y += BAR + GAP
        for label, value in values.items():
            kind = "ours" if label == ours else "bar"
            length = value * scale
            drawn += [
                f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>',
                f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}"/>',
                f'<text x="{LABELS + length + 6:.1f}" y="{y + 13}">{value:.2f}</text>',
            ]
            y += BAR + GAP
        y += GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" role="img">'
    return "\n".join([head, f"<style>{STYLE}</style>", *drawn, "</svg>"]) + "\n"
