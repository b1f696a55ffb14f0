"""Frames of animated PNGs are those of the browser, pixel for pixel."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from safelight.formats import BY_NAME
from safelight.imaging.libvips import open_image, restrict
from tests.support.apngs import Frame, apng
from tests.support.browser import Browser, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

WIDTH, HEIGHT, FRAMES = 24, 16, 6
DECODED = """async data => {
    const bytes = Uint8Array.from(atob(data), character => character.charCodeAt(0))
    const decoder = new ImageDecoder({ data: bytes, type: "image/png" })
    await Promise.all([decoder.tracks.ready, decoder.completed])
    const frames = []
    for (let frameIndex = 0; frameIndex < decoder.tracks.selectedTrack.frameCount; frameIndex++) {
        const { image } = await decoder.decode({ frameIndex })
        const pixels = new Uint8Array(image.allocationSize({ format: "RGBA" }))
        await image.copyTo(pixels, { format: "RGBA" })
        frames.push({ pixels: [...pixels], microseconds: image.duration })
    }
    return frames
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """Open a page of an origin: decoders are not there without one."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="<title>Animations</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app) as server:
        yield await chromium.page(str(server.make_url("/")))


def drawn_by_chance(seed: int, mode: str) -> bytes:
    """Make an animation of all disposals and blendings; every third has its default apart."""
    numbers = np.random.default_rng(seed)

    def picture(width: int, height: int) -> Image.Image:
        pixels = numbers.integers(0, 256, (height, width, 4), dtype=np.uint8)
        pixels[..., 3] = numbers.choice([0, 60, 128, 200, 255], (height, width))
        return Image.fromarray(pixels).convert(mode)

    frames = []
    for number in range(FRAMES):
        width = int(numbers.integers(1, WIDTH, endpoint=True)) if number else WIDTH
        height = int(numbers.integers(1, HEIGHT, endpoint=True)) if number else HEIGHT
        frames.append(
            Frame(
                picture=picture(width, height),
                left=int(numbers.integers(0, WIDTH - width, endpoint=True)),
                top=int(numbers.integers(0, HEIGHT - height, endpoint=True)),
                over=int(numbers.integers(2, 30, endpoint=True)),
                under=100,
                disposal=int(numbers.integers(3)),
                blending=int(numbers.integers(2)),
            )
        )
    return apng(*frames, default=None if seed % 3 else picture(WIDTH, HEIGHT))


def multiplied(frame: np.ndarray) -> np.ndarray:
    """Multiply colours by alpha: where that is low, they say little."""
    return frame[..., :-1] * frame[..., -1:] / 255


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "LA", "L"])
@pytest.mark.parametrize("seed", range(6))
async def test_the_frames_of_an_animated_png_are_those_of_the_browser(
    page: Page, tmp_path: Path, mode: str, seed: int
) -> None:
    restrict()
    source = tmp_path / "source"
    source.write_bytes(drawn_by_chance(seed, mode))
    shown = await page.call(DECODED, base64.b64encode(source.read_bytes()).decode())
    image = open_image(source, BY_NAME["png"], accept_damaged=False, frames=FRAMES)
    pixels = image.colourspace("srgb").numpy().astype(float)
    assert [frame["microseconds"] // 1000 for frame in shown] == image.get("delay")
    for number, frame in enumerate(shown):
        browsers = np.array(frame["pixels"], float).reshape(HEIGHT, WIDTH, 4)
        ours = pixels[number * HEIGHT : (number + 1) * HEIGHT]
        assert np.array_equal(ours[..., 3], browsers[..., 3])
        assert np.abs(multiplied(ours) - multiplied(browsers)).max() <= 1
