"""Reports the outcome of each picture: a table for people, a list for programs.

The table has a row for each variant, so that it fits a terminal with any number of presets.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from ops.journey import Outcome
from ops.tables import make_table

Row = tuple[str, str, str, str]


def table(outcomes: Sequence[Outcome]) -> Table:
    """Build a table with a section for each picture and a row for each variant."""
    shown = make_table("Picture", "Variant", "Pixels", "Size", numbers=("Pixels", "Size"))
    for outcome in outcomes:
        for row in _rows(outcome):
            shown.add_row(*map(Text, row))
        shown.add_section()
    return shown


def as_report(outcomes: Iterable[Outcome]) -> list[dict[str, object]]:
    """Return the outcomes in the form of `report.json`."""
    return [
        {
            "file": outcome.file,
            "imageId": outcome.image_id,
            "status": outcome.status,
            "reason": outcome.reason,
            "mediaType": outcome.media_type,
            "width": outcome.width,
            "height": outcome.height,
            "originalSize": outcome.original_size,
            "variants": {
                preset: {
                    "file": variant.file,
                    "mediaType": variant.media_type,
                    "width": variant.width,
                    "height": variant.height,
                    "size": variant.size,
                    "sha256": variant.sha256,
                }
                for preset, variant in outcome.variants.items()
            },
            "savingsPercent": outcome.savings_percent,
            "secondsToCompletion": outcome.seconds_to_completion,
            "rendersSeconds": outcome.renders_seconds,
            "sha256": outcome.sha256,
            "placeholder": outcome.placeholder,
            "dominantColour": outcome.dominant_colour,
            "perceptualHash": outcome.perceptual_hash,
        }
        for outcome in outcomes
    ]


def write_report(outcomes: Iterable[Outcome], to: Path) -> None:
    """Save `report.json`."""
    to.write_text(json.dumps(as_report(outcomes), indent=2, ensure_ascii=False) + "\n", "utf-8")


def size(size_bytes: int) -> str:
    """Format a size in decimal units with three digits."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    value, unit = size_bytes / 1000, "kB"
    if value >= 1000:
        value, unit = value / 1000, "MB"
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def dimensions(width: int | None, height: int | None) -> str:
    """Format as WIDTHxHEIGHT; empty if unknown."""
    return f"{width}x{height}" if width and height else ""


def one_line(text: str) -> str:
    """Replace unprintable characters, so that untrusted text cannot control the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def why(outcome: Outcome) -> str:
    """Explain why a picture was not completed."""
    return one_line(": ".join(part for part in (outcome.reason, outcome.detail) if part))


def _rows(outcome: Outcome) -> Iterator[Row]:
    shape = dimensions(outcome.width, outcome.height)
    yield _heading(outcome), "source", shape, size(outcome.original_size)
    for preset, variant in outcome.variants.items():
        yield "", preset, dimensions(variant.width, variant.height), size(variant.size)
    for preset, fault in outcome.failed_variants.items():
        yield one_line(fault), preset, "", "failed"


def _heading(outcome: Outcome) -> str:
    """Return the picture's name, and below it its result."""
    if outcome.status != "completed":
        return f"{one_line(outcome.file)}\n{outcome.status} {why(outcome)}".rstrip()
    saving, seconds = outcome.savings_percent, outcome.seconds_to_completion
    facts = [
        "" if saving is None else f"{abs(saving):.1f} % {'smaller' if saving >= 0 else 'larger'}",
        "" if seconds is None else f"{seconds:.2f} s",
    ]
    return "\n".join(filter(None, (one_line(outcome.file), ", ".join(filter(None, facts)))))
