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

from api.apikeys import ApiKeys, digest_of
from api.app import RUNNER_OPTIONS, make_app
from api.auth import Authentication
from api.operations import DOCUMENT
from tests.support.fakes import FakePresigner, FakeRecords
from tests.unit.api.clients import ALICE, KEYS, api_settings

RECORDS = FakeRecords()
APP = make_app(
    settings=api_settings(uploads_per_minute=10**6),
    records=RECORDS,
    presigner=FakePresigner(),
    authentication=Authentication(
        tokens=None,
        keys=ApiKeys.read(f"alice:{digest_of(KEYS['alice'])}:users"),
        anonymous=False,
    ),
    registry=CollectorRegistry(),
)
SCHEMA = schemathesis.openapi.from_dict(
    APP[DOCUMENT],
    config=SchemathesisConfig.from_dict(
        {
            # The test sends the credentials itself.
            "generation": {"with-security-parameters": False},
            # An id of the right form may have no image.
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 404]}},
            # Members that are right alone may contradict each other; a cursor is of one list, and
            # another user's images are for admins. No schema says so.
            "operations": [
                {
                    "include-name": name,
                    "checks": {
                        "positive_data_acceptance": {"expected-statuses": ["2xx", 403, 404, 422]}
                    },
                }
                for name in (
                    "POST /v1/uploads",
                    "GET /v1/images",
                    "PATCH /v1/images/{imageId}",
                    "POST /v1/urls",
                )
            ],
        }
    ),
).exclude(path="/v1/events")  # its answer ends after 15 minutes


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve the application from a loop in a thread: schemathesis is not asynchronous."""
    runner = web.AppRunner(APP, **RUNNER_OPTIONS)
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
