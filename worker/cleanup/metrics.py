"""The metrics of the role `cleanup`. Names, labels and buckets are public."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from safelight.erasures import Erasure
from worker.consumer_metrics import ConsumerMetrics

OUTCOMES = (
    "removed", "invalidated", "complete", "superseded", "refused", "not_deleted", "not_invalidated",
)  # fmt: skip
"""What may come of a step of an erasure."""
KINDS = ("version", "delete_marker", "asset", "tag")
"""The kinds of what is deleted."""
LATE_HOURS = (1, 24)
"""After how many hours an unfinished erasure is late."""
_SECONDS = (10, 30, 60, 300, 900, 1200, 1800, 3600, 4 * 3600, 24 * 3600)


class CleanupMetrics(ConsumerMetrics):
    """The metrics of a worker in the role `cleanup`, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.erasures = Counter(
            "safelight_erasures_total",
            "Steps of erasures, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.erasure_seconds = Histogram(
            "safelight_erasure_seconds",
            "Time from the request of an erasure until its objects are removed, or it is complete.",
            ["to"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.erased_objects = Counter(
            "safelight_erased_objects_total", "What was deleted, by kind.", ["kind"],
            registry=registry,
        )  # fmt: skip
        self.deletions = Counter(
            "safelight_deletions_total",
            "Requests to delete a version, assets or all images of a user, by what came of them.",
            ["what", "outcome"],
            registry=registry,
        )
        self.late_objects = Counter(
            "safelight_erased_late_objects_total",
            "Objects of erased images that appeared after the others were deleted.",
            registry=registry,
        )
        self.late_steps = Counter(
            "safelight_erasures_late_total",
            "Steps of erasures that were requested longer than this many hours ago. Each "
            "unfinished erasure takes one at least every 15 minutes.",
            ["hours"],
            registry=registry,
        )
        for outcome in OUTCOMES:
            self.erasures.labels(outcome)
        for hours in LATE_HOURS:
            self.late_steps.labels(hours)

    def stepped(self, age_ms: int) -> None:
        """Count a step of an erasure that was requested so many milliseconds ago, if it is late."""
        for hours in LATE_HOURS:
            if age_ms > hours * 3_600_000:
                self.late_steps.labels(hours).inc()

    def took(self, to: str, erasure: Erasure, at: int) -> None:
        """Observe the time from the request until now, in milliseconds since 1970.

        With late objects it would measure when they appeared.
        """
        if not erasure.late_objects:
            self.erasure_seconds.labels(to).observe(max(0, at - erasure.requested_at) / 1000)
