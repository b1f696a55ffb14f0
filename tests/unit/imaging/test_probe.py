import struct

import pytest
import pyvips

from safelight.errors import Reason, Rejection
from safelight.formats import READABLE
from safelight.imaging.limits import Limits
from safelight.imaging.probe import probe
from tests.support import pictures

LIMITS = Limits()
JPEG_XL = bytes.fromhex("ff0a414024080401003c004b188b15801dd4ff0018d0af9ad000")
"""8 x 8 pixels of grey, by libjxl 0.11."""
JPEG_XL_BOXES = bytes.fromhex("0000000c4a584c200d0a870a") + (
    b"\0\0\0\x14ftypjxl \0\0\0\0jxl " + (len(JPEG_XL) + 8).to_bytes(4, "big") + b"jxlc"
)


def reason(path, limits=LIMITS) -> Reason:
    with pytest.raises(Rejection) as caught:
        probe(path, limits)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize("format", [format.name for format in READABLE])
def test_every_readable_format_is_probed_by_content_whatever_its_name(file, format):
    found = probe(file(pictures.encoded(pictures.quarters(), format.upper()), "x.txt"), LIMITS)
    assert (found.format, found.width, found.height) == (format, 80, 48)
    assert (found.frames, found.bits) == (1, 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_as_displayed(file, orientation):
    found = probe(file(pictures.turned(orientation)), LIMITS)
    assert (found.width, found.height, found.orientation) == (80, 48, orientation)
    found = probe(file(pictures.turned(orientation, "HEIC")), LIMITS)
    assert (found.width, found.height, found.orientation) == (80, 48, 1)


def test_alpha_bits_interlacing_and_profiles_are_told(file):
    assert probe(file(pictures.grey_alpha_png()), LIMITS).alpha
    assert probe(file(pictures.palette_png()), LIMITS).alpha
    assert probe(file(pictures.deep_png()), LIMITS).bits == 16
    assert probe(file(pictures.interlaced_png()), LIMITS).interlaced
    jpeg = pictures.encoded(pictures.quarters(), "JPEG", progressive=True)
    assert probe(file(jpeg), LIMITS).interlaced
    assert probe(file(pictures.wide_gamut_jpeg()), LIMITS).has_icc
    assert probe(file(pictures.cmyk_jpeg()), LIMITS).bands == 4


def test_an_animation_tells_its_frames(file):
    assert probe(file(pictures.animated("GIF", 5)), LIMITS).frames == 5
    assert probe(file(pictures.animated("WEBP", 4)), LIMITS).frames == 4


def test_a_file_without_bytes_is_empty(file):
    assert reason(file(b"")) is Reason.EMPTY


def test_a_file_over_the_limit_has_too_many_bytes(file):
    assert reason(file(b"x" * 11), Limits(max_bytes=10)) is Reason.TOO_MANY_BYTES


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text.jpg", b"These are words, not a picture. " * 20),
        ("drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        ("page.pdf", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"),
        ("script.mvg", b"push graphic-context\nviewbox 0 0 640 480\n"),
        ("print.ps", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        ("sequence.heic", b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc" + bytes(100)),
        ("bitmap.bmp", b"BM" + bytes(60)),
        ("codestream.jxl", JPEG_XL),
        ("container.jxl", JPEG_XL_BOXES + JPEG_XL),
    ],
)
def test_what_is_no_readable_picture_is_unsupported_whatever_its_name(file, name, data):
    assert reason(file(data, name)) is Reason.UNSUPPORTED


@pytest.mark.parametrize(("bits", "colour"), [(8, 2), (1, 0)])
def test_a_huge_png_is_rejected_from_its_header(file, bits, colour):
    bomb = pictures.png_bomb(50_000, 50_000, bits=bits, colour=colour)
    assert reason(file(bomb)) is Reason.TOO_MANY_PIXELS


@pytest.mark.parametrize("format", ["AVIF", "HEIC"])
@pytest.mark.parametrize("size", [(50_000, 50_000), (2**31 - 1, 2**31 - 1), (16_384, 16_384)])
def test_a_part_that_announces_too_many_pixels_is_rejected_before_a_decoder_sees_it(
    file, format, size
):
    whole = pictures.encoded(pictures.quarters(), format)
    assert reason(file(pictures.resized_parts(whole, *size))) is Reason.TOO_MANY_PIXELS


def test_the_largest_part_is_told_beside_what_is_seen(file):
    found = probe(file(pictures.heic_of_two(0)), LIMITS)
    assert found.pixels == 40 * 20
    assert found.largest_part == 64 * 64


@pytest.mark.parametrize("size", [(60_000, -60_000), (2**31 - 1, 1), (-8, 100)])
def test_a_huge_bmp_is_rejected_from_its_header(file, size):
    """A width below zero is read as one beyond 2^31."""
    data = bytearray(pictures.encoded(pictures.quarters(), "BMP"))
    data[18:26] = struct.pack("<ii", *size)
    assert reason(file(bytes(data))) is Reason.TOO_MANY_PIXELS


def test_the_pixels_of_a_frame_are_limited_to_the_pixel(file):
    path = file(pictures.encoded(pictures.quarters(80, 48), "PNG"))
    assert probe(path, Limits(max_pixels=80 * 48)).pixels == 80 * 48
    assert reason(path, Limits(max_pixels=80 * 48 - 1)) is Reason.TOO_MANY_PIXELS
    assert reason(path, Limits(max_total_pixels=80 * 48 - 1)) is Reason.TOO_MANY_PIXELS


def test_frames_that_may_not_be_used_count_no_pixels(file):
    path = file(pictures.animated("GIF", 5))
    assert probe(path, Limits(max_total_pixels=40 * 20)).frames == 5


@pytest.mark.parametrize("frames", [100, 101, 10_000])
def test_announced_frames_are_counted_but_not_limited(file, frames):
    assert probe(file(pictures.gif_of_many_frames(frames)), LIMITS).frames == frames


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIC", "BMP"])
def test_a_header_that_is_cut_off_is_truncated(file, format):
    whole = pictures.encoded(pictures.noise(90, 60), format)
    assert reason(file(whole[:40])) is Reason.TRUNCATED


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_header_that_is_damaged_is_corrupt(file, format):
    whole = bytearray(pictures.encoded(pictures.noise(90, 60), format))
    at = {"JPEG": whole.find(b"\xff\xc0") + 5, "PNG": 16, "WEBP": 20}[format]
    whole[at : at + 8] = bytes(8)
    assert reason(file(bytes(whole))) is Reason.CORRUPT


def test_loaders_outside_the_format_table_are_blocked(file):
    path = file(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "a.svg")
    with pytest.raises(pyvips.Error):
        pyvips.Image.new_from_file(str(path))
