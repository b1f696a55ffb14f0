"""What the api measures. Every label set is closed, whatever clients send."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from safelight.telemetry import SECONDS

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
"""Methods that are measured by name; any other is `other`."""
UNMATCHED = "unmatched"
"""The route of a request that no route answers."""


class ApiMetrics:
    """The api's own measurements."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.request_seconds = Histogram(
            "safelight_http_request_duration_seconds",
            "Time from a request's head to its answer.",
            ["route", "method", "status"],
            buckets=SECONDS,
            registry=registry,
        )
        self.uploads_presigned = Counter(
            "safelight_uploads_presigned_total",
            "Requests for an upload URL by outcome: issued, replayed, refused, failed.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("issued", "replayed", "refused", "failed"):
            self.uploads_presigned.labels(outcome)

    def observe(self, *, route: str | None, method: str, status: int, seconds: float) -> None:
        """Measure one answered request."""
        self.request_seconds.labels(
            route or UNMATCHED, method if method in METHODS else "other", str(status)
        ).observe(seconds)
