"""Counts and logs what happens to uploads, demands and ingests, in one place.

Facts are bound to the message's wide log event, which the handler writes at its end.
"""

import contextlib
import time
from collections.abc import Iterator

from structlog.contextvars import bind_contextvars, get_contextvars, unbind_contextvars

from safelight.aws.records import Commit
from safelight.imaging.render import Rendering
from safelight.queued import Demand, Ingest
from safelight.record import COMPRESSED, Record, Status
from safelight.tracing import OFF, Spans
from worker.events import Upload
from worker.metrics import WorkerMetrics


class Observer:
    """Times stages, counts outcomes and binds facts to the log."""

    def __init__(self, metrics: WorkerMetrics, *, spans: Spans = OFF) -> None:
        self._metrics = metrics
        self._spans = spans

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as one stage, even if it fails."""
        started = time.perf_counter()
        bind_contextvars(stage=name)
        failed = True
        try:
            yield
            failed = False
        finally:
            seconds = time.perf_counter() - started
            self._metrics.stages.labels(name).observe(seconds)
            self._spans.add(name, get_contextvars().get("image_id"), seconds=seconds, failed=failed)
            bind_contextvars(**{f"{name}_seconds": round(seconds, 4)})

    def began(self, upload: Upload) -> None:
        """Bind the upload to the log, and unbind the facts of the upload before it."""
        unbind_contextvars("outcome", "reason", "detail", "render_cpu_seconds", "stage")
        bind_contextvars(image_id=upload.image_id, revision_tag=upload.revision_tag, key=upload.key)
        lag = max(0.0, time.time() - upload.happened_at)
        self._metrics.event_lag.observe(lag)
        if trace_id := self._spans.trace_id(upload.image_id):
            bind_contextvars(trace_id=trace_id)
        self._spans.add("wait", upload.image_id, seconds=lag, revision_tag=upload.revision_tag)

    def rendered(self, rendering: Rendering) -> None:
        """Record measurements of a finished render."""
        self._metrics.child_rss.observe(rendering.peak_bytes)
        for variant in rendering.variants:
            self._metrics.renders.labels(variant.preset, variant.extension).observe(variant.seconds)
        bind_contextvars(render_cpu_seconds=round(rendering.cpu_seconds, 4))

    def removed(self) -> None:
        """Count a source that was removed. There is nothing else to do."""
        self._outcome("removed")

    def settled(self, upload: Upload, commit: Commit | None) -> None:
        """Count an upload's outcome by its commit, which is None if the source was replaced."""
        result = commit.result if commit else "superseded"
        self._metrics.commits.labels(result).inc()
        if commit is None or result != "written":
            return self._outcome(result, commit.record if commit else None)
        record = commit.record
        self._metrics.end_to_end.observe(max(0.0, time.time() - upload.happened_at))
        if record.status is Status.REJECTED and record.reason:
            self._metrics.rejections.labels(record.reason).inc()
            bind_contextvars(reason=record.reason, detail=record.detail)
        else:
            self._measure(record)
        return self._outcome(record.status, record)

    def published(self, record: Record) -> None:
        """Count a completion that was published."""
        self._metrics.completions.labels(record.status).inc()
        self._metrics.last_success.set_to_current_time()

    def demanded(self, demand: Demand, outcome: str) -> None:
        """Count a demand's outcome, and bind the demand to the log."""
        self._metrics.demands.labels(outcome).inc()
        bind_contextvars(
            image_id=demand.image_id, preset=demand.preset.name, outcome=f"demand_{outcome}"
        )

    def ingested(self, ingest: Ingest, outcome: str) -> None:
        """Count an ingest's outcome, and bind its key to the log."""
        self._metrics.ingests.labels(outcome).inc()
        bind_contextvars(key=ingest.key, ingest=outcome)

    def _measure(self, record: Record) -> None:
        size, pixels = record.original_size or 0, (record.width or 0) * (record.height or 0)
        self._metrics.source_bytes.observe(size)
        self._metrics.source_pixels.labels(_format(record)).observe(pixels)
        for preset, variant in record.variants.items():
            self._metrics.variant_bytes.labels(preset).observe(variant.size)
        if COMPRESSED in record.variants:
            self._metrics.bytes_saved.inc(max(0, size - record.variants[COMPRESSED].size))

    def _outcome(self, outcome: str, record: Record | None = None) -> None:
        self._metrics.images.labels(outcome, _format(record)).inc()
        bind_contextvars(outcome=outcome)


def _format(record: Record | None) -> str:
    """Return the source's format. The set is closed, since only readable formats are recorded."""
    if record is None or record.media_type is None:
        return "none"
    return record.media_type.removeprefix("image/")
