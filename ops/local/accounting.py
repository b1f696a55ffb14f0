"""Measures processor time and memory of processes, from Linux's proc(5)."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    with suppress(OSError):
        return "Z" not in _stat(pid)[0]
    return False


def children_of(pid: int) -> list[int]:
    """List the process ids of a process's children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int(_stat(int(entry.name))[1]) == pid:
                    found.append(int(entry.name))
    return sorted(found)


def family_of(pid: int) -> list[int]:
    """List the process ids of a process and all its descendants, the process first."""
    family = [pid]
    for member in family:
        family += children_of(member)
    return family


def cpu_seconds(pid: int) -> float:
    """Return a process's processor time, user and system; 0 if it is gone."""
    with suppress(OSError):
        return sum(map(int, _stat(pid)[11:13])) / _TICKS
    return 0.0


def cpu_seconds_with_reaped(pids: Iterable[int]) -> float:
    """Add up the processor time of processes and of the children that they have reaped.

    For a whole family this is all the time it ever used, except by children that were never reaped.
    """
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += sum(map(int, _stat(pid)[11:15]))
    return total / _TICKS


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory including shared pages; 0 if it is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0


def machine_cpu_seconds() -> float:
    """Return the processor time that this machine has used since its start."""
    fields = Path("/proc/stat").read_text().split(maxsplit=8)[1:8]
    user, nice, system, _idle, _iowait, interrupts, soft_interrupts = map(int, fields)
    return (user + nice + system + interrupts + soft_interrupts) / _TICKS


def _stat(pid: int) -> list[str]:
    """Read proc(5)'s stat from the third field on: the second may contain any character."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
