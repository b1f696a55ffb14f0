"""A wish keeps its fingerprint for ever, and can be asked for in other formats and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.formats import BY_NAME, WRITABLE_NAMES
from safelight.wish import fingerprints
from safelight.wish.canonical import fingerprint, read_options
from safelight.wish.wish import Wish
from tests.unit.wish.tables import definitions


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"format": "webp"}, "47fb0398b867 333e97cb7266 47fb0398b867 ccecaea2a075 7182f4715994"),
        (
            {"format": "jpeg", "box": (150, 150), "quality": 85},
            "bdd00db98624 741802283089 666e7539ac35 bdd00db98624 263ad098193a",
        ),
        ({"format": "png"}, "7182f4715994 333e97cb7266 47fb0398b867 ccecaea2a075 7182f4715994"),
        (
            {"format": "avif", "effort": 3},
            "44614055fb53 44614055fb53 47fb0398b867 ccecaea2a075 7182f4715994",
        ),
        ({"format": "auto"}, "efd99ecdb077 333e97cb7266 47fb0398b867 ccecaea2a075 7182f4715994"),
        (
            {"format": "auto", "quality": "auto", "budget": 1.5, "target": 80},
            "0471ccf12f7e 78e4c5a94ed6 3945491f7a9c d27f8b2d18af 7182f4715994",
        ),
        (
            {"format": "webp", "quality": "auto", "quality_range": (40, 90)},
            "4b0d88680e35 49211614c1b9 4b0d88680e35 5d1bb29ec44d 7182f4715994",
        ),
        (
            {"format": "jpeg", "box": (300, 200), "fit": "cover", "gravity": "north-east"},
            "eced48055ea5 00a49670fa85 c25ad607a3c3 eced48055ea5 187825ea1de6",
        ),
        (
            {
                "format": "jpeg",
                "box": (300, 200),
                "fit": "cover",
                "focal": (0.25, 0.75),
                "enlarge": True,
            },
            "6e2c111da575 7a8c9093669b b0386cc86e9f 6e2c111da575 f630ca93b214",
        ),
        (
            {"format": "avif", "box": (64, 64), "fit": "contain", "background": "#AABBCC"},
            "874f528356b4 874f528356b4 a48e7c7f73c8 fc914d77300c 7e2be50b48f9",
        ),
        (
            {"format": "jpeg", "hdr": True, "keep": ("copyright",)},
            "a745edf91e15 48275782e65a b93f903f94ec a745edf91e15 9417ed579ea6",
        ),
        (
            {"format": "webp", "animated": True, "colour": "p3", "effort": 6},
            "ff25c21844e3 c2f9e28d355c ff25c21844e3 f7701e9bb969 c1067fe050ce",
        ),
        (
            {"format": "jpeg", "box": (9, 9), "fit": "cover", "gravity": "attention"},
            "5cc830654046 bed4a3146b4e c089ce99f0f6 5cc830654046 f2e55a838735",
        ),
    ],
)
def test_a_fingerprint_never_changes(table, expected):
    """As declared, then as AVIF, WebP, JPEG and PNG. Any other one would orphan stored assets."""
    wish = Wish(**table)
    others = [wish.in_format(format).fingerprint for format in ("avif", "webp", "jpeg", "png")]
    assert [wish.fingerprint, *others] == expected.split()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("_", "6f7f2ce1ab2be3791e50d901"),
        (
            "box=300x200,fit=cover,gravity=attention,blur=2.5,format=webp,quality=80",
            "3ec283d194228af2d7ee9e9e",
        ),
        ("width=300,format=avif", "a82dd723a9ad8a0f873c236c"),
        ("trim=10,turn=90,crop=0.5x0.5:east,format=png", "14e2016c330ae3ef1871653c"),
        ("box=10x10,max-bytes=2000,format=jpeg,keep=copyright", "21c3b3874303a5524fd16df9"),
    ],
)
def test_a_fingerprint_of_options_never_changes(options, expected):
    assert fingerprint(read_options(options)) == expected


def test_the_fingerprint_changes_with_the_definition():
    one = Wish(format="jpeg")
    assert one.fingerprint == Wish(format="jpeg", quality=85).fingerprint
    others = [
        Wish(format="webp"),
        Wish(format="jpeg", quality=84),
        Wish(format="jpeg", box=(10, 20)),
        Wish(format="jpeg", box=(20, 10)),
        Wish(format="jpeg", box=(10, 20), fit="cover"),
        Wish(format="jpeg", background="#fffffe"),
    ]
    assert len({wish.fingerprint for wish in (one, *others)}) == 7


def test_a_wish_that_uses_no_later_key_keeps_its_fingerprint():
    """Otherwise existing assets would be rendered again for nothing."""
    first = {
        "a": (Wish(format="webp"), "47fb0398b867"),
        "b": (Wish(format="jpeg", box=(150, 150), quality=85), "bdd00db98624"),
    }
    for wish, expected in first.values():
        assert wish.fingerprint == expected
        assert wish.model_copy(update={"colour": "p3"}).fingerprint != expected
        assert wish.model_copy(update={"keep": ("copyright",)}).fingerprint != expected
    cover = Wish(format="png", box=(9, 9), fit="cover")
    others = [
        cover.model_copy(update=change)
        for change in ({"gravity": "north"}, {"focal": (0.5, 0.5)}, {"enlarge": True})
    ]
    assert len({wish.fingerprint for wish in (cover, *others)}) == 4


def test_a_searched_quality_has_the_formats_range_and_a_target_of_its_own():
    one = Wish(format="webp", quality="auto")
    assert (one.target, one.quality_range) == (70, (45, 95))
    assert one.fingerprint == Wish(format="webp", quality="auto", target=70).fingerprint
    others = [
        Wish(format="webp"),
        Wish(format="webp", quality="auto", target=71),
        Wish(format="webp", quality="auto", quality_range=(45, 94)),
    ]
    assert len({wish.fingerprint for wish in (one, *others)}) == 4


def test_the_fingerprint_changes_with_the_engine(monkeypatch):
    before = Wish(format="jpeg").fingerprint
    monkeypatch.setattr(fingerprints, "ENGINE_VERSION", fingerprints.ENGINE_VERSION + 1)
    assert Wish(format="jpeg").fingerprint != before


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
def test_a_wish_can_be_converted_to_another_format(format, quality, other, expected):
    wish = Wish(format=format, quality=quality, box=(90, 60), fit="cover")
    converted = wish.in_format(other)
    assert (converted.format, converted.quality) == (other, expected)
    assert (converted.box, converted.fit) == ((90, 60), "cover")
    assert converted.fingerprint != wish.fingerprint


def test_a_wish_in_its_own_format_is_itself():
    wish = Wish(format="webp", quality=7, animated=True, effort=5)
    assert wish.in_format("webp") is wish


def test_conversion_drops_what_the_other_format_cannot_have():
    assert Wish(format="webp", animated=True, effort=6).in_format("avif").effort == 0
    assert not Wish(format="jpeg", hdr=True).in_format("webp").hdr


@given(definitions(), st.sampled_from(WRITABLE_NAMES))
def test_every_wish_can_be_converted_to_every_format_that_its_box_allows(table, other):
    if any(side > BY_NAME[other].max_side for side in table.get("box", ())):
        return
    table = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    assert Wish(**table).in_format(other).format == other


def test_a_box_scales_within_the_limits_of_its_formats():
    wish, formats = Wish(format="jpeg", box=(8000, 4000)), ("jpeg", "webp")
    assert wish.scaled(2, formats=formats).box == (16_000, 8000)
    assert wish.scaled(3, formats=formats).box == (16_383, 8192)
    assert wish.scaled(1, formats=formats) is wish
    whole = Wish(format="jpeg")
    assert whole.scaled(2, formats=formats) is whole
