"""The application with its pages, and the fakes behind it."""

import pytest

from tests.unit.api.clients import Api, Start

ROLES = ("uploads", "pages")


@pytest.fixture
async def site(start: Start) -> Api:
    """An anonymous server with pages."""
    return await start(anonymous=True, api_roles=ROLES)
