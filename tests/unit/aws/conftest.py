"""A server that answers as S3 and SQS do when they are unwell, and edges connected to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from safelight.aws.session import Aws, connect
from safelight.aws.settings import AwsSettings

Handler = Callable[[web.Request], "web.StreamResponse"]


@pytest.fixture
def standard_chain(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """AWS's standard chain with nothing in it but what a test puts there."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    return monkeypatch


@pytest.fixture
def settings() -> AwsSettings:
    return AwsSettings(uploads_bucket="the-uploads", assets_bucket="the-assets", table="images")


@pytest.fixture
async def unwell(standard_chain, settings) -> AsyncIterator[Callable]:
    """Give a handler, get AWS as that handler plays it."""
    async with AsyncExitStack() as stack:

        async def connected(handler, *, metrics=None) -> Aws:
            app = web.Application(client_max_size=1 << 30)
            app.router.add_route("*", "/{path:.*}", handler)
            server = TestServer(app, host="127.0.0.1")
            await server.start_server()
            stack.push_async_callback(server.close)
            standard_chain.setenv("AWS_ENDPOINT_URL", str(server.make_url("/")))
            return await stack.enter_async_context(connect(settings, metrics=metrics))

        yield connected
