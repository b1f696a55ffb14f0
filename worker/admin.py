"""The worker's own port: health, readiness and metrics. Never reachable from outside by default."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from safelight.metrics import serve_metrics
from safelight.serving import hide_software, is_loopback, loopback_names_only
from worker.metrics import WorkerMetrics

log = structlog.get_logger()

CANARY_INTERVAL_SECONDS = 15
CANARY_SECONDS = 5
"""For the tiny picture itself, once it has a slot."""
CANARY_FAILURES_TO_BE_UNHEALTHY = 2


class Canary(Protocol):
    """Something that shows whether pictures can still be rendered."""

    async def canary(self) -> None:
        """Render a tiny picture, or raise."""
        ...


class Health:
    """Whether this worker can render at all: a tiny picture through a real child, now and then.

    AWS is never asked: a worker is not restarted because a service is down.
    """

    def __init__(self, renderer: Canary, metrics: WorkerMetrics, *, max_seconds: float) -> None:
        self._renderer = renderer
        self._metrics = metrics
        # It waits for a slot, behind pictures that may take their whole time limit, twice.
        self._patience_seconds = 2 * max_seconds + CANARY_SECONDS
        self._failures = 0

    @property
    def well(self) -> bool:
        """Whether rendering works, as far as the last canaries tell."""
        return self._failures < CANARY_FAILURES_TO_BE_UNHEALTHY

    async def watch(self) -> None:
        """Render canaries until cancelled."""
        while True:
            await self._check()
            await asyncio.sleep(CANARY_INTERVAL_SECONDS)

    async def _check(self) -> None:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._renderer.canary()
        except Exception as error:  # noqa: BLE001 - whatever it is, no picture can be rendered
            self._failures += 1
            log.error("canary_failed", error=repr(error), failures=self._failures)
        else:
            self._failures = 0
        self._metrics.canary_success.set(self._failures == 0)
        log.debug("canary", seconds=round(time.monotonic() - started, 3))


class Receiving(Protocol):
    """What readiness asks of the consumer."""

    @property
    def ready(self) -> bool:
        """Whether messages are being received."""
        ...


def make_admin_app(
    *, registry: CollectorRegistry, health: Health, consumer: Receiving, host: str
) -> web.Application:
    """Serve `/healthz`, `/readyz` and `/metrics`.

    On a loopback `host` only loopback names are answered. Elsewhere a scraper asks by any address.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _answer(health.well, "cannot render")

    async def readyz(_: web.Request) -> web.Response:
        return _answer(consumer.ready, "not receiving")

    hide_software()
    app = web.Application(middlewares=[loopback_names_only] if is_loopback(host) else [])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", serve_metrics(registry))
    return app


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[None]:
    """Serve an app for the block, and log where: port 0 takes a free one."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        log.info("listening", url=f"http://{host}:{bound}")
        yield
    finally:
        await runner.cleanup()


def _answer(well: bool, otherwise: str) -> web.Response:
    return web.Response(status=200 if well else 503, text="ok\n" if well else f"{otherwise}\n")
