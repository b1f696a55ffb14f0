"""Real programs send the spans of one picture to a collector, all in one trace."""

import asyncio
from hashlib import sha256

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from ulid import ULID

from ops.local.emulator import ROOT
from ops.local.system import LocalSystem
from tests.support.person import Person

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
STAGES = {"wait", "fetch", "probe", "render", "put", "commit", "publish"}


class Collector:
    """Receives spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: set[tuple[str, str, str]] = set()

    async def take(self, request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest.FromString(await request.read())
        for resource in told.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.spans |= {
                (names["service.name"], span.trace_id.hex(), span.name)
                for scope in resource.scope_spans
                for span in scope.spans
            }
        return web.Response()


async def test_an_upload_and_all_its_stages_are_one_trace() -> None:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    traced = {
        "SAFELIGHT_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    keys = {"SAFELIGHT_API_KEYS": f"alice:{sha256(b'sl_alice').hexdigest()}"}
    try:
        async with (
            LocalSystem(api_settings=traced | keys, worker_settings=traced) as system,
            aiohttp.ClientSession() as http,
        ):
            alice = Person(http, system.api_url, "sl_alice")
            image_id = await alice.upload((ROOT / "samples" / "cat-451px.jpg").read_bytes())
            await alice.settled(image_id)
            trace_id = ULID.from_str(image_id).hex
            expected = {("safelight-worker", trace_id, stage) for stage in STAGES} | {
                ("safelight-api", trace_id, "POST /v1/uploads")
            }
            async with asyncio.timeout(120):
                while not expected <= collector.spans:
                    await asyncio.sleep(0.1)
            assert {trace for _, trace, _ in collector.spans} == {trace_id}
            assert f'"trace_id": "{trace_id}"' in system.workers[0].log.read_text()
            assert f'"trace_id": "{trace_id}"' in system.api.log.read_text()
    finally:
        await runner.cleanup()
