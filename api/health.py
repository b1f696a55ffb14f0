"""Whether the api is alive, and whether it can do its work."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog
from aiohttp import web

from safelight.errors import SafelightError

log = structlog.get_logger()

READY_SECONDS = 2
"""How long the table may take to answer."""
REMEMBERED_SECONDS = 1
"""However often readiness is asked for, the table is asked no more often than this."""


class Checked(Protocol):
    """Something that can be asked whether it is in reach."""

    async def check(self) -> None:
        """Return if it is; raise why not."""
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
        """Answer: whoever gets this sees a running event loop. AWS is never asked."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Tell whether images can be looked up now."""
        async with self._asking:
            if self._now() - self._asked_at >= REMEMBERED_SECONDS:
                self._ready = await self._reachable()
                self._asked_at = self._now()
        if self._ready:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="records are out of reach\n")

    async def _reachable(self) -> bool:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._records.check()
        except (SafelightError, TimeoutError) as error:
            log.warning("not_ready", error=str(error) or type(error).__name__)
            return False
        return True
