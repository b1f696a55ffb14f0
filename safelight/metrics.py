"""Metrics that api and worker measure the same way, on a registry that their `__main__` makes."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from safelight import __version__

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)
"""Buckets for anything that one picture waits for."""


def make_registry() -> CollectorRegistry:
    """Make the registry of a process, without a second series for each metric's creation."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's one bare function
    return CollectorRegistry()


def serve_metrics(registry: CollectorRegistry) -> Handler:
    """Answer a scrape in the one form that every scraper reads: nothing is negotiated.

    A path that is only another spelling is not found, since a load balancer that keeps strangers
    from `/metrics` may not know it for the same.
    """

    async def metrics(request: web.Request) -> web.Response:
        if request.raw_path.partition("?")[0] != "/metrics":
            raise web.HTTPNotFound
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return metrics


class ProcessMetrics:
    """What every Safelight process measures of itself and of the services it calls."""

    def __init__(self, registry: CollectorRegistry, *, service: str) -> None:
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        build = Gauge(
            "safelight_build_info", "Version running.", ["service", "version"], registry=registry
        )
        build.labels(service, __version__).set(1)
        self.loop_lag = Histogram(
            "safelight_event_loop_lag_seconds",
            "How late the event loop ran a timer.",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.25, 1),
            registry=registry,
        )
        self.dependency_seconds = Histogram(
            "safelight_dependency_request_seconds",
            "Time of one call to a service, retries included.",
            ["dependency", "operation"],
            buckets=(0.05, 0.5, 5),
            registry=registry,
        )
        self.dependency_errors = Counter(
            "safelight_dependency_errors_total",
            "Calls to a service that failed, by kind.",
            ["dependency", "code"],
            registry=registry,
        )

    async def watch_loop(self, *, interval_seconds: float = 0.1) -> None:
        """Measure the event loop's lag until cancelled."""
        while True:
            due = time.perf_counter() + interval_seconds
            await asyncio.sleep(interval_seconds)
            self.loop_lag.observe(max(0.0, time.perf_counter() - due))


@contextlib.contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe how long the block took, also when it raises."""
    started = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - started)
