"""Checks the state after a run, and reports exactly what is wrong.

Every uploaded picture that counts has reached one settled state per revision, published at least
once under one id, whose `sequence` is the last of its image. Every variant of a record is in the
bucket with the recorded size and checksum, and belongs to the record's own revision. Every tag of a
settled image has its entry. Nothing remains of an erased image but its tombstone with the complete
receipt and its ledger entry, and both events of its erasure were published. The queue is empty. The
dead-letter queue holds only expected messages.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from safelight import keys
from safelight.record import Record, Status
from safelight.tags import entries_of, is_entry
from tests.support.faults.injector import Source
from tests.support.faults.remains import remains_of

READ_AT_ONCE = 8

_deserialize = TypeDeserializer().deserialize


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One object of the asset bucket."""

    size_bytes: int
    sha256: str
    last_modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that is stored and queued after a run."""

    records: Mapping[str, Record]
    assets: Mapping[str, Asset]
    completions: Sequence[Mapping[str, Any]]
    entries: AbstractSet[str] = frozenset()
    """The keys of the tag entries that the index lists."""
    sources: AbstractSet[str] = frozenset()
    """The keys in the uploads bucket that have a version or a delete marker."""
    ledger: AbstractSet[str] = frozenset()
    """The keys of the ledger of erasures."""
    erasures: Sequence[Mapping[str, Any]] = ()
    """The events of erasures, repeats included."""
    queued: int = 0
    in_flight: int = 0
    dead_letters: Sequence[str] = ()


def faults_of(
    world: World,
    uploads: Iterable[Source],
    *,
    rejected: Mapping[str, str] | None = None,
    dead_letters: int = 0,
    earlier: AbstractSet[str] = frozenset(),
) -> list[str]:
    """List the faults. `rejected` has the images that must be rejected, with their reasons.

    `earlier` is that of `remains_of`.
    """
    faults = []
    if world.queued or world.in_flight:
        faults.append(f"the queue holds {world.queued} messages and {world.in_flight} in flight")
    if len(world.dead_letters) != dead_letters:
        faults.append(
            f"{len(world.dead_letters)} dead letters, not {dead_letters}: {world.dead_letters}"
        )
    erased = {one for one, record in world.records.items() if record.status is Status.ERASED}
    newest = _expected(world, (one for one in uploads if one.image_id not in erased))
    published = {completion["id"] for completion in world.completions}
    for image_id, upload in newest.items():
        faults += _of_image(world, upload, (rejected or {}).get(image_id), published)
    faults += [
        f"{image_id} has a settled record, but no event of it was sent"
        for image_id, record in world.records.items()
        if record.status.settled and image_id not in {*newest, *erased}
    ]
    faults += remains_of(
        records=world.records,
        stored=[*world.assets, *world.sources, *world.entries],
        ledger=world.ledger,
        events=world.erasures,
        earlier=earlier,
    )
    return faults + _of_completions(world) + _of_sequences(world) + _of_tags(world)


def _expected(world: World, uploads: Iterable[Source]) -> dict[str, Source]:
    """Return the upload that each image must show: the newest that counts.

    Of uploads with the token that was settled any one may be shown.
    """
    expected: dict[str, Source] = {}
    for upload in sorted(uploads, key=lambda one: one.order):
        record = world.records.get(upload.image_id)
        token = record.settled_token if record else None
        counts = token is None or upload.token in (token, None)
        shown = record is not None and upload.revision == record.revision
        before = expected.get(upload.image_id)
        if not upload.removed and counts and (before is None or token is None or shown):
            expected[upload.image_id] = upload
    return expected


def _of_image(
    world: World, upload: Source, reason: str | None, published: AbstractSet[str]
) -> list[str]:
    name = upload.image_id
    record = world.records.get(name)
    if record is None:
        return [f"{name} has no record"]
    faults = []
    expected = Status.REJECTED if reason else Status.COMPLETED
    if (record.status, record.reason) != (expected, reason):
        faults.append(f"{name} is {record.status} ({record.reason}), not {expected} ({reason})")
    if record.revision != upload.revision:
        faults.append(f"{name} shows revision {record.revision}, not {upload.revision}")
    completion = f"{name}:{record.revision_tag}:{record.status}"
    if completion not in published:
        faults.append(f"{name} was never published as {completion}")
    return faults + _of_variants(world, record)


def _is_current(key: str, record: Record) -> bool:
    """Compare the key with one computed from the record and the parts that are not secret."""
    asset = keys.read_asset_key(key)
    return asset is not None and key == keys.asset_key(
        image_id=record.image_id,
        revision=record.revision or "",
        preset=asset.preset,
        fingerprint=asset.fingerprint,
        extension=asset.extension,
    )


def _of_variants(world: World, record: Record) -> list[str]:
    faults = []
    if record.status is Status.COMPLETED and not record.variants:
        faults.append(f"{record.image_id} is completed without a variant")
    for preset, variant in record.variants.items():
        name = f"{record.image_id}'s {preset}"
        if not _is_current(variant.key, record):
            faults.append(f"{name} has the key of another revision: {variant.key}")
        asset = world.assets.get(variant.key)
        if asset is None:
            faults.append(f"{name} is not in the bucket")
        elif (asset.size_bytes, asset.sha256) != (variant.size, variant.sha256):
            faults.append(f"{name} is not what the record says: {asset}")
    return faults


def _of_completions(world: World) -> list[str]:
    """Check that all completions of one revision have the same outcome."""
    outcomes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for completion in world.completions:
        outcomes[completion["subject"], completion["data"]["revisionTag"]].add(completion["id"])
    return [
        f"{image_id}'s revision {revision} was published with different results: {sorted(ids)}"
        for (image_id, revision), ids in outcomes.items()
        if len(ids) > 1
    ]


def _of_sequences(world: World) -> list[str]:
    """Check that each completion has one `sequence` of its own, and the current one the last."""
    numbers: dict[str, dict[str, str]] = defaultdict(dict)
    faults = []
    for completion in world.completions:
        known, name = numbers[completion["subject"]], completion["id"]
        if known.setdefault(name, completion["sequence"]) != completion["sequence"]:
            faults.append(f"{name} was published with two sequences")
    for image_id, known in numbers.items():
        if len(set(known.values())) < len(known):
            faults.append(f"completions of {image_id} share a sequence: {known}")
        record = world.records.get(image_id)
        if record is not None and record.status is Status.ERASED:
            continue
        current = f"{image_id}:{record.revision_tag}:{record.status}" if record else ""
        if known.get(current) != max(known.values()):
            faults.append(f"the current settlement of {image_id} is not the last one: {known}")
    return faults


def _of_tags(world: World) -> list[str]:
    """Check that searches find each settled image by each of its tags."""
    return [
        f"{record.image_id} has no entry of its tag {entry.tag}"
        for record in world.records.values()
        if record.status.settled and record.status is not Status.ERASED
        for entry in entries_of(record)
        if entry.key not in world.entries
    ]


async def read_records(dynamodb: Any, table: str) -> dict[str, Record]:
    """Read all records of a table."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    records = [
        Record.from_item({name: _deserialize(value) for name, value in item.items()})
        async for page in pages
        for item in page["Items"]
        if not is_entry(item["imageId"]["S"])
    ]
    return {record.image_id: record for record in records}


async def read_entries(dynamodb: Any, table: str) -> frozenset[str]:
    """Read the keys of all tag entries of a table that the index lists."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return frozenset(
        [
            item["imageId"]["S"]
            async for page in pages
            for item in page["Items"]
            if is_entry(item["imageId"]["S"]) and "userId" in item
        ]
    )


async def read_assets(s3: Any, bucket: str) -> dict[str, Asset]:
    """Read every object of a bucket, whole, some at a time."""
    reading = asyncio.Semaphore(READ_AT_ONCE)

    async def read(key: str) -> tuple[str, Asset]:
        async with reading:
            answer = await s3.get_object(Bucket=bucket, Key=key)
            async with answer["Body"] as stream:
                body = await stream.read()
        return key, Asset(
            size_bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            last_modified=str(answer["LastModified"]),
        )

    assets: dict[str, Asset] = {}
    async for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        found = (read(item["Key"]) for item in page.get("Contents", ()))
        assets |= dict(await asyncio.gather(*found))
    return assets
