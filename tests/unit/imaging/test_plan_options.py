"""Free-form options are worked out and rendered like presets."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

from safelight.errors import Rejection
from safelight.formats import BY_NAME
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.plan_options import plan_options
from safelight.imaging.pool import RenderPool
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset
from safelight.wish.canonical import fingerprint, read_options
from safelight.wish.errors import InvalidOption
from tests.support import pictures
from tests.support.pictures import BLUE, GREEN, RED, YELLOW
from tests.unit.wish.test_options import wishes

LIMITS = Limits()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(pictures.quarters(), "PNG"))
    return path


def rendered(source, wanted, *, marks=None):
    """Render a wish, as PNG unless it says otherwise: the picture."""
    options = wanted if not isinstance(wanted, str) else read_options(wanted)
    if options.format is None:
        options = options.in_format("png")
    planned = plan_options(probe(source, LIMITS), options, marks or {})
    rendering = render(planned, source, source.parent, LIMITS)
    assert rendering.failures == {}
    (variant,) = rendering.variants
    with Image.open(variant.path) as picture:
        picture.load()
    assert picture.size == (variant.width, variant.height)
    if not planned.untrimmed:
        assert picture.width <= planned.recipes[0].sizes[-1][0]
        assert picture.height <= planned.recipes[0].sizes[-1][1]
    return picture


def corners(picture):
    right, bottom = picture.width - 1, picture.height - 1
    places = ((0, 0), (right, 0), (0, bottom), (right, bottom))
    return [picture.convert("RGB").getpixel(place) for place in places]


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        ("_", (80, 48)),
        ("box=40x40", (40, 24)),
        ("box=40x", (40, 24)),
        ("box=x24", (40, 24)),
        ("box=160x", (80, 48)),
        ("box=160x,enlarge=yes", (160, 96)),
        ("box=160x160,enlarge=yes", (160, 96)),
        ("box=40x40,fit=cover", (40, 40)),
        ("box=100x40,fit=cover", (80, 32)),
        ("box=100x40,fit=crop", (80, 40)),
        ("box=8190x910,fit=cover", (80, 9)),  # imgix's ar=9:1&fit=crop
        ("extend=8190:2730:transparent:centre:ratio", (144, 48)),  # ar=9:3&fit=fill
        ("box=100x100,fit=crop", (80, 48)),
        ("box=100x100,fit=cover,enlarge=yes", (100, 100)),
        ("box=40x40,fit=contain", (40, 40)),
        ("box=100x100,fit=contain", (100, 100)),
        ("box=40x40,fit=fill", (40, 40)),
        ("box=100x40,fit=fill", (80, 40)),
        ("box=100x40,fit=fill,enlarge=yes", (100, 40)),
        # What imgproxy makes of 80 x 48 pixels with dpr:2, without and with something to enlarge.
        ("box=20x,density=2", (40, 24)),
        ("box=60x,density=2", (80, 48)),
        ("box=20x20,fit=crop,density=2", (40, 40)),
        ("box=40x40,fit=crop,density=2", (48, 48)),
        ("box=60x60,fit=crop,density=2", (60, 48)),
        ("box=60x60,fit=cover,density=2", (48, 48)),
        ("box=40x40,fit=auto,density=2", (48, 48)),
        ("box=40x40,fit=force,density=2", (48, 48)),
        ("box=60x,density=2,pad=10", (80, 61)),
        ("box=20x,density=2,pad=10", (40, 44)),
        ("box=60x,density=2,enlarge=yes", (120, 72)),
        ("box=40x40,fit=force", (40, 40)),
        ("box=100x40,fit=force", (80, 32)),
        ("box=40x400,fit=force", (5, 48)),
        ("box=100x40,fit=force,enlarge=yes", (100, 40)),
        ("box=40x40,fit=outside", (67, 40)),
        ("box=400x40,fit=outside", (80, 48)),
        ("box=400x40,fit=outside,enlarge=yes", (400, 240)),
        ("box=20x60,swap=yes,fit=cover", (60, 20)),
        ("box=60x20,swap=yes,fit=cover", (60, 20)),
        ("box=40x20,fit=auto", (40, 20)),
        ("box=20x40,fit=auto", (20, 12)),
        ("box=40x40,fit=auto", (40, 40)),
        ("box=100x40,fit=auto", (80, 40)),
        ("crop=48x48,box=40x20,fit=auto", (40, 20)),
        ("crop=48x48,box=20x40,fit=auto", (20, 20)),
        ("turn=90,box=24x", (24, 40)),
        ("crop=20x10", (20, 10)),
        ("crop=0.5x0.5", (40, 24)),
        ("crop=0.5x0", (40, 48)),
        ("crop=500x10", (80, 10)),
        ("turn=90,crop=0.5x20:north-west:10:5,box=12x", (12, 10)),
        ("rotate=90", (48, 80)),
        ("rotate=45", (91, 91)),
        ("pad=10,box=40x", (40, 34)),
        ("scale=0.5", (40, 24)),
        ("extract=10:10:20:20", (20, 20)),
        ("box=8192x,enlarge=yes,scale=0.01", (82, 49)),
    ],
)
def test_a_wish_has_the_size_it_should(source, wanted, size):
    made = rendered(source, wanted)
    assert made.size == pytest.approx(size, abs=1 if "rotate=45" in wanted else 0)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("_", [RED, GREEN, BLUE, YELLOW]),
        ("flip=h", [GREEN, RED, YELLOW, BLUE]),
        ("flip=v", [BLUE, YELLOW, RED, GREEN]),
        ("flip=hv", [YELLOW, BLUE, GREEN, RED]),
        ("turn=90", [BLUE, RED, YELLOW, GREEN]),
        ("turn=180", [YELLOW, BLUE, GREEN, RED]),
        ("turn=270", [GREEN, YELLOW, RED, BLUE]),
        ("crop=30x20:north-west", [RED] * 4),
        ("crop=30x20:south-east", [YELLOW] * 4),
        ("crop=30x20:north-west:45:0", [GREEN] * 4),
        ("crop=30x20:south-east:45:0", [BLUE] * 4),
        ("crop=30x20:focal:0:1", [BLUE] * 4),
        ("turn=90,crop=20x30:north-west", [BLUE] * 4),
        ("box=10x20,fit=cover,gravity=west", [RED, RED, BLUE, BLUE]),
        ("box=10x20,fit=cover,gravity=east", [GREEN, GREEN, YELLOW, YELLOW]),
        ("box=10x20,fit=cover,focal=1:0.5", [GREEN, GREEN, YELLOW, YELLOW]),
        ("box=10x20,fit=cover,focal=70:24", [GREEN, GREEN, YELLOW, YELLOW]),
        ("crop=40x48:east,box=10x10,fit=cover,focal=45:24", [GREEN, GREEN, YELLOW, YELLOW]),
        ("box=80x80,fit=contain,background=102030", [(16, 32, 48)] * 4),
        (
            "box=80x80,fit=contain,gravity=north,background=102030",
            [RED, GREEN, (16, 32, 48), (16, 32, 48)],
        ),
    ],
)
def test_a_wish_shows_what_it_should(source, wanted, expected):
    for found, colour in zip(corners(rendered(source, wanted)), expected, strict=True):
        assert np.abs(np.subtract(found, colour)).max() <= 6, wanted


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_edits_are_of_the_upright_picture(tmp_path, orientation):
    path = tmp_path / "source"
    path.write_bytes(pictures.turned(orientation))
    for found in corners(rendered(path, "crop=30x20:north-east,format=jpeg")):
        assert np.abs(np.subtract(found, GREEN)).max() <= 12
    turned = corners(rendered(path, "turn=90,box=24x"))
    assert np.abs(np.subtract(turned, [BLUE, RED, YELLOW, GREEN])).max() <= 20


def test_a_crop_of_a_picture_that_is_shrunk_on_loading_is_the_same_part(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(pictures.quarters(1600, 960), "JPEG", quality=95))
    wanted = read_options("crop=800x480:south-east,box=50x,format=png")
    assert plan_options(probe(path, LIMITS), wanted).decodes[0].shrink == 8
    for found in corners(rendered(path, wanted)):
        assert np.abs(np.subtract(found, YELLOW)).max() <= 6


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        ("trim=10", (80, 48)),
        ("trim=10,box=40x", (40, 24)),
        ("trim=10:bottom-right", (80, 48)),
        ("trim=10:ff00ff", (80, 48)),
        ("trim=10:00ff00", (120, 100)),
        ("trim=10,turn=90", (48, 80)),
        ("trim=10,crop=0.5x0.5", (40, 24)),
        ("trim=10,pad=5:5:5:5:black", (90, 58)),
        ("trim=255", (120, 100)),
    ],
)
def test_a_border_is_trimmed(tmp_path, wanted, size):
    bordered = Image.new("RGB", (120, 100), (255, 0, 255))
    bordered.paste(pictures.quarters(), (10, 30))
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(bordered, "PNG"))
    assert rendered(path, wanted).size == size


def test_a_transparent_border_is_trimmed(tmp_path):
    bordered = Image.new("RGBA", (120, 100), (9, 200, 9, 0))
    bordered.paste(pictures.quarters(), (10, 30))
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(bordered, "PNG"))
    assert rendered(path, "trim=10").size == (80, 48)


@pytest.mark.parametrize("colour", ["black", (9, 9, 9), "white"])
def test_of_a_transparent_border_everything_is_left_that_is_seen(tmp_path, colour):
    framed = Image.new("RGBA", (120, 100), (0, 0, 0, 0))
    framed.paste(Image.new("RGBA", (80, 48), colour), (10, 30))
    framed.paste(Image.new("RGBA", (40, 20), "red"), (30, 40))
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(framed, "PNG"))
    made = rendered(path, "trim=10")
    assert made.size == (80, 48)
    assert corners(made) == [Image.new("RGB", (1, 1), colour).getpixel((0, 0))] * 4


@pytest.mark.parametrize("side", [150, 300])
def test_of_a_jpeg_that_could_be_shrunk_on_loading_the_same_border_is_trimmed(tmp_path, side):
    bordered = Image.new("RGB", (400, 400), "white")
    bordered.paste(pictures.quarters(side, side), (20, 50))
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(bordered, "JPEG", quality=95))
    made = rendered(path, "trim=40,box=40x,format=png")
    assert made.size == (40, 40)
    inside = corners(made.crop((4, 4, 36, 36)))
    assert np.abs(np.subtract(inside, [RED, GREEN, BLUE, YELLOW])).max() <= 12


def test_looking_for_a_border_is_predicted(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(pictures.quarters(4000, 3000), "JPEG"))
    wanted = read_options("trim=10,box=30x20,format=jpeg")
    held = 4000 * 3000 * 3
    assert plan_options(probe(path, LIMITS), wanted).predicted_bytes > held


def test_what_is_trimmed_to_a_strip_does_not_outgrow_its_prediction(tmp_path):
    strip = Image.new("RGB", (400, 100), (255, 255, 255))
    strip.paste((0, 0, 0), (200, 2, 204, 98))
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(strip, "PNG"))
    with pytest.raises(InvalidOption, match="trim"):
        rendered(path, "trim=10,box=1600x,enlarge=yes")
    assert rendered(path, "trim=10,box=100x,enlarge=yes").size == (100, 2400)


def test_operations_that_open_corners_are_flattened_for_jpeg(source):
    made = rendered(source, "rotate=45,format=jpeg,background=0000ff")
    assert made.getpixel((0, 0)) == pytest.approx((0, 0, 255), abs=6)
    assert rendered(source, "rotate=45,format=webp").mode == "RGBA"


def test_the_quality_is_lowered_until_the_file_is_small_enough(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(pictures.noise(200, 200), "PNG"))
    known = probe(path, LIMITS)

    def sizes(text):
        rendering = render(plan_options(known, read_options(text)), path, tmp_path, LIMITS)
        return rendering.variants[0].size_bytes, rendering.variants[0].quality

    full, quality = sizes("format=jpeg,quality=90")
    assert quality == 90
    size, quality = sizes(f"format=jpeg,quality=90,max-bytes={full // 2}")
    assert size <= full // 2
    assert sizes(f"format=jpeg,quality={quality + 1}")[0] > full // 2
    assert sizes("format=jpeg,max-bytes=1")[1] == 10
    assert sizes("format=png,max-bytes=1")[1] is None


def test_what_would_be_too_large_is_refused_with_its_name(source):
    known = probe(source, LIMITS)
    plan_options(known, read_options("extend=8000:5000,pad=900:900:900:900,format=webp"))
    pads = ",".join(["pad=1000:1000:1000:1000"] * 5)
    for operations, option in ((pads, "pad"), ("rotate=45,rotate=45", "rotate")):
        with pytest.raises(InvalidOption, match="too large") as refused:
            plan_options(known, read_options(f"extend=8000:5000,{operations},format=webp"))
        assert refused.value.option == option


def test_a_watermark_is_predicted_as_large_as_the_picture(source, tmp_path):
    bare = "box=4000x4000,enlarge=yes,blur=1"
    planned = [
        plan_options(
            probe(source, LIMITS), read_options(f"{wanted},format=webp"), {"a/b": tmp_path}
        ).predicted_bytes
        for wanted in (bare, f"{bare},watermark=YS9i:0:0:0:100")
    ]
    width, height = probe(source, LIMITS).width, probe(source, LIMITS).height
    pixels = 4000 * 4000 * min(width, height) // max(width, height)
    assert planned[1] - planned[0] >= 4 * pixels


def test_a_side_left_to_proportion_stays_within_bounds(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(Image.new("L", (2, 3000)), "PNG"))
    recipe = plan_options(
        probe(path, LIMITS), read_options("box=8000x,enlarge=yes,format=png")
    ).recipes[0]
    assert max(recipe.size) <= 8192


def test_a_wish_of_what_a_preset_says_gives_the_same_bytes(tmp_path):
    photograph = pictures.SAMPLES / "cat-451px.jpg"
    known = probe(photograph, LIMITS)
    preset = Preset(name="options", box=(120, 90), fit="cover", format="webp", quality=70)
    wish = read_options("box=120x90,fit=cover,format=webp,quality=70")
    made = [
        render(planned, photograph, tmp_path, LIMITS).variants[0]
        for planned in (plan(known, [preset]), plan_options(known, wish))
    ]
    assert made[0].sha256 == made[1].sha256
    assert made[1].fingerprint == fingerprint(wish)
    assert made[1].preset == "options"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wish=wishes())
def test_any_wish_is_rendered_or_refused_for_its_reason(tmp_path_factory, wish):
    directory = tmp_path_factory.mktemp("wish")
    source, mark = directory / "source", directory / "mark"
    source.write_bytes(pictures.translucent_png(61, 37))
    mark.write_bytes(pictures.palette_png())
    wish = wish.in_format(wish.format or "jpeg")
    try:
        planned = plan_options(probe(source, LIMITS), wish, dict.fromkeys(wish.watermarks, mark))
        assert planned.predicted_bytes > 0
        if max(planned.recipes[0].sizes)[0] * max(planned.recipes[0].sizes)[1] > 4_000_000:
            return
        rendering = render(planned, source, directory, LIMITS)
    except InvalidOption:
        return
    assert rendering.failures == {}
    (variant,) = rendering.variants
    assert variant.width <= BY_NAME[wish.format].max_side
    with Image.open(variant.path) as picture:
        picture.load()
        assert picture.size == (variant.width, variant.height)


async def test_a_wish_goes_through_the_children_and_a_bad_watermark_names_itself(tmp_path, source):
    mark = tmp_path / "mark"
    mark.write_bytes(pictures.palette_png())
    async with RenderPool(slots=1, limits=LIMITS) as pool:
        known = await pool.probe(source)
        wish = read_options("watermark=YS9i:centre:centre:30,format=webp")
        rendering = await pool.render(plan_options(known, wish, {"a/b": mark}), source, tmp_path)
        assert rendering.appearance is None
        assert rendering.variants[0].media_type == "image/webp"
        mark.write_bytes(b"nothing")
        with pytest.raises(Exception, match="the watermark a/b") as told:
            await pool.render(plan_options(known, wish, {"a/b": mark}), source, tmp_path)
        assert not isinstance(told.value, Rejection)


def test_a_wish_without_a_format_cannot_be_planned(source):
    with pytest.raises(ValueError, match="format"):
        plan_options(probe(source, LIMITS), read_options("_"))
