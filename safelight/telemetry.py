"""Logs and the measurements that api and worker make the same way.

One wide log event per message and per request; everything is bound to it on the way. Metrics hang
on a registry that `__main__` makes. Nothing here may know what a picture is.
"""

import asyncio
import contextlib
import logging
import re
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, MutableMapping
from typing import Any

import structlog
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

_SECRET_QUERY = re.compile(
    r"\?[^\s\"'?]*(?:signature|credential|security(?:-|%2d)token|versionid)=[^\s\"']*",
    re.IGNORECASE,
)
_HEADERS = r"(?:proxy-)?authorization|x-api-key|x-amz-security-token|(?:set-)?cookie"
_SECRET_HEADER = re.compile(
    rf"(?<![\w-])({_HEADERS})([\"']?[ \t]*[:=][ \t]*)\S[^\r\n]*", re.IGNORECASE
)
_CREDENTIALS = re.compile(_HEADERS, re.IGNORECASE)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut out queries that are signed or name a version of an object, and headers of credentials.

    A presigned URL in a log could be used, and a source's version id gives every asset key of its
    image. botocore's errors of connection hold the whole URL. Names count in any case.
    """
    for name, value in event.items():
        event[name] = _redacted(value, name)
    return event


def _redacted(value: Any, name: object = "") -> Any:
    if isinstance(name, str) and _CREDENTIALS.fullmatch(name):
        return "[redacted]"
    match value:
        case str():
            cut = _SECRET_QUERY.sub("?[redacted]", value)
            return _SECRET_HEADER.sub(r"\1\2[redacted]", cut)
        case dict():
            return {name: _redacted(inner, name) for name, inner in value.items()}
        case list() | tuple():
            return [_redacted(inner) for inner in value]
    return value


def configure_logging(*, log_format: str, level: str, service: str) -> None:
    """Send structlog's and the standard library's logs to stderr in one form."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for noisy in ("botocore", "aiobotocore", "aioboto3", "urllib3", "pyvips", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service, version=__version__)


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


@contextlib.asynccontextmanager
async def background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines beside the block and cancel them at its end.

    One that fails ends the block too: nothing that a process needs may die unnoticed.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@contextlib.contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe how long the block took, also when it raises."""
    started = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - started)
