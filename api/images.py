"""Tells what is known of an image, and where its variants are delivered."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol, Self

from aiohttp import ETag, web
from pydantic import Field

from api.auth import USER
from api.middlewares import note
from api.problems import Document, Problem, Refusal, json_answer
from safelight import keys
from safelight.errors import Reason
from safelight.record import Record, Status, Variant

POLL_SECONDS = 1
"""How soon to ask again for a pending image: about as long as a photograph takes."""


class DeliveredVariant(Document):
    """One variant: where to get it, and what will be got. Sizes in pixels and bytes."""

    url: str
    media_type: str
    width: int
    height: int
    size: int
    sha256: str
    quality: int | None = Field(
        default=None, description="As encoded with; absent if the format is lossless."
    )
    score: int | None = Field(
        default=None,
        description="What a searched quality reached, in points of SSIMULACRA 2.",
    )


class Image(Document):
    """An image as its owner sees it; members without a value are left out."""

    image_id: str
    status: Status
    uploaded_at: datetime
    completed_at: datetime | None = None
    filename: str | None = None
    tags: tuple[str, ...] = ()
    media_type: str | None = Field(
        default=None, description="As declared while pending; as found once settled."
    )
    original_size: int | None = Field(default=None, description="The source's bytes.")
    width: int | None = Field(default=None, description="The source's, in pixels.")
    height: int | None = None
    sha256: str | None = Field(default=None, description="Of the source, in hexadecimal.")
    placeholder: str | None = Field(
        default=None, description="A ThumbHash in base64: what to show while a variant loads."
    )
    dominant_colour: str | None = Field(
        default=None, description="As #rrggbb; absent if nothing is visible."
    )
    perceptual_hash: str | None = Field(
        default=None,
        description="64 bits in hexadecimal; pictures that look alike differ in few of them.",
    )
    reason: Reason | None = Field(default=None, description="Why the source was rejected.")
    detail: str | None = Field(default=None, description="The same in words, for people.")
    variants: Mapping[str, DeliveredVariant] = Field(description="By preset.")
    failed_variants: Mapping[str, str] | None = Field(
        default=None, description="By preset: why this one is missing."
    )
    urls_expire_at: datetime | None = Field(
        default=None, description="Until when the variants' URLs work; absent if for good."
    )
    savings_percent: float | None = None
    processing_time_ms: int | None = Field(
        default=None, description="From the start of the fetch to the commit."
    )
    render_time_ms: int | None = Field(default=None, description="Of that, decoding and encoding.")

    @classmethod
    def of(
        cls, record: Record, urls: Mapping[str, str], *, urls_expire_at: datetime | None
    ) -> Self:
        """Show a record, its keys replaced by URLs."""
        return cls(
            image_id=record.image_id,
            status=record.status,
            uploaded_at=_moment(record.uploaded_at),
            completed_at=None if record.completed_at is None else _moment(record.completed_at),
            filename=record.filename,
            tags=record.tags,
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


class Records(Protocol):
    """Where images are looked up."""

    async def get(self, image_id: str) -> Record | None:
        """Read an image's record, if there is one."""
        ...


class Presigner(Protocol):
    """What signs the variants' URLs."""

    async def get_asset(self, *, key: str, expires_seconds: int) -> str:
        """Sign a GET of one asset."""
        ...


class Images:
    """`GET /v1/images/{imageId}`."""

    def __init__(
        self,
        *,
        records: Records,
        presigner: Presigner,
        delivery_url: str | None,
        url_seconds: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Without a `delivery_url`, variants are delivered by presigned URLs."""
        self._records = records
        self._presigner = presigner
        self._delivery_url = delivery_url
        self._url_seconds = url_seconds
        self._now = now

    async def get(self, request: web.Request) -> web.Response:
        """Show one image of the user's."""
        record = await self._find(request.match_info["imageId"], user_id=request[USER])
        note(request, image_id=record.image_id, image_status=record.status)
        presigned = bool(record.variants) and self._delivery_url is None
        expires_at = int(self._now()) + self._url_seconds
        image = Image.of(
            record,
            {preset: await self._url(variant) for preset, variant in record.variants.items()},
            urls_expire_at=datetime.fromtimestamp(expires_at, UTC) if presigned else None,
        )
        answer = json_answer(image)
        if record.status is Status.PENDING:
            answer.headers["Retry-After"] = str(POLL_SECONDS)
        # Whoever kept an answer whose URLs expire must not be told that it still holds.
        return answer if presigned else _revalidated(request, answer)

    async def _find(self, image_id: str, *, user_id: str) -> Record:
        """Find a user's image. Another's is refused in the same words as none at all."""
        record = await self._records.get(image_id) if keys.is_image_id(image_id) else None
        if record is None or record.user_id != user_id:
            raise Refusal(Problem.UNKNOWN_IMAGE, "You have no image of this id.")
        if record.status is Status.ERASED:
            raise Refusal(Problem.IMAGE_ERASED, "The image was erased.")
        return record

    async def _url(self, variant: Variant) -> str:
        if self._delivery_url is not None:
            return f"{self._delivery_url}/{variant.key}"
        return await self._presigner.get_asset(key=variant.key, expires_seconds=self._url_seconds)


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
    """Let the client keep the answer and ask whether it still holds."""
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
