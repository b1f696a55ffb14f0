"""The pictures that URLs name: images by their id, and objects of other buckets by an alias."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from api.delivery.aliases import Alias
from api.delivery.signing import Grant
from api.problems import Problem, Refusal
from safelight import keys
from safelight.aws.objects import ObjectVersion
from safelight.errors import Reason
from safelight.formats import AUTO, FORMATS
from safelight.image_ids import ImageIds
from safelight.making import RenderRequest, Source, Sources, source_of
from safelight.record import Record, Status, Variant
from safelight.wish.wish import Wish

OPAQUE = frozenset(format.media_type for format in FORMATS if format.opaque)
"""Media types of sources that cannot be transparent."""
MAX_KEY_BYTES = 1024
"""As S3 has it."""


class NotThereYet(Exception):
    """The image is known, but nothing of it can be shown yet."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.image_id)
        self.record = record


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """One revision of a picture."""

    image_id: str
    revision: str
    source: Source
    transparent: bool
    """Whether it may be: what loses that comes last."""
    pixels: int | None = None
    """None where nobody has looked at it yet."""
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """What a worker made of it, by preset."""
    recorded: bool = False
    """Whether workers know it too."""

    def has(self, key: str) -> bool:
        """Tell whether a worker made the asset of this key."""
        return any(variant.key == key for variant in self.variants.values())

    def wanted(self, preset: str, wish: Wish) -> RenderRequest:
        """Name what a preset makes of it. Of `auto` it is what its render chose."""
        made = self.variants.get(preset)
        name = keys.read_asset_key(made.key) if made and wish.format == AUTO else None
        return RenderRequest.of_preset(
            preset,
            wish,
            self.source,
            image_id=self.image_id,
            revision=self.revision,
            extension=name.extension if name else None,
        )


class Records(Protocol):
    """What is known of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read the record that stands."""
        ...


class Bucket(Sources, Protocol):
    """A bucket of pictures that were not uploaded here."""

    async def stand(self, key: str) -> ObjectVersion | None:
        """Tell which version of an object stands; None if there is none."""
        ...


async def find_image(
    image_id: str, grant: Grant, *, records: Records, bucket: Sources
) -> SourceImage:
    """Find an image. One that is not the key's is refused in the same words as none at all.

    Raises `NotThereYet` or a `Refusal`.
    """
    record = await records.get(image_id) if keys.is_image_id(image_id) else None
    if record is None or grant.user_id not in (None, record.user_id):
        raise Refusal(Problem.UNKNOWN_IMAGE, "There is no image of this id.")
    match record.status:
        case Status.ERASED:
            raise Refusal(Problem.IMAGE_ERASED, "The image was erased.")
        case Status.REJECTED:
            raise not_rendered(record.reason, record.detail or "")
        case Status.PENDING:
            raise NotThereYet(record)
    return SourceImage(
        image_id=record.image_id,
        revision=record.revision or "",
        source=source_of(record, bucket),
        transparent=record.media_type not in OPAQUE,
        pixels=(record.width or 0) * (record.height or 0),
        variants=record.variants,
        recorded=True,
    )


async def find_object(
    path: str, grant: Grant, *, alias: Alias, bucket: Bucket, ids: ImageIds
) -> SourceImage:
    """Find an object below an alias's prefix; a tenant's key opens none of them."""
    key = alias.prefix + path
    odd = any(segment in ("", ".", "..") for segment in path.split("/")) or not path.isprintable()
    if odd or len(key.encode("utf-8", "replace")) > MAX_KEY_BYTES:
        raise Refusal(Problem.INVALID_URL, "The path is no key that is looked for.")
    standing = await bucket.stand(key) if grant.user_id is None else None
    if standing is None:
        raise Refusal(Problem.UNKNOWN_IMAGE, "There is no picture of this name.")
    return SourceImage(
        image_id=ids.of_object(bucket=alias.bucket, key=key),
        revision=keys.revision_of(
            version_id=standing.version_id, sequencer=None, etag=standing.etag
        ),
        # By its ETag, since to read a version by its id is a permission of its own.
        source=Source(bucket=bucket, key=key, etag=standing.etag),
        transparent=standing.media_type not in OPAQUE,
    )


def not_rendered(reason: Reason | None, detail: str) -> Refusal:
    """Say why there is no picture; one that is gone is like one that never was."""
    if reason is Reason.SOURCE_GONE:
        return Refusal(Problem.UNKNOWN_IMAGE, "The source is gone.")
    return Refusal(Problem.NOT_RENDERED, f"{reason}: {detail}")
