"""Lists images: searches those of a user page by page."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol, Self

from aiohttp import web
from pydantic import Field

from api.auth import USER
from api.cursors import read_cursor, write_cursor
from api.list_request import ListRequest
from api.metrics import SearchKind, SearchMetrics
from api.middlewares import note
from api.problems import Document, Problem, Refusal, json_answer
from api.queries import read_query, refused
from api.thumbnails import Thumbnails
from safelight.record import Record, Status
from safelight.search import EVERYONE, Found, Likeness, Position, Search, Settled, Summary

MOST_INSPECTED = 1000
"""The most images that one query reads to find the few that a narrow search wants."""
MOST_QUERIES = 8
MOST_DAYS = 50
"""The most days that a list of all users looks at for a page, among `MOST_INSPECTED` images."""
MOST_SECONDS = 0.8
"""The time after which a page is answered as it is, short or even empty."""
FORGOTTEN_SECONDS = 3600
"""A pending image is left out this long after its upload URL ended."""


class ListedImage(Document):
    """An image of a list. `GET /v1/images/{imageId}` has the rest, such as sizes of variants."""

    image_id: str
    user_id: str | None = Field(default=None, description="The owner, in lists of all users.")
    status: Status
    uploaded_at: datetime
    completed_at: datetime | None = Field(
        default=None, description="When the image was settled, in lists of all users."
    )
    filename: str | None = None
    tags: tuple[str, ...] = ()
    media_type: str | None = None
    original_size: int | None = Field(default=None, description="The size of the source, in bytes.")
    width: int | None = Field(default=None, description="The width of the source, in pixels.")
    height: int | None = None
    placeholder: str | None = Field(default=None, description="A ThumbHash in base64.")
    keep_until: datetime | None = Field(
        default=None, description="When the image may be erased; absent if it is kept for good."
    )
    thumbnails: Mapping[str, str] | None = Field(
        default=None, description="URLs by preset. They are the same in every answer of a day."
    )

    @classmethod
    def of(cls, summary: Summary, *, thumbnails: Mapping[str, str]) -> Self:
        """Describe an image as the index has it."""
        settled = summary if isinstance(summary, Settled) else None
        return cls(
            image_id=summary.image_id,
            user_id=settled and settled.user_id,
            status=summary.status,
            uploaded_at=_moment(summary.uploaded_at),
            completed_at=settled and _moment(settled.completed_at),
            filename=summary.filename,
            tags=summary.tags,
            media_type=summary.media_type,
            original_size=summary.original_size,
            width=summary.width,
            height=summary.height,
            placeholder=summary.placeholder,
            keep_until=None if summary.keep_until is None else _moment(summary.keep_until),
            thumbnails=thumbnails or None,
        )


class ImageList(Document):
    """One page of a list.

    A page may hold fewer images than `limit`, even none, while `next` is present. Only its absence
    is the end of the list.
    """

    images: tuple[ListedImage, ...]
    searched_to: datetime | None = Field(
        default=None,
        description="The upload time of the last image that was looked at, or its time of "
        "settlement in a list of all users; absent at the end.",
    )
    next: str | None = Field(default=None, description="The cursor of the next page.")


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Return an image's record, or None."""
        ...

    async def find(self, search: Search, *, after: Position | None, most: int) -> Found:
        """Read up to `most` images behind a position, and return those that the search finds."""
        ...


class Listing:
    """`GET /v1/images`."""

    def __init__(
        self,
        *,
        records: Records,
        thumbnails: Thumbnails,
        url_seconds: int,
        metrics: SearchMetrics,
        admins: Collection[str] = (),
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`admins` are the ids of users who may list the images of all users."""
        self._records = records
        self._thumbnails = thumbnails
        self._pending_seconds = url_seconds + FORGOTTEN_SECONDS
        self._metrics = metrics
        self._admins = frozenset(admins)
        self._now = now
        self._clock = clock

    async def get(self, request: web.Request) -> web.Response:
        """Answer with a page of the user's images, or of those of a user whom an admin names."""
        asked = read_query(request, ListRequest)
        user_id = self._owner(request, asked)
        if faults := asked.contradictions:
            raise refused(faults)
        of_list = asked.list_of(user_id)
        after = read_cursor(asked.cursor, of_list=of_list) if asked.cursor else None
        if after and after.time not in asked.search(user_id).uploaded:
            raise Refusal(Problem.INVALID_CURSOR, "The cursor is outside the list.")
        images, ends_at = await self._page(asked, user_id, after)
        answer = json_answer(
            ImageList(
                images=tuple(map(self.listed, images)),
                searched_to=_moment(ends_at.time) if ends_at else None,
                next=write_cursor(ends_at, of_list=of_list) if ends_at else None,
            )
        )
        answer.headers["Cache-Control"] = "private, no-cache"
        return answer

    def _owner(self, request: web.Request, asked: ListRequest) -> str:
        """Return the user whose images are listed. Raises a `Refusal` if the client may not."""
        client = request[USER]
        if asked.user is None or asked.user == client:
            return client
        if client not in self._admins:
            raise Refusal(Problem.NOT_AN_ADMIN, "You may list your own images only.")
        note(request, owner_id=asked.user)
        return asked.user

    async def _page(
        self, asked: ListRequest, user_id: str, after: Position | None
    ) -> tuple[list[Summary], Position | None]:
        """Return a page of images, and where the next one begins; None at the end."""
        search, wanted = asked.search(user_id), await self._condition(asked, user_id)
        narrows = search.narrows or asked.like is not None
        until = self._clock() + MOST_SECONDS
        page: list[Summary] = []
        everyone = user_id == EVERYONE
        inspected, most_inspected = 0, MOST_INSPECTED * (1 if everyone else MOST_QUERIES)
        for _ in range(MOST_DAYS if everyone else MOST_QUERIES):
            most = min(MOST_INSPECTED, most_inspected - inspected)
            most = most if narrows else asked.limit - len(page)
            found = await self._records.find(search, after=after, most=most)
            inspected += found.inspected
            self._metrics.stale_entries.inc(found.stale)
            after = _fill(page, filter(wanted, found), found, limit=asked.limit)
            if len(page) == asked.limit or after is None or inspected >= most_inspected:
                break
            if self._clock() >= until:
                break
        self._metrics.observe(_kind_of(asked, search), inspected=inspected)
        return page, after

    async def _condition(self, asked: ListRequest, user_id: str) -> Callable[[Summary], bool]:
        """Return the conditions that the table cannot check."""
        recent = int(self._now() - self._pending_seconds) * 1000
        any_pending = Status.PENDING in asked.status
        alike = await self._likeness(asked, user_id)

        def wanted(summary: Summary) -> bool:
            forgotten = (
                summary.status is Status.PENDING
                and not any_pending
                and summary.uploaded_at < recent
            )
            return not forgotten and (alike is None or alike.finds(summary))

        return wanted

    async def _likeness(self, asked: ListRequest, user_id: str) -> Likeness | None:
        if asked.like is None:
            return None
        record = await self._records.get(asked.like)
        try:
            return Likeness.to(record, user_id=user_id, distance=asked.distance)
        except ValueError as error:
            raise refused({"like": str(error)}) from error

    def listed(self, summary: Summary) -> ListedImage:
        """Return an image as lists show it."""
        completed = summary.status is Status.COMPLETED
        urls = self._thumbnails.of(summary.image_id, user_id=summary.user_id) if completed else {}
        return ListedImage.of(summary, thumbnails=urls)


def _fill(
    page: list[Summary], wanted: Iterable[Summary], found: Found, *, limit: int
) -> Position | None:
    """Add images up to the limit; return where the next page begins, None at the end."""
    room = limit - len(page)
    page += islice(wanted, room)
    if len(page) == limit and (room < len(found.summaries) or found.ends_at):
        return page[-1].position
    return found.ends_at


def _kind_of(asked: ListRequest, search: Search) -> SearchKind:
    if search.user_id == EVERYONE:
        return "everyone"
    if asked.tag:
        return "tag"
    if asked.like:
        return "like"
    return "filter" if search.narrows else "all"


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
