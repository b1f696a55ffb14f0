"""An image's way is one trace, whose id is the image's; without tracing nothing is imported."""

import subprocess
import sys
import time

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry
from structlog.contextvars import bound_contextvars
from ulid import ULID

from safelight.errors import Misconfigured
from safelight.keys import new_image_id
from safelight.tracing import OFF, tracing
from worker.metrics import WorkerMetrics
from worker.observer import Observer

IMAGE = "01KAJ3M8V0S9T6R5Q4P3N2M1K0"


def test_all_spans_of_an_image_are_in_the_trace_that_is_its_own() -> None:
    exporter = InMemorySpanExporter()
    with tracing(wanted=True, service="api", exporter=exporter) as api:
        api.add("POST /v1/uploads", IMAGE, seconds=0.02, status=201)
    other = InMemorySpanExporter()
    with tracing(wanted=True, service="worker", exporter=other) as worker:
        worker.add("render", IMAGE, seconds=1.5)
    spans = [*exporter.get_finished_spans(), *other.get_finished_spans()]
    assert [span.name for span in spans] == ["POST /v1/uploads", "render"]
    assert {span.context.trace_id for span in spans if span.context} == {int(ULID.from_str(IMAGE))}
    assert len({span.parent.span_id for span in spans if span.parent}) == 1
    assert [span.resource.attributes["service.name"] for span in spans] == [
        "safelight-api",
        "safelight-worker",
    ]


def test_a_span_ends_now_and_began_as_long_ago_as_it_took() -> None:
    exporter = InMemorySpanExporter()
    before = time.time_ns()
    with tracing(wanted=True, service="worker", exporter=exporter) as spans:
        spans.add("fetch", IMAGE, seconds=0.25, failed=True)
    (span,) = exporter.get_finished_spans()
    assert span.end_time is not None
    assert span.start_time is not None
    assert before <= span.end_time <= time.time_ns()
    assert span.end_time - span.start_time == 250_000_000
    assert not span.status.is_ok


def test_a_workers_stages_are_spans_of_the_image_that_is_in_the_log() -> None:
    exporter, image_id = InMemorySpanExporter(), new_image_id()
    with tracing(wanted=True, service="worker", exporter=exporter) as spans:
        observer = Observer(WorkerMetrics(CollectorRegistry()), spans=spans)
        with bound_contextvars(image_id=image_id):
            with observer.stage("fetch"):
                pass
            with pytest.raises(ValueError, match="broken"), observer.stage("render"):
                raise ValueError("broken")
    fetch, render = exporter.get_finished_spans()
    assert (fetch.name, render.name) == ("fetch", "render")
    assert fetch.status.status_code is StatusCode.UNSET
    assert render.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("image_id", [None, "", "not-an-image", "ZZZZZZZZZZZZZZZZZZZZZZZZZZ"])
def test_what_is_of_no_image_is_no_span(image_id: str | None) -> None:
    exporter = InMemorySpanExporter()
    with tracing(wanted=True, service="api", exporter=exporter) as spans:
        spans.add("GET /healthz", image_id, seconds=0.001)
    assert exporter.get_finished_spans() == ()


@pytest.mark.starts
def test_without_tracing_nothing_is_imported_and_nothing_is_sent() -> None:
    OFF.add("render", IMAGE, seconds=1)
    program = (
        "import sys\n"
        "from safelight.tracing import tracing\n"
        "with tracing(wanted=False, service='api') as spans:\n"
        f"    spans.add('render', {IMAGE!r}, seconds=1)\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_tracing_that_is_wanted_and_not_installed_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with (
        pytest.raises(Misconfigured, match=r"requirements/otel\.txt"),
        tracing(wanted=True, service="api"),
    ):
        pass
