"""The metrics of the roles that render. Names, labels and buckets are public."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from safelight.errors import Reason
from safelight.metrics import SECONDS
from worker.consumer_metrics import WAITS, WORK, ConsumerMetrics

_BYTES = tuple(4096 * 8**power for power in range(6))
RENDERING_BROKE = (Reason.TIMEOUT, Reason.OUT_OF_MEMORY, Reason.DECODER_CRASH)
"""Rejection reasons that may be our fault: the objectives count them."""
_PIXELS = (100_000, 1_000_000, 4_000_000, 8_000_000, 16_000_000, 50_000_000)


class WorkerMetrics(ConsumerMetrics):
    """The metrics of a worker of uploads or renders, on one registry in the parent process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)

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
        self.tombstones_met = counter(
            "tombstones_met_total",
            "Messages about an image that is erased, by whether an erasure was sent again.",
            "result",
        )
        self.stale_versions = counter(
            "stale_versions_total",
            "Versions of uploads that do not count, by whether their deletion was requested.",
            "result",
        )
        self.rejections = counter("image_rejections_total", "Sources rejected.", "reason")
        self.end_to_end = histogram(
            "image_end_to_end_seconds",
            "Time from the event until the image is settled.",
            buckets=WAITS,
        )
        self.event_lag = histogram(
            "event_lag_seconds", "Time from the event until its processing starts.", buckets=WAITS
        )
        self.renders = histogram(
            "render_duration_seconds",
            "Time to render one variant.",
            "preset",
            "format",
            buckets=WORK,
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
        self.memory_budget = gauge(
            "memory_budget_bytes", "Limit of the predicted memory of all current renders."
        )
        self.memory_admitted = gauge(
            "memory_admitted_bytes", "Predicted memory of all current renders."
        )
        self.commits = counter("commits_total", "Commits of records.", "result")
        self.child_exits = counter(
            "render_child_exits_total", "Render children that ended.", "cause"
        )
        self.child_rss = histogram(
            "render_child_rss_bytes", "Peak memory of a render child.", buckets=_BYTES
        )
        self.completions = counter("completions_total", "Completions published.", "result")
        self.canary_success = gauge("canary_success", "1 if the last canary render succeeded.")
        self.last_success = gauge(
            "last_success_timestamp_seconds", "Time when an upload was last settled."
        )
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Export rare series that alerts use: Prometheus sees no increase in a new series."""
        for counter, values in (
            (self.child_exits, ("signal", "memory", "deadline")),
            (self.rejections, RENDERING_BROKE),
            (self.commits, ("written",)),
            (self.tombstones_met, ("not_sent",)),
            (self.stale_versions, ("not_sent",)),
        ):
            for value in values:
                counter.labels(value)
