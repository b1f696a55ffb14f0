"""Safelight's own messages on RendersQueue and CleanupQueue. `worker/events.py` reads S3's events.

They name an image or a key, never a state. So a forged message causes only work that is harmless
to repeat.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from safelight.erasures import By, Caches
from safelight.errors import Unreadable, WrongQueue
from safelight.formats import BY_NAME
from safelight.keys import IMAGE_ID
from safelight.presets import Preset
from safelight.stored import StoredModel
from safelight.users import is_user_id

MAX_KEY_BYTES = 1024
"""The longest object key in S3, in bytes."""
MAX_REVISION_LENGTH = 2048
"""The longest revision, in characters. A version id of S3 has at most 1,024 bytes."""
MOST_KEYS = 100
"""The most keys in one message."""
OURS = "safelight."
"""The prefix of the `type` of every message of Safelight."""

Message = TypeVar("Message")


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


class EraseImage(Queued):
    """A request to erase one image, or to go on with its erasure."""

    type: Literal["safelight.erase-image"] = "safelight.erase-image"
    image_id: str = Field(pattern=IMAGE_ID)
    key: str | None = Field(default=None, max_length=MAX_KEY_BYTES)
    """The key of the source, which a finished tombstone does not have any more."""
    by: By
    at: int = Field(ge=0)
    """When the erasure was requested, in milliseconds since 1970."""
    caches: Caches = "tag"
    retry: int | None = Field(default=None, ge=1)
    """Which retry of a refused step it is. `Erasure.retries` has the number of the last one."""


class EraseUser(Queued):
    """A request to erase all images that a user uploaded before a moment."""

    type: Literal["safelight.erase-user"] = "safelight.erase-user"
    erasure_id: str = Field(pattern=IMAGE_ID)
    """A ULID. Its random bits are the right to read the counts of the erasure."""
    user_id: str
    before: int = Field(ge=0)
    """In milliseconds since 1970."""
    by: By

    @field_validator("user_id")
    @classmethod
    def _of_a_user(cls, user_id: str) -> str:
        if not is_user_id(user_id):
            raise ValueError("is no user id")
        return user_id


class DeleteVersion(Queued):
    """A request to delete a version of a source that its image's record does not name."""

    type: Literal["safelight.delete-version"] = "safelight.delete-version"
    image_id: str = Field(pattern=IMAGE_ID)
    key: str = Field(min_length=1, max_length=MAX_KEY_BYTES)
    version_id: str = Field(min_length=1, max_length=MAX_REVISION_LENGTH)


class DeleteAssets(Queued):
    """A request to delete assets that can be rendered again: those with these keys, or all."""

    type: Literal["safelight.delete-assets"] = "safelight.delete-assets"
    image_id: str = Field(pattern=IMAGE_ID)
    keys: tuple[str, ...] = Field(default=(), max_length=MOST_KEYS)
    """If there are none, all assets are deleted, but only of an image without a record."""
    at: int = Field(ge=0)
    """When the deletion was requested, in milliseconds since 1970."""
    last: bool = False
    """Whether the assets were deleted before, and now caches are invalidated too."""


OfRenders = Demand | Ingest
OfCleanup = EraseImage | EraseUser | DeleteVersion | DeleteAssets
_OF_RENDERS: TypeAdapter[OfRenders] = TypeAdapter(Annotated[OfRenders, Field(discriminator="type")])
_OF_CLEANUP: TypeAdapter[OfCleanup] = TypeAdapter(Annotated[OfCleanup, Field(discriminator="type")])
_OF_BOTH: TypeAdapter[OfRenders | OfCleanup] = TypeAdapter(
    Annotated[OfRenders | OfCleanup, Field(discriminator="type")]
)
_TYPES = frozenset(
    model.model_fields["type"].default
    for model in (Demand, Ingest, EraseImage, EraseUser, DeleteVersion, DeleteAssets)
)


def is_ours(document: object) -> bool:
    """Return whether a message's parsed body was written by Safelight, in any version."""
    return isinstance(document, dict) and str(document.get("type")).startswith(OURS)


def read_queued(document: object) -> OfRenders:
    """Read the parsed body of a message on RendersQueue.

    Raises `WrongQueue` for a message of another queue, `Unreadable` for any other body.
    """
    return _read(document, _OF_RENDERS)


def read_cleanup(document: object) -> OfCleanup:
    """Read the parsed body of a message on CleanupQueue. Raises the same as `read_queued`."""
    return _read(document, _OF_CLEANUP)


def read_ours(document: object) -> OfRenders | OfCleanup:
    """Read the parsed body of a message on either queue. Raises `Unreadable` for any other body."""
    return _read(document, _OF_BOTH)


def _read(document: object, adapter: TypeAdapter[Message]) -> Message:
    try:
        return adapter.validate_python(document)
    except ValidationError as error:
        faults = error.errors()
        if faults[0]["type"] == "union_tag_invalid" and faults[0]["ctx"]["tag"] in _TYPES:
            raise WrongQueue(f"{faults[0]['ctx']['tag']} is a message for another role") from error
        fields = ", ".join(str(fault["loc"][-1]) for fault in faults if fault["loc"])
        raise Unreadable(f"not a message that this version reads: {fields or 'type'}") from error
