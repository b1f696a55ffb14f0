"""Reports the outcome of each picture: a table for people, a list for programs."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from ops.journey import Outcome


def table(outcomes: Sequence[Outcome]) -> Table:
    """Build a table with a row for each picture and a column for each variant."""
    presets = presets_of(outcomes)
    shown = Table(show_lines=True, pad_edge=False)
    shown.add_column("Picture", overflow="fold", min_width=12)
    for column in ("Source", *presets, "Saving", "Seconds"):
        shown.add_column(column, justify="right")
    for outcome in outcomes:
        shown.add_row(*(Text(cell) for cell in _cells(outcome, presets)))
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


def presets_of(outcomes: Iterable[Outcome]) -> list[str]:
    """List the presets with a variant of any picture, largest first."""
    names: dict[str, None] = {}
    for outcome in outcomes:
        names |= dict.fromkeys([*outcome.variants, *outcome.failed_variants])
    return list(names)


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


def _cells(outcome: Outcome, presets: Sequence[str]) -> list[str]:
    name = one_line(outcome.file)
    if outcome.status != "completed":
        name += f"\n{outcome.status} {why(outcome)}".rstrip()
    source = f"{size(outcome.original_size)}\n{dimensions(outcome.width, outcome.height)}"
    saving, seconds = outcome.savings_percent, outcome.seconds_to_completion
    return [
        name,
        source.strip(),
        *(_variant_cell(outcome, preset) for preset in presets),
        "" if saving is None else f"{saving:.1f} %",
        "" if seconds is None else f"{seconds:.2f}",
    ]


def _variant_cell(outcome: Outcome, preset: str) -> str:
    if variant := outcome.variants.get(preset):
        return f"{size(variant.size)}\n{dimensions(variant.width, variant.height)}"
    return one_line(outcome.failed_variants.get(preset, ""))
