"""Safelight's JPEG of a picture looks as the browser shows the picture itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from safelight.errors import Rejection
from safelight.imaging.decoders import accept_svg
from safelight.imaging.geometry import within
from safelight.imaging.libvips import restrict
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset, load_presets
from tests.browser.kinds import kinds
from tests.support.browser import Browser, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

LIMITS = Limits(accept_svg=True)
(PRESET,) = (
    preset
    for preset in load_presets(Path(__file__).parents[2] / "presets.toml")
    if preset.name == "large"
)
SIDE = 64
FAR = 4
"""The mean difference that a viewer may see, in levels of 255."""
DRAWN = """async (path, side, background) => {
    const image = new Image()
    image.src = path
    try { await image.decode() } catch { return null }
    const [width, height] = [image.naturalWidth, image.naturalHeight]
    const context = new OffscreenCanvas(width, height).getContext("2d")
    context.fillStyle = background
    context.fillRect(0, 0, width, height)
    context.drawImage(image, 0, 0)
    const { data } = context.getImageData(0, 0, width, height)
    const range = (cell, length) => {
        const start = Math.floor(cell * length / side)
        return [start, Math.max(start + 1, Math.floor((cell + 1) * length / side))]
    }
    const means = []
    for (let row = 0; row < side; row++) {
        const [top, bottom] = range(row, height)
        for (let column = 0; column < side; column++) {
            const [left, right] = range(column, width)
            const sum = [0, 0, 0]
            for (let y = top; y < bottom; y++)
                for (let x = left; x < right; x++)
                    for (let band = 0; band < 3; band++)
                        sum[band] += data[4 * (y * width + x) + band]
            means.push(sum.map(each => each / (bottom - top) / (right - left)))
        }
    }
    return { size: [width, height], means }
}"""
"""Draws a picture onto a background, and returns its size and the mean colours of its cells."""

NOT_SHOWN = ("tiff", "tif", "dng", "heic")
"""Beginnings of the names of pictures that Chromium does not show."""
OF_VIDEO = "Chromium 156 takes full range for limited range, against both headers of the file"
LAST_LINES = "Chromium leaves the last lines unpainted, as if more data would come"
UPRIGHT = "Chromium does not read EXIF in a WebP; Safari and image programs turn the picture"
EXEMPT = {
    "avif animated": OF_VIDEO,
    "avif premultiplied": OF_VIDEO,
    "avif half transparent": OF_VIDEO,
    "avif half transparent, premultiplied": OF_VIDEO,
    "avif nonsense": "Chromium rejects an AVIF for its damaged profile; it costs no pixel",
    "bmp without any opacity": "an opacity of 0 everywhere is none; Chromium shows nothing",
    "bmp bmp32_v5_alpha_zero": "an opacity of 0 everywhere is none; Chromium shows nothing",
    "bmp of 4-4-4-4": "unsupported: a rare kind (docs/decisions/0057)",
    "bmp bmp16_4444": "unsupported: a rare kind (docs/decisions/0057)",
    "jpeg cmyk of a press": "black ink is made black (docs/decisions/0007)",
    "jpeg no end marker": LAST_LINES,
    "jpeg half an end marker": LAST_LINES,
    "jpg no_eoi": LAST_LINES,
    "png animated, default picture apart": "a still has the default picture (docs/decisions/0055)",
    "svg": "text without a size has 16 pixels in Chromium, and 12 in librsvg",
    "webp lossless, denying its opacity": "its header is believed (docs/decisions/0058)",
    **{f"webp orientation {number}": UPRIGHT for number in range(2, 9)},
}
"""Pictures that Safelight shows in another way, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A picture as the browser draws it."""

    size: tuple[int, int]
    means: np.ndarray
    """The mean red, green and blue of `SIDE` x `SIDE` cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A source and Safelight's JPEG of it, both as the browser draws them."""

    source: Seen | None
    variant: Seen | None

    @property
    def is_alike(self) -> bool:
        if self.source is None or self.variant is None:
            return False
        return self.variant.size == within(self.source.size, PRESET.wish.box) and self.apart < FAR

    @property
    def apart(self) -> float:
        """The mean difference of two pictures in levels of 255."""
        return float(np.abs(self.source.means - self.variant.means).mean())

    def __str__(self) -> str:
        if self.source is None or self.variant is None:
            return f"shown by the browser: {self.source is not None}"
        return f"{self.source.size} and {self.variant.size}, {self.apart:.1f} apart"


def variant_of(data: bytes, preset: Preset) -> bytes | None:
    """Render one preset; return None if the picture is rejected."""
    with TemporaryDirectory(prefix="safelight-browser-") as place:
        source = Path(place) / "source"
        source.write_bytes(data)
        try:
            rendering = render(plan(probe(source, LIMITS), [preset]), source, source.parent, LIMITS)
        except Rejection:
            return None
        return rendering.variants[0].path.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A page that draws pictures."""

    page: Page
    served: dict[str, tuple[bytes, str]]
    """Path -> body and media type."""

    async def pair(self, name: str, data: bytes, preset: Preset = PRESET) -> Pair:
        """Draw a source and its variant on the background of the preset."""
        kind = "image/svg+xml" if name.startswith("svg") else "application/octet-stream"
        background = preset.wish.background
        variant = None
        if made := variant_of(data, preset):
            variant = await self._seen(made, "image/jpeg", background)
        return Pair(source=await self._seen(data, kind, background), variant=variant)

    async def _seen(self, data: bytes, kind: str, background: str) -> Seen | None:
        """Draw a picture; None if the browser does not show it."""
        path = f"/{len(self.served)}"
        self.served[path] = (data, kind)
        drawn = await self.page.call(DRAWN, path, SIDE, background)
        if drawn is None:
            return None
        return Seen(size=tuple(drawn["size"]), means=np.array(drawn["means"]))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def screen(chromium: Browser) -> AsyncIterator[Screen]:
    restrict()
    accept_svg()
    served = {"/": (b"<title>Pictures</title>", "text/html")}

    async def answer(request: web.Request) -> web.Response:
        body, kind = served.get(request.path, (b"", "text/plain"))
        return web.Response(body=body, content_type=kind)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        yield Screen(page=await chromium.page(str(server.make_url("/"))), served=served)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pairs(screen: Screen) -> dict[str, Pair]:
    return {name: await screen.pair(name, data) for name, data in kinds().items()}


async def test_a_jpeg_looks_as_the_browser_shows_its_source(pairs):
    compared = {
        name: pair
        for name, pair in pairs.items()
        if not name.startswith(NOT_SHOWN) and name not in EXEMPT
    }
    assert {name: str(pair) for name, pair in compared.items() if not pair.is_alike} == {}
    assert {name.split()[0] for name in compared} >= {"jpeg", "png", "webp", "gif", "avif", "bmp"}


async def test_no_exemption_is_needless(pairs):
    assert pairs.keys() >= EXEMPT.keys()
    assert [name for name in EXEMPT if pairs[name].is_alike] == []
    shown = [name for name, pair in pairs.items() if name.startswith(NOT_SHOWN) and pair.source]
    assert shown == []


@pytest.mark.parametrize(
    "name", ["png half transparent", "webp half transparent", "gif transparent"]
)
async def test_a_transparent_picture_shows_the_background_of_its_preset(screen, pairs, name):
    wish = PRESET.wish.model_copy(update={"background": "#204060"})
    pair = await screen.pair(name, kinds()[name], Preset(name="blue", wish=wish))
    assert pair.is_alike, str(pair)
    assert np.abs(pair.source.means - pairs[name].source.means).mean() > FAR
