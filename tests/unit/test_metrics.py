"""Metrics of the process itself."""

import asyncio

from prometheus_client import CollectorRegistry

from safelight.metrics import ProcessMetrics
from safelight.program import background


async def test_the_loops_lag_is_measured() -> None:
    registry = CollectorRegistry()
    metrics = ProcessMetrics(registry, service="test")
    async with background(metrics.watch_loop(interval_seconds=0.001)):
        async with asyncio.timeout(10):
            while not registry.get_sample_value("safelight_event_loop_lag_seconds_count"):
                await asyncio.sleep(0.001)
