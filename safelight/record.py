"""The record of one image, as stored in the table and published in completions."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from pydantic import Field

from safelight import keys
from safelight.erasures import By, Erasure
from safelight.errors import Reason
from safelight.faces import Faces
from safelight.stored import StoredModel

SCHEMA_VERSION = 2
"""The newest value in `SINCE`. A version writes its own, and reads all others."""
SINCE: Mapping[str, int] = {
    "sequence": 2,
    "faces": 2,
    "day": 1,
    "tagsVersion": 1,
    "keepUntil": 1,
    "erasedAt": 1,
    "erasedBy": 1,
    "erasure": 1,
    "uploadToken": 1,
    "settledToken": 1,
}
"""The schema version that brought each attribute; those of the first one are not listed.

An older version that settles a newer revision leaves attributes that it does not know in the
record, and they describe the revision before. Its lower schema version says so. `tagsVersion` and
`keepUntil` came later than 1, but describe no settlement: they are right whichever version settled.
So are the attributes of tombstones, which no version settles. Tokens of uploads came later too: one
that an older version left open admits one upload more. `safelight reindex` compares `day` with
`completedAt`, and repairs one of the revision before.
"""
DERIVED = ("compressedKey", "compressedSize", "savingsPercent", "thumbnails")
"""Stored attributes that repeat facts from `variants`. They are never read back."""
COMPRESSED = "compressed"
"""The preset whose size is compared with the source, as `savingsPercent`."""


class Status(StrEnum):
    """The state of an image."""

    PENDING = "pending"
    """An upload URL was issued. The upload has not arrived, or is being processed."""
    COMPLETED = "completed"
    REJECTED = "rejected"
    ERASED = "erased"

    @property
    def settled(self) -> bool:
        """Whether processing of this revision is finished."""
        return self is not Status.PENDING


class Variant(StoredModel):
    """One asset: its key, type and size, in bytes and pixels."""

    key: str
    media_type: str
    width: int
    height: int
    size: int
    sha256: str
    quality: int | None = None
    """None for lossless formats, and for variants older than this attribute."""
    score: int | None = None
    """The score reached by `quality = "auto"`, in points of SSIMULACRA 2; else None."""


class Record(StoredModel):
    """One image. Times are milliseconds since 1970; `expires_at` is seconds, for DynamoDB."""

    image_id: str
    user_id: str
    uploaded_at: int
    original_key: str
    status: Status = Status.PENDING
    reason: Reason | None = None
    detail: str | None = None
    """Why the image was rejected, in words."""
    filename: str | None = None
    tags: tuple[str, ...] = ()
    tags_version: int = 0
    """The number of changes of `tags` since the upload was requested."""
    keep_until: int | None = None
    """When the image may be erased; None if it is kept for good."""
    original_size: int | None = None
    media_type: str | None = None
    """The declared type while pending, the detected type once settled."""
    sha256: str | None = None
    """SHA-256 of the source, in hexadecimal."""
    width: int | None = None
    height: int | None = None
    placeholder: str | None = None
    """A ThumbHash in base64."""
    dominant_colour: str | None = None
    """As "#rrggbb"."""
    perceptual_hash: str | None = None
    """64 bits in hexadecimal."""
    faces: Faces | None = None
    """Internal: boxes around the faces, for later crops. Empty if there are none, None if no one
    looked for them."""
    revision: str | None = None
    """Internal: every asset key of the image can be computed from it (`keys.asset_key`)."""
    version_id: str | None = None
    """The source's version id in a versioned bucket, for rendering this revision again."""
    sequencer: str | None = None
    """Padded by `keys.padded_sequencer`, so that revisions can be ordered as text."""
    sequence: int | None = None
    """The number of this settlement among those of the image, from 1, as `Records.commit` counts.
    None while pending, and if the record was settled before this attribute existed."""
    variants: Mapping[str, Variant] = Field(default_factory=dict)
    failed_variants: Mapping[str, str] = Field(default_factory=dict)
    """Preset -> why its variant could not be rendered although others could."""
    processing_time_ms: int | None = None
    """Milliseconds from the start of the fetch to the commit."""
    render_time_ms: int | None = None
    """Milliseconds of that spent decoding and encoding in the render child."""
    completed_at: int | None = None
    day: str | None = None
    """Internal: the key of the settled image in the index by day (`days.day_of`)."""
    erased_at: int | None = None
    """When the record became a tombstone."""
    erased_by: By | None = None
    erasure: Erasure | None = None
    """Internal: the progress of the erasure; `Receipt` is what clients see."""
    expires_at: int | None = None
    upload_token: str | None = None
    """Internal: the token of the upload that this image waits for; None if it waits for none. An
    image without any token accepts every upload: its source came without the API, or its URL from
    a version without tokens."""
    settled_token: str | None = None
    """Internal: the token of the upload that was settled last."""
    request_hash: str | None = None
    """Hash of the request that created the image, since an Idempotency-Key allows one request only.
    None from the time when another upload is requested while the image is pending."""
    schema_version: int = SCHEMA_VERSION

    @property
    def revision_tag(self) -> str:
        """The public identifier of the revision."""
        return keys.revision_tag(self.revision or "")

    @property
    def savings_percent(self) -> float | None:
        """Size saved by `compressed`, in per cent of the source; negative if it is larger."""
        compressed = self.variants.get(COMPRESSED)
        if compressed is None or not self.original_size:
            return None
        return round(100 * (1 - compressed.size / self.original_size), 1)

    @property
    def has_tokens(self) -> bool:
        """Whether uploads of this image need the right token to count."""
        return bool(self.upload_token or self.settled_token)

    @property
    def was_replaced(self) -> bool:
        """Whether an image with tokens is settled, or waits for an upload after its first one."""
        return self.has_tokens and (self.status.settled or self.request_hash is None)

    @property
    def accepted_tokens(self) -> frozenset[str | None] | None:
        """The tokens of uploads that count; None if every upload does.

        While the image waits for its first upload, one without a token counts too: its form may be
        of an API without tokens, which runs beside newer ones during an upgrade.
        """
        if not self.has_tokens:
            return None
        without = frozenset[None]() if self.was_replaced else {None}
        return frozenset({self.upload_token} - {None}) | without

    def settles(self, *, revision: str, sequencer: str) -> bool:
        """Return whether no upload of this revision can be settled any more.

        The record has this revision or a newer one, waits for no upload, or is erased. While it
        waits for a token, the token decides instead of the order.
        """
        if self.status is Status.ERASED or self.accepted_tokens == frozenset():
            return True
        if self.upload_token is not None:
            return self.status.settled and self.revision == revision
        if not self.status.settled or self.sequencer is None:
            return False
        return self.sequencer > sequencer or self.revision == revision

    def to_item(self) -> dict[str, Any]:
        """Return the stored attributes, without those that have no value.

        `DERIVED` repeats facts from `variants` under names that existing consumers use.
        """
        item = self.model_dump(by_alias=True, exclude_none=True, mode="json")
        if self.faces is not None:
            # DynamoDB takes no floats.
            item["faces"] = [
                {name: Decimal(str(share)) for name, share in asdict(face).items()}
                for face in self.faces
            ]
        if compressed := self.variants.get(COMPRESSED):
            item |= {"compressedKey": compressed.key, "compressedSize": compressed.size}
        if (savings := self.savings_percent) is not None:
            item["savingsPercent"] = Decimal(str(savings))
        if self.status is Status.COMPLETED:
            item["thumbnails"] = {
                name: variant.key for name, variant in self.variants.items() if name != COMPRESSED
            }
        return item

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Build a record from its stored attributes, without those that its writer did not know."""
        writer = item.get("schemaVersion", 1)
        return cls.model_validate(
            {name: value for name, value in item.items() if SINCE.get(name, 1) <= writer}
        )


ATTRIBUTES = frozenset(
    {*(field.alias for field in Record.model_fields.values() if field.alias), *DERIVED}
)
"""Every attribute that a record may have in the table."""
