import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from safelight.formats import BY_NAME
from safelight.presets import KEYS, InvalidPresets, Policy, Preset, load_presets
from safelight.queued import Demand, read_queued
from safelight.wish.wish import Wish
from tests.unit.wish.tables import definitions

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
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]


def test_the_default_file_declares_compressed_and_three_thumbnails():
    presets = {preset.name: preset for preset in load_presets(DEFAULT_FILE)}
    assert list(presets) == ["compressed", "small", "medium", "large"]
    assert presets["compressed"].wish.format == "webp"
    assert (presets["compressed"].wish.quality, presets["compressed"].wish.box) == (80, None)
    assert [presets[name].wish.box for name in ("small", "medium", "large")] == [
        (150, 150),
        (300, 300),
        (600, 600),
    ]


def test_what_a_preset_leaves_out_is_the_formats_default(write):
    file = '[a]\nformat="webp"\n[b]\nformat="avif"\n[c]\nformat="png"\n[d]\nformat="jpeg"'
    webp, avif, png, jpeg = (preset.wish for preset in load_presets(write(file)))
    assert (webp.quality, webp.effort, webp.fit, webp.background) == (80, 2, "inside", "#ffffff")
    assert (avif.quality, avif.effort) == (60, 0)
    assert (png.quality, png.effort) == (None, None)
    assert (jpeg.quality, jpeg.effort) == (85, None)


JPEG, PNG, WEBP = ('[a]\nformat = "jpeg"\n', '[a]\nformat = "png"\n', '[a]\nformat = "webp"\n')
COVER = JPEG + 'box = [9, 9]\nfit = "cover"\n'
AUTO = '[a]\nformat = "jpeg"\nquality = "auto"\n'
WHOLE = "expected a whole number from"
NAME = "expected a name that is a lower-case letter"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            '[a]\nformat = "bmp"',
            '[a] format: expected one of "jpeg", "png", "webp", "avif", or "auto"; fou',
        ),
        ("[a]\nbox = [1, 1]", "[a] format: expected one of"),
        (JPEG + "quality = 0", f"[a] quality: {WHOLE} 1 to 100 for jpeg; found 0"),
        (JPEG + "quality = true", f'[a] quality: {WHOLE} 1 to 100, or "auto"; found true'),
        (JPEG + 'quality = "85"', f'[a] quality: {WHOLE} 1 to 100, or "auto"; found "85"'),
        (PNG + 'quality = "auto"', "[a] quality: expected no quality, because png has none"),
        (JPEG + "target = 70", '[a] target: expected no target, because quality is not "auto"'),
        (JPEG + "quality_range = [1, 9]", "[a] quality_range: expected no quality_range, becau"),
        (AUTO + "target = 29", f"[a] target: {WHOLE.replace('number', 'number of points')} 30 "),
        (
            AUTO + "target = 70.5",
            "[a] target: expected a whole number of points from 30 to 95; ",
        ),
        (
            AUTO + "quality_range = [9, 8]",
            "two whole numbers from 1 to 100, the least first; found",
        ),
        (
            AUTO + "quality_range = [0, 8]",
            "[a] quality_range: expected [least, most], two whole",
        ),
        (
            AUTO + 'quality_range = "all"',
            '[least, most], two whole numbers from 1 to 100; found "al',
        ),
        (WEBP + "effort = 7", f"[a] effort: {WHOLE} 0 to 6 for webp; found 7"),
        (JPEG + "effort = 1", "[a] effort: expected no effort, because jpeg has none; found 1"),
        (PNG + "quality = 9", "[a] quality: expected no quality, because png has none; found 9"),
        (JPEG + 'fit = "cover"', "[a] box: expected [width, height], two whole numbers"),
        (JPEG + 'fit = "cover"', 'because fit is "cover"; found nothing'),
        (
            JPEG + 'fit = "fill"',
            '[a] fit: expected "inside", "cover" or "contain"; found "fill"',
        ),
        (JPEG + "box = [0, 5]", "[a] box: expected [width, height]"),
        (JPEG + "box = [5]", "[a] box: expected [width, height]"),
        (WEBP + "box = [20000, 5]", "[a] box: expected sides up to 16383"),
        (JPEG + 'background = "white"', '[a] background: expected a colour as "#rrggbb"; fou'),
        (JPEG + "qualty = 3", "[a] qualty: expected one of the keys box, fit, gravity, focal"),
        (JPEG + "qualty = 3", 'found "qualty"; did you mean quality?'),
        (JPEG + 'name = "b"', "[a] name: expected one of the keys"),
        ('[A]\nformat = "jpeg"', f"[A]: {NAME}"),
        ('["../a"]\nformat = "jpeg"', f"[../a]: {NAME}"),
        ('["a\\n"]\nformat = "jpeg"', NAME),
        ("x = 1", "[x]: expected a table, [x]; found 1"),
        ('[[a]]\nformat = "jpeg"', "[a]: expected a table, [a]"),
        (
            COVER + 'gravity = "up"',
            '[a] gravity: expected one of "centre", "north", "north-east"',
        ),
        (
            COVER + "focal = [0.5, 1.1]",
            "[a] focal: expected [x, y], two numbers from 0 to 1; fou",
        ),
        (COVER + "focal = 0.5", "[a] focal: expected [x, y]"),
        (
            COVER + 'gravity = "east"\nfocal = [0, 1]',
            "[a] gravity: expected no gravity, because f",
        ),
        (JPEG + "focal = [0, 1]", '[a] focal: expected no focal, because fit is "inside"'),
        (JPEG + 'gravity = "east"', '[a] gravity: expected no gravity, because fit is "inside"'),
        (JPEG + 'gravity = "attention"', '[a] gravity: expected another than "attention"'),
        (JPEG + 'gravity = "faces"', '[a] gravity: expected another than "faces"'),
        (
            WEBP + 'animated = true\nbox = [9, 9]\nfit = "cover"\ngravity = "faces"',
            '[a] gravity: expected another than "faces", because it would leap',
        ),
        (
            COVER + 'hdr = true\ngravity = "faces"',
            '[a] hdr: expected no hdr, because gravity is "f',
        ),
        (JPEG + "enlarge = true", "[a] enlarge: expected no enlarge, because there is no box"),
        (JPEG + "enlarge = 1", "[a] enlarge: expected true or false; found 1"),
        (JPEG + 'colour = "rgb"', '[a] colour: expected "srgb" or "p3"; found "rgb"'),
        (
            JPEG + 'keep = ["gps"]',
            '[a] keep: expected a list that is empty or holds "copyright"',
        ),
        (JPEG + 'keep = "copyright"', "[a] keep: expected a list"),
        ("[a]\nformat = ", "not TOML: "),
        (JPEG + JPEG, "not TOML: "),
        ("", "expected at least one preset, [name]; found none"),
        ("# nothing\n", "expected at least one preset, [name]; found none"),
    ],
)
def test_a_fault_names_its_table_key_and_what_is_expected(write, text, fault):
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
    places = [fault.partition(": ")[0] for fault in faults(write(text))]
    assert places == [
        "[a] quality", "[a] effort", "[b] format", "[b] colour", "[b] background", "[c] box",
    ]  # fmt: skip


def test_a_file_that_is_missing_or_not_text_is_a_fault(tmp_path, write):
    missing = tmp_path / "absent.toml"
    with pytest.raises(InvalidPresets, match=r"absent\.toml: cannot be read: No such file"):
        load_presets(missing)
    with pytest.raises(InvalidPresets, match="expected UTF-8 text"):
        load_presets(write(b"\xff\xfe\x00"))
    with pytest.raises(InvalidPresets, match="cannot be read"):
        load_presets(tmp_path)


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
        wish = preset.wish
        assert wish.box == (tuple(table["box"]) if "box" in table else None)
        assert wish.quality == table.get(
            "quality", getattr(BY_NAME[wish.format].quality, "default", None)
        )
        assert len(wish.fingerprint) == 12


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


@given(st.dictionaries(st.sampled_from([*KEYS, *Preset.model_fields, "other"]), toml_values))
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
    with pytest.raises(ValidationError):
        Preset(name="a", wish=Wish(format="png"), policy=Policy(hints=True))
    with pytest.raises(ValidationError):
        Preset(name="A", wish=Wish(format="png"))


def test_a_preset_may_be_given_as_a_table_or_as_its_two_parts():
    table = {"name": "a", "box": [9, 9], "format": "jpeg", "access": "public", "max_age": 5}
    wish, policy = Wish(box=(9, 9), format="jpeg"), Policy(access="public", max_age=5)
    preset = Preset(name="a", wish=wish, policy=policy)
    assert Preset.model_validate(table) == preset
    assert Preset.model_validate(preset.model_dump()) == preset
    assert (preset.wish, preset.policy) == (wish, policy)


@pytest.mark.parametrize("part", ["wish", "policy"])
def test_a_table_has_no_parts(write, part):
    (fault,) = faults(write(JPEG + f'{part} = {{format = "png"}}'))
    assert fault.startswith(f"[a] {part}: expected one of the keys box, fit, ")


def test_who_gets_a_variant_is_not_part_of_what_it_is():
    plain = Preset(name="a", format="jpeg", box=(9, 9))
    delivered = Preset(
        name="a", format="jpeg", box=(9, 9), access="public", formats=("avif",), hints=True,
        max_age=5, pending="default", default="nobody.png",
    )  # fmt: skip
    assert delivered.wish.fingerprint == plain.wish.fingerprint


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
        (JPEG + 'access = "open"', '[a] access: expected "public", "signed" or "private"; foun'),
        (JPEG + 'formats = ["gif"]', '[a] formats: expected a list of "jpeg", "png", "webp",'),
        (JPEG + "hints = true", "[a] hints: expected no hints, because there is no box to sca"),
        (JPEG + "max_age = -1", "[a] max_age: expected a whole number of seconds from 0 to 31"),
        (JPEG + 'pending = "default"', '[a] pending: expected "wait", because there is no def'),
        (JPEG + "default = 1", "[a] default: expected the name of a picture file beside this "),
        (
            JPEG + 'box = [17000, 1]\nformats = ["webp"]',
            "[a] formats: expected no webp: it has sides up to 16383",
        ),
        (
            '[a]\nformat = "auto"\nformats = ["webp"]',
            '[a] formats: expected no formats, because format is "auto"',
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
    assert again.preset.wish.fingerprint == demand.preset.wish.fingerprint
