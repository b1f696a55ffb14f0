"""What the worker measures. Names, labels and buckets are public: dashboards rest on them."""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from safelight.errors import Reason
from safelight.metrics import SECONDS
from worker.verdict import DEAD_LETTER_CAUSES

_WORK = (0.025, 0.1, 0.5, 1, 2.5, 10)
_WAITS = (1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_BYTES = tuple(4096 * 8**power for power in range(6))
RENDERING_BROKE = (Reason.TIMEOUT, Reason.OUT_OF_MEMORY, Reason.DECODER_CRASH)
"""Reasons that may be a fault of ours: the objectives count them."""
_PIXELS = (100_000, 1_000_000, 4_000_000, 8_000_000, 16_000_000, 50_000_000)


class WorkerMetrics:
    """Every measurement of the worker, on one registry in the parent process."""

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
            "images_total", "Uploads worked on, by what came of them.", "outcome", "format"
        )
        self.demands = counter(
            "demands_total", "Variants rendered for viewers, by what came of them.", "outcome"
        )
        self.ingests = counter("ingests_total", "Sources settled by key, by outcome.", "outcome")
        self.rejections = counter("image_rejections_total", "Sources rejected.", "reason")
        self.end_to_end = histogram(
            "image_end_to_end_seconds", "From the event's time to settled.", buckets=_WAITS
        )
        self.event_lag = histogram(
            "event_lag_seconds", "From the event's time to the work on it.", buckets=_WAITS
        )
        self.queue_dwell = histogram(
            "queue_dwell_seconds", "From sent to the queue to started.", buckets=_WAITS
        )
        self.stages = histogram(
            "stage_duration_seconds", "Time of one stage.", "stage", buckets=_WORK
        )
        self.renders = histogram(
            "render_duration_seconds",
            "Time to make one variant.",
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
        self.slots = gauge("slots", "Pictures that may be worked on at once.")
        self.slots_busy = gauge("slots_busy", "Pictures being worked on.")
        self.memory_budget = gauge("memory_budget_bytes", "Predicted bytes allowed in flight.")
        self.memory_admitted = gauge("memory_admitted_bytes", "Predicted bytes in flight.")
        self.messages_held = gauge("messages_held", "Messages leased.", "state")
        self.receives = counter("receives_total", "Receive calls that answered.")
        self.receive_messages = counter("receive_messages_total", "Messages received.")
        self.receive_empty = counter("receive_empty_total", "Receive calls without a message.")
        self.receive_errors = counter("receive_errors_total", "Receive calls that failed.", "code")
        self.receive_count = histogram(
            "receive_count",
            "How many times a received message was received.",
            buckets=(1, 2, 3, 4, 5, 7, 10),
        )
        self.lease_renewals = counter("lease_renewals_total", "Renewals of leases.", "result")
        self.leases_lost = counter("leases_lost_total", "Leases lost before the work was done.")
        self.messages_released = counter(
            "messages_released_total", "Messages given back unsettled, by cause.", "cause"
        )
        self.messages_buried = counter(
            "messages_buried_total", "Messages sent to the dead-letter queue, by cause.", "cause"
        )
        self.renewal_lateness = histogram(
            "renewal_lateness_seconds", "How late the renewal loop woke.", buckets=_WORK
        )
        self.commits = counter("commits_total", "Commits of records.", "result")
        self.child_exits = counter(
            "render_child_exits_total", "Render children that ended.", "cause"
        )
        self.child_rss = histogram(
            "render_child_rss_bytes", "Peak memory of a child's render.", buckets=_BYTES
        )
        self.completions = counter("completions_total", "Completions published.", "result")
        self.breaker_open = gauge(
            "breaker_open", "Whether a service fails for every message.", "dependency"
        )
        self.canary_success = gauge("canary_success", "Whether the last canary render succeeded.")
        self.draining = gauge("draining", "Whether the worker is draining.")
        self.last_success = gauge(
            "last_success_timestamp_seconds", "When an upload was last settled."
        )
        self.queue_oldest_age = gauge(
            "queue_oldest_age_seconds", "Age of the oldest message held, or 0."
        )
        self._begin_at_zero()
        # What is not known is no number.
        self.queue_visible = gauge("queue_visible", "Messages waiting, as the queue says.")
        self.queue_in_flight = gauge("queue_in_flight", "Messages leased, as the queue says.")
        self.dead_letters = gauge("dead_letters", "Messages in the dead-letter queue.")
        for unknown in (self.queue_visible, self.queue_in_flight, self.dead_letters):
            unknown.set(math.nan)

    def _begin_at_zero(self) -> None:
        """Show rare series that alerts rest on: Prometheus cannot see a first rise from nothing."""
        for counter, values in (
            (self.messages_buried, DEAD_LETTER_CAUSES),
            (self.child_exits, ("signal", "memory", "deadline")),
            (self.rejections, RENDERING_BROKE),
            (self.commits, ("written",)),
        ):
            for value in values:
                counter.labels(value)
