"""Odd JPEG, PNG, GIF, WebP and BMP files, as browsers show them."""

import io
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from safelight.errors import Reason, Rejection
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset
from tests.support import bitmaps, jpegs, pictures
from tests.support.bitmaps import bitmap, bitmap_of_version_5
from tests.support.gifs import gif_of_small_frames
from tests.support.jpegs import (
    ODD,
    PICTURE,
    PLAIN,
    RESTARTING,
    SMOOTH,
    adobe,
    jpeg,
    padded,
)
from tests.support.pngs import (
    IS_SRGB,
    P3,
    SRGB,
    STANDARD,
    coding,
    gamma,
    png_of,
    primaries,
)
from tests.support.tiffs import MEAN, PIXELS

LIMITS = Limits()
PICTURES = Path(__file__).parents[2] / "data" / "pictures"
PNG = Preset(name="full", format="png")


@pytest.fixture
def shown(file, tmp_path):
    """Render a picture with one preset and open the variant in another decoder."""

    def shown(
        data: bytes, preset: Preset = PNG, limits: Limits = LIMITS, most_written: int | None = None
    ) -> Image.Image:
        source = file(data)
        if most_written is not None:
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_written, most))
        result = render(plan(probe(source, limits), [preset]), source, tmp_path, limits)
        assert result.failures == {}
        return Image.open(io.BytesIO(result.variants[0].path.read_bytes()))

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


@pytest.mark.parametrize(("alpha", "opacity"), [(0, 255), (255, 255), (100, 100)])
def test_a_bmp_without_any_opacity_is_opaque(shown, alpha, opacity):
    picture = shown(bitmap_of_version_5(alpha))
    assert picture.convert("RGB").tobytes() == PIXELS.tobytes()
    assert picture.getchannel("A").getextrema() == (opacity, opacity)


@pytest.mark.parametrize("name", bitmaps.os2_kinds(PIXELS))
def test_a_bmp_of_os2_is_shown_as_in_a_browser(shown, name):
    picture = shown(bitmaps.os2_kinds(PIXELS)[name]).convert("RGB")
    if "24 bits" in name or name.endswith("bytes"):
        assert picture.tobytes() == PIXELS.tobytes()
    else:
        grey = np.repeat(PIXELS.mean(axis=2)[..., None], 3, axis=2)
        assert np.abs(np.asarray(picture) - grey).max() <= 9


@pytest.mark.parametrize("header", [12, 16, 64])
def test_half_a_bmp_of_os2_is_truncated(shown, header):
    data = bitmaps.os2(header, 24)
    for end in (len(data) // 2, 20):
        with pytest.raises(Rejection) as caught:
            shown(data[:end])
        assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("name", bitmaps.kinds(PIXELS))
def test_a_bmp_of_each_kind_that_is_read_shows_its_picture(shown, name):
    picture = shown(bitmaps.kinds(PIXELS)[name]).convert("RGB")
    expected = PIXELS.astype(int)
    if name.startswith(("4 bits", "runs")):
        expected = expected.mean(axis=2, keepdims=True)
    assert np.abs(np.asarray(picture) - expected).max() <= 9


@pytest.mark.parametrize("chunks", [coding(12, 13), P3 | STANDARD, P3, coding(12, 13) | IS_SRGB])
def test_a_png_of_display_p3_without_a_profile_has_its_colours(shown, chunks):
    data = png_of(PICTURE, chunks)
    picture = shown(data)
    assert mean(picture) == pytest.approx((118, 124, 122), abs=1)
    assert picture.getpixel((3, 2)) == pytest.approx((4, 4, 160), abs=1)
    wide = shown(data, Preset(name="wide", format="png", colour="p3"))
    assert "icc_profile" in wide.info
    assert mean(wide) == pytest.approx(MEAN, abs=1)


@pytest.mark.parametrize(
    "chunks", [gamma(100_000), coding(1, 8), gamma(100_000) | primaries(*(0,) * 8)]
)
def test_a_png_of_linear_light_is_brightened(shown, chunks):
    picture = shown(png_of(PICTURE, chunks))
    assert mean(picture) == pytest.approx((175, 175, 185), abs=1)
    grey = shown(png_of(Image.new("LA", (4, 4), (127, 9)), chunks)).convert("RGBA")
    assert grey.getpixel((1, 1)) == pytest.approx((187, 187, 187, 9), abs=1)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1, 1), (197, 91, 39)),
        ((1, 14), (197, 91, 39)),
        ((9, 1), (239, 63, 5)),
        ((9, 13), (241, 76, 29)),
        ((6, 6), (192, 94, 37)),
        ((4, 4), (233, 93, 22)),
        ((8, 13), (222, 92, 32)),
        ((22, 13), (202, 102, 49)),
    ],
)
def test_a_png_has_the_colours_of_its_numbers_as_in_chromium(shown, numbers, expected):
    """Curves of television are those of its displays."""
    data = png_of(Image.new("RGB", (8, 8), (200, 100, 50)), coding(*numbers))
    assert shown(data).getpixel((4, 4)) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    "chunks",
    [
        STANDARD,
        gamma(100_000) | P3 | IS_SRGB,
        STANDARD | SRGB,
        coding(1, 13) | gamma(100_000),
        gamma(0),
        primaries(*(0,) * 8),
        primaries(*(2**32 - 1,) * 8),
        primaries(*(33_000,) * 8),
        coding(2, 2),
        coding(12, 13, matrix=1),
        coding(12, 13, full=0),
        {b"gAMA": b"\1"},
    ],
)
def test_a_png_keeps_its_numbers_if_its_chunks_mean_srgb_or_nothing(shown, chunks):
    assert shown(png_of(PICTURE, chunks)).tobytes() == PIXELS.tobytes()


def test_of_two_chunks_of_a_kind_the_first_counts(shown):
    data = png_of(PICTURE, gamma(100_000))
    first = pictures.chunk(b"gAMA", STANDARD[b"gAMA"])
    limits = LIMITS.model_copy(update={"accept_damaged": True})
    assert shown(data[:33] + first + data[33:], limits=limits).tobytes() == PIXELS.tobytes()


def test_a_damaged_chunk_about_colours_means_nothing(shown):
    data = bytearray(png_of(PICTURE, coding(12, 13)))
    data[data.index(b"cICP") + 8] ^= 1
    limits = LIMITS.model_copy(update={"accept_damaged": True})
    assert shown(bytes(data), limits=limits).tobytes() == PIXELS.tobytes()


@pytest.mark.parametrize(
    ("profile", "chunks", "expected"),
    [
        ("p3", coding(1, 13), (127, 127, 127)),
        ("srgb", coding(12, 13), (118, 124, 122)),
        ("srgb", P3 | gamma(100_000), (127, 127, 127)),
        ("p3", IS_SRGB, (118, 124, 122)),
    ],
)
def test_a_profile_counts_after_cicp_and_before_the_other_chunks(shown, profile, chunks, expected):
    icc = bytes(pyvips.Image.profile_load(profile))
    picture = shown(png_of(PICTURE, chunks, icc_profile=icc))
    assert mean(picture) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize(("transfer", "card", "paper"), [(16, 0.4108, 0.5807), (18, 0.436, 0.75)])
def test_an_hdr_png_is_converted_like_an_hdr_avif(shown, mode, transfer, card, paper):
    """Paper leaves room for the light above it (docs/decisions/0068)."""
    for level, expected in ((card, 85), (paper, 188)):
        if mode == "I;16":
            grey = Image.new(mode, (8, 8), round(level * 65_535))
        else:
            grey = Image.new("L", (8, 8), round(level * 255)).convert(mode)
        picture = shown(png_of(grey, coding(9, transfer))).convert("RGB")
        assert picture.getpixel((4, 4)) == pytest.approx((expected,) * 3, abs=5)


HALVES = {
    16: {
        "greys": (1, 9, 29, 57, 96, 150, 212, 245, 255, 255, 255),
        "reds": (1, 13, 38, 72, 120, 187, 255, 255, 255, 255, 255),
        "blues": (0, 1, 4, 9, 17, 25, 30, 23, 6, 0, 0),
    },
    18: {
        "greys": (2, 21, 42, 63, 84, 106, 134, 172, 211, 235, 255),
        "reds": (3, 24, 48, 71, 95, 119, 150, 192, 244, 255, 255),
        "blues": (0, 5, 14, 25, 36, 47, 58, 69, 79, 77, 70),
    },
}
"""What Chromium 156 shows of PNGs in BT.2020 at the numbers 15, 39 and so on to 255: greys, and the
red and blue of colours whose green and blue have half the number of red."""


@pytest.mark.parametrize("transfer", HALVES)
def test_an_hdr_png_has_the_tones_of_chromium(shown, transfer):
    numbers = np.arange(15, 256, 24, dtype=np.uint8)
    pixels = np.stack([np.stack([numbers] * 3, 1), np.stack([numbers, *[numbers // 2] * 2], 1)])
    picture = shown(png_of(Image.fromarray(pixels), coding(9, transfer)))
    greys, colours = np.asarray(picture).astype(int)
    assert greys[:, 1] == pytest.approx(HALVES[transfer]["greys"], abs=1)
    assert colours[:, 0] == pytest.approx(HALVES[transfer]["reds"], abs=2)
    assert colours[:, 2] == pytest.approx(HALVES[transfer]["blues"], abs=2)


def test_a_warning_with_an_unprintable_name_is_no_error(shown):
    """pyvips passes warnings on to the log of Python."""
    picture = shown(pictures.png_with_an_unprintable_name())
    assert picture.getpixel((4, 4)) == (90, 90, 90)


def test_a_gif_is_transparent_outside_a_small_first_frame(shown):
    data = gif_of_small_frames((5, 5))
    picture = shown(data)
    assert picture.getpixel((7, 7)) == (*pictures.RED, 255)
    assert picture.getchannel("A").getbbox() == (5, 5, 15, 15)
    white = shown(data, Preset(name="flat", format="jpeg", quality=95))
    assert white.getpixel((30, 10)) == pytest.approx((255, 255, 255), abs=2)


@pytest.mark.parametrize(
    "end", [b";", b"", b"\0", b"\0;", b"!\xfe\4", b"!\xfe\2a", b";" + bytes(40)]
)
def test_an_animation_is_transparent_outside_its_frames(shown, end):
    preset = Preset(name="full", format="webp", animated=True)
    picture = shown(gif_of_small_frames((5, 5), (25, 5))[:-1] + end, preset)
    assert picture.n_frames == 2
    assert picture.convert("RGBA").getchannel("A").getbbox() == (5, 5, 15, 15)
    picture.seek(1)
    assert picture.convert("RGBA").getchannel("A").getbbox() == (5, 5, 35, 15)


def test_an_animation_whose_end_may_hide_a_frame_is_corrupt(shown):
    data = gif_of_small_frames((5, 5), (25, 5))[:-1] + bytes(10)
    with pytest.raises(Rejection) as caught:
        shown(data, Preset(name="full", format="webp", animated=True))
    assert caught.value.reason is Reason.CORRUPT


def test_damage_behind_the_first_frame_of_a_gif_costs_only_animations(shown):
    whole = pictures.animated("GIF", 3)
    second = whole.index(b"!\xf9", whole.index(b"!\xf9") + 2)
    data = whole[:second] + bytes(40) + whole[second + 40 :]
    assert shown(data).tobytes() == shown(whole).tobytes()
    with pytest.raises(Rejection) as caught:
        shown(data, Preset(name="full", format="webp", animated=True))
    assert caught.value.reason is Reason.CORRUPT


NOISE = [pictures.noise(60, 40, seed).quantize(32) for seed in (1, 2, 3)]
MOVING = pictures.encoded(NOISE[0], "GIF", save_all=True, append_images=NOISE[1:], duration=50)
LAST = MOVING.rindex(b"!\xf9\4")
TWO = pictures.encoded(NOISE[0], "GIF", save_all=True, append_images=NOISE[1:2], duration=50)
CUT = {
    "inside the pixels": MOVING[:-500],
    "before the last byte of the frame": MOVING[:-2],
    "inside the descriptor": MOVING[: LAST + 14],
    "behind the control": MOVING[: LAST + 8],
    "inside the control": MOVING[: LAST + 3],
    "inside the second control": TWO[: TWO.rindex(b"!\xf9\4") + 5],
    "small frames": gif_of_small_frames((5, 5), (25, 5))[:-6],
}


@pytest.mark.parametrize("accept_damaged", [False, True])
@pytest.mark.parametrize("name", CUT)
def test_an_animation_that_is_cut_in_its_last_frame_is_truncated(shown, name, accept_damaged):
    limits = LIMITS.model_copy(update={"accept_damaged": accept_damaged})
    assert shown(CUT[name], limits=limits).size in {(60, 40), (40, 20)}
    with pytest.raises(Rejection) as caught:
        shown(CUT[name], Preset(name="full", format="webp", animated=True), limits=limits)
    assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("missing", [2, 3, 20, 500])
def test_a_gif_that_is_cut_in_its_only_frame_is_truncated(shown, missing):
    with pytest.raises(Rejection) as caught:
        shown(pictures.encoded(NOISE[0], "GIF")[:-missing])
    assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_a_long_animation_is_rendered_from_its_first_frame(shown, format):
    data = pictures.animated(format, 101)
    assert shown(data).getpixel((5, 5)) == pytest.approx(pictures.RED, abs=3)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_jpeg_is_shown_pixel_for_pixel(shown, name):
    odd, usual = ODD[name]
    assert shown(odd).tobytes() == shown(usual).tobytes()


def without_bytes(data: bytes, count: int) -> bytes:
    """Take bytes out of the scan."""
    return data[:2000] + data[2000 + count :]


def with_a_hole(data: bytes, count: int) -> bytes:
    """Make the bytes before a restart zeros."""
    restart = data.index(b"\xff\xd3")
    return data[: restart - count] + bytes(count) + data[restart:]


DAMAGED_SCAN = RESTARTING[:2500] + bytes(90) + RESTARTING[2590:]
DAMAGED = {
    "a lost restart": padded(RESTARTING.replace(b"\xff\xd3", b"\0\0", 1), bytes(6)),
    "restarts out of order": padded(RESTARTING.replace(b"\xff\xd3", b"\xff\xd5", 1), bytes(6)),
    "a damaged scan": DAMAGED_SCAN,
    "padding and a short scan": padded(without_bytes(RESTARTING, 40), bytes(6)),
    "padding behind zeros and a short scan": padded(without_bytes(SMOOTH, 40), bytes(6)),
    "FF 00 and a short scan": PLAIN[:20] + b"\xff\0" + without_bytes(PLAIN[20:], 1000),
    "Adobe transform 2 and a short scan": PLAIN[:2] + adobe(2) + without_bytes(PLAIN[20:], 1000),
    **{f"a hole of {count} zeros": with_a_hole(RESTARTING, count) for count in (20, 40)},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_jpeg_that_lost_pixels_is_corrupt(shown, name):
    with pytest.raises(Rejection) as caught:
        shown(DAMAGED[name])
    assert caught.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("missing", [4, 12, 100, 1000])
@pytest.mark.parametrize("preset", [PNG, Preset(name="small", format="png", box=(20, 20))])
def test_a_jpeg_without_its_last_pixels_is_truncated(shown, options, missing, preset):
    for limits in (LIMITS, LIMITS.model_copy(update={"accept_damaged": True})):
        with pytest.raises(Rejection) as caught:
            shown(jpeg(**options)[:-missing], preset, limits=limits)
        assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no end marker", Reason.TRUNCATED),
        ("FF 00 between segments", Reason.CORRUPT),
        ("padding behind zeros", Reason.CORRUPT),
    ],
)
def test_a_jpeg_is_rejected_as_before_if_there_is_no_room_for_a_copy(shown, name, reason):
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(Rejection) as caught:
            shown(ODD[name][0], most_written=500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert caught.value.reason is reason


FRAME = PLAIN.index(b"\xff\xc0")


UNREAD = {
    "lossless JPEG": PLAIN[: FRAME + 1] + b"\xc3" + PLAIN[FRAME + 2 :],
    "hierarchical JPEG": PLAIN[: FRAME + 1] + b"\xc5" + PLAIN[FRAME + 2 :],
    "BMP of 4-4-4-4": bitmap(16, 3, 0xF00, 0xF0, 0xF),
    "BMP of 10-10-10": bitmap(32, 3, 0x3FF00000, 0xFFC00, 0x3FF),
    "BMP of 2 bits": bitmap(2, 0),
    "BMP in RLE of 24 bits": bitmap(24, 4),
    "BMP with a PNG inside": bitmap(32, 5),
    "BMP of OS/2 in RLE of 24 bits": bitmaps.os2(64, 24, 4, rows=bytes(100)),
    "BMP of OS/2 in fax coding": bitmaps.os2(64, 1, 3, palette=bytes(8), rows=bytes(100)),
    "bitmap array of OS/2": b"BA" + struct.pack("<IIHH", 40, 0, 0, 0) + bitmaps.os2(12, 24),
    "JPEG of 12 bits, grey": (PICTURES / "grey12.jpg").read_bytes(),
    "JPEG of 12 bits, in colours": (PICTURES / "colours12.jpg").read_bytes(),
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_whole_file_of_an_unread_kind_is_unsupported(shown, name):
    with pytest.raises(Rejection) as caught:
        shown(UNREAD[name])
    assert caught.value.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    "masks", [(0xFF0000, 0xFF00, 0), (0xFF0000, 0xFF0000, 0xFF), (0xF00F00, 0xF0, 0xF)]
)
@pytest.mark.parametrize("bits", [16, 32])
def test_a_bmp_with_damaged_masks_is_corrupt(shown, bits, masks):
    with pytest.raises(Rejection) as caught:
        shown(bitmap(bits, 3, *masks))
    assert caught.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("orientation", "upright"), [(6, (120, 160)), (3, (160, 120)), (9, None)])
def test_an_orientation_behind_an_odd_signature_is_applied(shown, order, orientation, upright):
    data = jpegs.with_orientation(PLAIN, orientation, order)
    picture, usual = shown(data), shown(PLAIN)
    if upright is None:
        assert picture.tobytes() == usual.tobytes()
    else:
        assert picture.size == upright
        assert picture.getpixel((0, 0)) != usual.getpixel((0, 0))
