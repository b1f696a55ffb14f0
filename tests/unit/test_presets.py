import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from safelight import presets as module
from safelight.formats import BY_NAME, WRITABLE
from safelight.presets import InvalidPresets, Preset, load_presets
from safelight.queued import Demand, read_queued

DEFAULT_FILE = Path(__file__).parents[2] / "presets.toml"


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "presets.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def faults(path: Path) -> list[str]:
    with pytest.raises(InvalidPresets) as caught:
        load_presets(path)
    return [fault.removeprefix(f"{path}:") for fault in caught.value.faults]


def test_the_default_file_declares_compressed_and_three_thumbnails():
    presets = {preset.name: preset for preset in load_presets(DEFAULT_FILE)}
    assert list(presets) == ["compressed", "small", "medium", "large"]
    assert presets["compressed"].format == "webp"
    assert (presets["compressed"].quality, presets["compressed"].box) == (80, None)
    assert [presets[name].box for name in ("small", "medium", "large")] == [
        (150, 150),
        (300, 300),
        (600, 600),
    ]


def test_what_a_preset_leaves_out_is_the_formats_default(write):
    webp, avif, png, jpeg = load_presets(
        write('[a]\nformat="webp"\n[b]\nformat="avif"\n[c]\nformat="png"\n[d]\nformat="jpeg"')
    )
    assert (webp.quality, webp.effort, webp.fit, webp.background) == (80, 2, "inside", "#ffffff")
    assert (avif.quality, avif.effort) == (60, 0)
    assert (png.quality, png.effort) == (None, None)
    assert (jpeg.quality, jpeg.effort) == (85, None)


JPEG, PNG, WEBP = ('[a]\nformat = "jpeg"\n', '[a]\nformat = "png"\n', '[a]\nformat = "webp"\n')
AUTO = '[a]\nformat = "auto"\n'
COVER = JPEG + 'box = [9, 9]\nfit = "cover"\n'
AUTO = '[a]\nformat = "jpeg"\nquality = "auto"\n'
WHOLE = "expected a whole number from"
NAME = "expected a name that is a lower-case letter"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            '[a]\nformat = "bmp"',
            '2: [a] format: expected one of "jpeg", "png", "webp", "avif", or "auto"; fou',
        ),
        ("[a]\nbox = [1, 1]", "1: [a] format: expected one of"),
        (JPEG + "quality = 0", f"3: [a] quality: {WHOLE} 1 to 100 for jpeg; found 0"),
        (JPEG + "quality = true", f'3: [a] quality: {WHOLE} 1 to 100, or "auto"; found true'),
        (JPEG + 'quality = "85"', f'3: [a] quality: {WHOLE} 1 to 100, or "auto"; found "85"'),
        (PNG + 'quality = "auto"', "3: [a] quality: expected no quality, because png has none"),
        (JPEG + "target = 70", '3: [a] target: expected no target, because quality is not "auto"'),
        (JPEG + "quality_range = [1, 9]", "3: [a] quality_range: expected no quality_range, becau"),
        (AUTO + "target = 29", f"4: [a] target: {WHOLE.replace('number', 'number of points')} 30 "),
        (
            AUTO + "target = 70.5",
            "4: [a] target: expected a whole number of points from 30 to 95; ",
        ),
        (
            AUTO + "quality_range = [9, 8]",
            "two whole numbers from 1 to 100, the least first; found",
        ),
        (
            AUTO + "quality_range = [0, 8]",
            "4: [a] quality_range: expected [least, most], two whole",
        ),
        (
            AUTO + 'quality_range = "all"',
            '[least, most], two whole numbers from 1 to 100; found "al',
        ),
        (WEBP + "effort = 7", f"3: [a] effort: {WHOLE} 0 to 6 for webp; found 7"),
        (JPEG + "effort = 1", "3: [a] effort: expected no effort, because jpeg has none; found 1"),
        (PNG + "quality = 9", "3: [a] quality: expected no quality, because png has none; found 9"),
        (JPEG + 'fit = "cover"', "1: [a] box: expected [width, height], two whole numbers"),
        (JPEG + 'fit = "cover"', 'because fit is "cover"; found nothing'),
        (
            JPEG + 'fit = "fill"',
            '3: [a] fit: expected "inside", "cover" or "contain"; found "fill"',
        ),
        (JPEG + "box = [0, 5]", "3: [a] box: expected [width, height]"),
        (JPEG + "box = [5]", "3: [a] box: expected [width, height]"),
        (WEBP + "box = [20000, 5]", "3: [a] box: expected sides up to 16383"),
        (JPEG + 'background = "white"', '3: [a] background: expected a colour as "#rrggbb"; fou'),
        (JPEG + "qualty = 3", "3: [a] qualty: expected one of the keys box, fit, gravity, focal"),
        (JPEG + "qualty = 3", 'found "qualty"; did you mean quality?'),
        (JPEG + 'name = "b"', "3: [a] name: expected one of the keys"),
        ('[A]\nformat = "jpeg"', f"1: [A]: {NAME}"),
        ('["../a"]\nformat = "jpeg"', f"1: [../a]: {NAME}"),
        ('["a\\n"]\nformat = "jpeg"', NAME),
        ("x = 1", "1: [x]: expected a table, [x]; found 1"),
        ('[[a]]\nformat = "jpeg"', "1: [a]: expected a table, [a]"),
        (
            COVER + 'gravity = "up"',
            '5: [a] gravity: expected one of "centre", "north", "north-east"',
        ),
        (
            COVER + "focal = [0.5, 1.1]",
            "5: [a] focal: expected [x, y], two numbers from 0 to 1; fou",
        ),
        (COVER + "focal = 0.5", "5: [a] focal: expected [x, y]"),
        (
            COVER + 'gravity = "east"\nfocal = [0, 1]',
            "5: [a] gravity: expected no gravity, because f",
        ),
        (JPEG + "focal = [0, 1]", '3: [a] focal: expected no focal, because fit is "inside"'),
        (JPEG + 'gravity = "east"', '3: [a] gravity: expected no gravity, because fit is "inside"'),
        (JPEG + 'gravity = "attention"', '3: [a] gravity: expected another than "attention"'),
        (JPEG + "enlarge = true", "3: [a] enlarge: expected no enlarge, because there is no box"),
        (JPEG + "enlarge = 1", "3: [a] enlarge: expected true or false; found 1"),
        (JPEG + 'colour = "rgb"', '3: [a] colour: expected "srgb" or "p3"; found "rgb"'),
        (
            JPEG + 'keep = ["gps"]',
            '3: [a] keep: expected a list that is empty or holds "copyright"',
        ),
        (JPEG + 'keep = "copyright"', "3: [a] keep: expected a list"),
        ("[a]\nformat = ", "2: not TOML: "),
        (JPEG + JPEG, "3: not TOML: "),
        ("", "1: expected at least one preset, [name]; found none"),
        ("# nothing\n", "1: expected at least one preset, [name]; found none"),
    ],
)
def test_a_fault_names_its_line_table_key_and_what_is_expected(write, text, fault):
    (found,) = faults(write(text))
    assert fault in found


def test_every_fault_is_reported_together_in_the_files_order(write):
    text = """
[a]
format = "webp"
quality = 101
effort = 9
[b]
colour = "red"
background = 3
[c]
box = [
  1,
  2, 3]
fit = "cover"
format = "jpeg"
"""
    lines = [fault.partition(": ")[0] for fault in faults(write(text))]
    assert lines == ["4", "5", "6", "7", "8", "10"]


def test_a_file_that_is_missing_or_not_text_is_a_fault(tmp_path, write):
    missing = tmp_path / "absent.toml"
    with pytest.raises(InvalidPresets, match=r"absent\.toml: cannot be read: No such file"):
        load_presets(missing)
    with pytest.raises(InvalidPresets, match="expected UTF-8 text"):
        load_presets(write(b"\xff\xfe\x00"))
    with pytest.raises(InvalidPresets, match="cannot be read"):
        load_presets(tmp_path)


def test_the_fingerprint_changes_with_the_definition_and_not_with_the_name():
    one = Preset(name="a", format="jpeg")
    assert one.fingerprint == Preset(name="b", format="jpeg", quality=85).fingerprint
    others = [
        Preset(name="a", format="webp"),
        Preset(name="a", format="jpeg", quality=84),
        Preset(name="a", format="jpeg", box=(10, 20)),
        Preset(name="a", format="jpeg", box=(20, 10)),
        Preset(name="a", format="jpeg", box=(10, 20), fit="cover"),
        Preset(name="a", format="jpeg", background="#fffffe"),
    ]
    assert len({preset.fingerprint for preset in (one, *others)}) == 7


def test_a_preset_that_uses_no_later_key_keeps_its_fingerprint():
    """Assets of before would be made anew for nothing."""
    first = {
        "a": (Preset(name="a", format="webp"), "47fb0398b867"),
        "b": (Preset(name="b", format="jpeg", box=(150, 150), quality=85), "bdd00db98624"),
    }
    for preset, fingerprint in first.values():
        assert preset.fingerprint == fingerprint
        assert preset.model_copy(update={"colour": "p3"}).fingerprint != fingerprint
        assert preset.model_copy(update={"keep": ("copyright",)}).fingerprint != fingerprint
    cover = Preset(name="c", format="png", box=(9, 9), fit="cover")
    others = [
        cover.model_copy(update=change)
        for change in ({"gravity": "north"}, {"focal": (0.5, 0.5)}, {"enlarge": True})
    ]
    assert len({preset.fingerprint for preset in (cover, *others)}) == 4


def test_a_searched_quality_has_the_formats_range_and_a_target_of_its_own():
    one = Preset(name="a", format="webp", quality="auto")
    assert (one.target, one.quality_range) == (70, (45, 95))
    assert one.fingerprint == Preset(name="a", format="webp", quality="auto", target=70).fingerprint
    others = [
        Preset(name="a", format="webp"),
        Preset(name="a", format="webp", quality="auto", target=71),
        Preset(name="a", format="webp", quality="auto", quality_range=(45, 94)),
    ]
    assert len({preset.fingerprint for preset in (one, *others)}) == 4


def test_the_fingerprint_changes_with_the_engine(monkeypatch):
    before = Preset(name="a", format="jpeg").fingerprint
    monkeypatch.setattr(module, "ENGINE_VERSION", module.ENGINE_VERSION + 1)
    assert Preset(name="a", format="jpeg").fingerprint != before


@st.composite
def definitions(draw):
    format = draw(st.sampled_from(WRITABLE))
    table = {"format": format.name}
    for key, scale in (("quality", format.quality), ("effort", format.effort)):
        if scale and draw(st.booleans()):
            table[key] = draw(st.integers(scale.least, scale.most))
    if format.quality and draw(st.booleans()):
        table["quality"] = "auto"
        if draw(st.booleans()):
            table["target"] = draw(st.integers(30, 95))
        if draw(st.booleans()):
            table["quality_range"] = sorted(draw(st.tuples(*[st.integers(1, 100)] * 2)))
    if draw(st.booleans()):
        side = st.integers(1, format.max_side)
        table["box"] = [draw(side), draw(side)]
        table["fit"] = draw(st.sampled_from(["inside", "cover", "contain"]))
    if draw(st.booleans()):
        table["background"] = draw(st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True))
    return table


names = st.from_regex(r"[a-z][a-z0-9_-]{0,39}", fullmatch=True)


@given(st.dictionaries(names, definitions(), min_size=1, max_size=5))
def test_every_sensible_file_is_read_back_as_it_was_written(tmp_path_factory, tables):
    path = tmp_path_factory.mktemp("presets") / "presets.toml"
    lines = []
    for name, table in tables.items():
        lines += [
            f"[{name}]",
            *(f"{key} = {value!r}".replace("'", '"') for key, value in table.items()),
        ]
    path.write_text("\n".join(lines))
    presets = load_presets(path)
    assert [preset.name for preset in presets] == list(tables)
    for preset, table in zip(presets, tables.values(), strict=True):
        assert preset.box == (tuple(table["box"]) if "box" in table else None)
        assert preset.quality == table.get(
            "quality", getattr(BY_NAME[preset.format].quality, "default", None)
        )
        assert len(preset.fingerprint) == 12


@given(st.text(max_size=300))
def test_no_text_does_anything_but_load_or_be_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("presets") / "presets.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(InvalidPresets, match=r"presets\.toml"):
        load_presets(path)


toml_values = st.recursive(
    st.booleans() | st.integers(-10, 200) | st.text("ab#'", max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*Preset.model_fields, "other"]), toml_values))
def test_no_table_makes_the_loader_fail_otherwise(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("presets") / "presets.toml"
    shown = (f"{key} = {toml(value)}" for key, value in table.items())
    path.write_text("\n".join(["[a]", *shown]))
    with pytest.raises(InvalidPresets):
        load_presets(path)


def toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_a_preset_made_in_code_is_held_to_the_same_rules():
    with pytest.raises(ValidationError):
        Preset(name="a", format="png", effort=2)


def test_who_gets_a_variant_is_not_part_of_what_it_is():
    plain = Preset(name="a", format="jpeg", box=(9, 9))
    delivered = Preset(
        name="a", format="jpeg", box=(9, 9), access="public", formats=("avif",), hints=True,
        max_age=5, pending="default", default="nobody.png",
    )  # fmt: skip
    assert delivered.fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("format", "quality", "other", "expected"),
    [
        ("jpeg", 85, "webp", 80),
        ("jpeg", 85, "avif", 60),
        ("webp", 40, "jpeg", 42),
        ("webp", 100, "jpeg", 100),
        ("auto", 80, "avif", 60),
        ("png", None, "webp", 80),
        ("jpeg", 85, "png", None),
        ("jpeg", "auto", "webp", "auto"),
        ("jpeg", "auto", "png", None),
    ],
)
def test_a_preset_can_be_wished_for_in_another_format(format, quality, other, expected):
    preset = Preset(name="a", format=format, quality=quality, box=(90, 60), fit="cover")
    wished = preset.in_format(other)
    assert (wished.format, wished.quality) == (other, expected)
    assert (wished.name, wished.box, wished.fit) == ("a", (90, 60), "cover")
    assert wished.fingerprint != preset.fingerprint


def test_a_preset_in_its_own_format_is_itself():
    preset = Preset(name="a", format="webp", quality=7, animated=True, effort=5)
    assert preset.in_format("webp") is preset


def test_what_only_one_format_can_have_is_left_behind():
    assert Preset(name="a", format="webp", animated=True, effort=6).in_format("avif").effort == 0
    assert not Preset(name="a", format="jpeg", hdr=True).in_format("webp").hdr


@given(definitions(), st.sampled_from([format.name for format in WRITABLE]))
def test_every_preset_can_be_wished_for_in_every_format_that_its_box_allows(table, other):
    if any(side > BY_NAME[other].max_side for side in table.get("box", ())):
        return
    table = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    assert Preset(name="a", **table).in_format(other).format == other


def test_a_box_scales_as_far_as_its_formats_can_be():
    preset = Preset(name="a", format="jpeg", box=(8000, 4000), formats=("webp",))
    assert preset.scaled(2).box == (16_000, 8000)
    assert preset.scaled(3).box == (16_383, 8192)
    assert preset.scaled(1) is preset
    whole = Preset(name="a", format="jpeg")
    assert whole.scaled(2) is whole


def test_a_preset_is_rather_delivered_in_fewer_bytes():
    assert Preset(name="a", format="jpeg").deliverable == ("jpeg",)
    assert Preset(name="a", format="webp", formats=("jpeg", "avif", "webp")).deliverable == (
        "avif",
        "webp",
        "jpeg",
    )
    assert Preset(name="a", format="auto").deliverable == ("avif", "webp", "jpeg")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (JPEG + 'access = "open"', '3: [a] access: expected "public", "signed" or "private"; foun'),
        (JPEG + 'formats = ["gif"]', '3: [a] formats: expected a list of "jpeg", "png", "webp",'),
        (JPEG + "hints = true", "3: [a] hints: expected no hints, because there is no box to sca"),
        (JPEG + "max_age = -1", "3: [a] max_age: expected a whole number of seconds from 0 to 31"),
        (JPEG + 'pending = "default"', '3: [a] pending: expected "wait", because there is no def'),
        (JPEG + "default = 1", "3: [a] default: expected the name of a picture file beside this "),
        (
            JPEG + 'box = [17000, 1]\nformats = ["webp"]',
            "4: [a] formats: expected no webp: it has sides up to 16383",
        ),
        (
            '[a]\nformat = "auto"\nformats = ["webp"]',
            '3: [a] formats: expected no formats, because format is "auto"',
        ),
    ],
)
def test_a_fault_of_delivery_is_told_like_any_other(write, text, fault):
    (told,) = faults(write(text))
    assert told.startswith(fault)


@given(definitions())
def test_a_demand_carries_every_preset_as_it_is(table):
    table = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    assume(table["format"] != "auto")  # a demand names one format
    image_id = "01M7YB1NC8XE9XQ3H3PCRZFKK6"
    demand = Demand(image_id=image_id, revision="r", preset=Preset(name="a", **table))
    again = read_queued(json.loads(demand.to_json()))
    assert again == demand
    assert again.preset.fingerprint == demand.preset.fingerprint
