"""The documents of `POST /v1/uploads`: the request for an upload URL, and the answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

from api.bodies import whole_number
from api.declared_types import ACCEPTED, FORM, type_to_send
from api.problems import Document
from api.words import Filename, Tags
from safelight.aws.presign import PresignedPost, PresignedPut
from safelight.keys import IMAGE_ID
from safelight.record import Record
from safelight.refused_values import Matches
from safelight.retention import MOST_KEEP_DAYS

_SHA256 = Matches(r"^[0-9a-fA-F]{64}$", "must be 64 hexadecimal digits")
_KEPT = "must be left out, because the image keeps its own"
_ID = Matches(IMAGE_ID, "must be the id of an image")


class UploadRequest(BaseModel):
    """The body of a request for an upload URL."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        json_schema_extra={"oneOf": [{"required": ["filename"]}, {"required": ["imageId"]}]},
    )

    image_id: Annotated[str, _ID] | None = Field(
        default=None,
        description="An image of yours whose picture this upload replaces. Without it the upload "
        "makes a new image.",
    )
    filename: Filename | None = Field(
        default=None,
        validate_default=True,
        description="Stored and shown, never part of a key. Required for a new image; an image "
        "whose picture is replaced keeps its own.",
    )
    content_type: str = Field(
        default="",
        validate_default=True,
        description="The media type of the picture, as far as you know it. The content decides in "
        "the end.",
        json_schema_extra={"pattern": ACCEPTED},
    )
    size: Annotated[int, BeforeValidator(whole_number)] = Field(
        ge=0, description="The exact size in bytes."
    )
    sha256: Annotated[str, _SHA256] | None = Field(
        default=None,
        description="The SHA-256 of the content in hex. S3 then refuses any other content.",
    )
    tags: Tags = Field(
        default=(),
        description="Words of your choice, for a new image. Duplicates are dropped.",
    )
    keep_days: Annotated[int, BeforeValidator(whole_number)] | None = Field(
        default=None,
        ge=1,
        le=MOST_KEEP_DAYS,
        description="Days for which a new image is kept. By default the operator decides.",
    )
    method: Literal["POST", "PUT"] = Field(
        default="POST", description="A form upload (POST), or a plain one (PUT)."
    )

    @field_validator("filename")
    @classmethod
    def _of_a_new_image(cls, filename: str | None, info: ValidationInfo) -> str | None:
        if "image_id" in info.data and info.data["image_id"] is None and filename is None:
            raise ValueError("is missing")
        if info.data.get("image_id") is not None and filename is not None:
            raise ValueError(_KEPT)
        return filename

    @field_validator("tags", "keep_days")
    @classmethod
    def _with_a_new_image(cls, given: object, info: ValidationInfo) -> object:
        if info.data.get("image_id") is not None and given:
            raise ValueError(_KEPT)
        return given

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
