"""The gauges of a queue's length."""

import asyncio

from prometheus_client import CollectorRegistry

from safelight.aws.queue import Depth
from safelight.program import background
from worker.metrics import WorkerMetrics
from worker.queue_depth import watch_depth


class Measured:
    """A queue of a fixed depth."""

    def __init__(self, depth: Depth) -> None:
        self._depth = depth

    async def depth(self) -> Depth:
        return self._depth


async def test_letters_that_an_operator_looks_at_are_counted_too() -> None:
    registry = CollectorRegistry()
    queue, letters = (
        Measured(Depth(visible=5, in_flight=4)),
        Measured(Depth(visible=2, in_flight=1)),
    )
    async with background(watch_depth(queue, letters, WorkerMetrics(registry))):
        async with asyncio.timeout(10):
            while registry.get_sample_value("safelight_dead_letters") != 3:
                await asyncio.sleep(0)
    assert registry.get_sample_value("safelight_queue_visible") == 5
    assert registry.get_sample_value("safelight_queue_in_flight") == 4
