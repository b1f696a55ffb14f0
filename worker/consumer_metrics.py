"""Metrics of every worker, whatever its role. Names, labels and buckets are public."""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from safelight.metrics import SECONDS
from worker.verdict import DEAD_LETTER_CAUSES

WORK = (0.025, 0.1, 0.5, 1, 2.5, 10)
"""Buckets for stages, in seconds."""
WAITS = (1, 2.5, 5, 10, 30, 60, 120, 300, 900)
"""Buckets for waiting, in seconds."""


class ConsumerMetrics:
    """The metrics of receiving and handling messages, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"safelight_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"safelight_{name}", text, labels, registry=registry)

        def histogram(
            name: str, text: str, *labels: str, buckets: tuple[float, ...] = SECONDS
        ) -> Histogram:
            return Histogram(f"safelight_{name}", text, labels, buckets=buckets, registry=registry)

        self.queue_dwell = histogram(
            "queue_dwell_seconds",
            "Time from sending the message until its processing starts.",
            buckets=WAITS,
        )
        self.stages = histogram(
            "stage_duration_seconds", "Duration of one stage.", "stage", buckets=WORK
        )
        self.slots = gauge(
            "slots",
            "Messages that can be processed at once: pictures for uploads and renders, steps of "
            "erasures and deletions for cleanup.",
        )
        self.slots_busy = gauge("slots_busy", "Messages being processed, counted in the same way.")
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
            "renewal_lateness_seconds", "Delay of the lease renewal loop.", buckets=WORK
        )
        self.breaker_open = gauge(
            "breaker_open", "1 while a dependency fails for every message.", "dependency"
        )
        self.draining = gauge("draining", "1 while the worker is draining.")
        self.queue_oldest_age = gauge(
            "queue_oldest_age_seconds", "Age of the oldest message that this worker holds, or 0."
        )
        for cause in DEAD_LETTER_CAUSES:  # Prometheus sees no increase in a new series
            self.messages_buried.labels(cause)
        # NaN until the queue was measured: 0 would be a measurement.
        self.queue_visible = gauge("queue_visible", "Messages waiting, measured by SQS.")
        self.queue_in_flight = gauge("queue_in_flight", "Messages leased, measured by SQS.")
        self.dead_letters = gauge("dead_letters", "Messages in the dead-letter queue.")
        for unknown in (self.queue_visible, self.queue_in_flight, self.dead_letters):
            unknown.set(math.nan)
