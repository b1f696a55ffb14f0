"""Counts the messages in the queue every 15 seconds. All workers see the same number."""

import asyncio
import math
from typing import Protocol

import structlog

from safelight.aws.queue import Depth
from safelight.errors import SafelightError
from worker.consumer_metrics import ConsumerMetrics

log = structlog.get_logger()

INTERVAL_SECONDS = 15


class Measured(Protocol):
    """A queue that can count its messages."""

    async def depth(self) -> Depth:
        """Return the approximate numbers of messages."""
        ...


async def watch_depth(
    queue: Measured, dead_letters: Measured | None, metrics: ConsumerMetrics
) -> None:
    """Measure until cancelled. After a failure, log it and try again at the next interval."""
    while True:
        try:
            depth = await queue.depth()
            metrics.queue_visible.set(depth.visible)
            metrics.queue_in_flight.set(depth.in_flight)
            if dead_letters is not None:
                letters = await dead_letters.depth()
                # Letters that an operator reads are hidden for a while.
                metrics.dead_letters.set(letters.visible + letters.in_flight)
        except SafelightError as error:
            log.warning("queue_depth_failed", error=str(error))
            for gauge in (metrics.queue_visible, metrics.queue_in_flight, metrics.dead_letters):
                gauge.set(math.nan)
        await asyncio.sleep(INTERVAL_SECONDS)
