"""Streams events to pages: the state of one image until it is settled, or of a user's images."""

import contextlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from aiohttp import web

from api.auth import USER
from api.event_stream import Event, Events, EventStream
from api.following import Followed
from api.images import Images
from api.listing import FORGOTTEN_SECONDS, Listing
from api.metrics import Watched, WatchMetrics
from api.middlewares import REQUEST_ID, note
from api.problems import Refusal, json_text
from api.watching import Watches, interval
from safelight.errors import Unavailable
from safelight.record import Record
from safelight.search import Found, Position, Search

STREAM_SECONDS = 900
"""After so long a stream ends, and the client connects again with credentials that hold."""
MOST_FOLLOWED = 1000
"""The most images of a user that a stream follows: the newest ones."""
MARK_MS = 15_000
"""The shortest time between two ids without an event, which let a client continue later."""
INDEX_SECONDS = 1
"""The shortest time between two reads of the index, which is about a second late itself."""


class Records(Protocol):
    """The table of images."""

    async def find(self, search: Search, *, after: Position | None, most: int) -> Found:
        """Read up to `most` images behind a position, and return those that the search finds."""
        ...


class Streams:
    """`GET /v1/images/{imageId}/events` and `GET /v1/events`."""

    def __init__(
        self,
        *,
        records: Records,
        images: Images,
        listing: Listing,
        watches: Watches,
        metrics: WatchMetrics,
        url_seconds: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._images = images
        self._listing = listing
        self._watches = watches
        self._metrics = metrics
        self._window_ms = (url_seconds + FORGOTTEN_SECONDS) * 1000
        self._now = now

    async def image(self, request: web.Request) -> web.StreamResponse:
        """Stream the states of one of the user's images until it is settled."""
        record = await self._images.read(request)
        note(request, image_id=record.image_id, image_status=record.status)
        if record.status.settled and _last_id(request) == _id_of(record):
            return web.Response(status=204)  # then a browser does not connect again
        return self._stream(request, "image", self._of_image(request, record))

    async def user(self, request: web.Request) -> web.StreamResponse:
        """Stream the changes of the user's recent images."""
        return self._stream(request, "user", self._of_user(request))

    def _stream(self, request: web.Request, kind: Watched, events: Events) -> EventStream:
        held = ExitStack()
        held.enter_context(self._watches.place(request[USER], kind))
        return EventStream(
            request, events, held=held, metrics=self._metrics, clock=self._watches.clock
        )

    async def _of_image(self, request: web.Request, first: Record) -> Events:
        sent, began = _last_id(request), self._watches.clock()
        record: Record | None = first
        try:
            while not self._over(began):
                with contextlib.suppress(Unavailable):  # read again after a while
                    if record is None:
                        async with self._watches.reading:
                            record = await self._images.read(request)
                    if (event_id := _id_of(record)) != sent:
                        data = json_text(await self._images.describe(record))
                        yield Event(name="image", id=event_id, data=data)
                        sent = event_id
                    if record.status.settled:
                        return
                await self._watches.pause(interval(self._watches.clock() - began))
                yield None
                record = None
        except Refusal as refusal:  # the image was erased, or never arrived
            document = refusal.document(
                instance=request.rel_url.raw_path, request_id=request[REQUEST_ID]
            )
            yield Event(name="problem", data=json_text(document))

    async def _of_user(self, request: web.Request) -> Events:
        began = changed_at = self._watches.clock()
        earliest, now = self._times()
        resumed = _time_of(_last_id(request), earliest=earliest, now=now)
        followed = Followed(user_id=request[USER], since=earliest if resumed is None else resumed)
        marked = followed.since
        if resumed is None:
            yield Event(name="start", id=str(earliest), data="{}")
        while not self._over(began):
            with contextlib.suppress(Unavailable):
                async with self._watches.reading:
                    found = await self._records.find(
                        followed.search, after=None, most=MOST_FOLLOWED
                    )
                for summary in followed.changes(reversed(found.summaries)):
                    changed_at = self._watches.clock()
                    data = json_text(self._listing.listed(summary))
                    yield Event(name="image", id=str(followed.since), data=data)
                earliest, now = self._times()
                followed.move_on(now=now, earliest=earliest)
                if followed.since - marked >= MARK_MS:
                    marked = followed.since
                    yield Event(id=str(marked))
            quiet = self._watches.clock() - changed_at
            await self._watches.pause(max(INDEX_SECONDS, interval(quiet)))
            yield None

    def _times(self) -> tuple[int, int]:
        """Return when the oldest image was uploaded that may still arrive, and now, both in ms."""
        now = int(self._now() * 1000)
        return now - self._window_ms, now

    def _over(self, began: float) -> bool:
        return self._watches.stopping or self._watches.clock() - began >= STREAM_SECONDS


def _id_of(record: Record) -> str:
    """Return the id of the event that an image has this state. No version id is in it."""
    return f"{record.status}.{record.revision_tag}" if record.status.settled else "pending"


def _last_id(request: web.Request) -> str:
    return request.headers.get("Last-Event-ID", "")


def _time_of(text: str, *, earliest: int, now: int) -> int | None:
    """Read an id of a user's stream; None if it is not one, or too old to continue there."""
    time = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
    return time if earliest <= time <= now else None
