"""The ledger: one entry for each erased image, which outlives its tombstone."""

import json

from safelight.record import Record
from worker.cleanup.collaborators import Documents


def ledger_key(image_id: str) -> str:
    """Return the key of an image's entry."""
    return f"erasures/{image_id}.json"


async def enter(documents: Documents, tombstone: Record, *, requested_at: int) -> None:
    """Enter an erasure, in place of the entry of an earlier image with the same id.

    `requested_at` is in milliseconds since 1970.
    """
    key = ledger_key(tombstone.image_id)
    text = json.dumps({"imageId": tombstone.image_id, "requestedAt": requested_at})
    if await documents.add(key, text):
        return
    known = await documents.read(key)
    if known is None or json.loads(known).get("requestedAt", 0) < requested_at:
        await documents.put(key, text)


async def has(documents: Documents, image_id: str) -> bool:
    """Return whether an image was ever erased."""
    return await documents.read(ledger_key(image_id)) is not None
