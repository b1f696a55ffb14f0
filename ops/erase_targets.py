"""Finds the images that `safelight erase` erases, and what there is of them."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from safelight import keys
from safelight.aws.inventory import SourceVersion, StoredAsset
from safelight.image_ids import ImageIds
from safelight.record import Record, Status
from safelight.search import Found, Position, Search
from safelight.users import ADOPTED, ERASED

LEDGER = "erasures/"
"""The prefix of the entries that outlive erasures, in the uploads bucket."""
PAGE = 1000
"""The most images that one query reads."""


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
        """List the versions of a source."""
        ...

    def keys_below(self, prefix: str) -> AsyncIterator[tuple[str, float]]:
        """Yield each key of the uploads bucket that begins so, and when it was stored last."""
        ...


class Documents(Protocol):
    """The documents beside the sources."""

    async def read(self, key: str, *, lists: bool) -> str | None:
        """Return a document; None if there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An image to erase, and the key of its source as far as it is known."""

    image_id: str
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What both buckets have of an image."""

    versions: int
    objects: int
    """Assets."""
    size_bytes: int


async def named(records: Records, image_ids: Sequence[str]) -> AsyncIterator[Target]:
    """Yield the images with these ids, also those without a record."""
    for image_id in dict.fromkeys(image_ids):
        yield Target(image_id=image_id, key=_key_of(await records.get(image_id)))


async def of_user(records: Records, user_id: str) -> AsyncIterator[Target]:
    """Yield all images of a user that are not erased, the oldest first."""
    search = Search(user_id=user_id, newest_first=False)
    after: Position | None = None
    while True:
        found = await records.find(search, after=after, most=PAGE)
        for summary in found:
            yield Target(
                image_id=summary.image_id, key=_key_of(await records.get(summary.image_id))
            )
        after = found.ends_at
        if after is None:
            return


async def erased_before(
    records: Records,
    inventory: Inventory,
    documents: Documents,
    *,
    since: float,
    ids: ImageIds,
    bucket: str,
) -> AsyncIterator[Target]:
    """Yield the images of the ledger whose entries were stored since a time, in seconds.

    A restored table or bucket may have them again. Their sources are found in the list of all
    uploads, because a tombstone that is complete does not know its key.
    """
    entries = {
        key.removeprefix(LEDGER).removesuffix(".json")
        async for key, stored_at in inventory.keys_below(LEDGER)
        if stored_at >= since and "/" not in key.removeprefix(LEDGER)
    }
    sources: defaultdict[str, list[str | None]] = defaultdict(list)
    async for key, _ in inventory.keys_below(keys.UPLOADS_PREFIX):
        for image_id in ids.of_source(bucket=bucket, key=key):
            if image_id in entries:
                sources[image_id].append(key)
    for image_id in sorted(entries):
        record = await records.get(image_id)
        if record and await _is_new(record, documents):
            continue
        for source in sources[image_id] or [_key_of(record)]:
            yield Target(image_id=image_id, key=source)


async def _is_new(record: Record, documents: Documents) -> bool:
    """Return whether an image was uploaded after the erasure of an earlier one with its id."""
    if record.status is Status.ERASED:
        return False
    # The entry was listed. So a refusal does not mean that there is none, and must not be ignored.
    text = await documents.read(f"{LEDGER}{record.image_id}.json", lists=True)
    return text is not None and record.uploaded_at > int(json.loads(text)["requestedAt"])


async def holdings_of(target: Target, inventory: Inventory) -> Holdings:
    """Count and sum up what the buckets have of an image."""
    versions = await inventory.versions(target.key) if target.key else ()
    assets = await inventory.assets(target.image_id)
    return Holdings(
        versions=len(versions),
        objects=len(assets),
        size_bytes=sum(one.size_bytes or 0 for one in versions)
        + sum(one.size_bytes for one in assets),
    )


def _key_of(record: Record | None) -> str | None:
    """Return the key of an image's source; a tombstone that is complete does not have it."""
    if record is None:
        return None
    if record.original_key != ERASED:
        return record.original_key
    if record.user_id in (ADOPTED, ERASED):
        return None
    return keys.source_key(user_id=record.user_id, image_id=record.image_id)
