"""AVIF and HEIC of the real world: ranges, premultiplied colours and many items."""

import io
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from safelight.errors import Reason, Rejection
from safelight.imaging import av1, avif
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import Probe, probe
from safelight.imaging.render import render
from safelight.imaging.structure import names_too_many_items
from safelight.presets import Preset, load_presets
from safelight.wish.wish import Wish
from tests.support import heifs, pictures
from tests.support.heifs import COLOUR, FULL_ALPHA, LIMITED_ALPHA, burst, saved
from tests.support.tiffs import MEAN, PIXELS

LIMITS = Limits()
ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "tests" / "data" / "pictures"
COLOURS = Image.fromarray(PIXELS)
GREY = COLOURS.convert("L")


@pytest.fixture
def shown(file, tmp_path):
    """Render to PNG, and return the pixels."""

    def shown(data: bytes) -> np.ndarray:
        source = file(data)
        wish = plan(probe(source, LIMITS), [Preset(name="full", wish=Wish(format="png"))])
        (variant,) = render(wish, source, tmp_path, LIMITS).variants
        return np.asarray(Image.open(variant.path)).astype(float)

    return shown


def black_and_white(black: int = 16, white: int = 235) -> Image.Image:
    """Make the left half black and the right half white, in the limited range."""
    picture = Image.new("L", (160, 120), black)
    picture.paste(white, (80, 0, 160, 120))
    return picture


def ends(pixels: np.ndarray, band: int = 0) -> tuple[float, float]:
    return pixels[60, 20, band], pixels[60, 140, band]


@pytest.mark.parametrize("numbered", [True, False])
def test_limited_grey_of_an_avif_is_expanded(shown, numbered):
    data = pictures.encoded(GREY, "AVIF", quality=95, range="limited")
    pixels = shown(data if numbered else data.replace(b"colrnclx", b"freenclx"))
    assert pixels[2, 3] == pytest.approx((21, 21, 21), abs=2)
    assert pixels.mean() == pytest.approx(np.asarray(GREY).mean(), abs=1)


def test_full_grey_of_an_avif_stays(shown):
    pixels = shown(pictures.encoded(black_and_white(), "AVIF", quality=95))
    assert ends(pixels) == pytest.approx((16, 235), abs=1)


def test_limited_grey_of_10_bits_is_expanded(shown):
    pixels = shown((PICTURES / "grey10_limited.avif").read_bytes())
    assert ends(pixels) == pytest.approx((0, 255), abs=1)


@pytest.mark.parametrize(("full_range", "expected"), [(0, (0, 255)), (1, (16, 235))])
def test_grey_of_a_heic_has_the_range_that_its_numbers_say(shown, full_range, expected):
    into = io.BytesIO()
    pillow_heif.from_pillow(black_and_white()).save(into, quality=95, full_range_flag=full_range)
    assert ends(shown(into.getvalue())) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(("full", "expected"), [(False, (16, 235)), (True, (30, 218))])
@pytest.mark.parametrize("format", ["AVIF", "HEIC"])
def test_the_range_beside_unspecified_numbers_is_obeyed(shown, format, full, expected):
    """The pixels are of the limited range; the file counts before them, as in browsers."""
    options = {"range": "limited"} if format == "AVIF" else {"full_range_flag": 0}
    data = pictures.encoded(black_and_white().convert("RGB"), format, quality=95, **options)
    pixels = shown(heifs.of_unspecified_numbers(data, full=full))
    assert ends(pixels) == pytest.approx(expected, abs=1)


def test_limited_alpha_of_an_avif_is_expanded(shown):
    picture = COLOURS.copy()
    picture.putalpha(black_and_white())
    data = pictures.encoded(picture, "AVIF", quality=95)
    assert ends(shown(data), 3) == pytest.approx((16, 235), abs=1)
    assert data.count(FULL_ALPHA) == 1
    limited = shown(data.replace(FULL_ALPHA, LIMITED_ALPHA))
    assert ends(limited, 3) == pytest.approx((0, 255), abs=1)


def test_premultiplied_colours_of_an_avif_are_divided_by_alpha(shown):
    picture = COLOURS.copy()
    picture.putalpha(128)
    data = pictures.encoded(
        picture, "AVIF", quality=95, subsampling="4:4:4", alpha_premultiplied=True
    )
    assert b"prem" in data
    pixels = shown(data)
    assert pixels[..., :3].mean(axis=(0, 1)) == pytest.approx(MEAN, abs=2)
    assert pixels[..., 3].mean() == 128


def grid_of_256_tiles(monkeypatch) -> bytes:
    monkeypatch.setattr(pillow_heif.options, "GRID_TILE_SIZE", 64)
    file = pillow_heif.from_pillow(Image.new("RGB", (1024, 1024), COLOUR))
    return saved(file, enc_params={"preset": "ultrafast", "x265:pools": "none"})


@pytest.mark.parametrize("items", [257, 1001])
def test_a_heic_of_many_items_is_shown(shown, monkeypatch, items):
    """A grid of 16 x 16 tiles is 257 items; a burst has one for each picture."""
    data = grid_of_256_tiles(monkeypatch) if items == 257 else burst(items)
    assert data.count(b"infe") == items
    assert shown(data).mean(axis=(0, 1)) == pytest.approx(COLOUR, abs=1)


FRAMES = struct.pack(">I4sI4s", 16, b"moov", 8, b"mvhd")


@pytest.mark.parametrize("major", [b"hevc", b"hevx", b"msf1", b"mif2"])
def test_a_heic_that_names_its_sequence_first_is_its_still_picture(file, shown, major):
    data = pictures.heic(COLOURS)
    data = data[:8] + major + data[12:]
    assert shown(data).mean(axis=(0, 1)) == pytest.approx(MEAN, abs=2)
    assert probe(file(data), LIMITS).frames == 1


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", 28) + b"ftypheic\0\0\0\0msf1hevcheic" + FRAMES,
        struct.pack(">I", 24) + b"ftypmsf1\0\0\0\0msf1hevc" + FRAMES,
        struct.pack(">I", 28) + b"ftypavis\0\0\0\0msf1avisavif" + FRAMES,
        pictures.heic(COLOURS).replace(b"hvc1", b"avc1"),
        pictures.heic(COLOURS).replace(b"hvc1", b"vvc1"),
    ],
    ids=["heic", "msf1", "avis", "H.264", "H.266"],
)
def test_a_sequence_without_a_still_picture_and_other_codings_are_unsupported(shown, data):
    with pytest.raises(Rejection) as caught:
        shown(data)
    assert caught.value.reason is Reason.UNSUPPORTED


def test_a_heic_of_more_items_than_any_picture_has_is_corrupt(shown, file):
    """Without its limits, libheif takes a second for each 2 MB of their properties."""
    assert not names_too_many_items(file(burst(10_000)))
    with pytest.raises(Rejection) as caught:
        shown(burst(10_001))
    assert caught.value.reason is Reason.CORRUPT


def test_an_animated_avif_keeps_its_frames_on_request(file, tmp_path):
    source = file(pictures.animated("AVIF", 3, duration=[100, 200, 300], quality=95))
    found = probe(source, LIMITS)
    assert found.frames == 3
    wishes = [
        Preset(name="all", wish=Wish(format="webp", animated=True, quality=95)),
        Preset(name="small", wish=Wish(format="webp", animated=True, box=(20, 20))),
        Preset(name="first", wish=Wish(format="png")),
    ]
    variants = render(plan(found, wishes), source, tmp_path, LIMITS).variants
    made = {each.preset: Image.open(io.BytesIO(each.path.read_bytes())) for each in variants}
    assert {name: picture.n_frames for name, picture in made.items() if name != "first"} == {
        "all": 3,
        "small": 3,
    }
    for frame, colour in enumerate((pictures.RED, pictures.GREEN, pictures.BLUE)):
        made["all"].seek(frame)
        made["all"].load()
        assert made["all"].info["duration"] == 100 * (frame + 1)
        pixel = made["all"].convert("RGB").getpixel((20, 10))
        assert pixel == pytest.approx(colour, abs=8)
    assert made["first"].convert("RGB").getpixel((20, 10)) == pytest.approx(pictures.RED, abs=8)


@pytest.mark.parametrize("missing", [2, 20])
def test_an_animated_avif_that_is_cut_is_truncated_if_its_frames_are_used(file, shown, missing):
    data = pictures.animated("AVIF", 3, quality=95)[:-missing]
    assert shown(data)[10, 20] == pytest.approx(pictures.RED, abs=8)
    source = file(data)
    wish = plan(probe(source, LIMITS), [Preset(name="a", wish=Wish(format="webp", animated=True))])
    with pytest.raises(Rejection) as caught:
        render(wish, source, source.parent, LIMITS)
    assert caught.value.reason is Reason.TRUNCATED


def test_further_pictures_of_an_avif_are_no_frames(file):
    data = pictures.encoded(COLOURS, "AVIF").replace(b"avifmif1miaf", b"avifmif1avis")
    assert probe(file(data), LIMITS).frames == 1


def test_the_prediction_for_an_avif_of_10_bits_is_at_most_a_tenth_too_low():
    """In 4:4:4 it took 106 MiB."""
    found = Probe(format="avif", width=2048, height=858, size_bytes=130_000, bits=16)
    predicted = plan(found, load_presets(ROOT / "presets.toml")).predicted_bytes
    assert predicted > 0.9 * 106 * 1024**2


def test_the_prediction_for_a_small_hdr_picture_is_at_most_a_tenth_too_low():
    """A HEIC of 670 x 447 pixels took 61 MiB."""
    found = Probe(format="heic", width=670, height=447, size_bytes=60_000, hdr=True)
    predicted = plan(found, load_presets(ROOT / "presets.toml")).predicted_bytes
    assert predicted > 0.9 * 61 * 1024**2


def test_damage_ends_the_search_for_the_storage():
    picture = COLOURS.copy()
    picture.putalpha(black_and_white())
    whole = pictures.encoded(picture, "AVIF", quality=30)[:800]
    broken = [whole[:end] for end in range(0, len(whole), 3)]
    broken += [whole[:at] + b"\xff" + whole[at + 1 :] for at in range(len(whole))]
    for data in broken:
        with suppress(IndexError, OverflowError, struct.error):
            assert isinstance(avif.storage(data), avif.Storage)


def test_a_long_sequence_header_is_read():
    """Still pictures may have the header of a sequence, which has more fields."""
    bits = "000000000000" + "0" * 12 + "010000" + "01110111" + "0" * 16
    bits += "0000000010011110000"
    grey_limited = bits + "0100"
    for text, expected in ((grey_limited, True), (grey_limited[:-1] + "1", False)):
        padded = text.ljust(-(-len(text) // 8) * 8, "0")
        header = int(padded, 2).to_bytes(len(padded) // 8, "big")
        data = b"\x12\x00\x0a" + bytes([len(header)]) + header
        assert av1.is_limited_grey(data) is expected
