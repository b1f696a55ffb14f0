"""The steps of an erasure, as changes of its progress. Pure.

requested --objects deleted--> removed --caches invalidated--> invalidated --> complete
    ^                             |                                 |             |
    +-----------------------------+--- a listing found an object ---+-------------+
"""

import math

from safelight.erasures import Erasure
from safelight.record import Record
from worker.cleanup.remains import Remains

FLUSH_SLOT_MS = 600_000
"""All erasures that flush within this time share one invalidation, in milliseconds."""


def must_begin(erasure: Erasure, remains: Remains) -> bool:
    """Return whether there is something to delete that was not counted yet."""
    if erasure.found is None:
        return True
    return erasure.state != "requested" and remains.number > 0


def begun(tombstone: Record, erasure: Erasure, remains: Remains) -> Erasure:
    """Return the progress before the deletion: the first listing is counted, later ones as late."""
    if erasure.found is None:
        return erasure.model_copy(update={"found": remains.counted(tombstone)})
    late_objects = erasure.late_objects + remains.number
    return erasure.model_copy(update={"state": "requested", "late_objects": late_objects})


def removed(erasure: Erasure, *, at: int, pause_ms: int) -> Erasure:
    """Return the progress after the deletion: caches are invalidated after a pause.

    A flush waits for the next end of a slot, so that others can join it.
    """
    due_at = at + pause_ms
    if erasure.caches == "flush":
        due_at = math.ceil(due_at / FLUSH_SLOT_MS) * FLUSH_SLOT_MS
    return erasure.model_copy(update={"state": "removed", "due_at": due_at})


def was_never_delivered(erasure: Erasure) -> bool:
    """Return whether no cache can have a picture of the image: none was ever made."""
    nothing = erasure.found is not None and erasure.found.objects == 0
    return erasure.was_pending and nothing and erasure.late_objects == 0


def invalidated(
    erasure: Erasure,
    *,
    at: int,
    last_look_ms: int,
    distribution: str | None,
    invalidation: str | None,
) -> Erasure:
    """Return the progress after an invalidation, or after there was nothing to invalidate."""
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


def completed(erasure: Erasure, *, at: int) -> Erasure:
    """Return the progress after the last look found nothing."""
    invalidated_at = at if erasure.invalidation else None
    return erasure.model_copy(
        update={
            "state": "complete",
            "confirmed_at": at,
            "invalidated_at": invalidated_at,
            "completed_at": at,
        }
    )
