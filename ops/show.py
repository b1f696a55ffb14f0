"""`safelight show`: print all that is known of one image, from the table and both buckets."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Protocol

from rich.text import Text

from api.settings import DeliverySettings
from api.thumbnails import Thumbnails
from ops.exit_codes import ExitCode
from ops.folders import Unusable
from ops.image_state import AssetState, Origin, View, assets_of, views_of
from ops.operator import connected
from ops.preset_urls import PresetUrls
from ops.receipts import receipt_facts
from ops.tables import counted, make_table, print_table, printable
from safelight import keys
from safelight.aws.inventory import SourceVersion, StoredAsset
from safelight.aws.settings import AwsSettings
from safelight.erasures import Receipt
from safelight.record import Record, Status
from safelight.search import Found, Position, Range, Search

_PAGE = 100
"""The most tag entries that one query reads."""


class ShowSettings(DeliverySettings, AwsSettings):
    """Settings of `safelight show`: those of delivery, and the names of the resources."""


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Return an image's record, or None."""
        ...

    async def find(self, search: Search, *, after: Position | None, most: int) -> Found:
        """Read up to `most` images behind a position, and return those that the search finds."""
        ...


class Inventory(Protocol):
    """The lists of both buckets."""

    async def assets(self, image_id: str) -> tuple[StoredAsset, ...]:
        """List all assets of an image."""
        ...

    async def versions(self, key: str) -> tuple[SourceVersion, ...]:
        """List the versions of a source, the latest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageState:
    """All that is known of one image."""

    record: Record
    tags: Mapping[str, bool]
    """By tag, whether searches for it find the image. Empty if it is pending or erased."""
    assets: tuple[AssetState, ...]
    versions: tuple[SourceVersion, ...]
    views: tuple[View, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong although the image is settled."""
        missing = sum(one.origin is Origin.MISSING for one in self.assets)
        lost = [tag for tag, found in self.tags.items() if not found]
        return (
            *([f"{counted(missing, 'asset')} of the record not in the bucket"] if missing else ()),
            *(f"no search finds the image by its tag {tag!r}" for tag in lost),
        )

    @property
    def code(self) -> ExitCode:
        """The exit code: `FAILED` outranks `REFUSED`."""
        if self.faults:
            return ExitCode.FAILED
        refused = self.record.status in (Status.REJECTED, Status.ERASED)
        return ExitCode.REFUSED if refused or self.record.failed_variants else ExitCode.DONE


async def show(image_id: str, *, as_json: bool) -> ExitCode:
    """Print an image; return the exit code. Raises `Unusable` for a text that is no image id."""
    read = keys.read_image_id(image_id)
    if read is None:
        raise Unusable(f"IMAGE_ID: must be an image id of 26 characters; found {image_id[:80]!r}")
    settings = ShowSettings.load()
    urls = PresetUrls.of(settings)
    async with connected(settings) as aws:
        records, inventory = await aws.records(), await aws.inventory()
        record = await records.get(read)
        if record is None:
            return _without_record(read, await inventory.assets(read))
        state = await state_of(record, records, inventory, urls)
    print(as_document(state)) if as_json else _print(state)
    for fault in state.faults:
        print(f"Wrong: {fault}.", file=sys.stderr)
    return state.code


async def state_of(
    record: Record, records: Records, inventory: Inventory, urls: PresetUrls
) -> ImageState:
    """Gather all that is known of an image."""
    stored = await inventory.assets(record.image_id)
    presets = tuple(urls.presets.values())
    paths = Thumbnails(presets=presets, signing=urls.signing, delivery_url="")
    return ImageState(
        record=record,
        tags={tag: await _finds(records, record, tag) for tag in record.tags}
        if record.status in (Status.COMPLETED, Status.REJECTED)
        else {},
        assets=assets_of(record, stored),
        versions=await inventory.versions(record.original_key),
        views=views_of(
            record,
            presets,
            urls=paths.of(record.image_id, user_id=record.user_id),
            stored={asset.key for asset in stored},
        ),
    )


async def _finds(records: Records, record: Record, tag: str) -> bool:
    """Return whether a search by a tag finds an image. An entry beside the record is needed."""
    uploaded = Range(least=record.uploaded_at, most=record.uploaded_at)
    search = Search(user_id=record.user_id, uploaded=uploaded, statuses=tuple(Status), tags=(tag,))
    after: Position | None = None
    while True:
        found = await records.find(search, after=after, most=_PAGE)
        if any(summary.image_id == record.image_id for summary in found):
            return True
        after = found.ends_at
        if after is None:
            return False


def as_document(state: ImageState) -> str:
    """Write everything as one JSON document, keys of assets included, which are secrets."""
    document = {
        "record": state.record.model_dump(mode="json", by_alias=True, exclude_none=True),
        "foundByTag": dict(state.tags),
        "assets": [
            {
                "key": asset.key,
                "origin": asset.origin,
                "sizeBytes": asset.size_bytes,
                "modifiedAt": _time(asset.modified_at),
            }
            for asset in state.assets
        ],
        "versions": [
            {
                "versionId": version.version_id,
                "sizeBytes": version.size_bytes,
                "modifiedAt": _time(version.modified_at),
                "latest": version.latest,
                "current": version.version_id == state.record.version_id,
            }
            for version in state.versions
        ],
        "views": [asdict(view) for view in state.views],
        "receipt": state.record.erasure and Receipt.of(state.record).to_document(),
        "faults": list(state.faults),
    }
    return json.dumps(document, indent=2)


def _print(state: ImageState) -> None:
    facts = make_table("fact", "value", header=False)
    for name, fact in (_facts(state) | receipt_facts(state.record)).items():
        facts.add_row(name, Text(printable(fact)))
    print_table(facts)
    assets = make_table("asset", "origin", "bytes", "stored (UTC)", numbers=("bytes",))
    for asset in state.assets:
        name = asset.key.rpartition("/")[2]
        assets.add_row(
            Text(name), asset.origin, _number(asset.size_bytes), _time(asset.modified_at)
        )
    print_table(assets)
    versions = make_table("version of the source", "bytes", "stored (UTC)", numbers=("bytes",))
    for version in state.versions:
        size = "deleted" if version.size_bytes is None else _number(version.size_bytes)
        current = " (current)" if version.version_id == state.record.version_id else ""
        versions.add_row(Text(version.version_id + current), size, _time(version.modified_at))
    print_table(versions)
    views = make_table("preset", "access", "format", "a viewer gets", "URL at delivery")
    for view in state.views:
        url = view.url or "no key of SAFELIGHT_SIGNING_KEYS signs for this user"
        for format, what in view.formats.items():
            views.add_row(Text(view.preset), view.access, format, what, Text(url))
            url = ""
    print_table(views)


def _facts(state: ImageState) -> dict[str, str]:
    """Return the facts of the record that have a value, but for its variants and identifiers."""
    record = state.record
    lost = {tag for tag, found in state.tags.items() if not found}
    sized = record.width and record.height
    facts = {
        "image": record.image_id,
        "user": record.user_id,
        "status": str(record.status),
        "reason": f"{record.reason}: {record.detail}" if record.reason else None,
        "uploaded (UTC)": _time(record.uploaded_at / 1000),
        "completed (UTC)": _time(record.completed_at / 1000) if record.completed_at else None,
        "kept until (UTC)": _time(record.keep_until / 1000) if record.keep_until else None,
        "file name": record.filename,
        "tags": ", ".join(f"{tag} (not found)" if tag in lost else tag for tag in record.tags),
        "source": record.original_key,
        "media type": record.media_type,
        "bytes": _number(record.original_size),
        "pixels": f"{record.width}x{record.height}" if sized else None,
        "failed variants": "; ".join(
            f"{name}: {why}" for name, why in record.failed_variants.items()
        ),
        "revision": record.revision_tag if record.revision else None,
    }
    return {name: fact for name, fact in facts.items() if fact}


def _without_record(image_id: str, stored: Sequence[StoredAsset]) -> ExitCode:
    left = f" The bucket has {counted(len(stored), 'asset')} of it." if stored else ""
    print(f"There is no record of the image {image_id}.{left}", file=sys.stderr)
    return ExitCode.FAILED


def _number(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")[:19]
