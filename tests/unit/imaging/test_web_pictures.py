"""Odd JPEG, PNG, GIF, WebP and BMP files, as browsers show them."""

import struct

import numpy as np
import pytest
from PIL import Image

from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset
from tests.support import pictures
from tests.support.tiffs import PIXELS

LIMITS = Limits()
PNG = Preset(name="full", format="png")
PICTURE = Image.fromarray(PIXELS)


@pytest.fixture
def shown(file, tmp_path):
    """Render a picture with one preset and open the variant in another decoder."""

    def shown(data: bytes, preset: Preset = PNG) -> Image.Image:
        source = file(data)
        result = render(plan(probe(source, LIMITS), [preset]), source, tmp_path, LIMITS)
        assert result.failures == {}
        return Image.open(result.variants[0].path)

    return shown


def mean(picture: Image.Image) -> list[float]:
    return [
        float(band) for band in np.asarray(picture).reshape(-1, len(picture.getbands())).mean(0)
    ]


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_with_a_profile_of_another_space_looks_like_untagged_cmyk(shown, format):
    untagged = pictures.untagged_cmyk(format)
    data = pictures.untagged_cmyk(format, icc_profile=pictures.srgb_profile())
    assert shown(data).tobytes() == shown(untagged).tobytes()


def bitmap_of_version_5(alpha: int) -> bytes:
    """Make a BMP of 32 bits with a mask for opacity."""
    height, width, _ = PIXELS.shape
    rows = np.dstack([PIXELS[::-1, :, ::-1], np.full((height, width), alpha, np.uint8)]).tobytes()
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack(
        "<IiiHHIIiiII4I", 124, width, height, 1, 32, 3, len(rows), 0, 0, 0, 0, *masks
    )
    header = header.ljust(124, b"\0")
    return struct.pack("<2sIII", b"BM", 138 + len(rows), 0, 138) + header + rows


@pytest.mark.parametrize(("alpha", "opacity"), [(0, 255), (255, 255), (100, 100)])
def test_a_bmp_without_any_opacity_is_opaque(shown, alpha, opacity):
    picture = shown(bitmap_of_version_5(alpha))
    assert picture.convert("RGB").tobytes() == PIXELS.tobytes()
    assert picture.getchannel("A").getextrema() == (opacity, opacity)
