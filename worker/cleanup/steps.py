"""The steps of an erasure, as changes of its progress. Pure.

requested --objects deleted--> removed --caches invalidated--> invalidated --> complete
    ^                             |                                 |             |
    +-----------------------------+--- a listing found an object ---+-------------+

While S3 keeps an object, the erasure is held: it stays `requested`, with a time in `due_at`.
"""

import hashlib
import math

from safelight.erasures import Erasure
from safelight.record import Record
from worker.cleanup.remains import Remains

FLUSH_SLOT_MS = 600_000
"""All erasures that flush within this time share one invalidation, in milliseconds."""


def progress_of(tombstone: Record) -> Erasure:
    """Return the progress in a tombstone. Raises `ValueError` for any other record."""
    if tombstone.erasure is None:
        raise ValueError(f"{tombstone.image_id} is not erased")
    return tombstone.erasure


def must_begin(erasure: Erasure, remains: Remains) -> bool:
    """Return whether there is something to delete that was not counted yet."""
    return erasure.found is None or late(erasure, remains) > 0


def is_retried(tombstone: Record, *, key: str | None, retry: int | None, at: int) -> bool:
    """Return whether a later retry for the same source was sent, so that this one may end.

    It goes on if the later one was lost.
    """
    erasure = progress_of(tombstone)
    last = erasure.retries.get(_digest(tombstone, key), 0)
    return retry is not None and retry < last and not erasure.is_stuck(at=at)


def next_retry(tombstone: Record, key: str | None) -> tuple[int, Erasure]:
    """Return the number of the next retry for a source, and the progress that has it."""
    erasure = progress_of(tombstone)
    digest = _digest(tombstone, key)
    number = erasure.retries.get(digest, 0) + 1
    changed = erasure.model_copy(update={"retries": {**erasure.retries, digest: number}})
    return number, changed


def _digest(tombstone: Record, key: str | None) -> str:
    """Return a short name of a source that does not say whose it is."""
    return hashlib.sha256((key or tombstone.original_key).encode()).hexdigest()[:8]


def late(erasure: Erasure, remains: Remains) -> int:
    """Return the number of objects that appeared after the others were deleted.

    While S3 keeps an object, only assets are counted: the versions that it keeps are listed too.
    """
    if erasure.state != "requested":
        return remains.number
    if not erasure.is_held:
        return 0
    return max(0, len(remains.assets) - erasure.kept_assets)


def begun(tombstone: Record, erasure: Erasure, remains: Remains) -> Erasure:
    """Return the progress before the deletion: the first listing is counted, later ones as late."""
    if erasure.found is None:
        return erasure.model_copy(update={"found": remains.counted(tombstone)})
    return erasure.model_copy(
        update={
            "state": "requested",
            "late_objects": erasure.late_objects + late(erasure, remains),
            "due_at": 0,
            "confirmed_at": None,
            "invalidation": None,
            "invalidated_at": None,
            "completed_at": None,
        }
    )


def removed(erasure: Erasure, *, at: int, pause_ms: int) -> Erasure:
    """Return the progress after the deletion: caches are invalidated after a pause."""
    return paused(erasure, at=at, pause_ms=pause_ms).model_copy(update={"state": "removed"})


def paused(erasure: Erasure, *, at: int, pause_ms: int) -> Erasure:
    """Return the progress with the time when caches may be invalidated.

    A flush waits for the next end of a slot, so that others can join it.
    """
    due_at = at + pause_ms
    if erasure.caches == "flush":
        due_at = math.ceil(due_at / FLUSH_SLOT_MS) * FLUSH_SLOT_MS
    return erasure.model_copy(update={"due_at": due_at})


def was_never_delivered(erasure: Erasure) -> bool:
    """Return whether no cache can have a picture of the image: none was ever made."""
    nothing = erasure.found is not None and erasure.found.objects == 0
    return erasure.was_pending and nothing and erasure.late_objects == 0


def invalidated(
    erasure: Erasure, started: tuple[str, str] | None, *, at: int, last_look_ms: int
) -> Erasure:
    """Return the progress after an invalidation, or after there was nothing to invalidate.

    `started` has the distribution and the id of the invalidation.
    """
    distribution, invalidation = started or (None, None)
    return erasure.model_copy(
        update={
            "state": "invalidated",
            "confirmed_at": at,
            "due_at": at + last_look_ms,
            "invalidations": erasure.invalidations + (not was_never_delivered(erasure)),
            "distribution": distribution,
            "invalidation": invalidation,
        }
    )


def held(erasure: Erasure, *, at: int, pause_ms: int, kept_assets: int) -> Erasure:
    """Return the progress while S3 keeps objects: caches are invalidated after a pause, once."""
    if not erasure.due_at:
        erasure = paused(erasure, at=at, pause_ms=pause_ms)
    return erasure.model_copy(update={"kept_assets": kept_assets})


def invalidated_while_held(erasure: Erasure, distribution: str, invalidation: str) -> Erasure:
    """Return the progress after an invalidation while S3 keeps an object."""
    return erasure.model_copy(
        update={
            "invalidations": erasure.invalidations + 1,
            "distribution": distribution,
            "invalidation": invalidation,
        }
    )


def completed(erasure: Erasure, *, at: int) -> Erasure:
    """Return the progress after the final check found nothing."""
    invalidated_at = at if erasure.invalidation else None
    return erasure.model_copy(
        update={
            "state": "complete",
            "confirmed_at": at,
            "invalidated_at": invalidated_at,
            "completed_at": at,
            "retries": {},
        }
    )
