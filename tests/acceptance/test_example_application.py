"""The example application in front of a running Safelight: by HTTP, and in a browser."""

import asyncio
import html
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import unused_port
from PIL import Image

from tests.support import browser, pictures

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "examples" / "gallery"
SAFELIGHT = Path(sys.executable).with_name("safelight")
README = (GALLERY / "README.md").read_text()
SHELL = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
CAT = ROOT / "samples" / "cat-451px.jpg"
SECONDS = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gallery(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Walk the example's README on a free port; return the gallery's address."""
    folder = tmp_path_factory.mktemp("gallery")
    url = f"http://127.0.0.1:{unused_port()}"
    up, begin = (block.replace("http://127.0.0.1:8300", url) for block in SHELL)
    # make would look after the installation first.
    command = up.replace("make up", f'exec {SAFELIGHT} up --presets "$PRESETS"')
    async with running(command, until="Ctrl-C stops") as printed:
        exports = "\n".join(line for line in printed if line.startswith("export "))
        own = f"export GALLERY_URL={url} GALLERY_FOLDER={folder}\n"
        start = begin.replace(".venv/bin/python -m", "exec .venv/bin/python -m")
        command = exports + "\n" + own + start
        async with running(command, until="The gallery is at"):
            yield url


@asynccontextmanager
async def running(command: str, *, until: str) -> AsyncIterator[list[str]]:
    """Run commands in the checkout; yield the lines up to one that begins like this."""
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", command, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert shell.stdout
        lines: list[str] = []
        async with asyncio.timeout(SECONDS):
            while not lines or not lines[-1].startswith(until):
                lines.append((await shell.stdout.readline()).decode().strip())
                assert not shell.stdout.at_eof(), "\n".join(lines)
        yield lines
    finally:
        if shell.returncode is None:
            shell.terminate()
        await shell.communicate()


@dataclass
class Visitor:
    """A browser without scripts: a session, and what page.mjs sends."""

    http: aiohttp.ClientSession
    url: str

    async def upload(self, body: bytes, filename: str) -> str:
        """Upload as the page does; return the image id."""
        wanted = {"filename": filename, "contentType": "image/jpeg", "size": len(body)}
        async with self.http.post(f"{self.url}/uploads", json=wanted) as answer:
            assert answer.status == 201, await answer.text()
            ticket: dict[str, Any] = await answer.json()
        form = aiohttp.FormData(quote_fields=False)
        for name, value in ticket["fields"].items():
            form.add_field(name, value)
        form.add_field("file", BytesIO(body), filename="file")
        async with self.http.post(ticket["url"], data=form) as answer:
            assert answer.status < 300, await answer.text()
        return str(ticket["imageId"])

    async def figure(self, image_id: str) -> str:
        """Ask for the picture until it is settled; return its HTML."""
        async with asyncio.timeout(SECONDS):
            while True:
                async with self.http.get(f"{self.url}/pictures/{image_id}") as answer:
                    if answer.status == 200:
                        return await answer.text()
                    assert answer.status == 202
                await asyncio.sleep(0.1)

    async def fetched(self, url: str) -> tuple[int, bytes]:
        async with self.http.get(url) as answer:
            return answer.status, await answer.read()


@pytest_asyncio.fixture(loop_scope="session")
async def alice(gallery: str) -> AsyncIterator[Visitor]:
    async with logged_in(gallery, "alice") as visitor:
        yield visitor


@asynccontextmanager
async def logged_in(url: str, name: str) -> AsyncIterator[Visitor]:
    # Otherwise the cookies of an address without a name are refused.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.post(f"{url}/login", data={"name": name}) as answer:
            assert f"Pictures of {name}" in await answer.text()
        yield Visitor(http, url)


async def test_a_picture_is_shown_in_each_width_and_format_to_its_owner(
    alice: Visitor, gallery: str
) -> None:
    body = pictures.encoded(pictures.noise(900, 1200), "JPEG")
    image_id = await alice.upload(body, "<b>portrait.jpg")
    figure = await alice.figure(image_id)
    sets = re.findall(r'(?:type="(image/\w+)" )?srcset="(.*?)"', figure)
    assert [kind for kind, _ in sets] == ["image/avif", "image/webp", ""]
    for (_, listed), format in zip(sets, ("AVIF", "WEBP", "JPEG"), strict=True):
        urls = dict(one.split(" ") for one in listed.split(", "))
        assert list(urls.values()) == ["320w", "640w", "900w"]
        for url, width in urls.items():
            status, made = await alice.fetched(url)
            assert status == 200, made
            picture = Image.open(BytesIO(made))
            assert (picture.format, f"{picture.width}w") == (format, width)
    assert "&lt;b&gt;portrait.jpg" in figure
    async with alice.http.get(gallery) as home:
        assert "&lt;b&gt;portrait.jpg" in await home.text()
    async with logged_in(gallery, "bob") as bob:
        async with bob.http.get(f"{gallery}/pictures/{image_id}") as answer:
            assert answer.status == 202
        async with bob.http.get(gallery) as home:
            assert "portrait.jpg" not in await home.text()


async def test_the_original_is_opened_by_its_signed_link_and_by_no_other(alice: Visitor) -> None:
    figure = await alice.figure(await alice.upload(CAT.read_bytes(), "cat.jpg"))
    (link,) = re.findall(r'href="(.*?)"', figure)
    status, made = await alice.fetched(html.unescape(link))
    assert status == 200, made
    assert Image.open(BytesIO(made)).size == (451, 300)
    assert (await alice.fetched(html.unescape(link).partition("?")[0]))[0] == 403
    longer = re.sub(r"expires=\d+", "expires=99999999999", html.unescape(link))
    assert (await alice.fetched(longer))[0] == 403


async def test_a_rejected_picture_is_explained_in_words_for_users(alice: Visitor) -> None:
    figure = await alice.figure(await alice.upload(b"no picture", "words.jpg"))
    assert "words.jpg: This kind of file cannot be shown here." in figure
    assert "Please choose a photo" in figure


async def test_a_refused_type_is_explained_in_the_same_words(alice: Visitor) -> None:
    wanted = {"filename": "notes.txt", "contentType": "text/plain", "size": 8}
    async with alice.http.post(f"{alice.url}/uploads", json=wanted) as answer:
        assert answer.status == 422
        assert "This kind of file cannot be shown here." in (await answer.json())["text"]


async def test_without_a_login_nothing_is_uploaded_or_shown(gallery: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(gallery) as answer:
            assert "Your name" in await answer.text()
        async with http.post(f"{gallery}/uploads", json={}) as answer:
            assert answer.status == 401
        async with http.post(f"{gallery}/login", data={"name": "<script>"}) as answer:
            assert answer.status == 422
            assert "<script>" not in await answer.text()


@pytest.mark.needs("chromium")
async def test_the_page_uploads_with_progress_once_although_an_answer_is_lost(gallery: str) -> None:
    async with browser.started() as chromium:
        page = await chromium.page(gallery)
        await page.evaluate("document.querySelector('input').value = 'carol'")
        await page.evaluate("document.querySelector('form').submit()")
        await chromium.event("Page.loadEventFired", session=page.session)
        assert await page.evaluate("document.querySelector('h1').textContent") == (
            "Pictures of carol"
        )
        await page.evaluate(
            """(() => {
              window.said = [];
              window.images = [];
              const fetched = window.fetch;
              window.fetch = async (...request) => {
                const answer = await fetched(...request);
                if (request[0] !== "/uploads") return answer;
                images.push((await answer.clone().json()).imageId);
                if (images.length === 1) throw new TypeError("the answer is lost");
                return answer;
              };
              new MutationObserver(() => said.push(document.querySelector("#uploads").textContent))
                .observe(document.querySelector("#uploads"), { childList: true, subtree: true });
            })()"""
        )
        document = await page.command("DOM.getDocument")
        files = await page.command(
            "DOM.querySelector", nodeId=document["root"]["nodeId"], selector="#files"
        )
        await page.command("DOM.setFileInputFiles", files=[str(CAT)], nodeId=files["nodeId"])
        shown = await page.evaluate(
            """(async () => {
              for (;;) {
                const image = document.querySelector("#figures img");
                if (image?.complete && image.naturalWidth) {
                  const { toDataUrl } = await import("/static/thumbhash.mjs");
                  const blur = toDataUrl(image.dataset.placeholder);
                  return [image.currentSrc, image.naturalWidth, blur, said, images];
                }
                await new Promise((resolve) => setTimeout(resolve, 50));
              }
            })()"""
        )
    source, width, blur, said, images = shown
    assert images == [source.rpartition("/")[2].partition(".")[0]] * 2
    assert re.search(r"/(small|medium)/\w{26}\.avif$", source)
    assert width in (320, 451)
    assert blur.startswith("data:image/png;base64,")
    assert {"cat-451px.jpg: starting", "cat-451px.jpg: 100 %", "cat-451px.jpg: processing"} <= {
        *said
    }
