"""Writes the contact sheet: a page that shows each source beside its variants, without a server."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from ops.journey import Outcome, Saved
from ops.report import dimensions, size, why
from ops.tables import counted
from safelight.formats import FORMATS

_SHOWN_BY_BROWSERS = {format.media_type for format in FORMATS if format.shown_by_browsers}
_MARK = '<meta name="generator" content="safelight demo">'
"""Distinguishes our pages from others of the same name."""
_LARGE_SIDE = 480
"""Pixels: longer pictures are shown at this size, thumbnails at their own."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1d1f; --soft: #6b6f76; --line: #e3e4e7; --page: #fafaf9;
  --card: #fff; --good: #1a7f4b; --bad: #b3261e; --check: #ececec; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e6; --soft: #9a9da3; --line: #2e3034;
  --page: #151617; --card: #1d1e20; --good: #5fca91; --bad: #ff8a80; --check: #2a2b2e; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2.5rem clamp(1rem, 4vw, 4rem);
  background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; font-weight: 600; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.05rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
p { margin: .25rem 0 0; color: var(--soft); }
section { margin-top: 1.5rem; padding: 1.25rem 1.5rem 1.5rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; }
.row { display: flex; flex-wrap: wrap; gap: 1.25rem; align-items: flex-end; margin-top: 1rem; }
figure { margin: 0; max-width: 100%; }
figcaption { margin-top: .45rem; font-size: .85rem; color: var(--soft);
  font-variant-numeric: tabular-nums; }
figcaption b { color: var(--ink); font-weight: 600; }
img { display: block; max-width: 100%; height: auto; border-radius: 3px;
  background: repeating-conic-gradient(var(--check) 0 25%, transparent 0 50%) 0 0 / 16px 16px; }
.none { display: grid; place-items: center; width: 300px; max-width: 100%; height: 200px;
  padding: 1rem; text-align: center; color: var(--soft);
  border: 1px dashed var(--line); border-radius: 3px; }
.good { color: var(--good); } .bad { color: var(--bad); }
a { color: inherit; text-decoration: none; }
"""


def write_contact_sheet(outcomes: Sequence[Outcome], to: Path) -> None:
    """Save the page as `to`; its links are relative to that folder."""
    to.write_text(contact_sheet(outcomes, folder=to.parent), "utf-8")


def is_contact_sheet(page: Path) -> bool:
    """Return whether a file is a page that `write_contact_sheet` wrote."""
    return page.is_file() and _MARK in page.read_text("utf-8", "replace")


def contact_sheet(outcomes: Sequence[Outcome], *, folder: Path) -> str:
    """Return the page's HTML, with links relative to `folder`."""
    completed = sum(outcome.status == "completed" for outcome in outcomes)
    pictures = counted(len(outcomes), "picture")
    sections = "\n".join(_section(outcome, folder) for outcome in outcomes)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{_MARK}
<title>Safelight contact sheet</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Contact sheet</h1>
<p>{pictures}, {completed} completed. Thumbnails are shown at their own size.</p>
</header>
{sections}
</body>
</html>
"""


def _section(outcome: Outcome, folder: Path) -> str:
    heading = f"<h2>{escape(outcome.file)}</h2>"
    if outcome.status != "completed":
        reason = f'<p><span class="bad">{escape(outcome.status)}</span> {escape(why(outcome))}</p>'
        return f"<section>{heading}{reason}</section>"
    variants = "".join(
        _variant(preset, variant, outcome) for preset, variant in outcome.variants.items()
    )
    failed = "".join(
        f'<figure><div class="none">{escape(why)}</div>'
        f"<figcaption><b>{escape(preset)}</b><br>failed</figcaption></figure>"
        for preset, why in outcome.failed_variants.items()
    )
    return (
        f"<section>{heading}{_summary(outcome)}"
        f'<div class="row">{_source(outcome, folder)}{variants}{failed}</div></section>'
    )


def _summary(outcome: Outcome) -> str:
    parts = []
    if (saving := outcome.savings_percent) is not None:
        kind = "good" if saving > 0 else "bad"
        word = "smaller" if saving >= 0 else "larger"
        parts.append(f'<span class="{kind}">{abs(saving):.1f} % {word}</span>')
    if outcome.seconds_to_completion is not None:
        parts.append(f"completed in {outcome.seconds_to_completion:.2f} s")
    return f"<p>{' · '.join(parts)}</p>"


def _source(outcome: Outcome, folder: Path) -> str:
    href = quote(os.fsencode(os.path.relpath(outcome.source, folder)))
    if outcome.media_type in _SHOWN_BY_BROWSERS:
        image = _image(href, outcome.width, outcome.height, f"{outcome.file}, as uploaded")
    else:
        what = escape(outcome.media_type or "this")
        image = f'<a class="none" href="{href}">Browsers do not show {what}</a>'
    caption = _caption("source", outcome.width, outcome.height, outcome.original_size)
    return f"<figure>{image}{caption}</figure>"


def _variant(preset: str, variant: Saved, outcome: Outcome) -> str:
    folder, _, name = (variant.file or "").rpartition("/")
    href = f"{quote(os.fsencode(outcome.folder))}/{quote(name)}" if folder else ""
    image = _image(href, variant.width, variant.height, f"{outcome.file}, {preset}")
    return (
        f"<figure>{image}{_caption(preset, variant.width, variant.height, variant.size)}</figure>"
    )


def _image(href: str, width: int | None, height: int | None, alt: str) -> str:
    width, height = width or 0, height or 0
    if (side := max(width, height)) > _LARGE_SIDE:
        width, height = width * _LARGE_SIDE // side, height * _LARGE_SIDE // side
    return (
        f'<a href="{href}"><img src="{href}" width="{max(width, 1)}" height="{max(height, 1)}"'
        f' alt="{escape(alt)}" loading="lazy"></a>'
    )


def _caption(name: str, width: int | None, height: int | None, size_bytes: int) -> str:
    shape = dimensions(width, height).replace("x", " × ")  # noqa: RUF001 - the multiplication sign
    return f"<figcaption><b>{escape(name)}</b><br>{shape} · {size(size_bytes)}</figcaption>"
