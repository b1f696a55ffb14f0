import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import stamina
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from api.app import RUNNER_OPTIONS, make_app
from api.auth import Authentication
from api.pages.login import Login
from api.pages.sessions import make_sessions
from api.watching import Sleep, until_set
from safelight.presets import Preset
from tests.support.fakes import FakePresigner, FakeRecords
from tests.unit.api.clients import Api, Start, a_cleanup, api_settings
from tests.unit.api.issuer import OidcIssuer


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start the application. Settings and authentication are the usual ones unless given."""
    clients: list[TestClient[web.Request, web.Application]] = []

    async def start(
        *, authentication: Authentication | None = None, anonymous: bool = False,
        now: Callable[[], float] = time.monotonic, sleep: Sleep = until_set,
        presets: Sequence[Preset] = (), records: FakeRecords | None = None, erases: bool = True,
        login: Login | None = None, **changes: Any,
    ) -> Api:  # fmt: skip
        records = records or FakeRecords()
        presigner, registry = FakePresigner(), CollectorRegistry()
        cleanup = a_cleanup(records)
        keys = {"api_keys": None} if anonymous else {}
        settings = api_settings(**keys | changes)
        app = make_app(
            settings=settings,
            records=records,
            presigner=presigner,
            authentication=authentication
            or Authentication(
                tokens=None,
                keys=settings.keys,
                anonymous=anonymous,
                sessions=make_sessions(settings),
            ),
            registry=registry,
            presets=presets,
            cleanup=cleanup if erases else None,
            login=login,
            now=now,
            sleep=sleep,
        )
        server = TestServer(app)
        await server.start_server(**RUNNER_OPTIONS)
        client = TestClient(server)
        clients.append(client)
        return Api(
            client=client,
            records=records,
            presigner=presigner,
            registry=registry,
            queue=cleanup.queue,
            tombstones=cleanup.tombstones,
            documents=cleanup.documents,
        )

    yield start
    for client in clients:
        await client.close()


@pytest.fixture
async def api(start: Start) -> Api:
    return await start()


@pytest.fixture
async def issuer() -> AsyncIterator[OidcIssuer]:
    issuer = OidcIssuer()
    issuer.answering.set()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.configuration)
    app.router.add_get("/keys", issuer.keys)
    async with TestServer(app) as server:
        issuer.url = f"http://{server.host}:{server.port}"
        with stamina.set_testing(True, attempts=2, cap=True):
            yield issuer
