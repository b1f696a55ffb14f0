"""Optional tracing: each image has one trace, with a span for each step of its processing.

An image id is a ULID of 128 bits, and the trace id has the same bits. So nothing has to be passed
on through S3 events. OpenTelemetry is an extra and is imported only when tracing is on. Its own
variables, such as OTEL_EXPORTER_OTLP_ENDPOINT, configure where spans are sent.
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
    """Records finished spans in the traces of their images. Without a tracer it drops them."""

    def __init__(self, tracer: "Tracer | None" = None) -> None:
        self._tracer = tracer

    def trace_id(self, image_id: str | None) -> str | None:
        """Return the trace id of an image, for the log; None without tracing."""
        if self._tracer is None or image_id is None or not is_image_id(image_id):
            return None
        return ULID.from_str(image_id).hex

    def add(
        self, name: str, image_id: str | None, *, seconds: float, failed: bool = False, **facts: Any
    ) -> None:
        """Record a span that ends now and took `seconds`."""
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
    """Trace until the context ends, which sends the spans still waiting.

    Raises `Misconfigured` if tracing is wanted but its libraries are not installed.
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
        detail = f"SAFELIGHT_TRACING needs the packages in requirements/otel.txt: {error}"
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
    """Return the context of the root span, derived from the image id. No such span is sent."""
    from opentelemetry import trace  # noqa: PLC0415 - an extra

    bits = int(ULID.from_str(image_id))
    return trace.SpanContext(
        trace_id=bits,
        span_id=(bits & 0xFFFF_FFFF_FFFF_FFFF) or 1,
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
