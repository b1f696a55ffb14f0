import io
from base64 import b64decode, b64encode
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from safelight.imaging.appearance import SIDE, Appearance, dominant_colour, thumbhash
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset
from tests.support import pictures
from tests.support.pictures import BLUE, GREEN, RED, SAMPLES

FULL = Preset(name="full", format="webp")
THUMBNAIL = Preset(name="small", format="jpeg", box=(150, 150))
PHOTOGRAPHS = sorted(SAMPLES.glob("*.jpg"))
SQUARE = SIDE * SIDE


def formula(width: int, height: int, *, translucent: bool):
    return [
        ((x * 7 + y * 3) % 256, (x * x + y * 5) % 256, (x * y + 40) % 256,
         (x * 11 + y * 13) % 256 if translucent else 255)
        for y in range(height) for x in range(width)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("grid", "translucent", "expected"),
    [
        ((32, 32), False, "XxgKFwogRockWJmFmGmHaIiGB6OwQGkG"),
        ((32, 32), True, "XxiGDQQHQEc0WbWJaSQMCZQ1WHF2hZYFlg=="),
        ((40, 30), False, "HvgJJY4FV3VFh5Z2eHmHhwlZe5CG"),
        ((40, 30), True, "HviFFIYIBVhFl5aKqLCEB1lVCXR3l6RSBg=="),
        ((30, 40), False, "XxgGFQgQRgJYSHhZh4Z5aFQGCaJk"),
        ((30, 40), True, "XwiGDAQHMCeRRYq3iaKAECxzd1cZcnfCAA=="),
        ((100, 28), False, "HwgKCoJ1dWB1dmV35qkPbdw="),
        ((100, 28), True, "HwiCAYAHUmBgRIX63SoOrkg4iIiRQME="),
        ((9, 77), False, "XSgKGRBUUBiIhKhn/XByBrY="),
        ((9, 77), True, "XTiGCQoIVGApOKn+cIYGp2eHIIh5BZM="),
        ((61, 100), False, "H/gBDAJVc5UxJGFAZnetb2b0GA=="),
        ((61, 100), True, "H/iBAwIHRUZJBVacf2nkCDUGOhpj00M="),
    ],
)
def test_a_thumbhash_is_what_other_encoders_make_of_the_same_pixels(grid, translucent, expected):
    """The answers of PyPI's fast-thumbhash 1.0.0 (the Rust crate) and thash 1.2.1, which agree."""
    pixels = formula(*grid, translucent=translucent)
    assert b64encode(thumbhash(pixels, grid=grid, shape=grid)).decode() == expected


bytes_of_a_square = st.sampled_from([3, 4]).flatmap(
    lambda bands: st.integers(0, 2**32 - 1).map(
        lambda seed: np.random.default_rng(seed).integers(0, 256, SQUARE * bands, np.uint8)
    )
)
sides = st.integers(1, 65_500)


@given(bytes_of_a_square, sides, sides)
def test_every_square_has_an_appearance(square, width, height):
    found = Appearance.of(square.tobytes(), shape=(width, height))
    assert 5 <= len(b64decode(found.placeholder, validate=True)) <= 25
    assert 0 <= int(found.perceptual_hash, 16) < 2**64
    assert len(found.perceptual_hash) == 16
    assert found.dominant_colour is None or len(bytes.fromhex(found.dominant_colour[1:])) == 3


@pytest.mark.parametrize("shape", [(3000, 2000), (1, 65_500), (65_500, 1), (7, 7)])
def test_a_placeholder_tells_which_way_a_picture_lies(shape):
    header = b64decode(Appearance.of(bytes(SQUARE * 3), shape=shape).placeholder)
    assert bool(header[4] & 0x80) == (shape[0] > shape[1])


@given(bytes_of_a_square)
def test_a_perceptual_hash_is_of_the_lowest_frequencies_as_matrices_tell_them(square):
    """The transform as a product of matrices, by numpy: another way to the same terms."""
    bands = len(square) // SQUARE
    pixels = square.reshape(SIDE, SIDE, bands).astype(float)
    luma = pixels[..., :3] @ [0.299, 0.587, 0.114]
    if bands == 4:
        alpha = pixels[..., 3] / 255
        luma = luma * alpha + 128 * (1 - alpha)
    places, terms = np.arange(SIDE) + 0.5, np.arange(8)[:, None]
    cosines = np.cos(np.pi / SIDE * terms * places)
    low = cosines @ luma @ cosines.T
    expected = "".join("01"[int(bit)] for bit in (low > np.median(low)).flatten())
    found = f"{int(Appearance.of(square.tobytes(), shape=(1, 1)).perceptual_hash, 16):064b}"
    assert found == expected


def test_the_dominant_colour_is_one_that_is_there_and_not_the_mean():
    pixels = [(*RED, 255)] * 60 + [(*BLUE, 255)] * 40
    assert dominant_colour(pixels) == "#dc1e1e"


def test_what_is_hardly_visible_dominates_nothing():
    pixels = [(*GREEN, 10)] * 90 + [(*BLUE, 255)] * 10
    assert dominant_colour(pixels) == "#1e3cdc"
    assert dominant_colour([(*GREEN, 0)] * 9) is None


@pytest.fixture
def appearance(file, tmp_path):
    def appearance(data: bytes, *presets: Preset) -> Appearance:
        source = file(data)
        made = plan(probe(source, Limits()), presets or (FULL, THUMBNAIL))
        return render(made, source, tmp_path, Limits()).appearance

    return appearance


def distance(one: Appearance, other: Appearance) -> int:
    """Count the bits in which two hashes differ."""
    return (int(one.perceptual_hash, 16) ^ int(other.perceptual_hash, 16)).bit_count()


def altered(photograph: Image.Image):
    """What becomes of a picture on its way through the world."""
    for format, quality in (("JPEG", 90), ("JPEG", 20), ("WEBP", 60)):
        yield pictures.encoded(photograph, format, quality=quality)
    for side in (500, 100):
        smaller = photograph.copy()
        smaller.thumbnail((side, side))
        yield pictures.encoded(smaller, "JPEG", quality=80)


# The camera's file is one frame of a two-frame MPO, and says so.
@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO file")
@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_a_photograph_encoded_or_scaled_again_is_known_again(appearance, path):
    photograph = Image.open(path).convert("RGB")
    photograph.thumbnail((640, 640))
    before = appearance(pictures.encoded(photograph, "PNG"))
    for data in altered(photograph):
        after = appearance(data)
        assert distance(before, after) <= 6
        assert len(after.placeholder) == len(before.placeholder)


def test_different_photographs_are_far_apart(appearance):
    found = [appearance(path.read_bytes(), THUMBNAIL) for path in PHOTOGRAPHS]
    assert min(distance(one, other) for one, other in combinations(found, 2)) >= 18
    assert len({each.placeholder for each in found}) == len(found)


@pytest.mark.parametrize(
    "presets",
    [(FULL,), (THUMBNAIL,), (Preset(name="icon", format="png", box=(16, 16)),)],
    ids=["full size only", "a thumbnail only", "an icon only"],
)
def test_an_appearance_hardly_hangs_on_the_presets(appearance, presets):
    data = (SAMPLES / "cat-451px.jpg").read_bytes()
    assert distance(appearance(data, *presets), appearance(data)) <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_appearance_is_of_the_upright_picture(appearance, orientation):
    upright, turned = appearance(pictures.turned(1)), appearance(pictures.turned(orientation))
    assert distance(upright, turned) <= 4
    header = b64decode(turned.placeholder)[3:5]
    assert header[1] & 0x80  # it lies, as displayed


def test_invisible_colours_have_no_part_in_it(appearance):
    def picture(hidden) -> bytes:
        drawing = Image.new("RGBA", (64, 64), (*hidden, 0))
        drawing.paste((*RED, 255), (0, 0, 20, 64))
        return pictures.encoded(drawing, "PNG")

    assert appearance(picture(GREEN)) == appearance(picture(BLUE))
    assert appearance(picture(GREEN)).dominant_colour == "#dc1e1e"


@pytest.mark.parametrize("ink", [0, 255], ids=["black", "white"])
def test_drawings_on_nothing_are_told_apart(appearance, ink):
    def drawing(*box: int) -> Appearance:
        picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
        picture.paste((ink, ink, ink, 255), box)
        return appearance(pictures.encoded(picture, "PNG"))

    assert distance(drawing(0, 0, 30, 20), drawing(40, 10, 60, 60)) >= 10


def test_a_picture_of_nothing_visible_has_no_dominant_colour(appearance):
    data = io.BytesIO()
    Image.new("RGBA", (40, 20), (9, 9, 9, 0)).save(data, "PNG")
    assert appearance(data.getvalue()).dominant_colour is None


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (32, 32), (33, 31)])
def test_the_smallest_and_thinnest_pictures_have_an_appearance(appearance, size):
    data = pictures.encoded(Image.new("RGB", size, RED), "PNG")
    for presets in ((FULL,), (THUMBNAIL,), (FULL, THUMBNAIL)):
        assert appearance(data, *presets).dominant_colour == "#dc1e1e"
