import io
import struct

import numpy as np
import pytest
import pyvips
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from safelight.errors import Reason, Rejection
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset
from tests.support import pictures, tiffs
from tests.support.tiffs import (
    BYTE,
    COMPRESSION,
    EXTRA_SAMPLES,
    LONG,
    MEAN,
    ODD_TAGS,
    PHOTOMETRIC,
    PIXELS,
    RATIONAL,
    SHORT,
    SUBFILE,
    coded,
    group_4,
    page,
    tiff,
    with_tag,
)

LIMITS = Limits()
PNG = Preset(name="full", format="png")
GREY = PIXELS[..., 0]
SMALL = PIXELS[::4, ::4]
GREY_COLOURS = with_tag(PHOTOMETRIC, SHORT, 1)


@pytest.fixture
def shown(file, tmp_path):
    """Render bytes as a PNG of full size."""

    def shown(data: bytes) -> Image.Image:
        source = file(data)
        result = render(plan(probe(source, LIMITS), [PNG]), source, tmp_path, LIMITS)
        picture = Image.open(io.BytesIO(result.variants[0].path.read_bytes()))
        picture.load()
        return picture

    return shown


@pytest.fixture
def refused(shown):
    def refused(data: bytes) -> Reason:
        with pytest.raises(Rejection) as caught:
            shown(data)
        return caught.value.reason

    return refused


def mean(picture: Image.Image) -> tuple[float, ...]:
    return tuple(np.asarray(picture, dtype=float).reshape(-1, len(picture.getbands())).mean(0))


def is_the_picture(picture: Image.Image) -> bool:
    """Return whether it is the whole test picture, opaque."""
    return picture.mode == "RGB" and np.array_equal(np.asarray(picture), PIXELS)


@pytest.mark.parametrize("name", ODD_TAGS)
def test_a_tiff_whose_header_only_draws_warnings_is_rendered(shown, name):
    assert is_the_picture(shown(tiff(page(PIXELS, ODD_TAGS[name]))))


@pytest.mark.parametrize("name", ["strip byte counts of zero", *list(ODD_TAGS)[:-1]])
def test_a_fax_whose_header_only_draws_warnings_is_rendered(shown, name):
    plain = shown(tiff(group_4())).tobytes()
    assert shown(tiff(group_4(ODD_TAGS[name]))).tobytes() == plain


def test_a_tiff_whose_tags_are_out_of_order_is_rendered(shown):
    assert is_the_picture(shown(tiff(page(PIXELS, ascending=False))))
    plain = shown(tiff(group_4())).tobytes()
    assert shown(tiff(group_4(ascending=False))).tobytes() == plain


def test_a_tiff_whose_directories_form_a_circle_is_rendered(shown):
    for one in (page(PIXELS), group_4()):
        plain = tiff(one)
        first = int.from_bytes(plain[4:8], "little")
        assert shown(tiff(one, following=first)).tobytes() == shown(plain).tobytes()


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_jpeg_in_a_tiff_may_leave_out_the_tag_of_its_subsampling(shown, subsampling):
    picture = shown(coded("JPEG", with_tag(COMPRESSION, SHORT, 7), subsampling=subsampling))
    assert mean(picture) == pytest.approx(MEAN, abs=1)


def test_jpeg_in_a_tiff_with_an_odd_header_excuses_no_damage(refused):
    whole = coded("JPEG", {COMPRESSION: (SHORT, (7,))})
    damaged = bytearray(whole)
    middle = len(whole) // 2
    damaged[middle : middle + 60] = bytes(byte ^ 0x5A for byte in damaged[middle : middle + 60])
    assert refused(bytes(damaged)) is Reason.CORRUPT
    assert refused(coded("JPEG", with_tag(COMPRESSION, SHORT, 7), PIXELS[:64])) is Reason.CORRUPT


def test_packbits_with_an_odd_header_excuses_no_damage(shown, refused):
    whole = tiffs.packbits(PIXELS, ascending=False)
    assert is_the_picture(shown(whole))
    damaged = bytearray(whole)
    # 127 tells PackBits to copy 128 bytes, which are more than the row has left.
    damaged[600:1200] = bytes([127]) * 600
    assert refused(bytes(damaged)) is Reason.CORRUPT


def test_fax_with_an_odd_header_excuses_no_damage(refused):
    whole = bytearray(tiff(group_4(ascending=False)))
    whole[400:430] = bytes(30)
    assert refused(bytes(whole)) is Reason.CORRUPT


FAR = struct.pack("<I", 2**31)
ODD_ENTRIES = {
    "private, type 0": (65_000, 0, 1),
    "private, unknown type": (65_000, 99, 1),
    "private, no value": (65_000, LONG, 0),
    "private, outside the file": (65_000, BYTE, 1000, FAR),
    "private, too many values": (65_000, LONG, 2**30, b"\x08\0\0\0"),
    "program outside the file": (305, 2, 1000, FAR),
    "profile outside the file": (34_675, 7, 1000, FAR),
    "EXIF of another type": (34_665, SHORT, 2),
    "further directories of another type": (330, SHORT, 1),
    "half-tones without a value": (321, SHORT, 1),
    "impossible unit": (296, SHORT, 1, b"\x09\0\0\0"),
    "impossible orientation": (274, SHORT, 1, b"\x09\0\0\0"),
}


@pytest.mark.parametrize("coding", ["jpeg", "packbits", "group4"])
@pytest.mark.parametrize("name", ODD_ENTRIES)
def test_tags_that_no_pixel_needs_are_forgiven(shown, coding, name):
    picture = Image.fromarray(PIXELS).convert("1" if coding == "group4" else "RGB")
    whole = pictures.encoded(picture, "TIFF", compression=coding)
    odd = tiffs.with_entry(whole, *ODD_ENTRIES[name])
    assert shown(odd).tobytes() == shown(whole).tobytes()


@pytest.mark.parametrize("coding", ["jpeg", "group4"])
def test_a_damaged_strip_is_corrupt_whatever_tags_are_forgiven(refused, coding):
    picture = Image.fromarray(PIXELS).convert("1" if coding == "group4" else "RGB")
    whole = bytearray(pictures.encoded(picture, "TIFF", compression=coding))
    middle = len(whole) // 2
    whole[middle : middle + 60] = bytes(byte ^ 0x5A for byte in whole[middle : middle + 60])
    odd = tiffs.with_entry(bytes(whole), *ODD_ENTRIES["private, type 0"])
    assert refused(odd) is Reason.CORRUPT


def test_an_odd_header_excuses_no_damage(refused):
    """The data is packed by deflate, whose checks find the damage."""
    whole = pictures.encoded(pictures.noise(300, 200), "TIFF", compression="tiff_adobe_deflate")
    assert whole[:4] == b"II*\0"
    odd = bytearray(whole)
    directory = int.from_bytes(whole[4:8], "little")
    first, second = (slice(directory + at, directory + at + 12) for at in (2, 14))
    odd[first], odd[second] = odd[second], odd[first]
    middle = len(odd) // 2
    odd[middle : middle + 60] = bytes(byte ^ 0x5A for byte in odd[middle : middle + 60])
    assert refused(bytes(odd)) is Reason.CORRUPT


@pytest.mark.parametrize(
    ("compression", "tile"),
    [("lzw", True), ("lzw", False), ("deflate", True), ("deflate", False), ("packbits", False)],
)
def test_a_tiff_that_lost_pixels_is_corrupt(refused, compression, tile):
    image = pyvips.Image.new_from_memory(PIXELS.tobytes(), 160, 120, 3, "uchar")
    options = {"tile": tile, "tile_width": 64, "tile_height": 64, "compression": compression}
    data = bytearray(image.copy(interpretation="srgb").tiffsave_buffer(**options))
    # 127 tells PackBits to copy 128 bytes, which are more than the row has left.
    data[600:1200] = bytes([127 if compression == "packbits" else 0xA5]) * 600
    assert refused(bytes(data)) is Reason.CORRUPT


def in_tiles(**options: object) -> bytes:
    image = pyvips.Image.new_from_array(PIXELS).copy(interpretation="srgb")
    sizes = {"tile": True, "tile_width": 64, "tile_height": 64}
    return bytes(image.tiffsave_buffer(compression="jpeg", **sizes, **options))


@pytest.mark.parametrize("options", [{}, {"rgbjpeg": True}, {"bigtiff": True}, {"Q": 95}])
def test_tiles_in_jpeg_are_shown(shown, options):
    picture = np.asarray(shown(in_tiles(**options)), float)
    assert picture.reshape(-1, 3).mean(axis=0) == pytest.approx(MEAN, abs=2)


@pytest.mark.parametrize("tile", range(6))
def test_a_damaged_tile_in_jpeg_is_corrupt(refused, tile):
    """libvips would show a part of it in grey."""
    whole = bytearray(in_tiles(Q=95))
    tags = TiffImageFile(io.BytesIO(whole)).tag_v2
    middle = tags[324][tile] + tags[325][tile] // 2
    whole[middle : middle + 2] = b"\xff\xd9"  # the end of the tile
    assert refused(bytes(whole)) is Reason.CORRUPT


def test_a_tile_in_jpeg_that_is_larger_than_its_place_is_corrupt(refused):
    whole = in_tiles()
    frame = whole.index(b"\xff\xc0") + 5
    assert whole[frame : frame + 4] == struct.pack(">HH", 64, 64)
    huge = struct.pack(">HH", 65_000, 65_000)
    assert refused(whole[:frame] + huge + whole[frame + 4 :]) is Reason.CORRUPT


STRIP = 14_400


def strips(*sizes: int) -> bytes:
    """Write the picture as four strips of 30 rows, which are cut to these sizes."""
    rows = zip(np.split(PIXELS, 4), sizes, strict=True)
    parts = [strip.tobytes()[:size] for strip, size in rows]
    starts = tuple(12 + sum(sizes[:n]) for n in range(4))
    shape = {
        256: (LONG, (160,)),
        257: (LONG, (120,)),
        258: (SHORT, (8, 8, 8)),
        273: (LONG, starts),
        277: (SHORT, (3,)),
        278: (LONG, (30,)),
        279: (LONG, sizes),
        PHOTOMETRIC: (SHORT, (2,)),
    }
    return tiff(page(np.frombuffer(b"".join(parts), np.uint8).reshape(1, -1), shape))


@pytest.mark.parametrize("short", range(4))
def test_uncompressed_strips_that_lack_rows_are_corrupt(refused, short):
    sizes = [STRIP] * 4
    sizes[short] //= 2
    assert refused(strips(*sizes)) is Reason.CORRUPT


def test_whole_uncompressed_strips_are_rendered(shown):
    assert is_the_picture(shown(strips(*[STRIP] * 4)))


@pytest.mark.parametrize("count", [0, 28_800, 10**8])
def test_an_uncompressed_strip_of_a_wrong_length_is_rendered(shown, count):
    assert is_the_picture(shown(tiff(page(PIXELS, with_tag(279, LONG, count)))))


@pytest.mark.parametrize("starts", [(12,), (12, 12 + STRIP), (12,) * 5])
def test_uncompressed_strips_without_places_of_their_own_are_corrupt(refused, starts):
    tags = with_tag(278, LONG, 30) | with_tag(279, LONG, *[STRIP] * 4)
    tags |= with_tag(273, LONG, *starts)
    assert refused(tiff(page(PIXELS, tags))) is Reason.CORRUPT


def test_a_strip_is_not_read_from_the_header_of_the_file(refused):
    data = bytearray(tiff(page(PIXELS, with_tag(279, LONG, 0))))
    directory = int.from_bytes(data[4:8], "little")
    place = data.index(struct.pack("<HHI", 273, LONG, 1), directory) + 8
    for start in (0, 4):
        data[place : place + 4] = struct.pack("<I", start)
        assert refused(bytes(data)) is Reason.CORRUPT


def test_a_strip_is_not_read_from_the_next_page(refused):
    short = page(PIXELS[:60], with_tag(257, LONG, 120))
    assert refused(tiff(short, page(PIXELS))) is Reason.CORRUPT


def test_a_camera_raw_is_not_completed_as_its_thumbnail(refused):
    thumbnail = page(SMALL, with_tag(SUBFILE, LONG, 1) | with_tag(50_706, BYTE, 1, 4, 0, 0))
    assert refused(tiff(thumbnail)) is Reason.UNSUPPORTED
    assert refused(tiff(thumbnail, page(PIXELS))) is Reason.UNSUPPORTED
    assert refused(tiff(page(PIXELS, with_tag(50_706, BYTE, 1, 4, 0, 0)))) is Reason.UNSUPPORTED


def test_a_tiff_of_nothing_but_a_reduced_page_is_unsupported(refused):
    assert refused(tiff(page(SMALL, with_tag(SUBFILE, LONG, 1)))) is Reason.UNSUPPORTED


@pytest.mark.parametrize("tags", [with_tag(SUBFILE, LONG, 1), with_tag(255, SHORT, 2)])
def test_the_full_page_behind_a_reduced_one_is_the_picture(shown, tags):
    first = page(SMALL, tags)
    assert is_the_picture(shown(tiff(first, page(PIXELS, with_tag(SUBFILE, LONG, 0)), first)))


@pytest.mark.parametrize("kinds", [(), (0,)])
@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_band_without_a_meaning_is_not_opacity(shown, kinds, value):
    """It may be a selection that Photoshop saved."""
    tags = with_tag(EXTRA_SAMPLES, SHORT, *kinds) if kinds else {}
    assert is_the_picture(shown(tiff(page(tiffs.with_bands(PIXELS, value), tags))))
    grey = shown(tiff(page(tiffs.with_bands(GREY, value), tags)))
    assert grey.mode == "RGB"
    assert np.array_equal(np.asarray(grey)[..., 0], GREY)


def test_a_band_without_a_meaning_beside_inks_or_a_palette_is_not_opacity(shown):
    unspecified = with_tag(EXTRA_SAMPLES, SHORT, 0)
    inks = np.concatenate([255 - PIXELS, np.zeros_like(PIXELS[..., :1])], axis=2)
    cmyk = shown(
        tiff(page(tiffs.with_bands(inks, 0), unspecified | with_tag(PHOTOMETRIC, SHORT, 5)))
    )
    assert is_the_picture(cmyk)
    ramp = np.arange(256) * 257
    colours = with_tag(320, SHORT, *ramp, *ramp[::-1], *ramp) | with_tag(PHOTOMETRIC, SHORT, 3)
    palette = shown(tiff(page(tiffs.with_bands(GREY, 0), unspecified | colours)))
    assert palette.mode == "RGB"
    assert np.array_equal(np.asarray(palette), np.stack([GREY, 255 - GREY, GREY], axis=2))


@pytest.mark.parametrize("compression", [1, 7])
def test_colours_of_another_kind_than_the_tag_names_are_damage(refused, compression):
    """A palette has one band, but without its colours three bands are decoded as RGB."""
    tags = with_tag(COMPRESSION, SHORT, compression) | with_tag(PHOTOMETRIC, SHORT, 3)
    jpeg = coded("JPEG", tags, subsampling=0)
    assert refused(jpeg if compression == 7 else tiff(page(PIXELS, tags))) is Reason.CORRUPT


def test_opacity_may_follow_a_band_without_a_meaning(shown, file):
    data = tiff(page(tiffs.with_bands(PIXELS, 9, 77), with_tag(EXTRA_SAMPLES, SHORT, 0, 2)))
    picture = shown(data)
    assert picture.mode == "RGBA"
    assert np.array_equal(np.asarray(picture), tiffs.with_bands(PIXELS, 77))
    found = probe(file(data), LIMITS)
    assert found.alpha
    assert found.bands == 5


def test_opacity_is_no_band_that_is_a_colour(shown):
    data = tiff(page(tiffs.with_bands(PIXELS, 77), with_tag(EXTRA_SAMPLES, SHORT, 2, 2)))
    picture = shown(data)
    assert picture.mode == "RGBA"
    assert np.array_equal(np.asarray(picture), tiffs.with_bands(PIXELS, 77))


@pytest.mark.parametrize("further", [2, 3, 6])
@pytest.mark.parametrize("named", [True, False])
def test_grey_with_further_bands_without_a_meaning_is_unsupported(refused, further, named):
    """They may be colours of a picture whose tag says grey."""
    tags = with_tag(EXTRA_SAMPLES, SHORT, *[0] * further) if named else {}
    data = tiff(page(tiffs.with_bands(GREY, *range(further)), GREY_COLOURS | tags))
    assert refused(data) is Reason.UNSUPPORTED


def test_saved_selections_do_not_make_a_picture_unreadable(shown, file):
    data = tiff(
        page(tiffs.with_bands(PIXELS, *range(7)), with_tag(EXTRA_SAMPLES, SHORT, *(0,) * 7))
    )
    assert is_the_picture(shown(data))
    assert probe(file(data), LIMITS).bands == 10


REFERENCES = {
    "none": {},
    "the usual ones": with_tag(532, RATIONAL, 0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1)
    | with_tag(529, RATIONAL, 299, 1000, 587, 1000, 114, 1000),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_ycbcr_without_subsampling_is_shown_in_its_colours(shown, name):
    picture = shown(tiffs.ycc(REFERENCES[name]))
    assert np.abs(np.asarray(picture).astype(int) - PIXELS).max() <= 3
    assert picture.getpixel((3, 2)) == (2, 4, 151)


@pytest.mark.parametrize(
    "tags",
    [
        with_tag(529, RATIONAL, 2126, 10_000, 7152, 10_000, 722, 10_000),
        with_tag(532, RATIONAL, 15, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1),
        with_tag(532, RATIONAL, 0, 0, 255, 0, 128, 0, 255, 0, 128, 0, 255, 0),
    ],
)
def test_ycbcr_of_another_kind_is_unsupported(refused, tags):
    assert refused(tiffs.ycc(tags)) is Reason.UNSUPPORTED


def test_ycbcr_of_16_bits_or_with_opacity_is_unsupported(refused):
    assert refused(tiffs.ycc(pixels=PIXELS.astype(np.uint16))) is Reason.UNSUPPORTED
    opacity = with_tag(EXTRA_SAMPLES, SHORT, 2)
    assert refused(tiffs.ycc(opacity, tiffs.with_bands(PIXELS, 77))) is Reason.UNSUPPORTED


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_floats_with_a_profile_are_numbers_of_that_profile(shown, kind):
    picture = shown(tiffs.floats(pictures.srgb_profile(), kind))
    assert mean(picture) == pytest.approx((126.5, 126.5, 127), abs=1)
    assert np.abs(np.asarray(picture).astype(int) - PIXELS).max() <= 2


@pytest.mark.parametrize(
    ("bits", "samples"), [(6, 1), (10, 1), (12, 1), (14, 1), (24, 1), (12, 3), (2, 3), (4, 3)]
)
def test_samples_of_unusual_depth_are_unsupported(refused, bits, samples):
    data = np.zeros((120, 160 * bits * samples // 8), np.uint8)
    tags = {
        256: (LONG, (160,)),
        258: (SHORT, (bits,) * samples),
        277: (SHORT, (samples,)),
        PHOTOMETRIC: (SHORT, (2 if samples > 1 else 1,)),
    }
    assert refused(tiff(page(data, tags))) is Reason.UNSUPPORTED


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_parts_of_a_byte_is_shown(shown, bits):
    data = np.full((120, 160 * bits // 8), 255, np.uint8)
    assert shown(tiff(page(data, {256: (LONG, (160,)), 258: (SHORT, (bits,))}))).size == (160, 120)


def test_tiles_of_separate_planes_are_unsupported(refused):
    tiles = {322: (LONG, (160,)), 323: (LONG, (128,)), 284: (SHORT, (2,))}
    tiles |= {324: (LONG, (8, 8, 8)), 325: (LONG, (20_480,) * 3), 273: None, 279: None, 278: None}
    assert refused(tiff(page(np.zeros((128, 160, 3), np.uint8), tiles))) is Reason.UNSUPPORTED


def test_old_style_jpeg_is_unsupported(refused):
    tags = with_tag(COMPRESSION, SHORT, 6) | with_tag(513, LONG, 12) | with_tag(514, LONG, 2000)
    assert refused(coded("JPEG", tags)) is Reason.UNSUPPORTED


def test_the_pages_of_a_tiff_are_no_frames(shown, file):
    data = tiff(page(PIXELS), *[page(SMALL)] * 150)
    assert probe(file(data), LIMITS).frames == 1
    assert is_the_picture(shown(data))


def test_a_tiff_whose_second_page_is_missing_is_truncated(refused):
    assert refused(tiff(page(PIXELS), following=10**7)) is Reason.TRUNCATED


def test_the_test_picture_has_its_mean():
    assert mean(Image.fromarray(PIXELS)) == pytest.approx(MEAN, abs=0.6)
