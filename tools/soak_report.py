"""Writes the results of a soak: a table, a JSON file, and a chart over time."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tools.trend import MOST_GROWTH, REFERENCE, Sample, Trend

MB = 1e6


def table(trend: Trend) -> str:
    """Format a line for each window."""
    lines = ["settled  pictures/s  MB at rest  median  peak  parent  open files  most"]
    lines += [
        f"{one.settled:7}  {one.pictures_per_second:10.1f}  {one.at_rest / MB:10.0f}  "
        f"{one.median / MB:6.0f}  {one.peak / MB:4.0f}  {one.parent / MB:6.1f}  "
        f"{one.open_files:10}  {one.most_open_files:4}"
        + ("  reference" if one is trend.reference else "")
        for one in trend.windows
    ]
    return "\n".join(lines)


def write_json(
    path: Path, facts: dict[str, Any], samples: Sequence[Sample], trend: Trend | None
) -> None:
    """Write all results as JSON."""
    results = {
        **facts,
        "trend": asdict(trend) if trend else None,
        "samples": [asdict(sample) for sample in samples],
    }
    path.write_text(json.dumps(results, indent=1) + "\n")


def draw(
    path: Path, title: str, samples: Sequence[Sample], trend: Trend | None, kills: Sequence[float]
) -> None:
    """Draw memory, open files and throughput over time, with a tick for every kill."""
    minutes = [sample.seconds / 60 for sample in samples]
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    figure.suptitle(title, fontsize=10)
    memory, files, speed = figure.subplots(3, sharex=True, height_ratios=(3, 1, 1))
    parts = {
        "all processes (PSS)": [one.worker.pss for one in samples],
        "the parent's part": [one.parent.pss for one in samples],
    }
    for name, values in parts.items():
        memory.plot(minutes, [value / MB for value in values], linewidth=0.6, label=name)
    memory.set_ylabel("MB")
    files.plot(minutes, [sample.worker.open_files for sample in samples], linewidth=0.6)
    files.set_ylabel("open files")
    if trend:
        _draw_trend(memory, speed, samples, trend)
    memory.plot([at / 60 for at in kills], [0] * len(kills), "|", color="black", label="a kill")
    memory.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=8, ncols=5, frameon=False)
    speed.set_ylabel("pictures/s")
    speed.set_xlabel("minutes")
    for axes in (memory, files, speed):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def _draw_trend(memory: Any, speed: Any, samples: Sequence[Sample], trend: Trend) -> None:
    edges = [0.0, *(_minute(samples, one.settled) for one in trend.windows)]
    at_rest = [one.at_rest / MB for one in trend.windows]
    memory.stairs(at_rest, edges, baseline=None, color="green", label="at rest (first decile)")
    most, since = MOST_GROWTH * trend.reference.at_rest / MB, edges[REFERENCE + 1]
    memory.hlines(most, since, edges[-1], "red", "dashed", label="limit at rest")
    speed.stairs([one.pictures_per_second for one in trend.windows], edges, baseline=None)


def _minute(samples: Sequence[Sample], settled: int) -> float:
    return next(sample.seconds for sample in samples if sample.settled >= settled) / 60
