"""Draws docs/pictures-page.png and docs/playground.png for the README, by `make screenshots`.

A Safelight on this machine receives the photographs of samples/, and parts of them so that the page
is filled. Debian's chromium, without a window, opens the pages. No test compares the pictures.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pyvips
from playwright.async_api import Page, expect

from ops.client import Client
from ops.local.emulator import ROOT
from ops.local.system import LocalSystem
from tests.support.visitor import chromium, visit

SAMPLES = ROOT / "samples"
PARTS = {"left": (0, 0.1), "right": (0.4, 0.1), "top": (0.2, 0), "middle": (0.25, 0.25)}
"""Parts of each photograph: the left and upper edges, in shares of its sides."""
SHARE = 0.6
"""The sides of a part, in shares of those of the photograph."""
MOST_BYTES = 195_000
"""The largest picture in bytes: readers of the README load one first."""
PICTURES_SIZE = {"width": 1200, "height": 860}
PLAYGROUND_SIZE = {"width": 1200, "height": 1140}
TRIED = "box=900x480,fit=cover,gravity=attention,sharpen=0.5,format=webp,quality=60"


def photographs(folder: Path) -> Iterator[Path]:
    """Save parts of the photographs, and yield all paths; the photographs come last."""
    originals = sorted(SAMPLES.glob("*.jpg"))
    for name, (left, top) in PARTS.items():
        for original in originals:
            whole = pyvips.Image.new_from_file(str(original))
            part = whole.crop(
                round(left * whole.width),
                round(top * whole.height),
                round(min(SHARE, 1 - left) * whole.width),
                round(min(SHARE, 1 - top) * whole.height),
            )
            path = folder / f"{original.stem.partition('-')[0]}-{name}.jpg"
            part.jpegsave(str(path), Q=88)
            yield path
    yield from originals


async def upload(client: Client, paths: Iterator[Path]) -> str:
    """Upload pictures one by one; return the image id of the last when all are settled."""
    ids = []
    for path in paths:
        ticket = await client.announce(path)
        await client.send(ticket, path)
        ids.append(ticket.image_id)
    for image_id in ids:
        while (await client.image(image_id))["status"] == "pending":
            await asyncio.sleep(0.2)
    return ids[-1]


async def shot(page: Page) -> bytes:
    """Take a picture of the visible part of a page once its pictures are there."""
    await page.evaluate(
        """() => Promise.all([...document.images]
            .filter((one) => one.getBoundingClientRect().top < innerHeight)
            .map((one) => one.decode()))"""
    )
    return await page.screenshot()


def save(picture: bytes, to: Path) -> None:
    """Save a picture as a PNG with a palette, as large as it may be for its bytes."""
    image = pyvips.Image.new_from_buffer(picture, "")
    for per_cent in range(100, 30, -5):
        made: bytes = image.resize(per_cent / 100).pngsave_buffer(
            palette=True, Q=90, dither=0.6, effort=10, compression=9, strip=True
        )
        if len(made) <= MOST_BYTES:
            break
    to.write_bytes(made)
    print(f"{to.relative_to(ROOT)}: {len(made)} bytes, {per_cent} %")


async def main() -> None:
    """Draw both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            LocalSystem(workers=2, delivers=True, cleans=True, pages=True) as system,
            aiohttp.ClientSession() as http,
            chromium() as browser,
        ):
            image_id = await upload(Client(http, system.api_url), photographs(Path(folder)))
            start = f"{system.api_url}/ui/"
            async with visit(browser, start, viewport=PICTURES_SIZE) as page:
                await expect(page.locator("main img").first).to_be_visible()
                pictures = await shot(page)
            tried = f"{start}playground?image={image_id}&o={TRIED}"
            async with visit(browser, tried, viewport=PLAYGROUND_SIZE, color_scheme="dark") as page:
                await expect(page.get_by_text("Reference: the same options")).to_be_visible()
                await expect(page.get_by_label("Quality", exact=True)).to_be_visible()
                playground = await shot(page)
    save(pictures, ROOT / "docs" / "pictures-page.png")
    save(playground, ROOT / "docs" / "playground.png")


if __name__ == "__main__":
    asyncio.run(main())
