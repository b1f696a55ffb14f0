"""Issues upload URLs: checks the request, writes the pending record, signs one exact upload."""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal, Protocol, Self

from aiohttp import web
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

from api.auth import USER
from api.bodies import read_json
from api.declared_types import ACCEPTED, FORM, type_to_send
from api.metrics import ApiMetrics
from api.middlewares import note
from api.problems import Document, Problem, Refusal, json_answer
from api.quotas import Quotas
from api.words import Filename, Tags
from safelight import keys, users
from safelight.aws.presign import PresignedPost, PresignedPut
from safelight.image_ids import ImageIds
from safelight.record import Record, Status
from safelight.refused_values import Matches
from safelight.retention import MOST_KEEP_DAYS, keep_until

A_DAY = 24 * 3600
PENDING_SECONDS = 30 * A_DAY
"""How long the record of a pending upload is kept after its URL has ended. A message may wait in
the queue, then as a dead letter, then in the queue again; the record must be kept longer."""

_SHA256 = Matches(r"^[0-9a-fA-F]{64}$", "must be 64 hexadecimal digits")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def _whole(number: object) -> object:
    """Turn 5.0 into 5: in JSON Schema both are integers, and some languages write 5.0."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class UploadRequest(BaseModel):
    """The body of a request for an upload URL."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", alias_generator=to_camel)

    filename: Filename = Field(description="Stored and shown, never part of a key.")
    content_type: str = Field(
        default="",
        validate_default=True,
        description="The media type of the picture, as far as you know it. The content decides in "
        "the end.",
        json_schema_extra={"pattern": ACCEPTED},
    )
    size: Annotated[int, BeforeValidator(_whole)] = Field(
        ge=0, description="The exact size in bytes."
    )
    sha256: Annotated[str, _SHA256] | None = Field(
        default=None,
        description="The SHA-256 of the content in hex. S3 then refuses any other content.",
    )
    tags: Tags = Field(default=(), description="Words of your choice. Duplicates are dropped.")
    keep_days: Annotated[int, BeforeValidator(_whole)] | None = Field(
        default=None,
        ge=1,
        le=MOST_KEEP_DAYS,
        description="Days for which the image is kept. By default the operator decides.",
    )
    method: Literal["POST", "PUT"] = Field(
        default="POST", description="A form upload (POST), or a plain one (PUT)."
    )

    @field_validator("sha256")
    @classmethod
    def _lower(cls, digest: str | None) -> str | None:
        return digest.lower() if digest else None

    @field_validator("content_type")
    @classmethod
    def _to_send(cls, declared: str, info: ValidationInfo) -> str:
        accept_svg = bool((info.context or {}).get("accept_svg"))
        found = type_to_send(declared, accept_svg=accept_svg)
        if found is None:
            raise ValueError(f"must be {FORM}")
        return found

    @field_validator("size")
    @classmethod
    def _not_too_large(cls, size: int, info: ValidationInfo) -> int:
        limit = (info.context or {}).get("max_upload_bytes", size)
        if size > limit:
            raise ValueError(f"must be at most {limit}")
        return size

    @property
    def hash(self) -> str:
        """A hash that is equal for two requests only if they ask for the same upload."""
        same = self.model_copy(update={"tags": tuple(dict.fromkeys(self.tags))})
        return sha256(same.model_dump_json(exclude_defaults=True).encode()).hexdigest()


class UploadIssued(Document):
    """An image id, and the one upload that creates its source."""

    image_id: str
    method: Literal["POST", "PUT"]
    url: str
    fields: Mapping[str, str] | None = Field(
        default=None, description="For POST: the form's fields, in this order, before `file`."
    )
    headers: Mapping[str, str] | None = Field(
        default=None,
        description="For PUT: the headers to send. The body must have exactly the announced size.",
    )
    content_type: str = Field(
        description="The media type that the upload must declare, as `fields` or `headers` do."
    )
    key: str
    expires_at: datetime = Field(description="When the URL ends; the upload must begin before.")
    status_url: str = Field(description="The path of the image on this API.")
    keep_until: datetime | None = Field(
        default=None, description="When the image may be erased; absent if it is kept for good."
    )

    @classmethod
    def of(cls, record: Record, signed: PresignedPost | PresignedPut, *, content_type: str) -> Self:
        """Describe how to upload this image's source."""
        post = isinstance(signed, PresignedPost)
        return cls(
            image_id=record.image_id,
            method="POST" if post else "PUT",
            url=signed.url,
            fields=signed.fields if isinstance(signed, PresignedPost) else None,
            headers=signed.headers if isinstance(signed, PresignedPut) else None,
            content_type=content_type,
            key=record.original_key,
            expires_at=datetime.fromtimestamp(signed.expires_at, UTC),
            status_url=f"/v1/images/{record.image_id}",
            keep_until=None
            if record.keep_until is None
            else datetime.fromtimestamp(record.keep_until / 1000, UTC),
        )


class Records(Protocol):
    """The table of images."""

    async def create(self, record: Record, *, forgotten_before: int) -> Record:
        """Write a record unless its image has one, and return the stored record.

        A pending record for the same request that expires before `forgotten_before` (seconds since
        1970) is replaced. If the stored record differs from the given one, this is a replay.
        """
        ...


class Presigner(Protocol):
    """Signs uploads."""

    async def post(
        self, *, key: str, content_type: str, size_bytes: int, sha256: str | None,
        expires_seconds: int,
    ) -> PresignedPost:  # fmt: skip
        """Return a presigned form upload."""
        ...

    async def put(
        self, *, key: str, content_type: str, size_bytes: int, sha256: str | None,
        expires_seconds: int,
    ) -> PresignedPut:  # fmt: skip
        """Return a presigned PUT."""
        ...


class Uploads:
    """`POST /v1/uploads`."""

    def __init__(
        self,
        *,
        records: Records,
        presigner: Presigner,
        ids: ImageIds,
        metrics: ApiMetrics,
        max_upload_bytes: int,
        accept_svg: bool,
        url_seconds: int,
        keep_days: int | None,
        quotas: Quotas,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._presigner = presigner
        self._ids = ids
        self._presigned = metrics.uploads_presigned
        self._limits = {"max_upload_bytes": max_upload_bytes, "accept_svg": accept_svg}
        self._url_seconds = url_seconds
        self._keep_days = keep_days
        self._quotas = quotas
        self._now = now

    async def create(self, request: web.Request) -> web.Response:
        """Answer with an upload URL, and count the outcome of the request."""
        try:
            answer, replayed = await self._issue(request)
        except (Refusal, web.HTTPException):
            self._presigned.labels("refused").inc()
            raise
        except Exception:
            self._presigned.labels("failed").inc()
            raise
        self._presigned.labels("replayed" if replayed else "issued").inc()
        headers = {"Location": answer.status_url, "Cache-Control": "no-store"}
        if limited := self._limited(request[USER]):
            headers |= self._quotas.headers(limited[0])
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        return json_answer(answer, status=201, headers=headers)

    async def _issue(self, request: web.Request) -> tuple[UploadIssued, bool]:
        """Return the answer, and whether its image existed before."""
        for name in self._limited(request[USER]):
            self._quotas.take(name, detail=f"{name} has requested too many upload URLs.")
        idempotency_key = read_idempotency_key(request)
        requested = await read_json(request, UploadRequest, context=self._limits)
        pending = self._pending(requested, user_id=request[USER], idempotency_key=idempotency_key)
        note(request, image_id=pending.image_id)
        # The record must outlive the upload's message, or its file name and tags would be gone.
        soon = int(self._now()) + self._url_seconds + PENDING_SECONDS - A_DAY
        stored = await self._records.create(pending, forgotten_before=soon)
        _check_same(stored, pending)
        signed = await self._sign(stored, requested)
        issued = UploadIssued.of(stored, signed, content_type=requested.content_type)
        return issued, stored != pending

    def _limited(self, user: str) -> list[str]:
        """Return the users whose limits count: a person, and a key whose definition has one.

        A key's limit counts the requests for all users that it names.
        """
        own = [user] if users.is_person(user) else []
        key = users.naming_key(user) or user
        return [*own, key] if key in self._quotas.own else own

    def _pending(
        self, requested: UploadRequest, *, user_id: str, idempotency_key: str | None
    ) -> Record:
        """Make the pending record. The same user and idempotency key always give the same id."""
        image_id = (
            keys.new_image_id()
            if idempotency_key is None
            else self._ids.of_request(user_id=user_id, idempotency_key=idempotency_key)
        )
        now = self._now()
        uploaded_at = int(now * 1000)
        return Record(
            image_id=image_id,
            user_id=user_id,
            uploaded_at=uploaded_at,
            original_key=keys.source_key(user_id=user_id, image_id=image_id),
            filename=requested.filename,
            tags=tuple(dict.fromkeys(requested.tags)),
            original_size=requested.size,
            media_type=requested.content_type,
            keep_until=keep_until(uploaded_at, requested.keep_days or self._keep_days),
            expires_at=int(now) + self._url_seconds + PENDING_SECONDS,
            request_hash=requested.hash,
        )

    async def _sign(self, record: Record, requested: UploadRequest) -> PresignedPost | PresignedPut:
        sign = self._presigner.post if requested.method == "POST" else self._presigner.put
        return await sign(
            key=record.original_key,
            content_type=requested.content_type,
            size_bytes=requested.size,
            sha256=requested.sha256,
            expires_seconds=self._url_seconds,
        )


def read_idempotency_key(request: web.Request) -> str | None:
    """Return the Idempotency-Key header, or None. Raises a `Refusal` if it is invalid."""
    values = request.headers.getall("Idempotency-Key", [])
    if not values:
        return None
    if len(values) > 1 or not _IDEMPOTENCY_KEY.fullmatch(values[0]):
        raise Refusal(
            Problem.INVALID_IDEMPOTENCY_KEY,
            "Idempotency-Key must be given once, as 1 to 255 visible ASCII characters.",
        )
    return values[0]


def _check_same(stored: Record, pending: Record) -> None:
    if stored.status is Status.ERASED:
        raise Refusal(Problem.IMAGE_ERASED, "The image of this Idempotency-Key was erased.")
    if stored.request_hash not in {None, pending.request_hash}:
        raise Refusal(
            Problem.IDEMPOTENCY_KEY_REUSED,
            "This Idempotency-Key was used for a different request.",
        )
