"""Budgets memory before a decode: predicted bytes of all renders in flight stay under a limit."""

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
"""The rest is for the parent, the idle children and the spool where it is memory."""
_UNKNOWN_MEMORY = 2 * 1024**3


class Admission:
    """A share of memory that renders take before they start and give back when they end.

    First come, first served, so that a large picture is not starved by small ones. One whose
    prediction is over the whole budget is admitted alone: its child's own limit guards the rest.
    """

    def __init__(self, budget_bytes: int, *, wait: Histogram | None = None) -> None:
        self.budget_bytes = budget_bytes
        self.admitted_bytes = 0
        self._wait = wait
        self._turn = asyncio.Lock()
        self._given_back = asyncio.Event()

    @contextlib.asynccontextmanager
    async def admit(self, predicted_bytes: int) -> AsyncIterator[None]:
        """Wait for the predicted bytes to fit, and hold them for the block."""
        share = min(predicted_bytes, self.budget_bytes)
        with timed(self._wait) if self._wait else contextlib.nullcontext():
            await self._take(share)
        try:
            yield
        finally:
            self.admitted_bytes -= share
            self._given_back.set()

    async def _take(self, share: int) -> None:
        async with self._turn:
            while self.admitted_bytes + share > self.budget_bytes:
                self._given_back.clear()
                await self._given_back.wait()
            self.admitted_bytes += share


def default_budget_bytes() -> int:
    """Take a share of the memory that this container, or else this machine, has."""
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
