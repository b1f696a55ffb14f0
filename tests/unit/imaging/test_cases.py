"""Pictures of the real world (tests/data/cases) under the presets that Safelight ships."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safelight.errors import Reason, Rejection
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset, load_presets

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "data" / "cases"
LIMITS = Limits()
SHIPPED = load_presets(ROOT / "presets.toml")
LOSSLESS = Preset(name="lossless", format="png")
CLOSE, CODED = 2, 4
"""Levels of 255 by which a mean may differ: without loss, and in the shipped presets."""
PLACE = (3, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a case shows: mean red, green and blue where it is opaque, and the pixel at `PLACE`."""

    mean: tuple[int, int, int] = (127, 127, 127)
    pixel: tuple[int, int, int] | None = None
    alpha: int = 255
    """The mean opacity."""
    size: tuple[int, int] = (160, 120)


PICTURE = Look()
SHOWN = {
    "a_grey_lim.avif": Look(pixel=(21, 21, 21)),
    "a_premul.avif": Look(mean=(128, 127, 128), alpha=128),
    "app14_t2_3c.jpg": PICTURE,
    "bmp32_v5_alpha_zero.bmp": PICTURE,
    "cmyk_with_srgb.jpg": Look(pixel=(4, 4, 153)),
    "eo_prefix_ff.jpg": Look(size=(120, 160)),
    "extra_before_rst.jpg": PICTURE,
    "f32_icc_small.tif": Look(mean=(126, 126, 127), size=(80, 60)),
    "ff00_before_dqt.jpg": PICTURE,
    "fr_gif101.gif": Look(mean=(0, 255, 128), size=(8, 8)),
    "gif_small_first.gif": Look(mean=(48, 207, 128), alpha=28, size=(60, 60)),
    "h_257items.heic": Look(mean=(140, 60, 125), size=(1024, 1024)),
    "no_eoi.jpg": PICTURE,
    "png_cicp_p3.png": Look(mean=(118, 124, 122), pixel=(4, 4, 160)),
    "png_cicp_pq.png": Look(mean=(106, 111, 88)),
    "png_gama1.png": Look(mean=(175, 175, 185)),
    "tiff_4_noextra.tif": PICTURE,
    "tiff_reduced_first.tif": PICTURE,
    "tiff_unspec_zero.tif": PICTURE,
    "tiff_ycc.tif": Look(pixel=(1, 3, 151)),
    "tw_ascii_nonul.tif": PICTURE,
    "tw_no_bytecounts.tif": PICTURE,
    "tw_unsorted.tif": PICTURE,
}
REJECTED = {
    "bmp16_4444.bmp": Reason.UNSUPPORTED,
    "dng_like.dng": Reason.UNSUPPORTED,
    "grey12.tif": Reason.UNSUPPORTED,
}


@pytest.fixture
def made(tmp_path):
    """Render a case with the shipped presets and one without loss; open the variants."""

    def made(name: str) -> dict[str, Image.Image]:
        source = CASES / name
        planned = plan(probe(source, LIMITS), (*SHIPPED, LOSSLESS))
        result = render(planned, source, tmp_path, LIMITS)
        assert result.failures == {}
        return {
            each.preset: Image.open(io.BytesIO(each.path.read_bytes())) for each in result.variants
        }

    return made


def mean(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=float).reshape(-1, len(picture.getbands())).mean(0)


def on_white(picture: Image.Image) -> Image.Image:
    """Lay it onto the background of presets that name none."""
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")


def test_every_case_has_a_right_result():
    names = {path.name for path in CASES.iterdir()} - {"README.md"}
    assert names == SHOWN.keys() | REJECTED.keys()
    assert SHOWN.keys().isdisjoint(REJECTED)


@pytest.mark.parametrize("name", SHOWN)
def test_the_shipped_presets_complete_a_picture_of_the_real_world(made, name):
    expected, variants = SHOWN[name], made(name)
    assert variants.keys() == {preset.name for preset in (*SHIPPED, LOSSLESS)}
    lossless = variants.pop("lossless")
    assert lossless.size == expected.size
    whole = lossless.convert("RGBA")
    seen = np.asarray(whole)[np.asarray(whole)[..., 3] > 0][:, :3]
    assert seen.mean(0) == pytest.approx(expected.mean, abs=CLOSE)
    assert mean(whole)[3] == pytest.approx(expected.alpha, abs=CLOSE)
    if expected.pixel:
        assert whole.getpixel(PLACE)[:3] == pytest.approx(expected.pixel, abs=CLOSE)
    for preset, picture in variants.items():
        shown = mean(on_white(picture))
        assert shown == pytest.approx(mean(on_white(lossless)), abs=CODED), preset


@pytest.mark.parametrize("name", REJECTED)
def test_a_file_that_is_no_picture_for_safelight_is_rejected_with_its_reason(made, name):
    with pytest.raises(Rejection) as caught:
        made(name)
    assert caught.value.reason is REJECTED[name]
