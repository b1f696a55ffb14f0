"""Wishes are written as URLs of every dialect that mean exactly the same, or are refused."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.dialects.image_url import ImageUrl, SourceName
from api.dialects.table import DIALECTS, MAX_URL, Dialects, read
from api.dialects.writers import signed_url, written
from safelight.wish.canonical import NOTHING, canonical, read_options
from safelight.wish.errors import InvalidOption
from tests.unit.api.dialects.test_dialects import IMAGE, NOW, dialect
from tests.unit.api.dialects.urls import IMAGOR, URLS
from tests.unit.wish.test_options import wishes

NAMES = (*DIALECTS, "imagor")
KNOWN = {name: Dialects(known=(dialect(name),), faces=True) for name in NAMES}
ENDS = datetime(2030, 5, 17, 12, 30, 59, tzinfo=UTC)
FITS = ("inside", "cover", "crop", "contain", "fill", "outside")
GRAVITIES = ("", "gravity=attention", "gravity=north-west")
FORMATS = ("", "format=webp", "format=avif,quality=50")
OPERATIONS = ("", "blur=2.5", "sharpen=0.5")
TURNS = ("", "turn=90", "flip=h", "turn=180,flip=hv")
IMAGORS_PADS = (
    "box=300x200,extend=300:200:ff0000,pad=5:10:5:10:ff0000,flatten=ff0000",
    "box=300x200,extend=300:200:ffffff,pad=20:15:3:10:ffffff,flatten=ffffff",
)
"""Wishes of imagor's padding beside the size, which the writer does not use."""


def url_for(name, options, *, expires=None):
    """Write a wish as a signed URL, and return it with what a reader makes of it."""
    ((of,), known) = KNOWN[name].known, KNOWN[name]
    wanted = ImageUrl(
        dialect=of.NAME, source=SourceName(key=IMAGE), options=options, expires=expires
    )
    url = signed_url(of, written(known, of, wanted))
    path, _, query = url.partition("?")
    return url, read(path, query, known, now=NOW)


@st.composite
def simple_wishes(draw):
    """Draw a wish of a few words, which other systems may have words for."""
    words = canonical(draw(wishes())).split(",")
    chosen = set(draw(st.lists(st.sampled_from(words), max_size=4)))
    if any(word.startswith(("fit", "gravity", "focal", "enlarge", "extend")) for word in chosen):
        chosen |= {word for word in words if word.startswith("box")}
    try:
        return read_options(",".join(word for word in words if word in chosen) or NOTHING)
    except InvalidOption:  # such as a gravity that its fit made possible
        return read_options(NOTHING)


@pytest.mark.parametrize("examples", [60, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_a_url_means_what_it_was_written_for_or_is_refused(name, examples):
    refused = []

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(options=simple_wishes() | wishes(), expires=st.none() | st.just(ENDS))
    def check(options, expires):
        try:
            url, meant = url_for(name, options, expires=expires)
        except InvalidOption as error:
            refused.append(error.option)
            return
        assert len(url) <= MAX_URL
        assert meant.options == options.normal()
        assert meant.source == SourceName(key=IMAGE)
        assert meant.expires == expires

    check()
    assert all(refused)
    assert name != "own" or set(refused) <= {"options"}, "only one that is too long"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, words) for name, _, words in URLS),
        *(("imagor", words) for _, words in IMAGOR if words not in IMAGORS_PADS),
    ],
    ids=lambda text: text[:60],
)
def test_whatever_a_dialect_can_say_is_written_in_it(name, options):
    _, meant = url_for(name, read_options(options))
    assert canonical(meant.options) == options


def combinations():
    for fit, enlarge, gravity, output, operation, turn in product(
        FITS, ("", "enlarge=yes"), GRAVITIES, FORMATS, OPERATIONS, TURNS
    ):
        place = gravity.replace("attention", "south" if fit == "contain" else "attention")
        words = (f"box=300x200,fit={fit}", enlarge, place, output, operation, turn)
        yield read_options(",".join(filter(None, words)))


@pytest.mark.parametrize(
    ("step", "written_in"),
    [
        (
            11,
            {"own": 118, "aws": 79, "imgproxy": 69, "imagor": 60, "imgix": 50, "thumbor": 44},
        ),
        pytest.param(
            1,
            {"own": 1296, "aws": 864, "imgproxy": 756, "imagor": 648, "imgix": 540, "thumbor": 486},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_so_many_of_1296_combinations_are_written_in_each_dialect(step, written_in):
    """By default every 11th is tried: among these, any two values of two lists meet."""
    counts = Counter()
    for options in islice(combinations(), None, None, step):
        for name in NAMES:
            try:
                _, meant = url_for(name, options)
            except InvalidOption:
                continue
            assert meant.options == options
            counts[name] += 1
    assert counts == written_in


@pytest.mark.parametrize(
    ("name", "options", "named", "why"),
    [
        ("imgix", "box=30x20,fit=outside", "fit", "cannot express fit=outside; it would mean"),
        ("imgproxy", "background=ff0000", "background", "cannot express background=ff0000"),
        ("thumbor", "box=30x20,fit=cover", "enlarge", "adds enlarge=yes; it would mean"),
        ("imgproxy", "brightness=5,blur=2", "operations", "another order of operations"),
        ("thumbor", "trim=10,crop=10x10:north-west", "trim", "together with a crop"),
        ("imgix", "gravity=faces,box=3x2,fit=cover,max-bytes=9", "max-bytes", "would mean box=3x2"),
    ],
)
def test_a_refusal_names_what_the_dialect_cannot_express(name, options, named, why):
    with pytest.raises(InvalidOption) as refused:
        url_for(name, read_options(options))
    assert refused.value.option == named
    assert why in refused.value.message
    assert dialect(name).TITLE in refused.value.message


def test_a_url_that_would_mean_another_source_is_refused():
    (of,) = KNOWN["own"].known
    wanted = ImageUrl(
        dialect="own", source=SourceName(key=f"{IMAGE}.webp"), options=read_options("blur=1")
    )
    with pytest.raises(InvalidOption, match="format=webp"):
        written(KNOWN["own"], of, wanted)
    in_format = replace(wanted, options=replace(wanted.options, format="webp"))
    with pytest.raises(InvalidOption, match="source"):
        written(KNOWN["own"], of, in_format)
