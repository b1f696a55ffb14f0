"""The answer that is a stream of server-sent events (HTML Living Standard, section 9.2).

The middlewares add headers to an answer before it is sent, so the events are sent by `prepare`,
which aiohttp calls after them. So a log line and a duration are those of the headers, and the end
of the stream is logged by itself.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from api.metrics import StreamEnd, WatchMetrics
from api.middlewares import REQUEST_ID, route_of
from api.watching import is_gone

log = structlog.get_logger()

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15
"""After so many seconds without an event a comment is sent: load balancers cut silent answers."""
WRITE_SECONDS = 10
"""How long a client may leave events unread once the buffers are full."""
RECONNECT_MS = 2000
"""After how many milliseconds a browser connects again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. Without a name it only sets the id that a client sends to continue behind it."""

    name: Literal["image", "problem", "start"] | None = None
    data: str = ""
    """JSON in one line."""
    id: str | None = None

    def encoded(self) -> bytes:
        """Return the event as it is sent."""
        named = (f"event: {self.name}", f"data: {self.data}") if self.name else ()
        marked = (f"id: {self.id}",) if self.id is not None else ()
        return "\n".join((*marked, *named, "\n")).encode()


Events = AsyncGenerator[Event | None, None]
"""Events, and None now and then, so that the answer can look after its client."""


class EventStream(web.StreamResponse):
    """An answer that sends events until there are no more, or its client is gone."""

    def __init__(
        self,
        request: web.Request,
        events: Events,
        *,
        held: ExitStack,
        metrics: WatchMetrics,
        clock: Callable[[], float] = time.monotonic,
        write_seconds: float = WRITE_SECONDS,
    ) -> None:
        """Close `held` when the stream ends."""
        super().__init__(headers={"Content-Type": MEDIA_TYPE, "X-Accel-Buffering": "no"})
        self._request = request
        self._events = events
        self._held = held
        self._metrics = metrics
        self._clock = clock
        self._write_seconds = write_seconds
        self._written_at = clock()
        self._count = 0

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the headers and all events."""
        async with contextlib.aclosing(self._events):
            with self._held:
                writer = await super().prepare(request)
                if request.method != "HEAD":
                    await self._send_all()
                return writer

    async def _send_all(self) -> None:
        started = self._clock()
        end: StreamEnd = "gone"
        try:
            end = await self._send()
        finally:
            self._metrics.ended.labels(end).inc()
            log.info(
                "stream_ended",
                route=route_of(self._request),
                request_id=self._request[REQUEST_ID],
                end=end,
                events=self._count,
                seconds=round(self._clock() - started, 3),
            )

    async def _send(self) -> StreamEnd:
        """Send events, and return why the stream ended. A client that is gone is an error."""
        try:
            await self._write(f"retry: {RECONNECT_MS}\n\n".encode())
            async for event in self._events:
                if is_gone(self._request):
                    return "gone"
                if event is not None:
                    self._count += event.name is not None
                    await self._write(event.encoded())
                elif self._clock() - self._written_at >= HEARTBEAT_SECONDS:
                    await self._write(b":\n\n")
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            return "slow"
        except ConnectionError:
            return "gone"
        except Exception:
            log.exception("stream_failed", request_id=self._request[REQUEST_ID])
            return "failed"
        return "done"

    async def _write(self, text: bytes) -> None:
        async with asyncio.timeout(self._write_seconds):
            await self.write(text)
        self._written_at = self._clock()
