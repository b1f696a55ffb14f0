"""Finds the source images that URLs name: by image id, by asset key, or by a path of an alias."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from api.delivery.aliases import Alias
from api.delivery.query import invalid
from api.delivery.signing import Grant
from api.problems import Problem, Refusal
from safelight import keys
from safelight.aws.objects import Asset, ObjectVersion
from safelight.errors import Reason
from safelight.faces import Faces
from safelight.formats import AUTO, BY_NAME, FORMATS
from safelight.image_ids import ImageIds
from safelight.imaging.plan_options import plan_options
from safelight.keys import AssetName
from safelight.making import RenderRequest, Source, Sources, source_of
from safelight.record import Record, Status, Variant
from safelight.wish.canonical import NAME, fingerprint
from safelight.wish.options import Options
from safelight.wish.wish import Wish

OPAQUE = frozenset(format.media_type for format in FORMATS if format.opaque)
"""Media types of sources that cannot be transparent."""
MAX_KEY_BYTES = 1024
"""S3's limit on the length of a key, in bytes."""


class NotReady(Exception):
    """The image is known, but it is not processed yet."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.image_id)
        self.record = record


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """One revision of a source, and what is known of it."""

    image_id: str
    revision: str
    source: Source
    transparent: bool
    """Whether it may have alpha. If so, formats without alpha are avoided."""
    pixels: int | None = None
    """Width times height; None if no worker has read its header."""
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """The variants that a worker stored, by preset."""
    recorded: bool = False
    """Whether it has a record, so that workers can be sent demands for it."""
    watermarks: Mapping[str, Source] = field(default_factory=dict)
    """The watermarks that a free-form URL asks for, by their keys."""
    faces: Faces | None = None
    """Its faces, if a worker looked for them."""

    def recorded_asset(self, key: str) -> Asset | None:
        """Return the metadata of the asset of this key, if a worker recorded it."""
        for variant in self.variants.values():
            if variant.key == key:
                return Asset(
                    media_type=variant.media_type,
                    size_bytes=variant.size,
                    sha256=variant.sha256,
                    body=None,
                )
        return None

    def chosen_for(self, preset: str, wish: Wish) -> Variant | None:
        """Return the variant that a worker stored for a wish of the format `auto`, if it did."""
        name = self._name_of(preset) if wish.format == AUTO else None
        return self.variants[preset] if name and name.fingerprint == wish.fingerprint else None

    def would_have(self, key: str, preset: str, wish: Wish | None) -> bool:
        """Return whether a wish of a preset, if it is rendered, is stored under this key."""
        # Of the format `auto` only the variant that a worker stored has a known extension.
        if wish is None or (wish.format == AUTO and self._name_of(preset) is None):
            return False
        return self.request(preset, wish).key == key

    def _name_of(self, preset: str) -> keys.AssetName | None:
        """Return the parts of the key of a preset's stored variant, if there is one."""
        variant = self.variants.get(preset)
        return keys.read_asset_key(variant.key) if variant else None

    def request(self, preset: str, wish: Wish | Options) -> RenderRequest:
        """Return the request for the result of a wish. Its key is the one that a worker uses."""
        if isinstance(wish, Options):
            return self._request_of_options(wish)
        name = self._name_of(preset) if wish.format == AUTO else None
        return RenderRequest.of_preset(
            preset,
            wish,
            self.source,
            image_id=self.image_id,
            revision=self.revision,
            extension=name.extension if name else None,
            faces=self.faces,
        )

    def _request_of_options(self, options: Options) -> RenderRequest:
        return RenderRequest(
            key=keys.asset_key(
                image_id=self.image_id,
                revision=self.revision,
                preset=NAME,
                fingerprint=fingerprint(options),
                extension=BY_NAME[options.format or ""].extension,
            ),
            source=self.source,
            plan=partial(plan_options, options=options),
            pictures=self.watermarks,
            needs_faces=options.needs_faces,
            faces=self.faces,
        )


class Records(Protocol):
    """The records of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read a record."""
        ...


class Bucket(Sources, Protocol):
    """A bucket of pictures that were not uploaded to Safelight."""

    async def current_version(self, key: str) -> ObjectVersion | None:
        """Return the current version of an object, or None if there is none."""
        ...


class SourceImages:
    """The images of Safelight, and the objects of other buckets that aliases name.

    An image that the grant excludes is refused in the same words as an unknown one.
    """

    def __init__(
        self,
        *,
        cached: Records,
        current: Records,
        bucket: Sources,
        buckets: Mapping[str, Bucket],
        ids: ImageIds,
    ) -> None:
        self._cached = cached
        """Records that may be a moment old."""
        self._current = current
        self._bucket = bucket
        self._buckets = buckets
        """The bucket of each alias, by its name."""
        self._ids = ids

    async def by_id(self, image_id: str, grant: Grant) -> SourceImage:
        """Find an image. Raises `NotReady` or a `Refusal`."""
        return await self._read(self._cached, image_id, grant)

    async def by_key(
        self, key: str, name: AssetName, wish: Wish | None, grant: Grant
    ) -> SourceImage:
        """Find the image whose current revision has this asset, or would have it if rendered.

        Raises `NotReady` or a `Refusal`.
        """
        # The key may be of a newer revision than the cached record.
        for records in (self._cached, self._current):
            image = await self._read(records, name.image_id, grant)
            if image.recorded_asset(key) or image.would_have(key, name.preset, wish):
                return image
        raise no_such_asset()

    async def by_path(self, path: str, grant: Grant, *, alias: Alias) -> SourceImage:
        """Find an object below an alias's prefix. The key of a tenant opens none of them."""
        longest = len((alias.prefix + path).encode("utf-8", "replace"))
        if not keys.is_object_name(path) or longest > MAX_KEY_BYTES:
            raise invalid("The path cannot be the key of a picture.")
        found = await self._stored_under(path, alias) if grant.user_id is None else None
        if found is None:
            raise no_such_picture()
        key, version = found
        return SourceImage(
            image_id=self._ids.of_object(bucket=alias.bucket, key=key),
            revision=keys.revision_of(
                version_id=version.version_id, sequencer=None, etag=version.etag
            ),
            # By ETag: to read a version by its id needs another permission.
            source=Source(bucket=self._buckets[alias.name], key=key, etag=version.etag),
            transparent=version.media_type not in OPAQUE,
        )

    async def _stored_under(self, path: str, alias: Alias) -> tuple[str, ObjectVersion] | None:
        """Find the key and the version of an object, in the form of Unicode that it has."""
        for spelling in keys.spellings_of(path):
            key = alias.prefix + spelling
            version = await self._buckets[alias.name].current_version(key)
            if version is not None:
                return key, version
        return None

    async def _read(self, records: Records, image_id: str, grant: Grant) -> SourceImage:
        record = await records.get(image_id) if keys.is_image_id(image_id) else None
        if record is None or grant.user_id not in (None, record.user_id):
            raise Refusal(Problem.UNKNOWN_IMAGE, "There is no image of this id.")
        match record.status:
            case Status.ERASED:
                raise Refusal(Problem.IMAGE_ERASED, "The image was erased.")
            case Status.REJECTED:
                raise not_rendered(record.reason, record.detail or "")
            case Status.PENDING:
                raise NotReady(record)
        return SourceImage(
            image_id=record.image_id,
            revision=record.revision or "",
            source=source_of(record, self._bucket),
            transparent=record.media_type not in OPAQUE,
            pixels=(record.width or 0) * (record.height or 0),
            variants=record.variants,
            recorded=True,
            faces=record.faces,
        )


def no_such_asset() -> Refusal:
    """Return the refusal of a key of an earlier revision or definition."""
    return Refusal(Problem.UNKNOWN_IMAGE, "There is no asset of this key any more.")


def no_such_picture() -> Refusal:
    """Return the refusal of a name for which there is no object."""
    return Refusal(Problem.UNKNOWN_IMAGE, "There is no picture of this name.")


def not_rendered(reason: Reason | None, detail: str) -> Refusal:
    """Return the refusal of a source that cannot be rendered, or that is gone."""
    if reason is Reason.SOURCE_GONE:
        return Refusal(Problem.UNKNOWN_IMAGE, "The source is gone.")
    return Refusal(Problem.NOT_RENDERED, f"{reason}: {detail}")
