"""Lists images: searches those of a user page by page."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, Protocol

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.auth import USER
from api.cursors import read_cursor, write_cursor
from api.middlewares import note
from api.problems import Document, Problem, Refusal, json_answer
from api.queries import read_query, refused
from api.thumbnails import Thumbnails
from safelight import keys, users
from safelight.record import Record, Status
from safelight.search import LISTED, Found, Position, Range, Search, Summary

MOST_INSPECTED = 1000
"""The most images that one query reads to find the few that a narrow search wants."""
MOST_QUERIES = 8
MOST_SECONDS = 0.8
"""The time after which a page is answered as it is, short or even empty."""
FORGOTTEN_SECONDS = 3600
"""A pending image is left out this long after its upload URL ended."""


def _image_id(text: str) -> str:
    found = keys.read_image_id(text)
    if found is None:
        raise ValueError("must be an image id")
    return found


def _user_id(text: str) -> str:
    if not users.is_user_id(text):
        raise ValueError(f"must be one user id: {users.FORM}")
    return text


Pixels = Annotated[int | None, Field(default=None, ge=1, le=10**9)]


class ListRequest(BaseModel):
    """The parameters of a list. All conditions must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    user: Annotated[str, AfterValidator(_user_id)] | None = Field(
        default=None, description="The user whose images to list, for admins. By default your own."
    )
    status: tuple[Status, ...] = Field(
        default=(), description="Any of them. By default all but erased images."
    )
    media_type: tuple[str, ...] = Field(
        default=(), max_length=20, description="The media type of the source; any of them."
    )
    since: AwareDatetime | None = Field(
        default=None, description="The earliest time of the upload, included (RFC 3339)."
    )
    until: AwareDatetime | None = Field(
        default=None, description="The latest time of the upload, included."
    )
    min_width: Pixels
    max_width: Pixels
    min_height: Pixels
    max_height: Pixels
    filename: str = Field(
        default="", max_length=255, description="The beginning of the file name, in exact case."
    )
    like: Annotated[str, AfterValidator(_image_id)] | None = Field(
        default=None,
        description="The id of an image of the same user: only pictures that look like it.",
    )
    distance: int = Field(
        default=8,
        ge=0,
        le=16,
        description="The most bits of the perceptual hash that differ from the image of `like`.",
    )
    tag: tuple[str, ...] = Field(
        default=(), max_length=5, description="A tag, in exact case; all of up to five."
    )
    sort: Literal["-uploadedAt", "uploadedAt"] = Field(
        default="-uploadedAt", description="By the time of the upload; with `-`, the newest first."
    )
    limit: int = Field(default=50, ge=1, le=100, description="The most images of a page.")
    cursor: str | None = Field(
        default=None, max_length=200, description="`next` of the page before, for its next page."
    )

    @property
    def contradictions(self) -> Mapping[str, str]:
        """Parameters that leave nothing to find: by name, why."""
        faults = {}
        if self.since and self.until and self.until < self.since:
            faults["until"] = "must not be before since"
        if (self.max_width or math.inf) < (self.min_width or 0):
            faults["maxWidth"] = "must not be less than minWidth"
        if (self.max_height or math.inf) < (self.min_height or 0):
            faults["maxHeight"] = "must not be less than minHeight"
        return faults

    def search(self, user_id: str) -> Search:
        """Return the search among a user's images."""
        return Search(
            user_id=user_id,
            uploaded=Range(least=_milliseconds(self.since), most=_milliseconds(self.until)),
            statuses=tuple(dict.fromkeys(self.status)) or LISTED,
            media_types=tuple(dict.fromkeys(self.media_type)),
            width=Range(least=self.min_width, most=self.max_width),
            height=Range(least=self.min_height, most=self.max_height),
            filename=self.filename,
            tags=tuple(dict.fromkeys(self.tag)),
            newest_first=self.sort == "-uploadedAt",
        )

    def list_of(self, user_id: str) -> str:
        """Describe the list of a user that a cursor belongs to."""
        return user_id + self.model_dump_json(exclude={"user", "limit", "cursor"})


class ListedImage(Document):
    """An image of a list. `GET /v1/images/{imageId}` has the rest, such as sizes of variants."""

    image_id: str
    status: Status
    uploaded_at: datetime
    filename: str | None = None
    tags: tuple[str, ...] = ()
    media_type: str | None = None
    original_size: int | None = Field(default=None, description="The size of the source, in bytes.")
    width: int | None = Field(default=None, description="The width of the source, in pixels.")
    height: int | None = None
    placeholder: str | None = Field(default=None, description="A ThumbHash in base64.")
    thumbnails: Mapping[str, str] | None = Field(
        default=None, description="URLs by preset. They are the same in every answer of a day."
    )


class ImageList(Document):
    """One page of a list.

    A page may hold fewer images than `limit`, even none, while `next` is present. Only its absence
    is the end of the list.
    """

    images: tuple[ListedImage, ...]
    searched_to: datetime | None = Field(
        default=None,
        description="The upload time of the last image that was looked at; absent at the end.",
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
        admins: Collection[str] = (),
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`admins` are the ids of users who may list the images of all users."""
        self._records = records
        self._thumbnails = thumbnails
        self._pending_seconds = url_seconds + FORGOTTEN_SECONDS
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
        images, ends_at = await self._page(asked, user_id, after)
        answer = json_answer(
            ImageList(
                images=tuple(map(self.listed, images)),
                searched_to=_moment(ends_at.uploaded_at) if ends_at else None,
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
        for _ in range(MOST_QUERIES):
            most = MOST_INSPECTED if narrows else asked.limit - len(page)
            found = await self._records.find(search, after=after, most=most)
            after = found.ends_at
            for number, summary in enumerate(filter(wanted, found), start=1):
                page.append(summary)
                if len(page) == asked.limit and (number < len(found.summaries) or after):
                    return page, summary.position
            if after is None or self._clock() >= until:
                break
        return page, after

    async def _condition(self, asked: ListRequest, user_id: str) -> Callable[[Summary], bool]:
        """Return the conditions that the table cannot check."""
        recent = int(self._now() - self._pending_seconds) * 1000
        any_pending = Status.PENDING in asked.status
        like = await self._hash_of(asked.like, user_id) if asked.like else None

        def wanted(summary: Summary) -> bool:
            if (
                summary.status is Status.PENDING
                and not any_pending
                and summary.uploaded_at < recent
            ):
                return False
            if like is None:
                return True
            if summary.perceptual_hash is None or summary.image_id == asked.like:
                return False
            return (like ^ int(summary.perceptual_hash, 16)).bit_count() <= asked.distance

        return wanted

    async def _hash_of(self, image_id: str, user_id: str) -> int:
        record = await self._records.get(image_id)
        if record is None or record.user_id != user_id or record.perceptual_hash is None:
            raise refused({"like": "must be a completed image of the same user"})
        return int(record.perceptual_hash, 16)

    def listed(self, summary: Summary) -> ListedImage:
        """Return an image as lists show it."""
        completed = summary.status is Status.COMPLETED
        return ListedImage(
            image_id=summary.image_id,
            status=summary.status,
            uploaded_at=_moment(summary.uploaded_at),
            filename=summary.filename,
            tags=summary.tags,
            media_type=summary.media_type,
            original_size=summary.original_size,
            width=summary.width,
            height=summary.height,
            placeholder=summary.placeholder,
            thumbnails=self._thumbnails.of(summary.image_id, user_id=summary.user_id) or None
            if completed
            else None,
        )


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
