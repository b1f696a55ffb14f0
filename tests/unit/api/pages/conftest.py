"""The application with its pages, and the fakes behind it."""

import pytest
from aiohttp import ClientResponse

from tests.unit.api.clients import Api, Start

ROLES = ("uploads", "pages")
SESSION_KEY = "5e" * 32
OWN = {"Sec-Fetch-Site": "same-origin"}
"""What a browser adds to the requests of our own pages."""


@pytest.fixture
async def site(start: Start) -> Api:
    """An anonymous server with pages."""
    return await start(anonymous=True, api_roles=ROLES)


@pytest.fixture
async def keyed(start: Start) -> Api:
    """A server with pages, on which users sign in with API keys."""
    return await start(api_roles=ROLES, session_keys=SESSION_KEY)


async def sign_in(api: Api, key: str, **fields: str) -> ClientResponse:
    """Send the form with an API key, as a browser does. The client keeps the cookie."""
    form = {"key": key, **fields}
    answer, _ = await api.ask("POST", "/ui/key", data=form, headers=OWN, allow_redirects=False)
    return answer
