"""Safelight's own messages on RendersQueue. S3 events are read in `worker/events.py`.

They name an image or a key, never a state. So a forged message causes only work that is harmless
to repeat.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from safelight.errors import Unreadable
from safelight.formats import BY_NAME
from safelight.keys import IMAGE_ID
from safelight.presets import Preset
from safelight.record import StoredModel

MAX_KEY_BYTES = 1024
"""The longest object key in S3, in bytes."""
MAX_REVISION_LENGTH = 2048
"""The longest revision, in characters. A version id of S3 has at most 1,024 bytes."""
OURS = "safelight."
"""The prefix of the `type` of every message of Safelight."""


class Queued(StoredModel):
    """A message of Safelight."""

    def to_json(self) -> str:
        """Return the message's body."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


class Demand(Queued):
    """A request of delivery that a worker renders one variant of one revision.

    It holds the whole preset, because the worker may run another version than delivery.
    """

    type: Literal["safelight.demand"] = "safelight.demand"
    image_id: str = Field(pattern=IMAGE_ID)
    revision: str = Field(min_length=1, max_length=MAX_REVISION_LENGTH)
    preset: Preset

    @field_validator("preset")
    @classmethod
    def _of_one_format(cls, preset: Preset) -> Preset:
        if preset.wish.format not in BY_NAME:
            raise ValueError("names a format that no picture can have")
        return preset


class Ingest(Queued):
    """A request to settle the latest version of a source, whatever its events said."""

    type: Literal["safelight.ingest"] = "safelight.ingest"
    key: str = Field(pattern=r"^uploads/(.|\n)*[^/]$", max_length=MAX_KEY_BYTES)

    @field_validator("key")
    @classmethod
    def _fits_s3(cls, key: str) -> str:
        if len(key.encode()) > MAX_KEY_BYTES:
            raise ValueError(f"has more than {MAX_KEY_BYTES} bytes")
        return key


def ingest_of(key: str) -> Ingest:
    """Return the ingest of a source. Raises `Unreadable` if no source can have this key."""
    try:
        return Ingest(key=key)
    except ValidationError as error:
        raise Unreadable(f"{key[:80]!r} is not the key of a source") from error


_ANY: TypeAdapter[Demand | Ingest] = TypeAdapter(
    Annotated[Demand | Ingest, Field(discriminator="type")]
)


def is_ours(document: object) -> bool:
    """Return whether a message's parsed body was written by Safelight, in any version."""
    return isinstance(document, dict) and str(document.get("type")).startswith(OURS)


def read_queued(document: object) -> Demand | Ingest:
    """Read a message's parsed body. Raises `Unreadable`."""
    try:
        return _ANY.validate_python(document)
    except ValidationError as error:
        fields = ", ".join(str(fault["loc"][-1]) for fault in error.errors() if fault["loc"])
        raise Unreadable(f"not a message that this version reads: {fields or 'type'}") from error
