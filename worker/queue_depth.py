"""Measures how much waits in the queue, every 15 seconds. All workers see the same number."""

import asyncio
import math
from typing import Protocol

import structlog

from safelight.aws.queue import Depth
from safelight.errors import SafelightError
from worker.metrics import WorkerMetrics

log = structlog.get_logger()

INTERVAL_SECONDS = 15


class Measured(Protocol):
    """A queue that can say how much is in it."""

    async def depth(self) -> Depth:
        """Count messages, about."""
        ...


async def watch_depth(
    queue: Measured, dead_letters: Measured | None, metrics: WorkerMetrics
) -> None:
    """Measure until cancelled. A failure is logged and the next measurement tried."""
    while True:
        try:
            depth = await queue.depth()
            metrics.queue_visible.set(depth.visible)
            metrics.queue_in_flight.set(depth.in_flight)
            if dead_letters is not None:
                metrics.dead_letters.set((await dead_letters.depth()).visible)
        except SafelightError as error:
            log.warning("depth_unknown", error=str(error))
            for gauge in (metrics.queue_visible, metrics.queue_in_flight, metrics.dead_letters):
                gauge.set(math.nan)
        await asyncio.sleep(INTERVAL_SECONDS)
