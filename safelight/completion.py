"""The event that an image is settled, as a CloudEvent. Pure: knows nothing about SNS.

CloudEvents 1.0, JSON format, structured mode (https://github.com/cloudevents/spec, v1.0.2), with
the extension `sequence`. The models are the schema that docs/guide/completions.md and /openapi.json
publish: members may be added, and a change that would break a receiver gets another `type`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from safelight.errors import Reason
from safelight.record import Record, Status, Variant
from safelight.stored import StoredModel

MEDIA_TYPE = "application/cloudevents+json"
Type = Literal["safelight.image.completed", "safelight.image.rejected"]
TYPES: Mapping[Status, Type] = {
    Status.COMPLETED: "safelight.image.completed",
    Status.REJECTED: "safelight.image.rejected",
}
MAX_BYTES = 250 * 1024
"""The longest event, in bytes. SNS and SQS accept 256 KiB, including attributes."""
SEQUENCE_DIGITS = 10
"""The length of `sequence`, filled with zeros, so that its order as text is that of the numbers."""
_LEFT_OUT_FIRST = ("failed_variants", "detail", "variants", "tags", "filename")
"""Facts dropped from a completion that is too long, in this order. The record keeps them."""


class Facts(StoredModel):
    """The public facts about a settled image. Members without a value are left out."""

    image_id: str
    user_id: str = Field(description="The owner's user id, such as `key:alice` or `oidc:5f7c`.")
    uploaded_at: int = Field(description="When the upload URL was issued, in ms since 1970.")
    original_key: str = Field(description="The key of the source in the uploads bucket.")
    status: Literal[Status.COMPLETED, Status.REJECTED]
    reason: Reason | None = Field(default=None, description="Why the source was rejected.")
    detail: str | None = Field(default=None, description="The reason in words, for people.")
    filename: str | None = None
    tags: tuple[str, ...] | None = None
    keep_until: int | None = Field(
        default=None,
        description="When the image may be erased, in ms since 1970; absent if it is kept for "
        "good.",
    )
    original_size: int | None = Field(default=None, description="The size of the source, in bytes.")
    media_type: str | None = Field(
        default=None, description="The detected type of a completed source."
    )
    sha256: str | None = Field(default=None, description="The source's SHA-256 in hexadecimal.")
    width: int | None = Field(default=None, description="The width of the source, in pixels.")
    height: int | None = None
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
    variants: Mapping[str, Variant] | None = Field(
        default=None,
        description="The variants by preset, with the keys of their assets. An asset key of a "
        "preset that is not public must not be published.",
    )
    failed_variants: Mapping[str, str] | None = Field(
        default=None, description="The presets without a variant, each with the cause."
    )
    processing_time_ms: int | None = Field(
        default=None, description="From the start of the fetch to the commit."
    )
    render_time_ms: int | None = Field(
        default=None, description="The part for decoding and encoding."
    )
    completed_at: int | None = Field(
        default=None, description="When the image was settled, in ms since 1970."
    )
    revision_tag: str = Field(description="Identifies the version of the source.")
    savings_percent: float | None = None
    left_out: tuple[str, ...] | None = Field(
        default=None, description="Members that did not fit; ask the API for them."
    )

    @classmethod
    def of(cls, record: Record) -> Self:
        """Return the public facts in a record."""
        names = [name for name in cls.model_fields if hasattr(record, name)]
        return cls(**{name: getattr(record, name) for name in names})


class Completion(BaseModel):
    """The completion of one settled image, a CloudEvent.

    The id is the same whenever an outcome is published again, so that receivers can drop
    duplicates. `sequence` rises with each settlement of an image; settlements of different images
    have no order.
    """

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"]
    id: str = Field(description="`imageId:revisionTag:status`; a repeat has the same.")
    source: Literal["/safelight"]
    type: Type = Field(description="The outcome, and the version of this schema.")
    subject: str = Field(description="The image id.")
    time: str = Field(
        description="When the image was settled.", json_schema_extra={"format": "date-time"}
    )
    datacontenttype: Literal["application/json"]
    sequence: str | None = Field(
        default=None,
        pattern=rf"^\d{{{SEQUENCE_DIGITS},}}$",
        description="The number of this settlement among those of the image, from 1, filled with "
        "zeros; greater texts are later. Absent if an older version settled the image.",
    )
    data: Facts

    @classmethod
    def of(cls, record: Record) -> Self:
        """Build the completion of a settled record. Raises a `KeyError` for any other."""
        settled_at = record.uploaded_at if record.completed_at is None else record.completed_at
        number = record.sequence
        return cls(
            specversion="1.0",
            id=f"{record.image_id}:{record.revision_tag}:{record.status}",
            source="/safelight",
            type=TYPES[record.status],
            subject=record.image_id,
            time=_rfc3339(settled_at),
            datacontenttype="application/json",
            sequence=None if number is None else f"{number:0{SEQUENCE_DIGITS}}",
            data=Facts.of(record),
        )

    @property
    def outcome(self) -> str:
        """The status of the image: `completed` or `rejected`."""
        return str(self.data.status)

    @property
    def user_id(self) -> str:
        """The owner of the image."""
        return self.data.user_id

    def to_json(self) -> str:
        """Return the event as JSON of at most `MAX_BYTES`.

        It is plain ASCII: each character is one byte, and SNS accepts all of them. `data.leftOut`
        lists facts that did not fit.
        """
        text = _written(self)
        facts = self.data
        for name in _LEFT_OUT_FIRST:
            if len(text) <= MAX_BYTES:
                break
            if getattr(facts, name) is not None:
                left_out = (*(facts.left_out or ()), to_camel(name))
                facts = facts.model_copy(update={name: None, "left_out": left_out})
                text = _written(self.model_copy(update={"data": facts}))
        return text


def _written(event: Completion) -> str:
    document = event.model_dump(by_alias=True, exclude_none=True, mode="json")
    return json.dumps(document, separators=(",", ":"))


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
