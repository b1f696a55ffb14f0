"""What is known of one image, as the table keeps it and as completions tell it."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from safelight import keys
from safelight.errors import Reason

SCHEMA_VERSION = 1
COMPRESSED = "compressed"
"""The preset whose saving is reported."""


class Status(StrEnum):
    """How far an image is."""

    PENDING = "pending"
    """A URL was issued; nothing arrived yet, or it is being worked on."""
    COMPLETED = "completed"
    REJECTED = "rejected"
    ERASED = "erased"

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen to this revision by itself."""
        return self is not Status.PENDING


class StoredModel(BaseModel):
    """A frozen value whose stored names are camel case."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Variant(StoredModel):
    """One asset: where it is and what it is. Sizes in bytes and pixels."""

    key: str
    media_type: str
    width: int
    height: int
    size: int
    sha256: str
    quality: int | None = None
    """None where the format is lossless, or the variant older than this attribute."""
    score: int | None = None
    """Where the quality was searched: what was reached, in points of SSIMULACRA 2."""


class Record(StoredModel):
    """One image. Times are milliseconds since 1970; `expires_at` is seconds, for DynamoDB."""

    image_id: str
    user_id: str
    uploaded_at: int
    original_key: str
    status: Status = Status.PENDING
    reason: Reason | None = None
    detail: str | None = None
    """The rejection in words, for people."""
    filename: str | None = None
    tags: tuple[str, ...] = ()
    original_size: int | None = None
    media_type: str | None = None
    """As declared while pending; as found once settled."""
    sha256: str | None = None
    """Of the source, in hexadecimal."""
    width: int | None = None
    height: int | None = None
    placeholder: str | None = None
    """A ThumbHash in base64."""
    dominant_colour: str | None = None
    """As "#rrggbb"."""
    perceptual_hash: str | None = None
    """64 bits in hexadecimal."""
    revision: str | None = None
    """Internal: whoever knows it can compute every asset key of the image (`keys.asset_key`)."""
    version_id: str | None = None
    """Of the source in a versioned bucket: what to fetch to render this very revision again."""
    sequencer: str | None = None
    """Padded (`keys.padded_sequencer`), so that it orders revisions as text."""
    variants: Mapping[str, Variant] = Field(default_factory=dict)
    failed_variants: Mapping[str, str] = Field(default_factory=dict)
    """Preset -> why this one variant could not be made, while the others could."""
    processing_time_ms: int | None = None
    """From the start of the fetch to the commit."""
    render_time_ms: int | None = None
    """Of that, decoding and encoding in the child."""
    completed_at: int | None = None
    expires_at: int | None = None
    request_hash: str | None = None
    """Of the request that issued the URL: one Idempotency-Key stands for one request."""
    schema_version: int = SCHEMA_VERSION

    @property
    def revision_tag(self) -> str:
        """What may be published of the revision."""
        return keys.revision_tag(self.revision or "")

    @property
    def savings_percent(self) -> float | None:
        """How much smaller the compressed variant is than the source; negative if it is larger."""
        compressed = self.variants.get(COMPRESSED)
        if compressed is None or not self.original_size:
            return None
        return round(100 * (1 - compressed.size / self.original_size), 1)

    def settles(self, *, revision: str, sequencer: str) -> bool:
        """Tell whether this record already answers for an upload: this revision or a newer one."""
        if self.status is Status.ERASED:
            return True
        if not self.status.settled or self.sequencer is None:
            return False
        return self.sequencer > sequencer or self.revision == revision

    def to_item(self) -> dict[str, Any]:
        """Write the stored attributes; those without a value are left out.

        `compressedKey`, `compressedSize`, `savingsPercent` and `thumbnails` repeat what `variants`
        says, under the names that published consumers know. They are never read back.
        """
        item = self.model_dump(by_alias=True, exclude_none=True, mode="json")
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
        """Read the stored attributes back."""
        return cls.model_validate(item)
