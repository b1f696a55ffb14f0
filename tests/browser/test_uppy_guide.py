"""The example of docs/guide/uppy.md uploads from another origin, with the Uppy of our own pages."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, expect

from api.pages.static import FOLDER
from ops.local.system import LocalSystem
from tests.acceptance.conftest import API_KEYS, KEYS
from tests.support import visitor
from tests.support.pages import blocks
from tests.support.visitor import visit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.starts,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

PAGE = "guide/uppy.md"
SAMPLES = Path(__file__).parents[2] / "samples"
IMPORTS = """<script type="importmap">
{"imports": {"@uppy/core": "/core.js", "@uppy/aws-s3": "/aws-s3.js"}}
</script>"""
BUNDLE = (FOLDER / "vendor" / "uppy.js").read_text()
ALLOWED, NOT_BY_API, NOT_BY_BUCKET = "127.0.0.1", "localhost", "app.localhost"
"""The hosts of the page. The bucket of a local system allows the first two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    browser: Browser
    port: int

    def url(self, host: str) -> str:
        return f"http://{host}:{self.port}/"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site() -> AsyncIterator[Site]:
    (page,), code = blocks(PAGE, "html"), blocks(PAGE, "javascript")[0]
    addresses: dict[str, str] = {}
    files = {
        "/": (page.replace("<script", f"{IMPORTS}\n<script", 1), "text/html"),
        "/session.js": (
            f"export const userToken = async () => {KEYS['alice']!r};",
            "text/javascript",
        ),
        "/uppy.js": (BUNDLE, "text/javascript"),
        "/core.js": ("export {Uppy as default} from '/uppy.js'", "text/javascript"),
        "/aws-s3.js": ("export {AwsS3 as default} from '/uppy.js'", "text/javascript"),
        "/favicon.ico": ("", "image/x-icon"),
    }

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/upload.js":
            text, kind = code.replace("https://api.example.com", addresses["api"]), "javascript"
            return web.Response(text=text, content_type=f"text/{kind}")
        text, kind = files[request.path]
        return web.Response(text=text, content_type=kind)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, visitor.chromium() as browser:
        assert server.port
        site = Site(browser=browser, port=server.port)
        origins = ",".join(site.url(host).rstrip("/") for host in (ALLOWED, NOT_BY_BUCKET))
        settings = {"SAFELIGHT_API_KEYS": API_KEYS, "SAFELIGHT_CORS_ORIGINS": origins}
        async with LocalSystem(api_settings=settings) as system:
            addresses["api"] = system.api_url
            yield site


async def choose(page: Page, *names: str) -> None:
    await page.get_by_label("Pictures").set_input_files([SAMPLES / name for name in names])


async def test_the_example_uploads_files_and_says_what_became_of_them(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "notes.jpg").write_bytes(b"hello")
    async with visit(site.browser, site.url(ALLOWED)) as page:
        await choose(page, "cat-451px.jpg", "astronaut-800px.jpg")
        await page.get_by_label("Pictures").set_input_files(tmp_path / "notes.jpg")
        for line in (
            "cat-451px.jpg: completed",
            "astronaut-800px.jpg: completed",
            "notes.jpg: rejected: the file is not in a supported format",
        ):
            await expect(page.get_by_text(line, exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("host", "missing"),
    [(NOT_BY_API, "SAFELIGHT_CORS_ORIGINS"), (NOT_BY_BUCKET, "UploadOrigins")],
)
async def test_an_origin_that_is_not_allowed_has_the_errors_of_the_guide(
    site: Site, host: str, missing: str
) -> None:
    guide = (Path(__file__).parents[2] / "docs" / PAGE).read_text()
    found = re.search(rf"^\| `{missing}` \| `(.+)` \| `(.+)` \|$", guide, re.MULTILINE)
    assert found
    shown, logged = found.groups()
    heard: list[str] = []
    async with visit(site.browser, site.url(host), allowed="CORS policy|net::ERR_|Uppy") as page:
        page.on("console", lambda message: heard.append(message.text))
        await choose(page, "cat-451px.jpg")
        await expect(page.get_by_text(f"cat-451px.jpg: not sent: {shown}")).to_be_visible()
    pattern = re.escape(logged).replace(r"\.\.\.", ".*")
    assert any(re.match(pattern, text) for text in heard), heard
