"""Measures the memory and open files of processes, by Linux's proc(5)."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Sums over some processes at one moment. Sizes in bytes."""

    processes: int = 0
    pss: int = 0
    """Proportional set size: a page shared by n processes counts 1/n in each, so that the sum over
    a family counts its pages once."""
    anonymous: int = 0
    """The part that belongs to no file: heaps, stacks and pictures."""
    rss: int = 0
    """Resident set size: a shared page counts in each process."""
    open_files: int = 0

    def __add__(self, other: "Footprint") -> "Footprint":
        return Footprint(
            processes=self.processes + other.processes,
            pss=self.pss + other.pss,
            anonymous=self.anonymous + other.anonymous,
            rss=self.rss + other.rss,
            open_files=self.open_files + other.open_files,
        )


def footprint(pids: Iterable[int]) -> Footprint:
    """Measure processes. One that ends meanwhile counts as nothing.

    Raises `PermissionError` for processes of other users.
    """
    return sum(map(_of_process, pids), Footprint())


def _of_process(pid: int) -> Footprint:
    with suppress(FileNotFoundError, ProcessLookupError):
        process = Path(f"/proc/{pid}")
        sizes = {}
        for line in (process / "smaps_rollup").read_text().splitlines()[1:]:
            name, _, size = line.partition(":")
            sizes[name] = int(size.split()[0]) * _KIB
        return Footprint(
            processes=1,
            pss=sizes["Pss"],
            anonymous=sizes["Pss_Anon"],
            rss=sizes["Rss"],
            open_files=len(list((process / "fd").iterdir())),
        )
    return Footprint()
