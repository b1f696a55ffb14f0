from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.faces import Face
from safelight.formats import BY_NAME, FORMATS, READABLE
from safelight.imaging.limits import MIB, Limits
from safelight.imaging.memory import BASE_BYTES
from safelight.imaging.plan import CASCADE_STEP, SPLIT_PIXELS, SQUARE, plan
from safelight.imaging.probe import Probe
from safelight.presets import Preset

side = st.integers(1, 65_500)
boxes = st.tuples(st.integers(1, 16_383), st.integers(1, 16_383))


@st.composite
def probes(draw):
    width = draw(side)
    return Probe(
        format=draw(st.sampled_from([format.name for format in FORMATS])),
        width=width,
        height=draw(st.integers(1, max(1, min(65_500, 50_000_000 // width)))),
        size_bytes=1,
        orientation=draw(st.integers(1, 8)),
        alpha=draw(st.booleans()),
        interlaced=draw(st.booleans()),
    )


@st.composite
def presets(draw, name="a"):
    box = draw(st.none() | boxes)
    fits = ["inside", "cover", "contain"] if box else ["inside"]
    return Preset(
        name=name,
        box=box,
        fit=draw(st.sampled_from(fits)),
        format=draw(st.sampled_from(["webp", "jpeg", "png", "avif"])),
    )


def levels_of(made):
    return [level for decode in made.decodes for level in decode.levels]


def only(probe, preset):
    (recipe,) = plan(probe, [preset]).recipes
    return recipe


@given(probes(), presets())
def test_a_picture_is_never_enlarged_and_never_vanishes(probe, preset):
    recipe = only(probe, preset)
    assert 1 <= recipe.scaled[0] <= probe.width
    assert 1 <= recipe.scaled[1] <= probe.height
    assert min(recipe.size) >= 1
    if preset.wish.fit != "contain":
        assert recipe.size[0] <= probe.width
        assert recipe.size[1] <= probe.height


@given(probes(), presets())
def test_a_variant_fits_its_box_and_its_format(probe, preset):
    recipe = only(probe, preset)
    assert max(recipe.size) <= BY_NAME[preset.wish.format].max_side
    if preset.wish.box:
        assert recipe.size[0] <= preset.wish.box[0]
        assert recipe.size[1] <= preset.wish.box[1]


@given(probes(), presets())
def test_the_aspect_is_kept_within_a_pixel(probe, preset):
    width, height = only(probe, preset).scaled
    if preset.wish.fit == "cover":
        scale = max(width / probe.width, height / probe.height)
    else:
        scale = min(width / probe.width, height / probe.height)
    # One of the sides decided the scale; the other is within a pixel of it.
    assert abs(width - probe.width * scale) <= 1 + 0.5 / max(1, min(width, height)) * width
    by_width, by_height = probe.height * width / probe.width, probe.width * height / probe.height
    assert abs(height - by_width) <= 1 or abs(width - by_height) <= 1


@given(probes(), boxes)
def test_inside_touches_the_box_or_keeps_the_size(probe, box):
    recipe = only(probe, Preset(name="a", box=box, format="png"))
    assert recipe.scaled == recipe.size
    touches = recipe.size[0] == box[0] or recipe.size[1] == box[1]
    assert touches or recipe.size == (probe.width, probe.height)


@given(probes(), boxes)
def test_contain_is_as_large_as_its_box(probe, box):
    preset = Preset(name="a", box=box, fit="contain", format="png")
    assert only(probe, preset).size == box


@given(probes(), boxes)
def test_cover_is_cut_from_inside_the_scaled_picture(probe, box):
    recipe = only(probe, Preset(name="a", box=box, fit="cover", format="png"))
    assert recipe.size[0] <= recipe.scaled[0]
    assert recipe.size[1] <= recipe.scaled[1]
    if probe.width >= box[0] and probe.height >= box[1]:
        assert recipe.size == box


@pytest.mark.parametrize(
    ("fit", "source", "box", "scaled", "size"),
    [
        ("inside", (3264, 2176), (600, 600), (600, 400), (600, 400)),
        ("inside", (100, 50), (600, 600), (100, 50), (100, 50)),
        ("inside", (1, 4000), (150, 150), (1, 150), (1, 150)),
        ("cover", (3000, 2000), (300, 300), (450, 300), (300, 300)),
        ("cover", (1000, 100), (300, 300), (1000, 100), (100, 100)),
        ("contain", (3000, 2000), (300, 300), (300, 200), (300, 300)),
        ("contain", (100, 50), (300, 300), (100, 50), (300, 300)),
    ],
)
def test_sizes_worked_out_by_hand(fit, source, box, scaled, size):
    probe = Probe(format="png", width=source[0], height=source[1], size_bytes=1)
    recipe = only(probe, Preset(name="a", box=box, fit=fit, format="png"))
    assert (recipe.scaled, recipe.size) == (scaled, size)


@pytest.mark.parametrize(
    ("keys", "scaled", "size", "offset"),
    [
        ({}, (450, 300), (300, 300), (75, 0)),
        ({"gravity": "west"}, (450, 300), (300, 300), (0, 0)),
        ({"gravity": "south-east"}, (450, 300), (300, 300), (150, 0)),
        ({"focal": (0, 0.5)}, (450, 300), (300, 300), (0, 0)),
        ({"focal": (0.6, 0.1)}, (450, 300), (300, 300), (120, 0)),
        ({"focal": (1, 1)}, (450, 300), (300, 300), (150, 0)),
        ({"gravity": "attention"}, (450, 300), (300, 300), None),
        ({"fit": "contain"}, (300, 200), (300, 300), (0, 50)),
        ({"fit": "contain", "gravity": "north"}, (300, 200), (300, 300), (0, 0)),
        ({"fit": "contain", "gravity": "south-west"}, (300, 200), (300, 300), (0, 100)),
    ],
)
def test_what_is_cropped_or_padded_is_placed_as_the_preset_says(keys, scaled, size, offset):
    probe = Probe(format="png", width=3000, height=2000, size_bytes=1)
    preset = Preset(**({"name": "a", "box": (300, 300), "fit": "cover", "format": "png"} | keys))
    recipe = only(probe, preset)
    assert (recipe.scaled, recipe.size, recipe.offset) == (scaled, size, offset)


@pytest.mark.parametrize(
    ("fit", "scaled", "size"),
    [
        ("inside", (400, 200), (400, 200)),
        ("contain", (400, 200), (400, 400)),
        ("cover", (800, 400), (400, 400)),
    ],
)
def test_a_picture_is_enlarged_if_the_preset_says_so(fit, scaled, size):
    probe = Probe(format="png", width=100, height=50, size_bytes=1)
    preset = Preset(name="a", box=(400, 400), fit=fit, enlarge=True, format="png")
    recipe = only(probe, preset)
    assert (recipe.scaled, recipe.size) == (scaled, size)


def test_nothing_is_made_from_what_was_enlarged():
    probe = Probe(format="png", width=400, height=400, size_bytes=1)
    wishes = [
        Preset(name="large", box=(1000, 1000), enlarge=True, format="png"),
        *(Preset(name=f"fit{n}", box=(n, n), format="png") for n in (200, 100)),
    ]
    (decode,) = plan(probe, wishes).decodes
    assert [level.origin for level in decode.levels] == [None, None, 1, 2]


def test_what_looks_for_its_place_in_a_stream_has_the_pixels_held():
    probe = Probe(format="png", width=400, height=300, size_bytes=1)
    keys = {"name": "a", "box": (300, 300), "fit": "cover", "format": "png"}
    assert not plan_held(probe, Preset(**keys))
    assert plan_held(probe, Preset(gravity="attention", **keys))


def plan_held(probe, preset) -> bool:
    """Plan without the appearance, which is one more reader."""
    wide = Preset(name="a", wish=preset.wish.model_copy(update={"colour": "p3"}))
    (decode,) = plan(replace(probe, wide_gamut=True), [wide]).decodes[:1]
    return decode.keeps_pixels


@pytest.mark.parametrize(
    ("faces", "offset"),
    [
        (None, None),
        ((), None),
        ((Face(left=0.8, top=0.2, width=0.1, height=0.2),), (150, 0)),
        ((Face(left=0.4, top=0.2, width=0.08, height=0.2),), (48, 0)),
    ],
)
def test_a_crop_frames_the_faces_or_looks_for_attention(faces, offset):
    probe = Probe(format="png", width=3000, height=2000, size_bytes=1, faces=faces)
    preset = Preset(name="a", box=(300, 300), fit="cover", format="png", gravity="faces")
    recipe = only(probe, preset)
    assert (recipe.scaled, recipe.size, recipe.offset) == ((450, 300), (300, 300), offset)


def test_wide_colours_are_decoded_apart_and_only_where_there_are_any():
    wishes = [*DEFAULTS, Preset(name="wide", format="avif", box=(900, 900), colour="p3")]
    plain = Probe(format="jpeg", width=3000, height=2000, size_bytes=1, has_icc=True)
    assert [decode.colour for decode in plan(plain, wishes).decodes] == ["srgb"]
    wide, rest = plan(replace(plain, wide_gamut=True), wishes).decodes
    assert (wide.colour, [level.size for level in wide.levels]) == ("p3", [(900, 600)])
    assert rest.colour == "srgb"
    assert {recipe.colour for level in rest.levels for recipe in level.recipes} == {"srgb"}


def test_an_animation_is_decoded_apart_with_all_its_frames():
    wishes = [*DEFAULTS, Preset(name="moves", format="webp", animated=True)]
    gif = Probe(format="gif", width=400, height=300, size_bytes=1, frames=40)
    moves, rest = plan(gif, wishes).decodes
    assert (moves.frames, moves.keeps_pixels, rest.frames) == (40, True, 1)
    assert [recipe.preset for level in moves.levels for recipe in level.recipes] == ["moves"]
    assert plan(gif, wishes).pixels_used == 40 * gif.pixels
    assert plan(gif, wishes).predicted_bytes > BASE_BYTES + 40 * gif.pixels * 3
    assert plan(gif, DEFAULTS).pixels_used == gif.pixels
    for still in (replace(gif, frames=1), replace(gif, format="tiff")):
        assert [decode.frames for decode in plan(still, wishes).decodes] == [1]


@pytest.mark.parametrize(
    ("side", "alpha", "formats"),
    [
        (1000, False, [("avif", 60, 0), ("webp", 80, 2), ("jpeg", 85, None)]),
        (1000, True, [("avif", 60, 0), ("webp", 80, 2)]),
        (3000, False, [("webp", 80, 2), ("jpeg", 85, None)]),
        (3000, True, [("webp", 80, 2)]),
    ],
)
def test_auto_chooses_among_formats_that_fit_the_budget_and_the_alpha(side, alpha, formats):
    probe = Probe(format="png", width=side, height=side, size_bytes=1, alpha=alpha)
    preset = Preset(name="a", format="auto")
    recipe = only(probe, preset)
    candidates = (recipe, *recipe.alternatives)
    assert [(each.format, each.quality, each.effort) for each in candidates] == formats
    assert {each.fingerprint for each in candidates} == {preset.wish.fingerprint}


def test_a_source_wider_than_the_format_can_be_is_shrunk_to_it():
    probe = Probe(format="png", width=32_766, height=1000, size_bytes=1)
    assert only(probe, Preset(name="a", format="webp")).size == (16_383, 500)
    assert only(probe, Preset(name="a", format="png")).size == (32_766, 1000)


@given(probes(), st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1), st.data())
def test_every_preset_is_planned_once_and_each_size_comes_from_a_larger_one(probe, names, data):
    wishes = [data.draw(presets(name)) for name in names]
    made = plan(probe, wishes)
    assert sorted(recipe.preset for recipe in made.recipes) == sorted(names)
    assert [level.size for level in levels_of(made) if level.shows_appearance] == [SQUARE]
    for decode in made.decodes:
        for index, level in enumerate(decode.levels):
            sizes = {recipe.scaled for recipe in level.recipes}
            assert sizes == (set() if level.shows_appearance else {level.size})
            if level.origin is not None:
                assert level.origin < index
                for larger, smaller in zip(
                    decode.levels[level.origin].size, level.size, strict=True
                ):
                    assert larger >= CASCADE_STEP * smaller or larger == smaller == 1


@given(probes(), st.lists(presets(), min_size=1, max_size=3))
def test_the_prediction_covers_the_base_and_every_kept_pixel(probe, wishes):
    made = plan(probe, wishes)
    kept = max(
        (probe.pixels // decode.shrink**2) * 3 * decode.keeps_pixels for decode in made.decodes
    )
    assert made.predicted_bytes >= BASE_BYTES + kept


DEFAULTS = [
    Preset(name="compressed", format="webp"),
    *(Preset(name=f"fit{n}", box=(n, n), format="jpeg") for n in (150, 300, 600)),
]


def test_one_decode_feeds_a_cascade_of_sizes_largest_first():
    (decode,) = plan(Probe(format="jpeg", width=3264, height=2176, size_bytes=1), DEFAULTS).decodes
    assert [level.size for level in decode.levels] == [
        (3264, 2176),
        (600, 400),
        (300, 200),
        (150, 100),
        SQUARE,
    ]
    assert [level.origin for level in decode.levels] == [None, None, 1, 2, 3]
    assert (decode.shrink, decode.keeps_pixels) == (1, True)


def test_a_size_that_is_hardly_smaller_is_made_from_the_source():
    wishes = [Preset(name=f"fit{n}", box=(n, n), format="jpeg") for n in (600, 580)]
    probe = Probe(format="jpeg", width=3000, height=3000, size_bytes=1)
    (decode,) = plan(probe, wishes).decodes
    assert [level.origin for level in decode.levels] == [None, None, 1]


def test_thumbnails_alone_stream_from_a_decoder_that_shrinks():
    probe = Probe(format="jpeg", width=6000, height=4000, size_bytes=1)
    (decode,) = plan(probe, DEFAULTS[1:]).decodes
    assert (decode.shrink, decode.keeps_pixels) == (4, False)
    png = Probe(format="png", width=6000, height=4000, size_bytes=1)
    (decode,) = plan(png, DEFAULTS[1:]).decodes
    assert (decode.shrink, decode.keeps_pixels) == (1, False)


def test_a_turned_picture_is_held_because_it_is_read_out_of_order():
    probe = Probe(format="jpeg", width=600, height=400, size_bytes=1, orientation=6)
    (decode,) = plan(probe, [DEFAULTS[0]]).decodes
    assert decode.keeps_pixels


def test_a_very_large_picture_is_decoded_twice_rather_than_held():
    large = Probe(format="jpeg", width=7000, height=5000, size_bytes=1)
    assert large.pixels > SPLIT_PIXELS
    full, thumbnails = plan(large, DEFAULTS).decodes
    assert not full.keeps_pixels
    assert not thumbnails.keeps_pixels
    assert thumbnails.shrink == 4


def test_a_progressive_or_interlaced_picture_is_predicted_to_take_more():
    def predicted(**facts):
        probe = Probe(width=3000, height=2000, size_bytes=1, **facts)
        return plan(probe, DEFAULTS[1:]).predicted_bytes

    for format in ("jpeg", "png"):
        assert predicted(format=format, interlaced=True) > predicted(format=format) + 15_000_000


@pytest.mark.parametrize("format", [format.name for format in READABLE])
@pytest.mark.parametrize("interlaced", [False, True])
def test_the_most_pixels_with_alpha_are_within_what_a_child_may_have(format, interlaced):
    limits = Limits()
    probe = Probe(
        format=format,
        width=10_000,
        height=limits.max_pixels // 10_000,
        size_bytes=1,
        bands=4,
        alpha=True,
        interlaced=interlaced,
    )
    assert plan(probe, DEFAULTS).predicted_bytes <= limits.child_memory_bytes


@pytest.mark.parametrize("format", ["avif", "heic"])
def test_what_is_cropped_away_is_decoded_and_predicted_all_the_same(format):
    """A clean aperture leaves little of a large picture (ISO/IEC 14496-12, 12.1.4)."""
    window = Probe(format=format, width=100, height=100, size_bytes=1, largest_part=50_000_000)
    assert plan(window, DEFAULTS).predicted_bytes > 5 * 50_000_000


@pytest.mark.parametrize(
    ("format", "width", "height", "peak"),
    [
        ("png", 200_000, 50, 176 * MIB),
        ("png", 400_000, 100, 430 * MIB),
        ("png", 1_000_000, 50, 651 * MIB),
        ("jpeg", 60_000, 800, 139 * MIB),
        ("tiff", 300_000, 160, 585 * MIB),
    ],
)
def test_a_very_wide_picture_is_predicted_with_its_lines(format, width, height, peak):
    """Peaks measured with the default presets; the TIFF is grey."""
    bands = 1 if format == "tiff" else 3
    wide = Probe(format=format, width=width, height=height, size_bytes=1, bands=bands)
    assert plan(wide, DEFAULTS).predicted_bytes > peak


def test_a_gif_is_predicted_with_two_copies_of_its_file():
    """A file of 49 MiB took 98 MiB in addition to the memory of a child."""
    gif = Probe(format="gif", width=160, height=120, size_bytes=49 * MIB)
    assert plan(gif, DEFAULTS[:1]).predicted_bytes > BASE_BYTES + 98 * MIB


def test_a_tiff_is_predicted_by_its_samples():
    """Its tiles may be half as high as the picture, and are held decoded."""

    def predicted(**facts):
        probe = Probe(format="tiff", width=7000, height=7000, size_bytes=1, **facts)
        return plan(probe, DEFAULTS[1:]).predicted_bytes

    # Peaks measured with tiles of 3536 x 3536, of floats 2048 x 2048.
    assert predicted(bands=3, bits=8) > 247 * MIB
    assert predicted(bands=3, bits=16) > 426 * MIB
    assert predicted(bands=3, bits=32) > 451 * MIB


def test_without_presets_only_the_appearance_is_planned():
    made = plan(Probe(format="jpeg", width=3000, height=2000, size_bytes=1), [])
    assert made.recipes == ()
    (decode,) = made.decodes
    assert (decode.shrink, decode.keeps_pixels, len(decode.levels)) == (8, False, 1)


@pytest.mark.parametrize("side", [3000, 6000])
def test_the_appearance_of_a_full_size_variant_costs_no_decode_but_above_the_split(side):
    probe = Probe(format="jpeg", width=side, height=side, size_bytes=1)
    decodes = plan(probe, DEFAULTS[:1]).decodes
    assert [decode.shrink for decode in decodes] == ([1] if side == 3000 else [1, 8])
    assert [decode.keeps_pixels for decode in decodes] == ([True] if side == 3000 else [False] * 2)


@pytest.mark.parametrize("box", [(4, 500), (500, 500), (1, 1000), (8000, 8000)])
@pytest.mark.parametrize("source", [(16_000, 4), (4, 16_000), (65_500, 1)])
def test_a_very_long_picture_is_not_enlarged_without_bound_to_be_cut(box, source):
    probe = Probe(format="png", width=source[0], height=source[1], size_bytes=9)
    preset = Preset(name="a", format="webp", box=box, fit="cover", enlarge=True)
    (width, height), size = only(probe, preset).scaled, only(probe, preset).size
    assert width * height <= 1.3 * max(50_000_000, box[0] * box[1])
    assert width >= size[0] <= box[0]
    assert height >= size[1] <= box[1]
    assert plan(probe, [preset]).predicted_bytes < 1024 * MIB


def test_an_ordinary_picture_fills_its_whole_box():
    probe = Probe(format="jpeg", width=300, height=200, size_bytes=9)
    preset = Preset(name="a", format="webp", box=(4000, 4000), fit="cover", enlarge=True)
    assert only(probe, preset).size == (4000, 4000)
