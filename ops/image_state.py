"""What is known of one image: its assets by their origin, and what viewers get. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from safelight import keys
from safelight.aws.inventory import StoredAsset
from safelight.errors import Reason
from safelight.formats import BY_NAME
from safelight.presets import Preset
from safelight.record import Record, Status


class Origin(StrEnum):
    """Why an asset is in the bucket."""

    VARIANT = "variant"
    """The record names it."""
    ON_DEMAND = "on demand"
    """It belongs to the current revision, and the record does not name it: delivery made it, or a
    worker by another definition of the preset."""
    ORPHAN = "orphan"
    """No URL leads to it: it belongs to another revision, or the image has none."""
    MISSING = "missing"
    """The record names it, and it is not in the bucket."""


class ViewState(StrEnum):
    """What a viewer gets from the URL of a preset."""

    STORED = "stored"
    RENDERED = "rendered on request"
    PROCESSING = "202, being processed"
    DEFAULT = "the default picture, being processed"
    GONE = "404, the source is gone"
    NOT_RENDERED = "422, the source was rejected"
    ERASED = "410, erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetState:
    """An asset that is in the bucket, or should be."""

    key: str
    origin: Origin
    size_bytes: int | None = None
    modified_at: float | None = None
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a viewer gets of an image by the URL of one preset."""

    preset: str
    access: str
    url: str | None
    """The path and query, signed if the preset is not public; None without a key for the user."""
    formats: Mapping[str, ViewState]
    """By the format that the viewer accepts."""


def assets_of(record: Record | None, stored: Sequence[StoredAsset]) -> tuple[AssetState, ...]:
    """Return all assets of an image, the missing ones first."""
    named = {variant.key for variant in record.variants.values()} if record else set()
    there = {asset.key for asset in stored}
    return (
        *(AssetState(key=key, origin=Origin.MISSING) for key in sorted(named - there)),
        *(
            AssetState(
                key=asset.key,
                origin=_origin(asset.key, record, named),
                size_bytes=asset.size_bytes,
                modified_at=asset.modified_at,
            )
            for asset in stored
        ),
    )


def _origin(key: str, record: Record | None, named: Collection[str]) -> Origin:
    if key in named:
        return Origin.VARIANT
    name = keys.read_asset_key(key)
    if record is None or record.status is not Status.COMPLETED or name is None:
        return Origin.ORPHAN
    current = _key(record, name.preset, name.fingerprint, name.extension)
    return Origin.ON_DEMAND if current == key else Origin.ORPHAN


def views_of(
    record: Record,
    presets: Sequence[Preset],
    *,
    urls: Mapping[str, str],
    stored: Collection[str],
) -> tuple[View, ...]:
    """Return what viewers get by each preset. `stored` has the keys of assets in the bucket."""
    return tuple(
        View(
            preset=preset.name,
            access=preset.policy.access,
            url=urls.get(preset.name),
            formats={
                format: _state(record, preset, format, stored) for format in preset.deliverable
            },
        )
        for preset in presets
    )


def _state(record: Record, preset: Preset, format: str, stored: Collection[str]) -> ViewState:
    match record.status:
        case Status.ERASED:
            return ViewState.ERASED
        case Status.REJECTED:
            gone = record.reason is Reason.SOURCE_GONE
            return ViewState.GONE if gone else ViewState.NOT_RENDERED
        case Status.PENDING:
            shows_default = preset.policy.pending == "default"
            return ViewState.DEFAULT if shows_default else ViewState.PROCESSING
    extension = BY_NAME[format].extension
    # Of the format `auto`, a worker's variant has the fingerprint of the preset as it is declared.
    fingerprints = {preset.wish.in_format(format).fingerprint, preset.wish.fingerprint}
    candidates = {_key(record, preset.name, one, extension) for one in fingerprints}
    return ViewState.RENDERED if candidates.isdisjoint(stored) else ViewState.STORED


def _key(record: Record, preset: str, fingerprint: str, extension: str) -> str:
    return keys.asset_key(
        image_id=record.image_id,
        revision=record.revision or "",
        preset=preset,
        fingerprint=fingerprint,
        extension=extension,
    )
