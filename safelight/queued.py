"""Messages of our own: what RendersQueue carries. S3's events are read in `worker/events.py`.

They name an image or a key, never a state. So a forged message causes work that is harmless to
repeat, and nothing else.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from safelight.errors import Unreadable
from safelight.formats import BY_NAME
from safelight.keys import IMAGE_ID
from safelight.presets import Preset
from safelight.record import StoredModel

MAX_KEY_BYTES = 1024
"""As S3 has it."""
MAX_REVISION_LENGTH = 2048
"""In characters: a version id of S3 has at most 1,024 bytes."""
OURS = "safelight."
"""What the `type` of every message of ours begins with."""


class Queued(StoredModel):
    """A message of our own."""

    def to_json(self) -> str:
        """Return the message's body."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


class Demand(Queued):
    """One variant of one revision: a viewer asked for it, and delivery left it to the workers.

    It holds the preset's whole definition: the worker may be of another version than delivery.
    """

    type: Literal["safelight.demand"] = "safelight.demand"
    image_id: str = Field(pattern=IMAGE_ID)
    revision: str = Field(min_length=1, max_length=MAX_REVISION_LENGTH)
    preset: Preset

    @field_validator("preset")
    @classmethod
    def _of_one_format(cls, preset: Preset) -> Preset:
        if preset.wish.format not in BY_NAME:
            raise ValueError("names no format that a picture can have")
        return preset


class Ingest(Queued):
    """The key of a source whose latest version is to be settled, whatever events said of it."""

    type: Literal["safelight.ingest"] = "safelight.ingest"
    key: str = Field(pattern=r"^uploads/(.|\n)*[^/]$", max_length=MAX_KEY_BYTES)

    @field_validator("key")
    @classmethod
    def _fits_s3(cls, key: str) -> str:
        if len(key.encode()) > MAX_KEY_BYTES:
            raise ValueError(f"has more than {MAX_KEY_BYTES} bytes")
        return key


def ingest_of(key: str) -> Ingest:
    """Return the ingest of a source's key; `Unreadable` if no source can have that key."""
    try:
        return Ingest(key=key)
    except ValidationError as error:
        raise Unreadable(f"{key[:80]!r} is not the key of a source") from error


_ANY: TypeAdapter[Demand | Ingest] = TypeAdapter(
    Annotated[Demand | Ingest, Field(discriminator="type")]
)


def is_ours(document: Mapping[str, Any]) -> bool:
    """Return whether a message's body is one of ours, of this version or another."""
    return str(document.get("type")).startswith(OURS)


def read_queued(document: Mapping[str, Any]) -> Demand | Ingest:
    """Read a message's body, or raise `Unreadable`."""
    try:
        return _ANY.validate_python(document)
    except ValidationError as error:
        fields = ", ".join(str(fault["loc"][-1]) for fault in error.errors() if fault["loc"])
        raise Unreadable(f"not a message that this version reads: {fields or 'type'}") from error
