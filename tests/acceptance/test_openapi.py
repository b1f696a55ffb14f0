"""Sends valid and invalid requests, generated from the OpenAPI document, to the application."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase, settings
from prometheus_client import CollectorRegistry
from schemathesis.config import SchemathesisConfig

from api.app import RUNNER_OPTIONS, Limits, make_app
from api.auth import Authentication
from api.openapi import document
from tests.support.fakes import IDS, FakePresigner, FakeRecords
from tests.unit.api.clients import ALICE, ALL_KEYS, MAX_UPLOAD_BYTES

SCHEMA = schemathesis.openapi.from_dict(
    document(max_upload_bytes=MAX_UPLOAD_BYTES, anonymous=False),
    config=SchemathesisConfig.from_dict(
        {
            # The test sends the credentials itself.
            "generation": {"with-security-parameters": False},
            # An id of the right form may have no image.
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 404]}},
        }
    ),
)


RECORDS = FakeRecords()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve the application from a loop in a thread: schemathesis is not asynchronous."""
    app = make_app(
        records=RECORDS,
        presigner=FakePresigner(),
        authentication=Authentication(tokens=None, keys=ALL_KEYS, anonymous=False),
        ids=IDS,
        limits=Limits(max_upload_bytes=MAX_UPLOAD_BYTES, url_seconds=900),
        registry=CollectorRegistry(),
    )
    runner = web.AppRunner(app, **RUNNER_OPTIONS)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@SCHEMA.parametrize()
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_the_document_says(case: schemathesis.Case, url: str) -> None:
    RECORDS.records.clear()  # each request is the first one with its Idempotency-Key
    case.call_and_validate(base_url=url, headers=ALICE)
