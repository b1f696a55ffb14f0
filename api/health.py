"""Health checks: whether the API is alive, and whether it can look up images."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog
from aiohttp import web

from safelight.errors import SafelightError

log = structlog.get_logger()

READY_SECONDS = 2
"""How many seconds the table may take to answer."""
REMEMBERED_SECONDS = 1
"""How many seconds a result of `/readyz` is reused, so that checks cannot overload the table."""


class Checked(Protocol):
    """A service whose reachability can be checked."""

    async def check(self) -> None:
        """Return if the service is reachable; raise an error otherwise."""
        ...


class Health:
    """`/healthz` and `/readyz`."""

    def __init__(self, records: Checked, *, now: Callable[[], float] = time.monotonic) -> None:
        self._records = records
        self._now = now
        self._asking = asyncio.Lock()
        self._ready = False
        self._asked_at = float("-inf")

    async def healthz(self, _: web.Request) -> web.Response:
        """Answer 200, which shows that the event loop runs. AWS is never asked."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Answer 200 if images can be looked up now, else 503."""
        async with self._asking:
            if self._now() - self._asked_at >= REMEMBERED_SECONDS:
                self._ready = await self._reachable()
                self._asked_at = self._now()
        if self._ready:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the table cannot be reached\n")

    async def _reachable(self) -> bool:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._records.check()
        except (SafelightError, TimeoutError) as error:
            log.warning("not_ready", error=str(error) or type(error).__name__)
            return False
        return True
