"""The metrics of the API. The values of every label are a fixed set, whatever clients send."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from api.delivery.found import How
from safelight.metrics import SECONDS

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST"})
"""Methods with a label value of their own; any other is counted as `other`."""
UNMATCHED = "unmatched"
"""The label value of a request that matches no route."""
Watched = Literal["answer", "image", "user"]
"""Whether a request waits for its answer, or streams the events of one image or of a user."""

SearchKind = Literal["all", "everyone", "filter", "like", "tag"]
"""What a page was searched by: only times, all users, a filter of the index, a look, or a tag."""
INSPECTED = (0, 1, 10, 25, 50, 100, 200, 400, 1000, 2000, 4000, 8000)
"""Upper bounds of the number of images that were read for a page; a page reads up to 8,000."""

StreamEnd = Literal["done", "failed", "gone", "slow"]
"""Why a stream of events ended: no more events, an error, or a client that left or did not read."""


class DeliveryMetrics:
    """The metrics of delivery, besides those of every request."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pictures = Counter(
            "safelight_delivery_pictures_total",
            "Requests for a picture, by origin of the response.",
            ["outcome"],
            registry=registry,
        )
        for outcome in How:
            self.pictures.labels(outcome.value)
        self.refusals = Counter(
            "safelight_delivery_refusals_total",
            "Requests for a picture that were refused, by problem.",
            ["problem"],
            registry=registry,
        )
        self.broken = Counter(
            "safelight_delivery_broken_answers_total",
            "Responses that were started and could not be finished.",
            registry=registry,
        )
        self.under_way = Gauge(
            "safelight_delivery_renders_under_way",
            "Renders on demand running or waiting for a slot.",
            registry=registry,
        )
        self.room = Gauge(
            "safelight_delivery_renders_room",
            "Renders on demand that may run or wait; beyond this limit the response is 503.",
            registry=registry,
        )
        self.child_exits = Counter(
            "safelight_delivery_child_exits_total",
            "Render children of delivery that ended, by cause.",
            ["cause"],
            registry=registry,
        )


class WatchMetrics:
    """The metrics of requests that wait for changes of images."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.under_way = Gauge(
            "safelight_watches",
            "Requests that wait for changes: for their answer, or as a stream of events.",
            ["kind"],
            registry=registry,
        )
        for kind in get_args(Watched):
            self.under_way.labels(kind)
        self.room = Gauge(
            "safelight_watches_room",
            "Requests that may wait for changes at once; beyond this limit the response is 503.",
            registry=registry,
        )
        self.refused = Counter(
            "safelight_watches_refused_total",
            "Requests for which there was no room to wait, by limit: process, user.",
            ["limit"],
            registry=registry,
        )
        for limit in ("process", "user"):
            self.refused.labels(limit)
        self.ended = Counter(
            "safelight_streams_ended_total",
            "Streams of events that ended: done, failed, gone or slow (the client).",
            ["end"],
            registry=registry,
        )
        for end in get_args(StreamEnd):
            self.ended.labels(end)


class SearchMetrics:
    """The metrics of lists of images."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pages = Counter(
            "safelight_search_pages_total",
            "Pages of lists of images: all, those of everyone, or found by filter, like or tag.",
            ["kind"],
            registry=registry,
        )
        for kind in get_args(SearchKind):
            self.pages.labels(kind)
        self.inspected = Histogram(
            "safelight_search_inspected",
            "Images, or entries of a tag, that were read for a page.",
            buckets=INSPECTED,
            registry=registry,
        )
        self.stale_entries = Counter(
            "safelight_search_stale_entries_total",
            "Entries of a tag that a search read, and whose image is gone or lacks the tag.",
            registry=registry,
        )

    def observe(self, kind: SearchKind, *, inspected: int) -> None:
        """Record one page."""
        self.pages.labels(kind).inc()
        self.inspected.observe(inspected)


class ApiMetrics:
    """The metrics of requests and uploads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.request_seconds = Histogram(
            "safelight_http_request_duration_seconds",
            "Time from receiving the request's headers to its response, without a preferred wait.",
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
        """Record one answered request."""
        self.request_seconds.labels(
            route or UNMATCHED, method if method in METHODS else "other", str(status)
        ).observe(seconds)
