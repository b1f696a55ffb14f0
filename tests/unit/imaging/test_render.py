import hashlib
import io
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import pyvips
from PIL import Image

from safelight.errors import Reason, Rejection
from safelight.formats import BY_NAME, READABLE
from safelight.imaging.decoders import accept_svg
from safelight.imaging.libvips import restrict
from safelight.imaging.limits import Limits
from safelight.imaging.plan import SPLIT_PIXELS, plan
from safelight.imaging.probe import probe
from safelight.imaging.profile import is_wider_than_srgb
from safelight.imaging.render import render
from safelight.imaging.rights import Rights
from safelight.presets import Preset
from tests.support import pictures, pngs
from tests.support.pictures import BLUE, GREEN, INKS, RED, SAMPLES, YELLOW

LIMITS = Limits()
FULL = [Preset(name=format, format=format) for format in ("webp", "jpeg", "png", "avif")]
WEBP = Preset(name="full", format="webp", quality=95)
PNG = Preset(name="full", format="png")
TURNED = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC")
"""What says which way up it is, each in its own way."""
SMALL = [Preset(name=f"fit{n}", box=(n, n), format="jpeg") for n in (16, 32)]


@pytest.fixture
def rendered(file, tmp_path):
    """Render bytes and open every variant in another decoder."""

    def rendered(data: bytes, *presets: Preset, limits: Limits = LIMITS):
        source = file(data)
        result = render(plan(probe(source, limits), presets), source, tmp_path, limits)
        assert result.failures == {}
        return {variant.preset: opened(variant) for variant in result.variants}

    return rendered


def opened(variant) -> Image.Image:
    """Open a variant in Pillow and hold it to what is said of it."""
    data = variant.path.read_bytes()
    picture = Image.open(io.BytesIO(data))
    # An Ultra HDR JPEG is also what Pillow calls MPO: a JPEG with another behind it.
    assert Image.MIME[picture.format].replace("mpo", "jpeg") == variant.media_type
    assert picture.size == (variant.width, variant.height)
    assert len(data) == variant.size_bytes
    assert hashlib.sha256(data).hexdigest() == variant.sha256
    assert variant.path.name == f"{variant.preset}.{variant.extension}"
    picture.load()
    return picture


def near(found, expected, within=14) -> bool:
    return all(abs(a - b) <= within for a, b in zip(found, expected, strict=True))


def corners(picture: Image.Image) -> list[tuple[int, int, int]]:
    rgb = picture.convert("RGB")
    width, height = rgb.size
    places = ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8))
    return [rgb.getpixel((int(width * x), int(height * y))) for x, y in places]


def assert_upright(picture: Image.Image) -> None:
    for found, expected in zip(corners(picture), (RED, GREEN, BLUE, YELLOW), strict=True):
        assert near(found, expected)


@pytest.mark.parametrize("source", [format.name.upper() for format in READABLE])
def test_every_readable_format_becomes_every_writable_one(rendered, source):
    data = pictures.encoded(pictures.quarters(), source)
    for picture in rendered(data, *FULL).values():
        assert picture.size == (80, 48)
        assert_upright(picture)


@pytest.mark.parametrize("format", TURNED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_full_size_and_scaled(rendered, orientation, format):
    presets = (WEBP, *SMALL, Preset(name="cut", box=(20, 20), fit="cover", format="png"))
    made = rendered(pictures.turned(orientation, format), *presets)
    assert [made[name].size for name in ("full", "fit32", "fit16")] == [
        (80, 48),
        (32, 19),
        (16, 10),
    ]
    for picture in made.values():
        assert_upright(picture)


@pytest.mark.parametrize("format", TURNED)
@pytest.mark.parametrize("orientation", [1, 6])
def test_nothing_of_the_metadata_leaves(rendered, tmp_path, orientation, format):
    for picture in rendered(pictures.turned(orientation, format), *FULL, *SMALL).values():
        assert not picture.getexif()
        assert {"exif", "icc_profile", "xmp", "photoshop"}.isdisjoint(picture.info)
    for path in tmp_path.iterdir():
        if path.name != "source":
            assert b"SECRETMAKER" not in path.read_bytes()


def test_alpha_is_kept_where_the_format_carries_it_and_flattened_elsewhere(rendered):
    made = rendered(pictures.translucent_png(), *FULL)
    for name in ("webp", "png", "avif"):
        assert made[name].mode == "RGBA"
        assert made[name].getpixel((5, 10))[3] == 255
        assert made[name].getpixel((35, 10))[3] == 0
    assert made["jpeg"].mode == "RGB"
    assert near(made["jpeg"].getpixel((35, 10)), (255, 255, 255), 6)


def test_transparency_is_laid_onto_the_presets_background(rendered):
    blue = Preset(name="blue", format="jpeg", background="#0000ff", quality=95)
    assert near(rendered(pictures.translucent_png(), blue)["blue"].getpixel((35, 10)), (0, 0, 255))


def test_invisible_colours_do_not_bleed_into_the_edge(rendered):
    thumbnail = Preset(name="a", box=(11, 11), format="png")
    picture = rendered(pictures.translucent_png(1000, 500), thumbnail)["a"]
    for x in range(picture.width):
        red, green, _, alpha = picture.getpixel((x, 2))
        if alpha > 40:
            assert green < 60 < red


@pytest.mark.parametrize(
    ("data", "left", "right"),
    [
        (pictures.palette_png(), (*RED, 255), (*GREEN, 0)),
        (pictures.grey_alpha_png(), (90, 90, 90, 255), (90, 90, 90, 0)),
        (pictures.deep_png(), (128, 0, 0), (0, 255, 0)),
    ],
    ids=["palette with alpha", "grey with alpha", "16 bits"],
)
def test_unusual_pngs_become_8_bit_srgb(rendered, data, left, right):
    picture = rendered(data, PNG)["full"]
    assert near(picture.getpixel((5, 10)), left, 1)
    found = picture.getpixel((35, 10))
    assert found[-1] == right[-1] == 0 or near(found, right, 1)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_grey_stays_grey(rendered, format):
    data = pictures.encoded(Image.new("L", (40, 20), 100), format)
    for picture in rendered(data, *FULL, *SMALL).values():
        assert near(picture.convert("RGB").getpixel((10, 5)), (100, 100, 100), 3)


def test_16_bit_grey_becomes_8_bit(rendered):
    data = pictures.encoded(Image.new("I;16", (40, 20), 0x6464), "PNG")
    assert near(rendered(data, PNG)["full"].convert("RGB").getpixel((9, 9)), (100,) * 3, 1)


def test_a_heic_of_10_bits_and_one_with_alpha_become_8_bit_srgb(rendered):
    assert_upright(rendered(pictures.deep_heic(pictures.quarters()), PNG)["full"])
    translucent = pictures.quarters().convert("RGBA")
    translucent.putalpha(100)
    for data in (pictures.heic(translucent), pictures.deep_heic(translucent)):
        picture = rendered(data, PNG)["full"]
        assert near(picture.getpixel((10, 10)), (*RED, 100))
        assert_upright(picture)


@pytest.mark.parametrize(("primary", "colour", "size"), [(0, RED, (40, 20)), (1, GREEN, (64, 64))])
def test_of_a_heic_with_two_pictures_the_primary_one_is_used(rendered, primary, colour, size):
    picture = rendered(pictures.heic_of_two(primary), PNG)["full"]
    assert picture.size == size
    assert near(picture.getpixel((10, 10)), colour)


def test_a_heic_in_display_p3_is_converted_to_srgb_by_profile_or_by_number(rendered):
    picture = Image.new("RGB", (40, 20), (200, 60, 60))
    profile = bytes(pyvips.Image.profile_load("p3"))
    by_profile = rendered(pictures.heic(picture, icc_profile=profile), PNG)["full"]
    named = pictures.heic(picture, color_primaries=12, transfer_characteristics=13)
    by_number = rendered(named, PNG)["full"]
    for found in (by_profile, by_number):
        red, green, blue = found.getpixel((10, 10))
        assert red > 208
        assert max(green, blue) < 58


@pytest.mark.parametrize("format", ["HEIC", "AVIF"])
@pytest.mark.parametrize(
    ("transfer", "levels", "brightest"),
    [
        # 0, 36.5, 203 and 1,000 cd/m2 (ITU-R BT.2100; BT.2408 has white at 58 % and 75 %).
        (16, (0.0, 0.4108, 0.5807, 0.7518), 255),
        (18, (0.0, 0.436, 0.75, 1.0), 255),
    ],
    ids=["PQ", "HLG"],
)
def test_hdr_pictures_look_as_in_chromium(rendered, format, transfer, levels, brightest):
    """Black stays black, and paper leaves room for the light above it (docs/decisions/0068)."""
    made = rendered(pictures.hdr(format, transfer, *levels), PNG)["full"].convert("RGB")
    black, card, paper, light = (made.getpixel((20 + 40 * stripe, 20)) for stripe in range(4))
    assert near(black, (0, 0, 0), within=4)
    assert near(card, (85, 85, 85), within=4)
    assert near(paper, (188, 188, 188), within=4)
    assert near(light, (brightest,) * 3, within=3)


def test_a_header_says_whether_a_picture_is_hdr(file):
    for transfer, is_hdr in ((16, True), (18, True), (1, False)):
        for format in ("AVIF", "HEIC"):
            assert probe(file(pictures.hdr(format, transfer, 0.5)), LIMITS).hdr == is_hdr
        png = pngs.png_of(pictures.quarters(), pngs.coding(9, transfer))
        assert probe(file(png), LIMITS).hdr == is_hdr


def test_an_hdr_picture_with_a_profile_is_srgb_and_says_nothing_else(rendered):
    profile = bytes(pyvips.Image.profile_load("p3"))
    data = pictures.hdr("AVIF", 16, 0.4108, icc_profile=profile)
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == profile
    wide = Preset(name="wide", format="png", colour="p3")
    assert "icc_profile" not in rendered(data, wide)["wide"].info


def test_an_avif_of_display_p3_by_number_has_its_colours(rendered, file):
    data = pictures.numbered_avif(Image.new("RGB", (40, 30), (200, 100, 50)), 12, 13)
    assert probe(file(data), LIMITS).wide_gamut
    assert near(rendered(data, PNG)["full"].getpixel((9, 9)), (215, 93, 32), within=3)
    wide = rendered(data, Preset(name="wide", format="png", colour="p3"))["wide"]
    assert "icc_profile" in wide.info
    assert near(wide.getpixel((9, 9)), (200, 100, 50), within=3)


@pytest.mark.parametrize(
    ("numbers", "expected", "is_wide"),
    [
        ((1, 1), (200, 100, 50), False),
        ((1, 6), (200, 100, 50), False),
        ((2, 2), (200, 100, 50), False),
        ((9, 1), (241, 76, 29), True),
        ((9, 2), (241, 76, 29), True),
        ((12, 1), (215, 93, 31), True),
        ((6, 6), (196, 102, 49), False),
        ((5, 13), (203, 100, 51), False),
        ((1, 4), (201, 100, 46), False),
        ((1, 8), (229, 168, 122), False),
    ],
)
def test_an_avif_has_the_colours_of_its_numbers_as_in_chromium(
    rendered, file, numbers, expected, is_wide
):
    """Curves of television mean that of sRGB."""
    picture = Image.new("RGB", (40, 30), (200, 100, 50))
    data = pictures.numbered_avif(picture, *numbers)
    assert probe(file(data), LIMITS).wide_gamut == is_wide
    assert near(rendered(data, PNG)["full"].getpixel((9, 9)), expected, within=3)


def test_a_profile_counts_before_numbers(rendered):
    srgb = bytes(pyvips.Image.profile_load("srgb"))
    picture = Image.new("RGB", (40, 30), (200, 100, 50))
    data = pictures.numbered_avif(picture, 12, 13, icc_profile=srgb)
    assert near(rendered(data, PNG)["full"].getpixel((9, 9)), (200, 100, 50), within=3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_every_kind_of_bmp_is_read(rendered, mode):
    source = pictures.quarters().convert(mode)
    picture = rendered(pictures.encoded(source, "BMP"), PNG)["full"]
    assert near(picture.convert("RGB").tobytes(), source.convert("RGB").tobytes(), 0)


def test_cmyk_without_a_profile_has_the_right_colours(rendered):
    picture = rendered(pictures.cmyk_jpeg(), PNG)["full"]
    red, green = picture.getpixel((5, 10)), picture.getpixel((35, 10))
    assert red[0] > 180
    assert max(red[1:]) < 80
    assert green[1] > 120
    assert max(green[0], green[2]) < 110


def as_shown(source: Image.Image) -> bytes:
    """Show CMYK as Pillow and browsers do."""
    return source.convert("RGB").tobytes()


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_untagged_cmyk_looks_as_in_a_browser(rendered, format):
    data = pictures.untagged_cmyk(format)
    shown = as_shown(Image.open(io.BytesIO(data)))
    assert near(rendered(data, PNG)["full"].tobytes(), shown, 1)


@pytest.mark.parametrize(("bits", "alpha"), [(8, False), (8, True), (16, False), (16, True)])
def test_untagged_cmyk_with_alpha_and_16_bits_looks_the_same(rendered, bits, alpha):
    inks = np.concatenate([INKS, np.full((40, 50, 1), 77, np.uint8)], axis=2)
    inks = inks[:, :, : 5 if alpha else 4]
    values = inks if bits == 8 else inks.astype(np.uint16) * 257
    kind = "uchar" if bits == 8 else "ushort"
    image = pyvips.Image.new_from_memory(values.tobytes(), 50, 40, inks.shape[2], kind)
    data = bytes(image.copy(interpretation="cmyk").tiffsave_buffer())
    picture = rendered(data, PNG)["full"]
    assert picture.mode == ("RGBA" if alpha else "RGB")
    assert near(picture.convert("RGB").tobytes(), as_shown(Image.fromarray(INKS, "CMYK")), 1)
    if alpha:
        assert set(picture.getchannel("A").tobytes()) == {77}


@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
def test_a_further_band_of_a_tiff_is_left_out(rendered, format):
    """Colours, alpha, and a selection that was saved with them."""
    pixel = np.array([200, 100, 50, 255, 9], np.uint8)
    image = pyvips.Image.new_from_memory(np.tile(pixel, 600).tobytes(), 30, 20, 5, "uchar")
    data = bytes(image.copy(interpretation="srgb").tiffsave_buffer())
    preset = Preset(name="full", format=format, box=(20, 20), fit="contain")
    picture = rendered(data, preset)["full"].convert("RGB")
    assert near(bytes(picture.getpixel((10, 10))), bytes(pixel[:3]), 4)


def test_cmyk_whose_profile_cannot_be_used_looks_like_untagged_cmyk(rendered):
    untagged = pictures.untagged_cmyk("JPEG")
    data = pictures.untagged_cmyk("JPEG", icc_profile=pictures.unusable_profile())
    expected = rendered(untagged, PNG)["full"].tobytes()
    assert rendered(data, PNG)["full"].tobytes() == expected


def test_cmyk_with_a_profile_is_converted_by_it(rendered):
    profile = bytes(pyvips.Image.profile_load("cmyk"))
    tagged = rendered(pictures.untagged_cmyk("JPEG", icc_profile=profile), PNG)["full"]
    assert tagged.tobytes() != rendered(pictures.untagged_cmyk("JPEG"), PNG)["full"].tobytes()


def test_a_wide_gamut_profile_is_converted_to_srgb(rendered):
    red, green, blue = rendered(pictures.wide_gamut_jpeg(), PNG)["full"].getpixel((10, 10))
    assert red > 208
    assert green < 55
    assert blue < 58


def test_an_srgb_profile_changes_no_colour(rendered):
    data = pictures.encoded(pictures.quarters(), "PNG", icc_profile=pictures.srgb_profile())
    assert near(rendered(data, PNG)["full"].getpixel((5, 5)), RED, 2)


def test_a_profile_that_makes_no_sense_is_passed_over(rendered):
    data = pictures.encoded(pictures.quarters(), "JPEG", quality=95, icc_profile=b"nonsense" * 40)
    assert_upright(rendered(data, PNG)["full"])


@pytest.mark.parametrize(
    "data",
    [
        pictures.interlaced_png(),
        pictures.encoded(pictures.quarters(), "JPEG", quality=95, progressive=True),
        pictures.encoded(pictures.quarters(), "TIFF", compression="tiff_lzw"),
        pictures.encoded(pictures.quarters(), "TIFF", compression="jpeg", quality=95),
    ],
    ids=["interlaced PNG", "progressive JPEG", "LZW TIFF", "JPEG TIFF"],
)
def test_interlaced_progressive_and_packed_files_are_read(rendered, data):
    for picture in rendered(data, WEBP, *SMALL).values():
        assert_upright(picture)


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_of_an_animation_the_first_frame_is_used(rendered, format):
    picture = rendered(pictures.animated(format, 3), *FULL)["png"]
    assert getattr(picture, "n_frames", 1) == 1
    assert near(picture.convert("RGB").getpixel((10, 10)), RED)


SVG = Limits(accept_svg=True)


@pytest.fixture
def _svg_accepted():
    """Be a render child whose limits accept SVG."""
    accept_svg()
    yield
    restrict()


@pytest.mark.usefixtures("_svg_accepted")
@pytest.mark.parametrize("start", ["", '<?xml version="1.0"?>\n<!-- made by hand -->\n', "\ufeff"])
def test_an_svg_is_drawn_where_it_is_accepted(rendered, start):
    made = rendered((start + pictures.svg()).encode(), *FULL, *SMALL, limits=SVG)
    assert made["png"].mode == "RGBA"
    assert made["png"].getpixel((5, 10)) == (*RED, 255)
    assert made["png"].getpixel((35, 10))[3] == 0
    assert near(made["jpeg"].getpixel((35, 10)), (255, 255, 255), 3)
    assert made["fit16"].size == (16, 8)


@pytest.mark.usefixtures("_svg_accepted")
def test_an_svg_refers_to_nothing_outside(rendered, tmp_path):
    (tmp_path / "secret.png").write_bytes(pictures.encoded(pictures.quarters(), "PNG"))
    for place in ("secret.png", f"file://{tmp_path}/secret.png", f"{tmp_path}/secret.png"):
        drawing = pictures.svg(f'<image width="40" height="20" href="{place}"/>')
        assert rendered(drawing.encode(), PNG, limits=SVG)["full"].getpixel((35, 10))[3] == 0


@pytest.mark.usefixtures("_svg_accepted")
@pytest.mark.parametrize(
    ("drawing", "expected"),
    [
        (pictures.svg().replace('width="40"', 'width="10000000"', 1), Reason.TOO_MANY_PIXELS),
        (pictures.svg()[:-30], Reason.CORRUPT),
        (
            '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            + pictures.svg("<text>&x;</text>"),
            Reason.CORRUPT,
        ),
        pytest.param(pictures.svg_of_references(6), Reason.CORRUPT, marks=pytest.mark.slow),
    ],
    ids=["huge", "cut off", "outer entity", "a million references"],
)
def test_a_hostile_svg_is_rejected(file, tmp_path, drawing, expected):
    assert refused(file, tmp_path, drawing.encode(), SVG) is expected


@pytest.mark.parametrize("budget", [0, 1])
def test_auto_is_the_smallest_of_its_formats(rendered, tmp_path, budget):
    auto = Preset(name="a", format="auto", budget=budget)
    data = (SAMPLES / "cat-451px.jpg").read_bytes()
    made = rendered(data, auto, *FULL, Preset(name="streamed", format="auto", box=(200, 200)))
    sizes = {path.stem: path.stat().st_size for path in tmp_path.iterdir()}
    names = ["avif", "webp", "jpeg"] if budget else ["webp", "jpeg"]
    assert sizes["a"] == min(sizes[name] for name in names)
    assert made["a"].format == ("AVIF" if budget else "WEBP")


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_an_animation_stays_one_on_request_with_its_times_and_loops(rendered, format):
    data = pictures.animated(format, 4, duration=[100, 200, 300, 400], loop=3)
    keys = {"format": "webp", "animated": True, "quality": 95}
    made = rendered(
        data,
        Preset(name="full", **keys),
        Preset(name="small", box=(20, 20), **keys),
        Preset(name="cut", box=(10, 10), fit="cover", **keys),
        Preset(name="padded", box=(60, 60), fit="contain", **keys),
        Preset(name="still", format="jpeg"),
    )
    sizes = {"full": (40, 20), "small": (20, 10), "cut": (10, 10), "padded": (60, 60)}
    for name, size in sizes.items():
        picture = made[name]
        assert (picture.size, picture.n_frames) == (size, 4)
        # GIF counts repeats, WebP counts rounds.
        assert picture.info["loop"] in (3, 4)
        for frame, colour in enumerate([RED, GREEN, BLUE, RED]):
            picture.seek(frame)
            picture.load()  # only then Pillow knows how long it shows
            assert picture.info["duration"] == 100 * (frame + 1)
            middle = (size[0] // 2, size[1] // 2)
            assert near(picture.convert("RGB").getpixel(middle), colour)
    assert near(made["still"].getpixel((10, 10)), RED)


def test_a_still_picture_and_a_tiff_of_pages_are_not_animated(rendered):
    wish = Preset(name="a", format="webp", animated=True)
    pages = pictures.encoded(
        pictures.quarters(), "TIFF", save_all=True, append_images=[pictures.noise(80, 48)]
    )
    for data in (pages, pictures.encoded(pictures.quarters(), "PNG")):
        picture = rendered(data, wish)["a"]
        assert getattr(picture, "n_frames", 1) == 1
        assert_upright(picture)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (3, 2)])
def test_the_smallest_and_thinnest_pictures_are_rendered(rendered, size):
    made = rendered(pictures.encoded(Image.new("RGB", size, RED), "PNG"), *FULL, *SMALL)
    assert {picture.size for name, picture in made.items() if name in BY_NAME} == {size}
    assert made["fit16"].size == (min(size[0], 16), min(size[1], 16))


def test_cover_cuts_the_middle_and_contain_pads_with_the_background(rendered):
    cover = Preset(name="cover", box=(20, 20), fit="cover", format="png")
    contain = Preset(
        name="contain", box=(40, 40), fit="contain", format="png", background="#0a141e"
    )
    made = rendered(pictures.encoded(pictures.quarters(), "PNG"), cover, contain)
    assert made["cover"].size == (20, 20)
    assert_upright(made["cover"])
    assert made["contain"].size == (40, 40)
    assert made["contain"].getpixel((20, 1)) == (10, 20, 30)
    assert near(made["contain"].getpixel((5, 20 - 6)), RED, 3)


@pytest.mark.parametrize(
    ("keys", "colour"),
    [
        ({"gravity": "north-west"}, RED),
        ({"gravity": "east", "box": (20, 48)}, None),
        ({"gravity": "south-east"}, YELLOW),
        ({"focal": (0.25, 0.25)}, RED),
        ({"focal": (0.8, 0.2)}, GREEN),
    ],
)
def test_cover_leaves_what_gravity_or_the_focal_point_name(rendered, keys, colour):
    # Twice as wide as high: only the columns are cut.
    source = pictures.quarters(96, 24).resize((96, 24))
    preset = {"name": "a", "box": (24, 24), "fit": "cover", "format": "png"} | keys
    picture = rendered(pictures.encoded(source, "PNG"), Preset(**preset))["a"].convert("RGB")
    left_to_right = {picture.getpixel((x, 3)) for x in range(picture.width)}
    if colour in (RED, GREEN):
        assert left_to_right == {colour}
    elif colour == YELLOW:
        assert left_to_right == {GREEN}


def test_attention_finds_what_stands_out(rendered):
    source = Image.new("RGB", (400, 100), (120, 120, 120))
    source.paste(pictures.noise(60, 60), (320, 20))
    keys = {"box": (50, 50), "fit": "cover", "format": "png"}
    made = rendered(
        pictures.encoded(source, "PNG"),
        Preset(name="middle", **keys),
        Preset(name="found", gravity="attention", **keys),
    )
    assert len(made["middle"].getcolors(5000)) == 1
    assert len(made["found"].getcolors(5000)) > 100


def test_a_picture_is_enlarged_only_if_the_preset_says_so(rendered):
    keys = {"box": (240, 240), "format": "png"}
    data = pictures.encoded(pictures.quarters(), "PNG")
    made = rendered(data, Preset(name="same", **keys), Preset(name="more", enlarge=True, **keys))
    assert (made["same"].size, made["more"].size) == ((80, 48), (240, 144))
    assert_upright(made["more"])


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
def test_display_p3_is_kept_on_request_and_named(rendered, format):
    wide = Preset(name="wide", format=format, colour="p3")
    picture = rendered(pictures.wide_gamut_jpeg(), wide)["wide"]
    assert is_wider_than_srgb(picture.info["icc_profile"])
    assert near(picture.convert("RGB").getpixel((10, 10)), (200, 60, 60), 4)
    plain = rendered(pictures.encoded(pictures.quarters(), "JPEG", quality=95), wide)["wide"]
    assert "icc_profile" not in plain.info
    assert_upright(plain)


def light_of(data: bytes) -> np.ndarray:
    """Show an Ultra HDR JPEG on a display that shows all of it: linear light."""
    return pyvips.Image.uhdrload_buffer(data).uhdr2scRGB().numpy()


@pytest.fixture
def _any_loader():
    """Let the test itself read what a render child must not."""
    pyvips.operation_block_set("VipsForeignLoad", False)
    yield
    restrict()


@pytest.mark.usefixtures("_any_loader")
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_ultra_hdr_jpeg_stays_one_on_request_whatever_its_size(rendered, tmp_path, orientation):
    keys = {"format": "jpeg", "quality": 95}
    presets = [
        Preset(name="full", hdr=True, **keys),
        Preset(name="small", hdr=True, box=(40, 40), **keys),
        Preset(name="cut", hdr=True, box=(24, 24), fit="cover", gravity="south-east", **keys),
        Preset(name="plain", **keys),
        Preset(name="webp", format="webp"),
    ]
    made = rendered(pictures.ultra_hdr_jpeg(orientation), *presets)
    for name in ("full", "small", "cut"):
        light = light_of((tmp_path / f"{name}.jpg").read_bytes())
        assert light.shape[:2] == made[name].size[::-1]
        top, bottom = light[light.shape[0] // 4, -4], light[-4, -4]
        assert bottom[0] > 4, "the yellow quarter shines"
        assert top[1] < 1.2, "the green one does not"
    for name in ("full", "small"):
        assert_upright(made[name])
    for file in ("plain.jpg", "webp.webp"):
        assert b"hdrgm" not in (tmp_path / file).read_bytes()


def test_without_a_gain_map_hdr_changes_nothing(rendered):
    data = pictures.encoded(pictures.quarters(), "JPEG", quality=95)
    made = rendered(
        data, Preset(name="a", format="jpeg", hdr=True), Preset(name="b", format="jpeg")
    )
    assert made["a"].tobytes() == made["b"].tobytes()


def test_a_gain_map_that_is_damaged_costs_only_the_brightness(rendered, tmp_path):
    data = pictures.ultra_hdr_jpeg()
    second = data.rindex(b"\xff\xd8\xff")
    broken = data[: second + 20] + bytes(60) + data[second + 80 :]
    assert_upright(rendered(broken, Preset(name="a", format="jpeg", hdr=True))["a"])
    assert b"hdrgm" not in (tmp_path / "a.jpg").read_bytes()


@pytest.mark.parametrize("source", ["JPEG", "HEIC", "PNG", "WEBP"])
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
def test_copyright_is_kept_on_request_and_nothing_else(rendered, tmp_path, format, source):
    presets = [
        Preset(name="kept", format=format, keep=["copyright"]),
        Preset(name="small", format=format, box=(20, 20), keep=["copyright"]),
        Preset(name="plain", format=format),
    ]
    made = rendered(pictures.turned(6, source), *presets)
    for name in ("kept", "small"):
        exif = made[name].getexif()
        assert exif[0x8298] == "(c) Jane Doe"
        assert exif[0x013B] == "Jane"
        assert exif.get(0x0112, 1) == 1
        assert not exif.get_ifd(0x8825)
        assert_upright(made[name])
    assert not made["plain"].getexif()
    for path in tmp_path.iterdir():
        assert path.name == "source" or b"SECRETMAKER" not in path.read_bytes()


def test_copyright_may_hold_any_letters_but_no_controls_and_no_novel(rendered):
    text = "© Jürgen\x1b[1m 2026 " + "x" * 5000
    exif = Rights(artist=b"Al", copyright=text.encode()).to_exif()
    data = pictures.encoded(pictures.quarters(), "JPEG", exif=exif)
    found = rendered(data, Preset(name="a", format="webp", keep=["copyright"]))["a"].getexif()
    assert found[0x013B] == "Al"
    kept = found[0x8298].encode("latin-1").decode()
    assert kept.startswith("© Jürgen [1m 2026 xxx")
    assert len(kept.encode()) == 1000


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_exif_that_makes_no_sense_says_nothing_of_copyright(exif):
    assert Rights.found_in(exif=exif, xmp=b"", iptc=b"") == Rights()


def test_copyright_is_read_from_xmp_where_exif_says_nothing(rendered):
    xmp = (
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        b"<dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>Jane &amp; John</rdf:li></rdf:Alt>"
        b"</dc:rights></rdf:RDF></x:xmpmeta>"
    )
    data = pictures.encoded(pictures.quarters(), "JPEG", xmp=xmp)
    made = rendered(data, Preset(name="a", format="jpeg", keep=["copyright"]))["a"]
    assert made.getexif()[0x8298] == "Jane & John"
    assert "xmp" not in made.info


@pytest.mark.parametrize("cut", [0, 12])
def test_copyright_is_read_from_iptc_where_the_others_say_nothing(rendered, cut):
    """As picture desks write it; what ends too early is read as far as it goes."""
    said = b"\x1c\x02\x50\0\x04Jane" + b"\x1c\x02\x74\0\x10(c) Jane & John."
    block = b"8BIM\x04\x04\0\0" + len(said).to_bytes(4, "big") + said
    segment = b"Photoshop 3.0\0" + block[: len(block) - cut]
    plain = pictures.encoded(pictures.quarters(), "JPEG")
    data = plain[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:]
    made = rendered(data, Preset(name="a", format="jpeg", keep=["copyright"]))["a"]
    assert made.getexif()[0x013B] == "Jane"
    assert made.getexif()[0x8298] == "(c) Jane & John."[: 16 - cut].strip()
    assert "photoshop" not in made.info


def test_padding_is_opaque_beside_transparency(rendered):
    contain = Preset(name="a", box=(40, 40), fit="contain", format="webp", quality=100)
    picture = rendered(pictures.translucent_png(), contain)["a"]
    assert near(picture.getpixel((20, 2)), (255, 255, 255, 255), 3)
    assert picture.getpixel((35, 20))[3] == 0


def test_thumbnails_are_the_same_whether_or_not_the_decoder_shrank(rendered, tmp_path):
    data = (SAMPLES / "astronaut-800px.jpg").read_bytes()
    thumbnail = Preset(name="a", box=(64, 64), format="png")
    shrunk = rendered(data, thumbnail)["a"].tobytes()
    whole = rendered(data, thumbnail, WEBP)["a"].tobytes()
    differences = [abs(a - b) for a, b in zip(shrunk, whole, strict=True)]
    assert sum(differences) / len(differences) < 3


def test_a_picture_that_is_decoded_twice_gives_the_same_sizes(rendered):
    side = 5600
    assert side * side > SPLIT_PIXELS
    data = pictures.encoded(Image.new("RGB", (side, side), RED), "JPEG")
    made = rendered(data, Preset(name="full", format="jpeg"), *SMALL)
    assert [made[name].size for name in ("full", "fit32", "fit16")] == [
        (side, side),
        (32, 32),
        (16, 16),
    ]


@pytest.mark.parametrize("name", ["cat-451px.jpg", "astronaut-800px.jpg"])
def test_a_photograph_gives_every_variant_in_proportion(rendered, name):
    data = (SAMPLES / name).read_bytes()
    width, height = Image.open(io.BytesIO(data)).size
    for variant in rendered(data, *FULL, *SMALL).values():
        assert abs(variant.width * height - variant.height * width) <= max(width, height)


def refused(file, tmp_path, data, limits=LIMITS, presets=(WEBP, *SMALL)) -> Reason:
    source = file(data)
    before = set(tmp_path.iterdir())
    with pytest.raises(Rejection) as caught:
        render(plan(probe(source, limits), presets), source, tmp_path, limits)
    assert set(tmp_path.iterdir()) == before
    return caught.value.reason


PHOTOGRAPH = (SAMPLES / "cat-451px.jpg").read_bytes()


@pytest.mark.parametrize(
    "data",
    [PHOTOGRAPH[: len(PHOTOGRAPH) // 2], PHOTOGRAPH[:-12], PHOTOGRAPH[:200]],
    ids=["half", "twelve bytes less", "200 bytes"],
)
@pytest.mark.parametrize("accept_damaged", [False, True])
@pytest.mark.parametrize("presets", [(WEBP, *SMALL), (WEBP,), tuple(SMALL)])
def test_a_truncated_jpeg_is_rejected_and_leaves_no_file(
    file, tmp_path, data, accept_damaged, presets
):
    limits = Limits(accept_damaged=accept_damaged)
    assert refused(file, tmp_path, data, limits, presets) is Reason.TRUNCATED


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIC", "BMP"])
def test_half_a_picture_of_any_format_is_truncated(file, tmp_path, format):
    whole = pictures.encoded(pictures.noise(300, 200), format)
    assert refused(file, tmp_path, whole[: len(whole) // 2]) is Reason.TRUNCATED


@pytest.mark.parametrize("name", pictures.odd_headers())
def test_a_header_that_only_draws_warnings_is_rendered(rendered, name):
    assert_upright(rendered(pictures.odd_headers()[name], PNG)["full"])


@pytest.mark.parametrize("name", pictures.odd_headers())
def test_an_odd_header_excuses_no_truncation(file, tmp_path, name):
    assert refused(file, tmp_path, pictures.odd_headers()[name][:-20]) is Reason.TRUNCATED


def test_a_corrupt_scan_is_rejected_by_default(file, tmp_path):
    assert refused(file, tmp_path, pictures.corrupt_scan(PHOTOGRAPH)) is Reason.CORRUPT


def test_a_corrupt_scan_is_rendered_if_the_limits_accept_it(rendered):
    limits = Limits(accept_damaged=True)
    made = rendered(pictures.corrupt_scan(PHOTOGRAPH), WEBP, limits=limits)
    assert made["full"].size == (451, 300)


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_damaged_pixels_are_corrupt(file, tmp_path, format):
    data = bytearray(pictures.encoded(pictures.noise(300, 200), format))
    middle = len(data) // 2
    data[middle : middle + 60] = bytes(byte ^ 0x5A for byte in data[middle : middle + 60])
    assert refused(file, tmp_path, bytes(data)) is Reason.CORRUPT


@pytest.mark.parametrize("compression", ["lzma", "zstd"])
def test_a_tiff_whose_compression_is_not_read_is_unsupported(file, tmp_path, compression):
    data = pictures.encoded(pictures.noise(300, 200), "TIFF", compression=compression)
    assert refused(file, tmp_path, data) is Reason.UNSUPPORTED


@pytest.mark.parametrize("kind", ["double", "Lab"])
def test_a_tiff_whose_samples_are_not_read_is_unsupported(file, tmp_path, kind):
    if kind == "double":
        data = bytes(pyvips.Image.black(30, 20, bands=3).cast("double").tiffsave_buffer())
    else:
        data = pictures.encoded(Image.new("LAB", (30, 20), (90, 20, 30)), "TIFF")
    assert refused(file, tmp_path, data) is Reason.UNSUPPORTED


def tiff_of(kind: str, *, bands: int) -> bytes:
    image = (pyvips.Image.black(30, 20, bands=bands) + 0.5).cast(kind)
    return bytes(image.copy(interpretation="b-w" if bands == 1 else "srgb").tiffsave_buffer())


@pytest.mark.parametrize(
    ("kind", "bands"),
    [("float", 1), *product(("char", "short", "uint", "int"), (1, 3))],
)
def test_a_tiff_of_numbers_that_mean_no_colours_is_unsupported(file, tmp_path, kind, bands):
    assert refused(file, tmp_path, tiff_of(kind, bands=bands)) is Reason.UNSUPPORTED


def test_a_tiff_of_floats_is_light_of_which_one_is_white(rendered):
    picture = rendered(tiff_of("float", bands=3), PNG)["full"]
    assert picture.getpixel((3, 3)) == (188, 188, 188)


def test_a_png_of_fewer_rows_than_announced_is_refused(file, tmp_path):
    bomb = pictures.png_bomb(3000, 3000, bits=8, colour=2)
    assert refused(file, tmp_path, bomb) is Reason.CORRUPT


@pytest.mark.parametrize("tail", [b"PK\x03\x04" + b"zipped" * 50, b"<script>alert(1)</script>"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_tail_behind_the_picture_reaches_no_variant(rendered, tmp_path, format, tail):
    rendered(pictures.encoded(pictures.quarters(), format) + tail, *FULL)
    for path in tmp_path.iterdir():
        assert path.name == "source" or tail[:12] not in path.read_bytes()


def test_one_variant_that_fails_does_not_sink_the_others(file, tmp_path):
    source = file(pictures.encoded(pictures.quarters(), "PNG"))
    made = plan(probe(source, LIMITS), [PNG, Preset(name="bad", format="webp")])
    result = render(broken(made, "bad"), source, tmp_path, LIMITS)
    assert [variant.preset for variant in result.variants] == ["full"]
    assert result.failures == {"bad": "could not be encoded as webp"}


def broken(made, preset):
    """Give one recipe a size that its encoder refuses."""

    def mend(recipe):
        too_wide = replace(recipe, fit="contain", size=(20_000, 48))
        return too_wide if recipe.preset == preset else recipe

    decodes = tuple(
        replace(
            decode,
            levels=tuple(
                replace(level, recipes=tuple(map(mend, level.recipes))) for level in decode.levels
            ),
        )
        for decode in made.decodes
    )
    return replace(made, decodes=decodes)


def test_if_no_variant_can_be_made_the_source_is_rejected(file, tmp_path):
    source = file(pictures.encoded(pictures.quarters(), "PNG"))
    made = broken(plan(probe(source, LIMITS), [WEBP]), "full")
    with pytest.raises(Rejection):
        render(made, source, tmp_path, LIMITS)


def test_a_place_that_cannot_be_written_is_not_the_pictures_fault(file, tmp_path):
    source = file(pictures.encoded(pictures.quarters(), "PNG"))
    with pytest.raises(OSError, match="absent"):
        render(plan(probe(source, LIMITS), [WEBP]), source, tmp_path / "absent", LIMITS)


def test_rendering_twice_gives_the_same_bytes(file, tmp_path):
    source = file(PHOTOGRAPH)
    made = plan(probe(source, LIMITS), [*FULL, *SMALL])
    first, second = (render(made, source, tmp_path, LIMITS) for _ in range(2))
    assert [v.sha256 for v in first.variants] == [v.sha256 for v in second.variants]


def test_libvips_keeps_no_operation_between_pictures():
    assert pyvips.cache_get_max() == 0
