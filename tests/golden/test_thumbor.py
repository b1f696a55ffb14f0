"""A thumbor URL gives a picture of the same size and nearly the same content as thumbor itself.

thumbor runs from the environment of `make bench`. Both write PNG, so that only pixels are compared:
by exact size, by a gradient hash, and by the mean difference over a coarse grid.
"""

import contextlib
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from api.dialects.thumbor import Thumbor
from safelight.imaging.limits import Limits
from safelight.imaging.plan_options import plan_options
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.wish.canonical import canonical
from tests.support import pictures

ROOT = Path(__file__).parents[2]
THUMBOR = ROOT / ".venv-bench" / "bin" / "thumbor"
SETTINGS = """
ALLOW_UNSAFE_URL = True
LOADER = "thumbor.loaders.file_loader"
STORAGE = "thumbor.storages.no_storage"
RESULT_STORAGE = None
RESPECT_ORIENTATION = True
FILE_LOADER_ROOT_PATH = {root!r}
"""
START_SECONDS = 60
GRID = 12
MOST_BITS_APART = 6
MOST_APART = 4.0
"""The largest mean difference of colours over the grid, from 0 to 255."""
FLAT = 5
LIMITS = Limits()

URLS = [
    "300x200/{}", "200x300/{}", "300x/{}", "x150/{}", "500x500/{}", "1000x600/{}", "37x91/{}",
    "-300x200/{}", "300x-200/{}", "-300x-200/{}", "-0x-0/{}",
    "300x100/top/{}", "300x100/bottom/{}", "100x300/left/{}", "100x300/right/{}",
    "100x300/left/top/{}", "300x100/right/bottom/{}",
    "fit-in/300x200/{}", "fit-in/100x500/{}", "fit-in/2000x2000/{}", "fit-in/-200x100/{}",
    "full-fit-in/300x200/{}", "full-fit-in/100x300/{}", "full-fit-in/1000x10/{}",
    "adaptive-fit-in/100x300/{}", "adaptive-fit-in/300x100/{}",
    "adaptive-full-fit-in/100x300/{}",
    "10x20:200x150/{}", "100x50:300x250/100x100/{}", "50x50:9999x9999/fit-in/100x100/{}",
    "trim/photo-border.png", "trim:bottom-right:20/photo-border.png",
    "trim/100x/photo-border.png",
    "200x/filters:brightness(30)/{}", "200x/filters:brightness(-40)/{}",
    "200x/filters:contrast(40)/{}", "200x/filters:contrast(-40)/{}",
    "200x/filters:saturation(0)/{}", "200x/filters:saturation(1.8)/{}",
    "200x/filters:rgb(20,-10,40)/{}", "200x/filters:grayscale()/{}",
    "200x/filters:blur(2)/{}", "200x/filters:blur(7)/{}", "200x/filters:blur(10,3)/{}",
    "200x/filters:blur(15)/{}", "200x/filters:sharpen(1,1.0,true)/{}",
    "200x/filters:rotate(90)/{}", "200x/filters:rotate(180)/{}", "200x/filters:rotate(270)/{}",
    "200x/filters:round_corner(30,0,0,255)/{}", "200x/filters:round_corner(60|20,255,0,0)/{}",
    "200x/filters:proportion(0.5)/{}",
    "fit-in/300x300/filters:fill(red)/{}", "fit-in/300x200/filters:fill(00ff00)/{}",
    "fit-in/300x300/filters:blur(3):fill(blue):brightness(10)/{}",
    "2000x100/filters:no_upscale()/{}", "100x2000/filters:no_upscale()/{}",
    "2000x/filters:no_upscale()/{}", "fit-in/902x900/filters:upscale()/{}",
    "300x100/filters:stretch()/{}",
    "100x100/filters:focal(300x200:400x280)/{}", "100x200/filters:focal(0x0:60x60)/{}",
    "200x200/filters:background_color(blue)/translucent.png",
    "300x/filters:watermark(mark.png,10,20,0)/{}",
    "300x/filters:watermark(mark.png,-10,-20,40)/{}",
    "300x/filters:watermark(mark.png,center,center,0,40,none)/{}",
    "300x/filters:watermark(mark.png,10p,-10p,0)/{}",
    "300x/filters:watermark(mark.png,repeat,repeat,50)/{}",
    "200x/turned.jpg", "100x150/top/turned.jpg",
]  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Write the pictures that both systems read; return their folder."""
    root = tmp_path_factory.mktemp("thumbor")
    cat = Image.open(pictures.SAMPLES / "cat-451px.jpg").convert("RGB")
    cat.save(root / "cat.png")
    bordered = Image.new("RGB", (520, 380), (250, 250, 250))
    bordered.paste(cat, (40, 30))
    bordered.save(root / "photo-border.png")
    translucent = cat.convert("RGBA")
    translucent.putalpha(Image.linear_gradient("L").resize(cat.size))
    translucent.save(root / "translucent.png")
    Image.new("RGB", (60, 24), (230, 30, 30)).save(root / "mark.png")
    (root / "turned.jpg").write_bytes(pictures.turned(6))
    return root


@pytest.fixture(scope="module")
def thumbor(sources):
    """Run thumbor on loopback; return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = sources / "thumbor.conf"
    settings.write_text(SETTINGS.format(root=str(sources)))
    command = [THUMBOR, "--ip", "127.0.0.1", "--port", str(port), "--conf", settings]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_until_it_answers(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_until_it_answers(port):
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    pytest.fail("thumbor did not start")


def as_png(url):
    """Add a filter for PNG to those of the URL, or as the only one."""
    if "filters:" in url:
        return url.replace("filters:", "filters:format(png):", 1)
    path, _, image = url.rpartition("/")
    return f"{path}/filters:format(png)/{image}"


def theirs(address, url):
    unsigned = f"{address}/unsafe/{url}"
    with urllib.request.urlopen(unsigned, timeout=60) as answer, Image.open(answer) as picture:  # noqa: S310 - our own server
        return picture.convert("RGBA")


def ours(sources, directory, url):
    scheme = Thumbor(keys=("k",))
    # Our watermark is a bucket and a key; thumbor's is the name of a file.
    with_bucket = url.replace("watermark(mark.png", "watermark(marks/mark.png")
    image_url = scheme.read(scheme.unsigned(with_bucket))
    source = sources / image_url.source.key
    marks = dict.fromkeys(image_url.options.watermarks, sources / "mark.png")
    planned = plan_options(probe(source, LIMITS), image_url.options.normal(), marks)
    rendering = render(planned, source, directory, LIMITS)
    with Image.open(rendering.variants[0].path) as picture:
        return picture.convert("RGBA"), canonical(image_url.options)


def gradients(picture):
    grey = np.asarray(flat(picture).convert("L").resize((9, 8), Image.Resampling.BOX), dtype=int)
    return (grey[:, 1:] > grey[:, :-1] + FLAT).flatten()


def flat(picture):
    """Flatten onto white, so that invisible colours do not count."""
    under = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(under, picture).convert("RGB")


def coarse(picture):
    return np.asarray(flat(picture).resize((GRID, GRID), Image.Resampling.BOX), dtype=float)


@pytest.mark.slow
@pytest.mark.needs("thumbor")
@pytest.mark.parametrize("url", URLS)
def test_a_url_gives_what_thumbor_gives(url, thumbor, sources, tmp_path):
    url = as_png(url.format("cat.png"))
    expected = theirs(thumbor, url)
    found, wish = ours(sources, tmp_path, url)
    assert found.size == expected.size, wish
    apart = int((gradients(found) != gradients(expected)).sum())
    assert apart <= MOST_BITS_APART, wish
    assert np.abs(coarse(found) - coarse(expected)).mean() <= MOST_APART, wish
