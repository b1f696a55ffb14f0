"""Answers requests for an image: its status, its properties and the URLs of its variants."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol, Self

from aiohttp import ETag, web
from pydantic import Field

from api import editing
from api.auth import USER
from api.bodies import read_json
from api.middlewares import WAITED, note
from api.preferences import wait_of
from api.problems import Document, Problem, Refusal, json_answer
from api.watching import NoRoom, Watches, interval, is_gone
from safelight import keys
from safelight.aws.presign import PresignedGet
from safelight.errors import Reason
from safelight.record import Record, Status, Variant

POLL_SECONDS = 1
"""Seconds until a client should ask again for a pending image; a photograph takes about one."""


class DeliveredVariant(Document):
    """One variant: its URL and its properties. Sizes are in pixels and bytes."""

    url: str
    media_type: str
    width: int
    height: int
    size: int
    sha256: str
    quality: int | None = Field(
        default=None,
        description="The encoder's quality; absent if the format is lossless.",
    )
    score: int | None = Field(
        default=None,
        description="The SSIMULACRA 2 score that the search for a quality reached.",
    )


class Image(Document):
    """An image as its owner sees it. Members without a value are left out."""

    image_id: str
    status: Status
    uploaded_at: datetime
    completed_at: datetime | None = None
    replacing: bool | None = Field(
        default=None,
        description="True from the request for a new upload of a settled image until that upload "
        "is settled. The other members describe the present picture.",
    )
    filename: str | None = None
    tags: tuple[str, ...] = ()
    tags_version: int = Field(default=0, description="To change the tags as they were read.")
    keep_until: datetime | None = Field(
        default=None, description="When the image may be erased; absent if it is kept for good."
    )
    media_type: str | None = Field(
        default=None,
        description="The declared type while the image is pending, the actual one afterwards.",
    )
    original_size: int | None = Field(default=None, description="The size of the source, in bytes.")
    width: int | None = Field(default=None, description="The width of the source, in pixels.")
    height: int | None = None
    sha256: str | None = Field(default=None, description="The source's SHA-256 in hexadecimal.")
    placeholder: str | None = Field(
        default=None, description="A ThumbHash in base64, to show while a variant loads."
    )
    dominant_colour: str | None = Field(
        default=None, description="The dominant colour as #rrggbb; absent if no pixel is visible."
    )
    perceptual_hash: str | None = Field(
        default=None,
        description="64 bits in hexadecimal. Similar pictures differ in few of them.",
    )
    reason: Reason | None = Field(default=None, description="Why the source was rejected.")
    detail: str | None = Field(default=None, description="The reason in words, for people.")
    variants: Mapping[str, DeliveredVariant] = Field(description="The variants by preset.")
    failed_variants: Mapping[str, str] | None = Field(
        default=None, description="The presets without a variant, each with the cause."
    )
    urls_expire_at: datetime | None = Field(
        default=None, description="When the URLs of the variants end; absent if they never do."
    )
    savings_percent: float | None = None
    processing_time_ms: int | None = Field(
        default=None, description="From the start of the fetch to the commit."
    )
    render_time_ms: int | None = Field(
        default=None, description="The part for decoding and encoding."
    )

    @classmethod
    def of(
        cls, record: Record, urls: Mapping[str, str], *, urls_expire_at: datetime | None
    ) -> Self:
        """Make the answer from a record, with URLs in place of keys."""
        return cls(
            image_id=record.image_id,
            status=record.status,
            uploaded_at=_moment(record.uploaded_at),
            completed_at=None if record.completed_at is None else _moment(record.completed_at),
            replacing=True if record.status.settled and record.upload_token else None,
            filename=record.filename,
            tags=record.tags,
            tags_version=record.tags_version,
            keep_until=None if record.keep_until is None else _moment(record.keep_until),
            media_type=record.media_type,
            original_size=record.original_size,
            width=record.width,
            height=record.height,
            sha256=record.sha256,
            placeholder=record.placeholder,
            dominant_colour=record.dominant_colour,
            perceptual_hash=record.perceptual_hash,
            reason=record.reason,
            detail=record.detail,
            variants={
                preset: _delivered(variant, urls[preset])
                for preset, variant in record.variants.items()
            },
            failed_variants=record.failed_variants or None,
            urls_expire_at=urls_expire_at,
            savings_percent=record.savings_percent,
            processing_time_ms=record.processing_time_ms,
            render_time_ms=record.render_time_ms,
        )


class Records(editing.Records, Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Return an image's record, or None."""
        ...


class Presigner(Protocol):
    """Signs the URLs of variants."""

    async def get_asset(self, *, key: str, expires_seconds: int) -> PresignedGet:
        """Return a presigned URL that gets one asset."""
        ...


class Images:
    """`GET` and `PATCH /v1/images/{imageId}`."""

    def __init__(
        self,
        *,
        records: Records,
        presigner: Presigner,
        delivery_url: str | None,
        url_seconds: int,
        watches: Watches,
        admins: Collection[str] = (),
        receipts: bool = False,
    ) -> None:
        """Without a `delivery_url`, variants are delivered by presigned URLs.

        `admins` are the ids of users who may read and change the images of all users. With
        `receipts`, this API has the receipts of erased images.
        """
        self._records = records
        self._editing = editing.Editing(records)
        self._presigner = presigner
        self._delivery_url = delivery_url
        self._url_seconds = url_seconds
        self._watches = watches
        self._admins = frozenset(admins)
        self._receipts = receipts

    async def get(self, request: web.Request) -> web.Response:
        """Answer with one of the user's images, on request as soon as it is settled."""
        record = await self.read(request)
        seconds = wait_of(request)
        if seconds is None:
            return await self._answer(request, record)
        if not record.status.settled:
            try:
                with self._watches.place(request[USER], "answer"):
                    record = await self._wait(request, record, seconds)
            except NoRoom:  # a preference may be ignored
                return await self._answer(request, record)
        answer = await self._answer(request, record)
        answer.headers["Preference-Applied"] = f"wait={seconds}"
        return answer

    async def _wait(self, request: web.Request, record: Record, seconds: int) -> Record:
        """Read a pending image until it is settled, for at most so many seconds."""
        watches = self._watches
        started = watches.clock()
        while (
            not record.status.settled
            and (waited := watches.clock() - started) < seconds
            and not watches.stopping
            and not is_gone(request)
        ):
            await watches.pause(min(interval(waited), seconds - waited))
            async with watches.reading:
                request[WAITED] = watches.clock() - started
                record = await self.read(request)
        return record

    async def change(self, request: web.Request) -> web.Response:
        """Change the tags or the file name of one of the user's images, and answer with it."""
        change = await read_json(request, editing.EditRequest, context={})
        record = await self._editing.edit(change, lambda: self.read(request))
        return await self._answer(request, record)

    async def read(self, request: web.Request) -> Record:
        """Return the record of a request's image.

        Raises a `Refusal` unless the image is the user's, or the user is an admin.
        """
        record = await self.find(request.match_info["imageId"], user_id=request[USER])
        if record.user_id != request[USER]:
            note(request, owner_id=record.user_id)
        if record.status is Status.ERASED:
            raise erased("The image was erased.", record, receipts=self._receipts)
        return record

    async def _answer(self, request: web.Request, record: Record) -> web.Response:
        note(request, image_id=record.image_id, image_status=record.status)
        image = await self.describe(record)
        answer = json_answer(image)
        if record.status is Status.PENDING:
            answer.headers["Retry-After"] = str(POLL_SECONDS)
        # A cached answer whose URLs expire must not be confirmed with 304.
        if image.urls_expire_at or request.method == "PATCH":
            return answer
        return _revalidated(request, answer)

    async def describe(self, record: Record) -> Image:
        """Return an image as its owner sees it, with new URLs of its variants."""
        urls, expires_at = await self._urls(record.variants)
        return Image.of(record, urls, urls_expire_at=expires_at)

    def is_admin(self, user_id: str) -> bool:
        """Return whether a user may act on the images of all users."""
        return user_id in self._admins

    async def find(self, image_id: str, *, user_id: str) -> Record:
        """Return an image that a user may read, or its tombstone.

        Others are refused as if they did not exist.
        """
        record = await self._records.get(image_id) if keys.is_image_id(image_id) else None
        if record is None or not (record.user_id == user_id or self.is_admin(user_id)):
            raise Refusal(Problem.UNKNOWN_IMAGE, "You have no image of this id.")
        return record

    async def _urls(
        self, variants: Mapping[str, Variant]
    ) -> tuple[Mapping[str, str], datetime | None]:
        """Return the URLs of variants, and when the first of them ends; None if none ends."""
        if self._delivery_url is not None or not variants:
            return {name: f"{self._delivery_url}/{one.key}" for name, one in variants.items()}, None
        signed = {
            name: await self._presigner.get_asset(key=one.key, expires_seconds=self._url_seconds)
            for name, one in variants.items()
        }
        expires_at = min(one.expires_at for one in signed.values())
        return (
            {name: one.url for name, one in signed.items()},
            datetime.fromtimestamp(expires_at, UTC),
        )


def receipt_url(image_id: str) -> str:
    """Return the path of an image's receipt on the API."""
    return f"/v1/images/{image_id}/erasure"


def erased(detail: str, record: Record, *, receipts: bool) -> Refusal:
    """Return the refusal of a request for an erased image, with its receipt if there are any."""
    return Refusal(
        Problem.IMAGE_ERASED,
        detail,
        receipt_url=receipt_url(record.image_id) if receipts and record.erasure else None,
    )


def _delivered(variant: Variant, url: str) -> DeliveredVariant:
    return DeliveredVariant(
        url=url,
        media_type=variant.media_type,
        width=variant.width,
        height=variant.height,
        size=variant.size,
        sha256=variant.sha256,
        quality=variant.quality,
        score=variant.score,
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _revalidated(request: web.Request, answer: web.Response) -> web.Response:
    """Add an ETag so that the client can revalidate the answer, and answer 304 if it did."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    tag = ETag(sha256(body).hexdigest()[:32])
    asked = request.if_none_match or ()
    if any(known.value == tag.value for known in asked):
        headers = {
            name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers
        }
        answer = web.Response(status=304, headers=headers)
    answer.etag = tag
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer
