"""Says what an upload came to, as a record to commit. Pure but for the time of day."""

import time
from collections.abc import Mapping

from safelight.aws.objects import Fetched
from safelight.aws.records import Commit
from safelight.errors import Rejection
from safelight.formats import BY_NAME
from safelight.imaging.probe import Probe
from safelight.imaging.render import RenderedVariant, Rendering
from safelight.keys import asset_key
from safelight.record import Record, Status, Variant
from worker.events import Upload


def settled_before(upload: Upload, standing: Record | None) -> Commit | None:
    """Tell how the record that stands answers for an upload; None where there is work to do."""
    if standing is None or not standing.settles(
        revision=upload.revision, sequencer=upload.sequencer
    ):
        return None
    return Commit.found(standing, revision=upload.revision)


def completed(
    upload: Upload,
    fetched: Fetched,
    probe: Probe,
    rendering: Rendering,
    variants: Mapping[str, Variant],
) -> Record:
    """Settle an upload as completed with these variants."""
    look = rendering.appearance
    return _settled(upload).model_copy(
        update={
            "status": Status.COMPLETED,
            "original_size": fetched.size_bytes,
            "media_type": BY_NAME[probe.format].media_type,
            "sha256": fetched.sha256,
            "width": probe.width,
            "height": probe.height,
            "placeholder": look and look.placeholder,
            "dominant_colour": look and look.dominant_colour,
            "perceptual_hash": look and look.perceptual_hash,
            "variants": dict(variants),
            "failed_variants": dict(rendering.failures),
            "render_time_ms": round(1000 * rendering.seconds),
        }
    )


def rejected(upload: Upload, rejection: Rejection) -> Record:
    """Settle an upload as rejected: its source is at fault."""
    return _settled(upload).model_copy(
        update={
            "status": Status.REJECTED,
            "reason": rejection.reason,
            "detail": rejection.detail,
            "original_size": upload.size_bytes,
        }
    )


def variant_of(upload: Upload, rendered: RenderedVariant) -> Variant:
    """Name the asset that a rendered variant becomes."""
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


def stamped(settlement: Record, started: float) -> Record:
    """Add the time of day, and how long it took since `started` on the monotonic clock."""
    return settlement.model_copy(
        update={
            "completed_at": round(1000 * time.time()),
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
