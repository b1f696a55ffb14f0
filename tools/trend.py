"""Summarises samples of a worker's memory and open files, and reports whether they have grown."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.faults.footprint import Footprint
from tests.support.faults.witness import quantile

WINDOW_PICTURES = 500
"""Settled pictures in a window of a long run."""
LEAST_WINDOWS = 6
"""A short run has smaller windows, so that there are about this many."""
REFERENCE = 1
"""Index of the reference window, which ends at 1,000 pictures: by then memory is level."""
MOST_GROWTH = 1.15
"""Highest ratio of memory at rest, or of open files, in a later window to the reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement of the worker that lives through the whole run."""

    seconds: float
    """Seconds since the first upload event was sent."""
    settled: int
    """Number of pictures settled by all workers."""
    worker: Footprint
    """All its processes."""
    parent: Footprint
    """Its main process alone, which is never replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Measurements while some hundreds of pictures were settled. Sizes in bytes."""

    settled: int
    """Number of pictures settled by its end."""
    pictures_per_second: float
    at_rest: int
    """Memory (PSS) of all processes that nine samples in ten exceed: that between large pictures.
    Leaks show here. The median depends on the number of large pictures."""
    median: int
    peak: int
    parent: int
    """Median of the main process's own memory."""
    open_files: int
    """Median number."""
    most_open_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A run, cut into windows of equally many settled pictures; the second is the reference."""

    windows: Sequence[Window]

    @property
    def reference(self) -> Window:
        return self.windows[REFERENCE]

    @property
    def memory_growth(self) -> float:
        """Ratio of the highest memory at rest in a later window to the reference's."""
        return max(one.at_rest for one in self.windows[REFERENCE:]) / self.reference.at_rest

    @property
    def files_growth(self) -> float:
        """Ratio of the most open files in a later window to the reference's."""
        return max(one.open_files for one in self.windows[REFERENCE:]) / self.reference.open_files

    def faults(self) -> list[str]:
        """List the figures that grew by more than is allowed."""
        growths = {"memory": self.memory_growth, "open files": self.files_growth}
        return [
            f"{name} grew to {growth:.2f} of what it was after {self.reference.settled} pictures"
            for name, growth in growths.items()
            if growth > MOST_GROWTH
        ]


def trend(samples: Sequence[Sample], *, pictures: int) -> Trend | None:
    """Cut a run into windows; return None if it ended before the window after the reference.

    `pictures` is the planned number. A last window that is less than half full is left out.
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
