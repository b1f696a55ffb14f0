"""URLs of other systems give the wishes that those systems would carry out."""

import base64
import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from api.dialects.aws_handler_paths import FILTERS as PATH_FILTERS
from api.dialects.errors import URL_ERRORS, BadSignature, Expired, UnknownPath
from api.dialects.image_url import SourceName
from api.dialects.imagor_filters import IMAGOR_FILTERS
from api.dialects.own import Own
from api.dialects.table import DIALECTS, Dialects, DialectSettings, read
from api.dialects.thumbor import Thumbor
from safelight.imaging.plan_options import plan_options
from safelight.imaging.probe import Probe
from safelight.wish.canonical import canonical
from safelight.wish.errors import InvalidOption
from tests.unit.api.dialects.urls import (
    FRAMING,
    IMAGOR,
    OUT_OF_PLACE,
    REFUSED,
    REFUSED_AS_IMAGORS,
    REFUSED_AS_THUMBORS,
    URLS,
    edits,
    json_path,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "00112233445566778899aabbccddeeff"
IMAGE = "01KAJ0000000000000000000AB"


def dialect(name, *keys):
    if name == "imagor":
        return Thumbor(keys=keys or (KEY,), system="imagor")
    given = keys or ((f"{KEY}:{KEY}",) if name in ("imgproxy", "own") else (KEY,))
    more = {"watermark": "logos/red.png"} if name == "imgproxy" else {}
    return DIALECTS[name](keys=given, **more)


def url_of(of, wanted):
    """Sign what is wanted: (path, query)."""
    signed = of.unsigned(wanted)
    path = of.join(of.signature(of.keys[0], signed.messages[0]), signed.target, signed.query)
    return tuple(f"{of.PREFIX.rstrip('/')}{path}".partition("?")[::2])


def asked(name, wanted, *, now=NOW):
    of = dialect(name)
    return read(*url_of(of, wanted), Dialects(known=(of,)), now=now)


@pytest.mark.parametrize(("name", "wanted", "expected"), URLS, ids=lambda text: str(text)[:60])
def test_a_url_gives_the_wish_that_its_own_system_would_carry_out(name, wanted, expected):
    assert canonical(asked(name, wanted).options) == expected


@pytest.mark.parametrize(("wanted", "expected"), IMAGOR, ids=lambda text: str(text)[:60])
def test_a_url_of_imagor_gives_the_wish_that_imagor_would_carry_out(wanted, expected):
    assert canonical(asked("imagor", wanted).options) == expected


def test_every_filter_that_only_imagor_has_is_in_a_url_of_the_table():
    used = set().union(*(options_in(url) for url, _ in IMAGOR))
    rows = IMAGOR_FILTERS.rows.items()
    thumbors = DIALECTS["thumbor"].ROWS.rows
    missing = [row for row, each in rows if each.reader and row not in {*used, *thumbors}]
    assert not missing, "add a URL for each to tests/unit/api/dialects/urls.py"


def test_every_filter_of_a_path_of_aws_is_in_a_url_of_the_table():
    used = set().union(*(options_in(url) for of, url, _ in URLS + REFUSED + FRAMING if of == "aws"))
    missing = [row for row, each in PATH_FILTERS.rows.items() if each.reader and row not in used]
    assert not missing, "add a URL for each to tests/unit/api/dialects/urls.py"


@pytest.mark.parametrize(
    ("name", "wanted", "word"),
    [
        *((name, *row) for name in ("thumbor", "imagor") for row in OUT_OF_PLACE),
        *(("thumbor", *row) for row in REFUSED_AS_THUMBORS),
        *(("imagor", *row) for row in REFUSED_AS_IMAGORS),
    ],
)
def test_an_option_never_becomes_a_part_of_the_images_name(name, wanted, word):
    with pytest.raises(InvalidOption) as refused:
        asked(name, wanted)
    assert refused.value.option == word


FOLDERS = [
    ("", "smart"),
    ("300x200/", "smart"),
    ("300x200/smart/", "300x200"),
    ("300x200/", "trim:50p"),
    ("fit-in/300x200/filters:grayscale()/", "left"),
    ("300x200/", "10x20:15x3"),
    ("300x200/", "stretch"),
    ("300x200/", "filters:quality(40)"),
]
"""What stands before a folder, and a folder that is named like an option."""
NOT_OF_AWS = {FOLDERS[2], FOLDERS[5]}
"""AWS's handler knows no `smart`, and reads a crop within any name."""


@pytest.mark.parametrize(
    ("name", "before", "folder"),
    [
        (name, *one)
        for name in ("thumbor", "imagor", "aws")
        for one in FOLDERS
        if name != "aws" or one not in NOT_OF_AWS
    ],
)
@pytest.mark.parametrize("slash", ["%2F", "%2f"])
def test_a_folder_that_is_named_like_an_option_has_its_slash_escaped(name, before, folder, slash):
    image_url = asked(name, f"{before}{folder}{slash}a.jpg")
    assert image_url.source == SourceName(key=f"{folder}/a.jpg")
    plain = asked(name, f"{before}b.jpg")
    assert image_url.options == plain.options


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        ("300x200/photos/smart/a.jpg", "photos/smart/a.jpg"),
        ("300x200/smart", "smart"),
        ("300x200/smarts/a.jpg", "smarts/a.jpg"),
        ("300x200/a%2Fb%2Fc.jpg", "a/b/c.jpg"),
        ("300x200/a%252Fb.jpg", "a%2Fb.jpg"),
        ("300x200/a%5B1%5D%7C.jpg", "a[1]|.jpg"),
        ("300x200/a[1]|.jpg", "a[1]|.jpg"),
    ],
)
@pytest.mark.parametrize("name", ["thumbor", "imagor"])
def test_a_name_is_read_as_it_was_written(name, wanted, key):
    assert asked(name, wanted).source == SourceName(key=key)


@pytest.mark.parametrize(
    ("wanted", "source"),
    [
        ("300x200/b64:cGhvdG9zL2ErYi5qcGc", SourceName(key="photos/a+b.jpg")),
        ("b64:czM6Ly9waG90b3MvYS5qcGc=", SourceName(bucket="photos", key="a.jpg")),
        ("300x200/b64:c21hcnQvYS5qcGc", SourceName(key="smart/a.jpg")),
        ("300x200/a+b%2Bc.jpg", SourceName(key="a b+c.jpg")),
    ],
)
def test_imagors_images_are_decoded_as_imagor_decodes_them(wanted, source):
    assert asked("imagor", wanted).source == source


@pytest.mark.parametrize(("name", "wanted", "expected"), FRAMING, ids=lambda text: str(text)[:60])
def test_a_url_frames_faces_only_where_faces_are_looked_for(name, wanted, expected):
    of = dialect(name)
    url, looking = url_of(of, wanted), Dialects(known=(of,), faces=True)
    assert canonical(read(*url, looking, now=NOW).options) == expected
    with pytest.raises(InvalidOption, match="SAFELIGHT_FACES") as refused:
        asked(name, wanted)
    assert refused.value.option == of.FACES


@pytest.mark.parametrize(
    ("system", "faces", "gravity"),
    [
        ("thumbor", True, "faces"),
        ("thumbor", False, "attention"),
        ("imagor", True, "attention"),
    ],
)
def test_smart_frames_faces_as_thumbors_detectors_do(system, faces, gravity):
    of = replace(dialect("thumbor"), system=system, faces=faces)
    url = url_of(of, "300x200/smart/a.jpg")
    options = read(*url, Dialects(known=(of,), faces=faces), now=NOW).options
    assert options.gravity == gravity


def test_the_settings_say_whether_smart_frames_faces(monkeypatch):
    monkeypatch.setenv("SAFELIGHT_THUMBOR_KEYS", KEY)
    for mode, framing in (("off", False), ("rekognition", True)):
        monkeypatch.setenv("SAFELIGHT_FACES", mode)
        dialects = DialectSettings.load().dialects
        (of,) = dialects.known
        assert (dialects.faces, of.faces) == (framing, framing)


def options_in(url):
    """Split a URL into words; the JSON of AWS's handler is decoded first."""
    with contextlib.suppress(ValueError):
        url = base64.b64decode(url.partition("?")[0], validate=True).decode() + url
    return set(re.findall(r"[\w-]+", url))


@pytest.mark.parametrize("name", [name for name, of in DIALECTS.items() if of.ROWS])
def test_every_option_that_is_understood_is_in_a_url_of_the_table(name):
    used = set().union(*(options_in(url) for of, url, _ in URLS + FRAMING if of == name))
    rows = DIALECTS[name].ROWS.rows.items()
    missing = [row for row, each in rows if each.reader and not used & {row, *each.also}]
    assert not missing, "add a URL for each to tests/unit/api/dialects/urls.py"


@pytest.mark.parametrize(("name", "wanted", "option"), REFUSED, ids=lambda text: str(text)[:60])
def test_what_is_not_understood_is_refused_by_its_name(name, wanted, option):
    with pytest.raises(InvalidOption) as refused:
        asked(name, wanted)
    assert refused.value.option == option


@pytest.mark.parametrize(
    ("name", "wanted", "options"),
    [
        ("thumbor", "300x200/filters:sharpen(2,1.0,true):quality(40)/a.jpg", ["sharpen"]),
        ("imgproxy", "w:300/brightness:51/sa:0.5/plain/a.jpg", ["br", "sa"]),
        ("imgproxy", "w:300/plain/a.jpg", []),
        ("imgproxy", "w:300/dpr:1/plain/a.jpg", []),
        ("imgproxy", "w:300/dpr:2/plain/a.jpg", []),
        ("imgproxy", "w:300/dpr:0.5/plain/a.jpg", ["dpr"]),
        ("imgix", "a.jpg?fit=crop&crop=top", []),
        ("imgix", "a.jpg?fit=crop&crop=edges,top", ["crop"]),
        ("imgix", "a.jpg?or=0&cs=srgb&trim=color", []),
        ("imgix", "a.jpg?or=90&cs=strip&trim=auto", ["orient", "cs", "trim"]),
        ("aws", edits(blur=2, rotate=90, grayscale=False), []),
        ("aws", edits(blur=True, rotate=45, sharpen=1), ["blur", "rotate", "sharpen"]),
        ("aws", "a.jpg?grayscale=true&width=10", ["grayscale"]),
    ],
)
def test_a_url_says_which_options_differ_from_the_other_systems_as_its_table_does(
    name, wanted, options
):
    rows = DIALECTS[name].ROWS.rows
    assert asked(name, wanted).differs == tuple((each, rows[each].differs) for each in options)
    assert all(rows[each].differs for each in options)


@pytest.mark.parametrize(
    ("name", "wanted", "source"),
    [
        ("own", f"_/{IMAGE}.webp", SourceName(key=IMAGE)),
        ("own", "_/folder/a b.jpg", SourceName(key="folder/a b.jpg")),
        ("thumbor", "300x200/path/to/a%20b.jpg", SourceName(key="path/to/a b.jpg")),
        ("thumbor", "s3://photos/a.jpg", SourceName(bucket="photos", key="a.jpg")),
        ("thumbor", f"fit-in/10x10/{IMAGE}", SourceName(key=IMAGE)),
        (
            "imgproxy",
            "w:1/plain/s3://photos/a%40b.jpg@webp",
            SourceName(bucket="photos", key="a@b.jpg"),
        ),
        ("imgproxy", "w:1/YS9iLmpwZw.png", SourceName(key="a/b.jpg")),
        ("aws", edits(), SourceName(bucket="photos", key="a/b.jpg")),
        ("aws", "300x200/a/b.jpg", SourceName(key="a/b.jpg")),
        (
            "aws",
            "filters:rotate(90)/s3:photos/filters:grayscale()/a%20(1).jpg",
            SourceName(bucket="photos", key="a (1).jpg"),
        ),
        ("aws", "fit-in/9x9/filters:watermark(logos,b/red.png,0,0)/a.jpg", SourceName(key="a.jpg")),
        ("aws", "a/300x200/b.jpg", SourceName(key="a/b.jpg")),
        ("aws", "a/300x200/b/10x10:20x20/fit-in/c.jpg", SourceName(key="a/b/c.jpg")),
        ("aws", "a/300x200%2Fb.jpg", SourceName(key="a/300x200/b.jpg")),
        (
            "aws",
            "100x100/test-100x100/beach-100x100.jpg",
            SourceName(key="test-100x100/beach-100x100.jpg"),
        ),
        ("aws", "fit-in/400x0/fit-in-a%20(1)%20b.jpg", SourceName(key="fit-in-a (1) b.jpg")),
        ("aws", "a/filters:grayscale()/b.jpg", SourceName(key="a//b.jpg")),
        ("imgix", "a/b%20c.jpg?w=1", SourceName(key="a/b c.jpg")),
    ],
)
def test_the_source_is_what_the_url_names(name, wanted, source):
    assert asked(name, wanted).source == source


PHOTO = SourceName(bucket="my.photos", key="a b/c.jpg", by_address=True)


@pytest.mark.parametrize(
    "host",
    [
        "my.photos.s3.eu-central-1.amazonaws.com",
        "my.photos.s3.amazonaws.com",
        "my.photos.s3-eu-west-1.amazonaws.com",
        "my.photos.s3.dualstack.eu-west-1.amazonaws.com",
        "my.photos.s3-accelerate.amazonaws.com",
        "my.photos.s3.cn-north-1.amazonaws.com.cn",
        "s3.eu-central-1.amazonaws.com/my.photos",
        "s3-us-west-2.amazonaws.com/my.photos",
        "s3.amazonaws.com/my.photos",
    ],
)
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("imgproxy", "w:1/plain/https://{host}/a%2520b/c.jpg"),
        ("imgproxy", "w:1/plain/http://{host}/a%20b/c.jpg"),
        ("thumbor", "10x10/https://{host}/a%2520b/c.jpg"),
        ("aws", "10x10/https://{host}/a%2520b/c.jpg?signature=_"),
        ("imgix", "https%3A%2F%2F{host}/a%2520b/c.jpg?w=1"),
    ],
)
def test_the_address_of_a_bucket_is_that_bucket(name, wanted, host):
    wanted = wanted.removesuffix("?signature=_").format(host=host)
    assert asked(name, wanted).source == PHOTO


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/a.jpg",
        "https://amazonaws.com/a.jpg",
        "https://photos.s3.amazonaws.com.example.com/a.jpg",
        "https://photos.s3.amazonaws.com@example.com/a.jpg",
        "https://photos.ec2.amazonaws.com/a.jpg",
        "https://photos.s3.amazonaws.com/",
        "https://s3.amazonaws.com/photos",
        "https://photos.s3.amazonaws.com/a.jpg?versionId=1",
        "https://photos.s3.amazonaws.com/a.jpg#1",
        "https://photos.s3.amazonaws.com/../a.jpg",
        "https://photos.s3.amazonaws.com/%252e%252e/a.jpg",
        "ftp://photos.s3.amazonaws.com/a.jpg",
        "local:///a.jpg",
        "gs://photos/a.jpg",
    ],
)
def test_no_other_address_is_a_source(address):
    escaped = address.replace("?", "%3F").replace("#", "%23").replace("@", "%40")
    with pytest.raises(InvalidOption, match=r"^source: "):
        asked("imgproxy", f"w:1/plain/{escaped}")


@pytest.mark.parametrize("name", DIALECTS)
@given(
    wanted=st.text(max_size=80)
    | st.text('abw:/,=%-x0123456789().@?&{}"', max_size=80)
    | st.sampled_from([wanted for _, wanted, _ in URLS]).flatmap(
        lambda url: st.integers(0, len(url)).map(lambda at: url[:at] + "/x" + url[at + 1 :])
    )
)  # fmt: skip
@example(wanted=edits(resize={"width": 1e308}))
@example(wanted=edits(resize={"width": 9, "height": 9, "ratio": 1e308}))
@example(wanted=edits(blur=10**400))
@example(wanted="filters:blur(99999999999999)/x")
@example(wanted="exp:999999999999999/plain/x")
def test_no_url_raises_anything_but_a_url_error(name, wanted):
    of = dialect(name)
    known = Dialects(known=(of,), root=name)
    try:
        path, query = url_of(of, wanted)
    except URL_ERRORS:
        path, query = f"/{wanted}", ""
    for each in ((path, query), (f"/{wanted}", wanted)):
        try:
            request = read(*each, known, now=NOW)
        except URL_ERRORS:
            continue
        else:
            assert request.source.key
            assert canonical(request.options)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_url_that_is_changed_is_refused(name):
    of = dialect(name)
    path, query = url_of(of, f"_/{IMAGE}.webp" if name == "own" else "plain/a.jpg")
    changed = path.replace("a.jpg", "b.jpg").replace(".webp", ".png")
    assert changed != path
    with pytest.raises(BadSignature):
        read(changed, query, Dialects(known=(of,)), now=NOW)


@pytest.mark.parametrize("name", DIALECTS)
def test_any_of_the_keys_in_use_is_accepted_and_no_other(name):
    old, new, foreign = (letter * 32 for letter in "abc")
    if name in ("imgproxy", "own"):
        old, new, foreign = (f"{key}:{key}" for key in (old, new, foreign))
    wanted = {"own": "_/a.jpg", "imgproxy": "plain/a.jpg"}.get(name, "a.jpg")
    both = Dialects(known=(dialect(name, new, old),))
    for key in (old, new):
        assert read(*url_of(dialect(name, key), wanted), both, now=NOW).source.key == "a.jpg"
    with pytest.raises(BadSignature):
        read(*url_of(dialect(name, foreign), wanted), both, now=NOW)


@pytest.mark.parametrize(
    ("name", "path", "query"),
    [
        ("thumbor", "/thumbor/unsafe/300x200/a.jpg", ""),
        ("imgproxy", "/imgproxy/unsafe/w:300/plain/a.jpg", ""),
        ("imgproxy", "/imgproxy/_/w:300/plain/a.jpg", ""),
        ("aws", "/aws/300x200/a.jpg", ""),
        ("imgix", "/imgix/a.jpg", "w=300"),
        ("own", f"/s//box=300x200/{IMAGE}", ""),
    ],
)
def test_nothing_unsigned_is_answered(name, path, query):
    with pytest.raises(BadSignature):
        read(path, query, Dialects(known=(dialect(name),)), now=NOW)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("own", f"box=20x20/{IMAGE}"),
        ("thumbor", "20x20/a.jpg"),
        ("imgproxy", "w:20/h:20/plain/a.jpg"),
        ("aws", "a.jpg?width=20&height=20&v=123&utm_source=x%20y"),
        ("imgix", "a.jpg?w=20&h=20&v=123&utm_source=x%20y"),
    ],
)
def test_an_unknown_query_is_refused_or_ignored_as_the_settings_say(name, wanted):
    of = dialect(name)
    path, query = url_of(of, wanted)
    query = query or "v=123&utm_source=x%20y&fbclid"
    with pytest.raises(InvalidOption, match=r"^(v|utm_source): "):
        read(path, query, Dialects(known=(of,)), now=NOW)
    ignoring = Dialects(known=(of,), ignores_unknown_query=True)
    assert canonical(read(path, query, ignoring, now=NOW).options).startswith("box=20x20")


@pytest.mark.parametrize(
    ("name", "wanted", "option"),
    [
        ("imgix", "a.jpg?w=20&mark=x", "mark"),
        ("imgix", "a.jpg?w=20&txt64=eA", "txt"),
        ("aws", "a.jpg?width=20&smartCrop=true", "smartCrop"),
        ("aws", "a.jpg?width=20&gamma=2", "gamma"),
        ("aws", "a.jpg?width=20&resize.kernel=x", "resize.kernel"),
    ],
)
def test_a_known_option_is_never_ignored(name, wanted, option):
    of = dialect(name)
    ignoring = Dialects(known=(of,), ignores_unknown_query=True)
    with pytest.raises(InvalidOption) as refused:
        read(*url_of(of, wanted), ignoring, now=NOW)
    assert refused.value.option == option


@pytest.mark.parametrize("name", ["aws", "imgix"])
def test_a_query_that_is_added_to_a_signed_one_is_not_signed(name):
    of = dialect(name)
    path, query = url_of(of, "a.jpg")
    ignoring = Dialects(known=(of,), ignores_unknown_query=True)
    with pytest.raises(BadSignature):
        read(path, f"{query}&utm_source=x", ignoring, now=NOW)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("own", f"box=10x10,expires={{seconds}}/{IMAGE}"),
        ("thumbor", "filters:expire({milliseconds})/a.jpg"),
        ("imgproxy", "exp:{seconds}/plain/a.jpg"),
        ("aws", "a.jpg?expires={basic}"),
        ("imgix", "a.jpg?expires={seconds}"),
    ],
)
def test_a_url_is_answered_until_it_expires(name, wanted):
    at = NOW + timedelta(hours=1)
    seconds = int(at.timestamp())
    told = wanted.format(
        seconds=seconds, milliseconds=seconds * 1000, basic=at.strftime("%Y%m%dT%H%M%SZ")
    )
    assert asked(name, told, now=at - timedelta(seconds=1)).expires == at
    with pytest.raises(Expired):
        asked(name, told, now=at)


def test_a_dialect_that_is_off_is_not_there():
    path, query = url_of(dialect("thumbor"), "300x200/a.jpg")
    with pytest.raises(UnknownPath, match="none is switched on"):
        read(path, query, Dialects(), now=NOW)
    with pytest.raises(UnknownPath, match="/s/"):
        read(path, query, Dialects(known=(dialect("own"),)), now=NOW)


def test_one_dialect_answers_at_the_root_too():
    of = dialect("thumbor")
    path, query = url_of(of, "300x200/a.jpg")
    known = Dialects(known=(dialect("own"), of), root="thumbor")
    for each in (path, path.removeprefix("/thumbor")):
        assert read(each, query, known, now=NOW).source.key == "a.jpg"


def test_a_signature_of_an_escaped_path_is_not_one_of_what_decodes_to_it():
    of = dialect("thumbor")
    path, _ = url_of(of, "300x200/a%2520b.jpg")
    assert asked("thumbor", "300x200/a%2520b.jpg").source.key == "a%20b.jpg"
    with pytest.raises(BadSignature):
        read(path.replace("%2520", "%252520"), "", Dialects(known=(of,)), now=NOW)
    with pytest.raises(BadSignature):
        read(path.replace("%2520", "%20"), "", Dialects(known=(of,)), now=NOW)


def test_an_extension_says_the_format_of_an_image():
    assert asked("own", f"_/{IMAGE}.jpg").options.format == "jpeg"
    assert asked("own", f"_/{IMAGE}").options.format is None
    with pytest.raises(InvalidOption, match="format"):
        asked("own", f"format=png/{IMAGE}.webp")
    with pytest.raises(InvalidOption, match="extension"):
        asked("own", f"_/{IMAGE}.gif")


def test_a_preset_is_named_by_imgproxys_word():
    assert asked("imgproxy", "pr:small/plain/a.jpg").preset == "small"


def test_what_is_not_about_pixels_is_handed_on():
    request = asked("thumbor", "filters:max_age(60):attachment(x.jpg)/a.jpg")
    assert (request.max_age_seconds, request.download, request.file_name) == (60, True, "x.jpg")
    for wanted, download, name in (
        ("att:1/fn:x/plain/a.jpg", True, "x"),
        ("fn:x/plain/a.jpg", False, "x"),
        ("fn:eA:1/plain/a.jpg", False, "x"),
        ("att:1/plain/folder/a.jpg", True, "a"),
        ("plain/a.jpg", False, None),
    ):
        request = asked("imgproxy", wanted)
        assert (request.download, request.file_name) == (download, name)
    cached = json_path(headers={"cache-control": "public, max-age=60"})
    assert asked("aws", cached).max_age_seconds == 60
    request = asked("imgix", "folder/a.jpg?dl=")
    assert (request.download, request.file_name) == (True, "a.jpg")


def test_our_own_url_takes_escapes_that_clients_add():
    of = Own(keys=(f"web:{KEY}",))
    path, _ = url_of(of, f"box=300x200,fit=cover/{IMAGE}")
    escaped = path.replace("=", "%3D").replace(",", "%2C")
    assert read(escaped, "", Dialects(known=(of,)), now=NOW).options.width == 300


def test_thumbors_smart_differs_and_imagors_does_not():
    assert dict(asked("thumbor", "300x200/smart/a.jpg").differs).keys() == {"smart"}
    assert asked("thumbor", "300x200/smart/filters:focal(1x1:9x9)/a.jpg").differs == ()
    assert asked("imagor", "300x200/smart/a.jpg").differs == ()


def test_a_key_is_named_and_may_be_a_tenants():
    of = Own(keys=(f"web:{KEY}", f"alices:{KEY[::-1]}:key:alice"))
    known = Dialects(known=(of, dialect("thumbor")))
    path, _ = url_of(of, f"_/{IMAGE}.webp")
    request = read(path, "", known, now=NOW)
    assert (request.key_id, request.user_id) == ("web", None)
    path, _ = url_of(Own(keys=of.keys[1:]), f"_/{IMAGE}.webp")
    request = read(path, "", known, now=NOW)
    assert (request.key_id, request.user_id) == ("alices", "key:alice")
    path, _ = url_of(dialect("thumbor"), "a.jpg")
    assert read(path, "", known, now=NOW).key_id == "thumbor-1"


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize(
    "box", [(10, 4, 31, 20), (0, 0, 53, 37), (52, 36, 53, 37), (3, 30, 50, 31)]
)
def test_a_crop_that_the_handler_makes_before_a_turn_keeps_the_same_pixels(angle, box):
    picture = Image.new("RGB", (53, 37))
    picture.putdata([(4 * x, 6 * y, 0) for y in range(37) for x in range(53)])
    left, top, right, bottom = box
    wish = asked("aws", f"{left}x{top}:{right}x{bottom}/filters:rotate({angle})/a.jpg").options
    turned = picture.rotate(-wish.turn, expand=True)
    seen = Probe(format="png", width=53, height=37, size_bytes=1)
    made = plan_options(seen, wish.in_format("png")).decodes[0].edits
    crop = made and made.crop
    kept = turned.crop((crop[0], crop[1], crop[0] + crop[2], crop[1] + crop[3])) if crop else turned
    assert kept.tobytes() == picture.crop(box).rotate(-angle, expand=True).tobytes()
