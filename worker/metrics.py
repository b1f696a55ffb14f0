"""The worker's metrics. Names, labels and buckets are public: dashboards and alerts use them."""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from safelight.errors import Reason
from safelight.metrics import SECONDS
from worker.verdict import DEAD_LETTER_CAUSES

_WORK = (0.025, 0.1, 0.5, 1, 2.5, 10)
_WAITS = (1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_BYTES = tuple(4096 * 8**power for power in range(6))
RENDERING_BROKE = (Reason.TIMEOUT, Reason.OUT_OF_MEMORY, Reason.DECODER_CRASH)
"""Rejection reasons that may be our fault: the objectives count them."""
_PIXELS = (100_000, 1_000_000, 4_000_000, 8_000_000, 16_000_000, 50_000_000)


class WorkerMetrics:
    """The worker's metrics, on one registry in the parent process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"safelight_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"safelight_{name}", text, labels, registry=registry)

        def histogram(
            name: str, text: str, *labels: str, buckets: tuple[float, ...] = SECONDS
        ) -> Histogram:
            return Histogram(f"safelight_{name}", text, labels, buckets=buckets, registry=registry)

        self.images = counter(
            "images_total", "Uploads processed, by outcome and source format.", "outcome", "format"
        )
        self.demands = counter(
            "demands_total", "Renders on demand processed, by outcome.", "outcome"
        )
        self.ingests = counter("ingests_total", "Ingests processed, by outcome.", "outcome")
        self.rejections = counter("image_rejections_total", "Sources rejected.", "reason")
        self.end_to_end = histogram(
            "image_end_to_end_seconds",
            "Time from the event until the image is settled.",
            buckets=_WAITS,
        )
        self.event_lag = histogram(
            "event_lag_seconds", "Time from the event until its processing starts.", buckets=_WAITS
        )
        self.queue_dwell = histogram(
            "queue_dwell_seconds",
            "Time from sending the message until its processing starts.",
            buckets=_WAITS,
        )
        self.stages = histogram(
            "stage_duration_seconds", "Duration of one stage.", "stage", buckets=_WORK
        )
        self.renders = histogram(
            "render_duration_seconds",
            "Time to render one variant.",
            "preset",
            "format",
            buckets=_WORK,
        )
        self.source_bytes = histogram("source_bytes", "Sizes of sources.", buckets=_BYTES)
        self.source_pixels = histogram(
            "source_pixels", "Pixels of sources.", "format", buckets=_PIXELS
        )
        self.variant_bytes = histogram(
            "variant_bytes", "Sizes of variants.", "preset", buckets=_BYTES
        )
        self.bytes_saved = counter(
            "bytes_saved_total", "Bytes by which compressed variants are smaller than sources."
        )
        self.slots = gauge("slots", "Pictures that can be processed at once.")
        self.slots_busy = gauge("slots_busy", "Pictures being processed.")
        self.memory_budget = gauge(
            "memory_budget_bytes", "Limit of the predicted memory of all current renders."
        )
        self.memory_admitted = gauge(
            "memory_admitted_bytes", "Predicted memory of all current renders."
        )
        self.messages_held = gauge("messages_held", "Messages leased.", "state")
        self.receives = counter("receives_total", "Receive calls that succeeded.")
        self.receive_messages = counter("receive_messages_total", "Messages received.")
        self.receive_empty = counter("receive_empty_total", "Receive calls without a message.")
        self.receive_errors = counter("receive_errors_total", "Receive calls that failed.", "code")
        self.receive_count = histogram(
            "receive_count",
            "Times that a received message has been received.",
            buckets=(1, 2, 3, 4, 5, 7, 10),
        )
        self.lease_renewals = counter("lease_renewals_total", "Lease renewals.", "result")
        self.leases_lost = counter("leases_lost_total", "Leases lost before the work was done.")
        self.messages_released = counter(
            "messages_released_total", "Messages returned to the queue, by cause.", "cause"
        )
        self.messages_buried = counter(
            "messages_buried_total", "Messages sent to the dead-letter queue, by cause.", "cause"
        )
        self.renewal_lateness = histogram(
            "renewal_lateness_seconds", "Delay of the lease renewal loop.", buckets=_WORK
        )
        self.commits = counter("commits_total", "Commits of records.", "result")
        self.child_exits = counter(
            "render_child_exits_total", "Render children that ended.", "cause"
        )
        self.child_rss = histogram(
            "render_child_rss_bytes", "Peak memory of a render child.", buckets=_BYTES
        )
        self.completions = counter("completions_total", "Completions published.", "result")
        self.breaker_open = gauge(
            "breaker_open", "1 while a dependency fails for every message.", "dependency"
        )
        self.canary_success = gauge("canary_success", "1 if the last canary render succeeded.")
        self.draining = gauge("draining", "1 while the worker is draining.")
        self.last_success = gauge(
            "last_success_timestamp_seconds", "Time when an upload was last settled."
        )
        self.queue_oldest_age = gauge(
            "queue_oldest_age_seconds", "Age of the oldest message that this worker holds, or 0."
        )
        self._begin_at_zero()
        # NaN until the queue was measured: 0 would be a measurement.
        self.queue_visible = gauge("queue_visible", "Messages waiting, measured by SQS.")
        self.queue_in_flight = gauge("queue_in_flight", "Messages leased, measured by SQS.")
        self.dead_letters = gauge("dead_letters", "Messages in the dead-letter queue.")
        for unknown in (self.queue_visible, self.queue_in_flight, self.dead_letters):
            unknown.set(math.nan)

    def _begin_at_zero(self) -> None:
        """Export rare series that alerts use: Prometheus sees no increase in a new series."""
        for counter, values in (
            (self.messages_buried, DEAD_LETTER_CAUSES),
            (self.child_exits, ("signal", "memory", "deadline")),
            (self.rejections, RENDERING_BROKE),
            (self.commits, ("written",)),
        ):
            for value in values:
                counter.labels(value)
