"""The browser that the tests of this folder share. `make browser-test` runs them."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support import browser
from tests.support.browser import Browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with browser.started() as running:
        yield running
