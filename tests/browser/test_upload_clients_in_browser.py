"""Pages upload pictures, also when answers are lost, and read delivered pictures by script."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from ops.local.system import LocalSystem
from tests.acceptance.conftest import API_KEYS, KEYS
from tests.support.browser import Browser, Page
from tests.support.faults.proxy import FaultProxy, Rule, answer_lost
from tests.support.person import Person

pytestmark = [
    pytest.mark.slow,
    pytest.mark.starts,
    pytest.mark.needs("chromium", "node", "npm"),
    pytest.mark.asyncio(loop_scope="session"),
]

HERE = Path(__file__).parent
CAT = HERE.parents[1] / "samples" / "cat-451px.jpg"
SHA256 = hashlib.sha256(CAT.read_bytes()).hexdigest()
UPPIES = ("4", "6")
ENTRY = "export {default as Uppy} from '@uppy/core'; export {default as AwsS3} from '@uppy/aws-s3'"
PRESETS = """
[small]
box = [150, 150]
format = "jpeg"
access = "public"

[private]
box = [50, 50]
format = "png"
access = "private"
"""
WAYS = ("fetch", "XMLHttpRequest", "Uppy 4", "Uppy 6")
METHODS = {
    "POST": {"method": "POST", "checksum": False},
    "POST with a checksum": {"method": "POST", "checksum": True},
    "PUT": {"method": "PUT", "checksum": False},
    "PUT with a checksum": {"method": "PUT", "checksum": True},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A page of an application, the system that it uploads to, and the way between them."""

    page: Page
    system: LocalSystem
    proxy: FaultProxy
    alice: Person

    async def upload(
        self, way: str, method: str, *, name: str = "cat.jpg", declared: str = "image/jpeg"
    ) -> dict[str, Any]:
        """Let the page upload the cat; return the image's id and the last status."""
        wish = METHODS[method] | {
            "api": self.system.api_url,
            "key": KEYS["alice"],
            "idempotencyKey": str(uuid4()),
        }
        told: dict[str, Any] = await self.page.call(
            "(...words) => upload(...words)", way, "/cat.jpg", name, declared, wish
        )
        return told


async def bundled(version: str, to: Path) -> None:
    """Bundle an installed Uppy for a page."""
    folder = HERE / f"uppy-{version}"
    esbuild = folder / "node_modules" / "esbuild" / "bin" / "esbuild"
    assert esbuild.exists(), "make browser-test installs Uppy"
    process = await asyncio.create_subprocess_exec(
        *("node", esbuild, "--bundle", "--format=esm", "--log-level=error", f"--outfile={to}"),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
    )
    await process.communicate(ENTRY.encode())
    assert process.returncode == 0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    files = {"/uploads.js": HERE / "uploads.js", "/cat.jpg": CAT}
    for version in UPPIES:
        files[f"/uppy-{version}.js"] = folder / f"uppy-{version}.js"
        await bundled(version, folder / f"uppy-{version}.js")
    presets = folder / "presets.toml"
    presets.write_text(PRESETS)

    async def page(request: web.Request) -> web.StreamResponse:
        if file := files.get(request.path):
            return web.FileResponse(file)
        text = (
            '<!doctype html><title>Upload</title><script type="module" src="/uploads.js"></script>'
        )
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    async with TestServer(app) as server, FaultProxy("") as proxy:
        origin = str(server.make_url("/")).rstrip("/")
        api_settings = {
            "SAFELIGHT_API_KEYS": API_KEYS,
            "SAFELIGHT_CORS_ORIGINS": origin,
            "SAFELIGHT_PUBLIC_S3_ENDPOINT_URL": proxy.url,
            "SAFELIGHT_DELIVERY_URL": "",  # presigned URLs
        }
        async with (
            LocalSystem(delivers=True, presets=presets, api_settings=api_settings) as system,
            aiohttp.ClientSession() as http,
        ):
            proxy.endpoint_url = system.emulator.endpoint_url
            yield Site(
                page=await chromium.page(origin),
                system=system,
                proxy=proxy,
                alice=Person(http, system.api_url, KEYS["alice"]),
            )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_page_uploads_a_picture(site: Site, way: str, method: str) -> None:
    told = await site.upload(way, method)
    assert told["status"] in (200, 201, "uploaded")
    image = await site.alice.settled(told["imageId"])
    assert (image["status"], image["sha256"]) == ("completed", SHA256)


@pytest.mark.parametrize("method", ["POST", "PUT with a checksum"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_page_repeats_an_upload_whose_answer_was_lost(
    site: Site, way: str, method: str
) -> None:
    operation = "POST" if method == "POST" else "PutObject"
    lost = site.proxy.add(Rule(operation, answer_lost, times=1))
    told = await site.upload(way, method)
    assert told["status"] in (200, 201, "uploaded")
    assert lost.used == 1
    assert (await site.alice.settled(told["imageId"]))["status"] == "completed"


@pytest.mark.parametrize("way", ["fetch", "XMLHttpRequest"])
async def test_a_page_may_repeat_a_plain_put(site: Site, way: str) -> None:
    lost = site.proxy.add(Rule("PutObject", answer_lost, times=1))
    told = await site.upload(way, "PUT")
    assert (told["status"], lost.used) == (200, 1)
    assert (await site.alice.settled(told["imageId"]))["status"] == "completed"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "declared"), [("IMG_0001.HEIC", ""), ("photo", "image/jpg"), ("a.png", "image/x-png")]
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_page_declares_whatever_type_the_file_has(
    site: Site, way: str, name: str, declared: str, method: str
) -> None:
    told = await site.upload(way, method, name=name, declared=declared)
    assert (await site.alice.settled(told["imageId"]))["status"] == "completed"


async def test_a_script_reads_pictures_by_presigned_urls_and_from_delivery(site: Site) -> None:
    told = await site.upload("fetch", "POST")
    image = await site.alice.settled(told["imageId"])
    small = image["variants"]["small"]
    delivered = f"{site.system.delivery_url}/small/{told['imageId']}"
    for url, variant in (
        (small["url"], small),
        (image["variants"]["private"]["url"], image["variants"]["private"]),
        (delivered, small),
    ):
        read = await site.page.call("(url) => readPixels(url)", url)
        assert read["size"] == [variant["width"], variant["height"]]
        assert (read["status"], read["sha256"]) == (200, variant["sha256"])
        assert read["colour"][3] == 255
