"""Serves health, readiness and metrics on the worker's own port, by default on loopback only."""

import asyncio
import time
from collections.abc import Callable
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
"""The time limit for rendering the tiny picture, once it has a slot."""
CANARY_FAILURES_TO_BE_UNHEALTHY = 2


class Canary(Protocol):
    """A renderer that can test itself."""

    async def canary(self) -> None:
        """Render a tiny picture, or raise."""
        ...


class Health:
    """Tests whether this worker can render: a tiny picture through a real child, every 15 s.

    AWS is not tested, so that a worker is not restarted because a service is down.
    """

    def __init__(self, renderer: Canary, metrics: WorkerMetrics, *, max_seconds: float) -> None:
        self._renderer = renderer
        self._metrics = metrics
        # A canary waits for a slot, behind pictures that may take their whole time limit twice.
        self._patience_seconds = 2 * max_seconds + CANARY_SECONDS
        self._failures = 0

    @property
    def well(self) -> bool:
        """Return whether rendering works, judged by the last canaries."""
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
        except Exception as error:  # noqa: BLE001 - after any error, rendering is in doubt
            self._failures += 1
            log.error("canary_failed", error=repr(error), failures=self._failures)
        else:
            self._failures = 0
        self._metrics.canary_success.set(self._failures == 0)
        log.debug("canary", seconds=round(time.monotonic() - started, 3))


def make_admin_app(
    *,
    registry: CollectorRegistry,
    well: Callable[[], bool],
    ready: Callable[[], bool],
    host: str,
) -> web.Application:
    """Build the application of `/healthz`, `/readyz` and `/metrics`.

    On a loopback `host`, only requests to loopback names are answered. On others, any name will do,
    because scrapers use addresses. `well` is whether the program can do its work at all.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _answer(well(), "cannot render")

    async def readyz(_: web.Request) -> web.Response:
        return _answer(ready(), "not receiving")

    hide_software()
    app = web.Application(middlewares=[loopback_names_only] if is_loopback(host) else [])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", serve_metrics(registry))
    return app


def _answer(well: bool, otherwise: str) -> web.Response:
    return web.Response(status=200 if well else 503, text="ok\n" if well else f"{otherwise}\n")
