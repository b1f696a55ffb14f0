"""Tells from samples over time what a worker takes, and whether that has grown."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.support.faults.footprint import Footprint

T = TypeVar("T", int, float)

WINDOW_PICTURES = 500
LEAST_WINDOWS = 6
"""In a run of fewer pictures than so many windows hold, windows are smaller."""
REFERENCE = 1
"""The second window, which ends at 1,000 pictures: by then a worker has all that it ever takes."""
MOST_GROWTH = 1.15
"""Of memory at rest and of open files, in any later window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at the worker that lives through the whole run."""

    seconds: float
    """Since the first picture was told."""
    settled: int
    """Pictures settled by all workers."""
    worker: Footprint
    """All its processes."""
    parent: Footprint
    """That of them which never is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was seen while some hundreds of pictures were settled. Sizes in bytes."""

    settled: int
    """Pictures, at its end."""
    pictures_per_second: float
    at_rest: int
    """Memory (PSS) that nine samples in ten exceed: that of all processes between large pictures.
    What is never given back shows here; a median depends on how many of them are large."""
    median: int
    peak: int
    parent: int
    """Median of the parent's own memory."""
    open_files: int
    """Median."""
    most_open_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A run in windows of equally many settled pictures, the second of which is the reference."""

    windows: Sequence[Window]

    @property
    def reference(self) -> Window:
        return self.windows[REFERENCE]

    @property
    def memory_growth(self) -> float:
        """The most memory at rest of any later window over the reference's."""
        return max(one.at_rest for one in self.windows[REFERENCE:]) / self.reference.at_rest

    @property
    def files_growth(self) -> float:
        """The most open files of any later window over the reference's."""
        return max(one.open_files for one in self.windows[REFERENCE:]) / self.reference.open_files

    def faults(self) -> list[str]:
        """List what grew by more than is allowed."""
        growths = {"memory": self.memory_growth, "open files": self.files_growth}
        return [
            f"{name} grew to {growth:.2f} of what it was after {self.reference.settled} pictures"
            for name, growth in growths.items()
            if growth > MOST_GROWTH
        ]


def trend(samples: Sequence[Sample], *, pictures: int) -> Trend | None:
    """Cut a run of so many pictures into windows; None if it ended before the reference did.

    A last window that is not even half full is left out.
    """
    size = max(1, min(WINDOW_PICTURES, pictures // LEAST_WINDOWS))
    parts: dict[int, list[Sample]] = {}
    for sample in samples:
        parts.setdefault(sample.settled // size, []).append(sample)
    ends = [part[0] for part in parts.values()][1:] + list(samples[-1:])
    windows = [
        _window(part, end)
        for part, end in zip(parts.values(), ends, strict=True)
        if end.settled - part[0].settled >= size / 2
    ]
    return Trend(windows=windows) if len(windows) > REFERENCE + 1 else None


def _window(part: Sequence[Sample], end: Sample) -> Window:
    first = part[0]
    memory = [sample.worker.pss for sample in part]
    files = [sample.worker.open_files for sample in part]
    return Window(
        settled=end.settled,
        pictures_per_second=(end.settled - first.settled) / (end.seconds - first.seconds),
        at_rest=quantile(memory, 0.1),
        median=quantile(memory, 0.5),
        peak=max(memory),
        parent=quantile([sample.parent.pss for sample in part], 0.5),
        open_files=quantile(files, 0.5),
        most_open_files=max(files),
    )


def quantile(values: Iterable[T], share: float) -> T:
    """Give the smallest value that at least such a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
