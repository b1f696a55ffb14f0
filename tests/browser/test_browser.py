"""The browser of tests/support/browser.py itself."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from tests.support import browser
from tests.support.browser import ScriptFailed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_a_script_runs_in_a_page_and_its_promise_is_awaited(chromium):
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="<title>Hello</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", hello)
    async with TestServer(app) as server:
        page = await chromium.page(str(server.make_url("/")))
        assert await page.evaluate("document.title") == "Hello"
        script = "async (path, ...more) => [(await fetch(path)).status, more]"
        assert await page.call(script, "/", 1, {"two": [None, "3"]}) == [
            200,
            [1, {"two": [None, "3"]}],
        ]
        other = await chromium.page()
        assert await other.evaluate("location.href") == "about:blank"
        assert await page.evaluate("location.pathname") == "/"


async def test_exceptions_and_unreachable_pages_fail_with_their_text(chromium):
    page = await chromium.page()
    with pytest.raises(ScriptFailed, match="TypeError: no picture"):
        await page.evaluate("Promise.reject(new TypeError('no picture'))")
    with pytest.raises(ScriptFailed, match="CONNECTION_REFUSED"):
        await page.open(f"http://127.0.0.1:{unused_port()}/")
    assert await page.evaluate("1 + 1") == 2


async def test_a_browser_that_ends_early_shows_its_last_words():
    async def started_and_killed() -> None:
        async with browser.started() as ending:
            ending.process.kill()
            await ending.page()

    with pytest.raises(ScriptFailed, match="chromium ended"):
        await started_and_killed()
