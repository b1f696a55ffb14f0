"""A wish has one form, one string and one key, whatever grammar it came in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.formats import WRITABLE
from safelight.wish.arguments import Choice, Colour, Key, Number, Place
from safelight.wish.canonical import FORMS, WORDS, canonical, fingerprint, read_options
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import GRAVITIES, LOOKED_FOR
from safelight.wish.operations import KINDS, MAX_OPERATIONS, operation
from safelight.wish.options import FITS, Crop, Options, Trim

sides = st.none() | st.integers(1, 6000)
shares = st.floats(0, 1)
points = st.tuples(shares, shares)
hexes = st.text("0123456789abcdef", min_size=6, max_size=6)
places = st.sampled_from([*GRAVITIES, *LOOKED_FOR])
keys = st.from_regex(r"[a-z]{1,9}/[ -~]{1,40}", fullmatch=True)


def argument_values(argument):
    match argument:
        case Number(whole=True):
            return st.integers(int(argument.least), int(argument.most))
        case Number():
            return st.floats(argument.least, argument.most)
        case Colour():
            return hexes | st.just("transparent") if argument.may_be_transparent else hexes
        case Choice():
            return st.sampled_from(argument.choices)
        case Place():
            return st.sampled_from(["0", "-0", "10", "-10", "5p", "-5p", "centre", "repeat"])
        case Key():
            return keys


@st.composite
def operations(draw):
    name = draw(st.sampled_from([*KINDS]))
    values = [draw(argument_values(argument)) for argument in KINDS[name].arguments]
    if name == "extend":
        values[:2] = (draw(st.integers(0, 6000)), draw(st.integers(0, 6000)))
    return operation(name, *values)


@st.composite
def wishes(draw):
    fit = draw(st.sampled_from([*FITS]))
    wish = Options(
        trim=draw(
            st.none()
            | st.builds(
                Trim,
                tolerance=st.integers(0, 255),
                corner=st.sampled_from(["top-left", "bottom-right"]),
            )
            | st.builds(Trim, tolerance=st.integers(0, 255), colour=hexes)
        ),
        turn=draw(st.sampled_from([0, 90, 180, 270])),
        crop=draw(
            st.none()
            | st.builds(
                Crop,
                width=st.floats(0, 5000),
                height=shares,
                gravity=places,
                offset=points,
                focal=st.none() | points,
            )
        ),
        width=draw(sides),
        height=draw(sides),
        fit=fit,
        swap=draw(st.booleans()),
        gravity="centre" if fit == "contain" else draw(places),
        focal=draw(st.none() | points),
        enlarge=draw(st.booleans()),
        flip=draw(st.sampled_from(["", "h", "v", "hv"])),
        operations=tuple(draw(st.lists(operations(), max_size=MAX_OPERATIONS))),
        background=draw(hexes),
        format=draw(st.none() | st.sampled_from([format.name for format in WRITABLE])),
        quality=draw(st.none() | st.integers(1, 100)),
        max_bytes=draw(st.none() | st.integers(1, 10**7)),
        keep_copyright=draw(st.booleans()),
    )
    try:
        return replace(wish, density=draw(st.sampled_from([1, 1.5, 2])))
    except InvalidOption:  # it would be too large
        return wish


@given(wishes())
def test_what_is_printed_is_read_back_the_same(wish):
    text = canonical(wish)
    read = read_options(text)
    assert canonical(read) == text
    assert canonical(read.normal()) == text
    assert fingerprint(read) == fingerprint(wish)
    assert read == read.normal()


@given(wishes())
def test_a_canonical_string_stands_in_a_path_as_it_is(wish):
    assert set(canonical(wish)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~,=:"
    )


@given(st.text(max_size=60) | st.text("abcdefx=:,.-0123456789", max_size=60))
def test_whatever_is_sent_is_read_or_refused_with_its_name(text):
    try:
        read = read_options(text)
    except InvalidOption:
        return
    assert read_options(canonical(read)) == read


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("box=300x200", "height=200,width=300"),
        ("box=600x400", "dpr=2,box=300x200"),
        ("box=300x200,fit=cover", "fit=cover,box=300x200,gravity=centre"),
        ("box=300x", "box=300x,fit=cover,gravity=north"),
        ("_", "fit=cover,enlarge=yes,gravity=south"),
        ("_", "brightness=0,rotate=0,pad=0"),
        ("box=300x200,format=png", "box=300x200,format=png,quality=80"),
        ("background=ff0000", "background=red"),
        ("background=ff0000", "background=F00"),
        ("blur=2", "blur=2.00001"),
    ],
)
def test_two_ways_to_say_one_thing_are_one_wish(one, other):
    assert canonical(read_options(other)) == one
    assert fingerprint(read_options(other)) == fingerprint(read_options(one))


def test_operations_keep_their_order():
    assert canonical(read_options("pad=10,blur=2")) == "pad=10,blur=2"
    assert canonical(read_options("blur=2,pad=10")) == "blur=2,pad=10"


@pytest.mark.parametrize(
    ("text", "option", "bound"),
    [
        ("box=9000x10", "width", "8192"),
        ("box=8000x8000", "box", "40000000"),
        ("blur=101", "blur", "from 0.3 to 100"),
        (",".join(["blur=1"] * (MAX_OPERATIONS + 1)), "operations", str(MAX_OPERATIONS)),
        ("pad=1001", "pad", "from 0 to 1000"),
        ("extend=8000:8000", "extend", "40000000"),
        ("quality=101", "quality", "100"),
        ("max-bytes=0", "max-bytes", "from 1"),
        ("dpr=9,box=1x1", "dpr", "8"),
        ("turn=45", "turn", "90"),
        ("gravity=face", "gravity", "faces"),
        ("box=9x9,fit=contain,gravity=faces", "gravity", "faces needs a fit that crops"),
        ("box=1x1,box=1x1", "box", "again"),
        ("box=1x1,width=2", "width", "again"),
        ("nonsense=1", "nonsense", "box"),
        ("blur=nan", "blur", "number"),
        ("crop=1e9x1", "crop", "WIDTHxHEIGHT"),
        ("x" * 2000, "options", "1500"),
    ],
)
def test_an_error_names_the_option_and_its_bound(text, option, bound):
    with pytest.raises(InvalidOption, match=bound) as refused:
        read_options(text)
    assert refused.value.option == option


def test_every_word_has_a_form():
    assert set(FORMS) == set(WORDS)
    assert not set(WORDS) & set(KINDS)
