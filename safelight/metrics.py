"""Metrics that the API and the worker share, on a registry that their `__main__` makes."""

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
"""Buckets for the steps of one picture, in seconds."""


def make_registry() -> CollectorRegistry:
    """Make a registry that adds no series with the creation time of each metric."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's one bare function
    return CollectorRegistry()


def serve_metrics(registry: CollectorRegistry) -> Handler:
    """Return the handler of `/metrics`, which answers in Prometheus's text format.

    Any other spelling of the path gets 404: a load balancer that blocks `/metrics` may let it pass.
    """

    async def metrics(request: web.Request) -> web.Response:
        if request.raw_path.partition("?")[0] != "/metrics":
            raise web.HTTPNotFound
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return metrics


class FaceMetrics:
    """Metrics of looking for faces, in a worker and in delivery."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "safelight_face_detection_seconds",
            "Time to look for the faces of one picture, by outcome: found, none, failed.",
            ["outcome"],
            buckets=SECONDS,
            registry=registry,
        )

    def looked(self, outcome: str, *, seconds: float) -> None:
        """Record one picture that was looked at."""
        self.seconds.labels(outcome).observe(seconds)


class ProcessMetrics:
    """Metrics of a process itself and of the services that it calls."""

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
        """Measure the lag of the event loop until cancelled."""
        while True:
            due = time.perf_counter() + interval_seconds
            await asyncio.sleep(interval_seconds)
            self.loop_lag.observe(max(0.0, time.perf_counter() - due))


@contextlib.contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe how many seconds the block took, even if it raises."""
    started = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - started)
