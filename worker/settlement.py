"""Turns the outcome of an upload into a record to commit. Pure, but for the time of day."""

import time

from safelight.aws.records import Commit
from safelight.days import day_of
from safelight.errors import Reason, Rejection
from safelight.formats import BY_NAME
from safelight.imaging.render import RenderedVariant
from safelight.keys import asset_key
from safelight.making import Made
from safelight.record import Record, Status, Variant
from safelight.retention import keep_until
from worker.events import Upload


def settled_before(upload: Upload, current: Record | None) -> Commit | None:
    """Return how the current record answers for an upload; None if there is work to do."""
    if current is None or not current.settles(revision=upload.revision, sequencer=upload.sequencer):
        return None
    return Commit.found(current, revision=upload.revision)


def completed(upload: Upload, made: Made) -> Record:
    """Settle an upload as completed, with the variants that were made."""
    rendering = made.rendering
    look = rendering.appearance
    return _settled(upload).model_copy(
        update={
            "status": Status.COMPLETED,
            "original_size": made.fetched.size_bytes,
            "media_type": BY_NAME[made.probe.format].media_type,
            "sha256": made.fetched.sha256,
            "width": made.probe.width,
            "height": made.probe.height,
            "placeholder": look and look.placeholder,
            "dominant_colour": look and look.dominant_colour,
            "perceptual_hash": look and look.perceptual_hash,
            "faces": made.probe.faces,
            "variants": {each.preset: variant_of(upload, each) for each in rendering.variants},
            "failed_variants": dict(rendering.failures),
            "render_time_ms": round(1000 * rendering.seconds),
        }
    )


def rejected(upload: Upload, rejection: Rejection) -> Record:
    """Settle an upload as rejected, because its source is at fault."""
    return _settled(upload).model_copy(
        update={
            "status": Status.REJECTED,
            "reason": rejection.reason,
            "detail": rejection.detail,
            "original_size": upload.size_bytes,
        }
    )


def for_token(settlement: Record, current: Record | None) -> Record:
    """Return a settlement with the token that the image waits for, which is used up by it.

    The token of a source that is gone is unknown, so the image goes on waiting.
    """
    if current is None or current.upload_token is None:
        return settlement
    name = "upload_token" if settlement.reason is Reason.SOURCE_GONE else "settled_token"
    return settlement.model_copy(update={name: current.upload_token})


def variant_of(upload: Upload, rendered: RenderedVariant) -> Variant:
    """Return the record's entry for a rendered variant, with the key of its asset."""
    return Variant(
        key=asset_key(
            image_id=upload.image_id,
            revision=upload.revision,
            preset=rendered.preset,
            fingerprint=rendered.fingerprint,
            extension=rendered.extension,
        ),
        media_type=rendered.media_type,
        width=rendered.width,
        height=rendered.height,
        size=rendered.size_bytes,
        sha256=rendered.sha256,
        quality=rendered.quality,
        score=rendered.score,
    )


def stamped(settlement: Record, started: float, *, keep_days: int | None = None) -> Record:
    """Add the time of day, and the processing time since `started` on the monotonic clock.

    `keep_days` is how long to keep an image that arrived without the API, counted from its arrival.
    With None the settlement has no `keepUntil` of its own, and the record keeps what it has.
    """
    completed_at = round(1000 * time.time())
    return settlement.model_copy(
        update={
            "keep_until": keep_until(settlement.uploaded_at, keep_days),
            "completed_at": completed_at,
            "day": day_of(completed_at, settlement.image_id),
            "processing_time_ms": round(1000 * (time.monotonic() - started)),
        }
    )


def _settled(upload: Upload) -> Record:
    return Record(
        image_id=upload.image_id,
        user_id=upload.user_id,
        uploaded_at=round(1000 * upload.happened_at),
        original_key=upload.key,
        filename=upload.filename,
        revision=upload.revision,
        version_id=upload.version_id,
        sequencer=upload.sequencer,
    )
