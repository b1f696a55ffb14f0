"""Keeps the predicted memory of all current renders under a limit, by making renders wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from prometheus_client import Histogram

from safelight.metrics import timed

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_SHARE_FOR_RENDERS = 0.6
"""The share of memory for renders. The parent, idle children and a spool in memory use the rest."""
_UNKNOWN_MEMORY = 2 * 1024**3


class Admission:
    """A memory budget, of which each render reserves its predicted part while it runs.

    First come, first served, so that small pictures do not starve a large one. A render predicted
    to need more than the whole budget is admitted alone: its child's own limit still applies.
    """

    def __init__(self, budget_bytes: int, *, wait: Histogram | None = None) -> None:
        self.budget_bytes = budget_bytes
        self.admitted_bytes = 0
        self._wait = wait
        self._turn = asyncio.Lock()
        self._released = asyncio.Event()

    @contextlib.asynccontextmanager
    async def admit(self, predicted_bytes: int) -> AsyncIterator[None]:
        """Wait until the predicted bytes fit, and reserve them during the block."""
        share = min(predicted_bytes, self.budget_bytes)
        with timed(self._wait) if self._wait else contextlib.nullcontext():
            await self._take(share)
        try:
            yield
        finally:
            self.admitted_bytes -= share
            self._released.set()

    async def _take(self, share: int) -> None:
        async with self._turn:
            while self.admitted_bytes + share > self.budget_bytes:
                self._released.clear()
                await self._released.wait()
            self.admitted_bytes += share


def default_budget_bytes() -> int:
    """Return the default budget: a share of the container's memory, or else the machine's."""
    limits = [_machine_bytes()]
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(path.read_text()))
    return int(min(limits) * _SHARE_FOR_RENDERS)


def _machine_bytes() -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    return _UNKNOWN_MEMORY
