"""Checks what is left of erased images, and reports exactly what is wrong."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from safelight.erasures import Receipt
from safelight.record import Record, Status


def is_of_erasure(event: Mapping[str, Any]) -> bool:
    """Return whether an event is about an erasure, not a completion."""
    return "eras" in event.get("type", "")


def remains_of(
    *,
    records: Mapping[str, Record],
    stored: Iterable[str],
    ledger: AbstractSet[str],
    events: Sequence[Mapping[str, Any]],
    earlier: AbstractSet[str] = frozenset(),
) -> list[str]:
    """List what remains of erased images, beside tombstone, receipt and ledger entry.

    `stored` has the keys of sources, assets and tag entries; `events` those of erasures. `earlier`
    has the ids of `safelight.image.erased` from before a backup brought an erased image back.
    """
    erased = {one.image_id: one for one in records.values() if one.status is Status.ERASED}
    faults = [
        f"{image_id} is erased, but {found} remains"
        for found in stored
        for image_id in erased.keys() & re.split(r"[/\x1f]", found)
    ]
    for image_id, record in erased.items():
        faults += _of_receipt(image_id, record)
        if f"erasures/{image_id}.json" not in ledger:
            faults.append(f"{image_id} is not in the ledger")
        faults += _of_erasure_events(image_id, record, events, earlier)
    return faults


def _of_receipt(image_id: str, record: Record) -> list[str]:
    receipt = Receipt.of(record)
    if receipt.state != "complete" or receipt.sources is None or receipt.completed_at is None:
        return [f"the receipt of {image_id} is not complete: {receipt}"]
    if record.tags or record.expires_at is None:
        return [f"the tombstone of {image_id} is not stripped: {record}"]
    return []


def _of_erasure_events(
    image_id: str,
    record: Record,
    events: Sequence[Mapping[str, Any]],
    earlier: AbstractSet[str],
) -> list[str]:
    """Check that both events came, the first with one id and the second with the last receipt."""
    ids: dict[str, set[str]] = defaultdict(set)
    receipts: dict[str, Mapping[str, Any]] = {}
    for event in events:
        if event["subject"] == image_id:
            ids[event["type"]].add(event["id"])
            if receipts.setdefault(event["id"], event["data"]) != event["data"]:
                return [f"{event['id']} was published with two contents"]
    expected = {f"{image_id}:erased:{record.erased_at}"}
    expected |= {one for one in earlier if one.startswith(f"{image_id}:")}
    completed_at = record.erasure.completed_at if record.erasure else None
    faults = []
    if ids["safelight.image.erased"] != expected:
        faults.append(f"{image_id} was published as erased with {ids}")
    if f"{image_id}:erasure:{completed_at}" not in ids["safelight.erasure.completed"]:
        faults.append(f"the last receipt of {image_id} was not published: {ids}")
    return faults


async def read_keys(s3: Any, bucket: str, prefix: str) -> frozenset[str]:
    """Read the keys below a prefix that have a version or a delete marker."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    return frozenset(
        [
            one["Key"]
            async for page in pages
            for one in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        ]
    )
