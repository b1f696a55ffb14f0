"""Traces, if they are wanted: the spans of an image's way, all in the image's own trace.

An image id is a ULID of 128 bits, and so is a trace's id: they are the same bits. So nothing has to
be handed on through S3's events. OpenTelemetry is an extra and is imported only when tracing is on;
its own variables (OTEL_EXPORTER_OTLP_ENDPOINT and the like) say where spans go.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ulid import ULID

from safelight import __version__
from safelight.errors import Misconfigured
from safelight.keys import is_image_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

NANOSECONDS = 1_000_000_000


class Spans:
    """Takes spans that are over, by the image that they are of. Without a tracer it drops them."""

    def __init__(self, tracer: "Tracer | None" = None) -> None:
        self._tracer = tracer

    def trace_id(self, image_id: str | None) -> str | None:
        """Write the id of an image's trace, for the log; None without tracing."""
        if self._tracer is None or image_id is None or not is_image_id(image_id):
            return None
        return ULID.from_str(image_id).hex

    def add(
        self, name: str, image_id: str | None, *, seconds: float, failed: bool = False, **facts: Any
    ) -> None:
        """Add a span that ends now, after so many seconds."""
        if self._tracer is None or image_id is None or not is_image_id(image_id):
            return
        from opentelemetry import trace  # noqa: PLC0415 - an extra

        end = time.time_ns()
        span = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(trace.NonRecordingSpan(_root_of(image_id))),
            start_time=end - round(seconds * NANOSECONDS),
            attributes={"safelight.image_id": image_id, **facts},
        )
        if failed:
            span.set_status(trace.StatusCode.ERROR)
        span.end(end)


OFF = Spans()


@contextlib.contextmanager
def tracing(
    *, wanted: bool, service: str, exporter: "SpanExporter | None" = None
) -> Iterator[Spans]:
    """Open tracing for the life of a process; spans that wait are sent at its end.

    Raises `Misconfigured` where it is wanted and its libraries are not installed.
    """
    if not wanted:
        yield OFF
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
    except ImportError as error:
        detail = f"SAFELIGHT_TRACING needs what requirements/otel.txt lists: {error}"
        raise Misconfigured("tracing", detail) from error
    resource = Resource.create(
        {"service.name": f"safelight-{service}", "service.version": __version__}
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    try:
        yield Spans(provider.get_tracer("safelight", __version__))
    finally:
        provider.shutdown()


def _root_of(image_id: str) -> Any:
    """Name the span that all others hang on: it is only a name, known to all who know the image."""
    from opentelemetry import trace  # noqa: PLC0415 - an extra

    bits = int(ULID.from_str(image_id))
    return trace.SpanContext(
        trace_id=bits,
        span_id=(bits & 0xFFFF_FFFF_FFFF_FFFF) or 1,
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
