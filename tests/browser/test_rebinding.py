"""A page whose name is made to point at this machine gets nothing from anonymous programs."""

from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from ops.local.system import LocalSystem
from tests.support import visitor
from tests.support.visitor import visit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.starts,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

REBIND = "rebind.example"
REQUESTS = [
    ("GET", "/ui/"),
    ("GET", "/ui/playground"),
    ("GET", "/v1/session"),
    ("GET", "/v1/images"),
    ("POST", "/v1/uploads"),
    ("POST", "/v1/erasures"),
    ("DELETE", "/v1/images/01M7YB1NC8XE9XQ3H3PCRZFKK6"),
]
STATUSES = """requests => Promise.all(requests.map(
    async ([method, url]) => (await fetch(url, { method })).status
))"""
"""Such a page has the origin of the server in the eyes of the browser, so it reads all answers."""


async def test_a_page_with_a_foreign_name_is_refused_by_pages_api_and_emulator() -> None:
    flag = f"--host-resolver-rules=MAP {REBIND} 127.0.0.1"
    async with (
        LocalSystem(workers=0, pages=True, cleans=True) as system,
        visitor.chromium(flag) as browser,
        visit(browser, f"{system.api_url}/ui/") as page,
    ):
        await expect(page.get_by_role("heading", name="Pictures")).to_be_visible()
        assert await page.evaluate(STATUSES, [["GET", "/v1/session"]]) == [200]
        allowed = r"the server responded with a status of 421"
        foreign = f"http://{REBIND}:{urlsplit(system.api_url).port}"
        async with visit(browser, f"{foreign}/ui/", allowed=allowed) as rebound:
            assert await rebound.evaluate("location.origin") == foreign
            statuses = await rebound.evaluate(STATUSES, REQUESTS)
            assert statuses == [421] * len(REQUESTS)
        emulator = f"http://{REBIND}:{urlsplit(system.emulator.endpoint_url).port}"
        async with visit(browser, emulator, allowed=allowed) as rebound:
            assert await rebound.evaluate(STATUSES, [["GET", "/"], ["POST", "/"]]) == [421, 421]
