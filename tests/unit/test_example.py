"""The parts of the example application, and that the guides show it as it is."""

import json
import re
import subprocess
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from yarl import URL

from api.delivery.signing import Grant, SigningKeys
from examples.gallery import pages, rejections, signing
from examples.gallery.pages import Pictures
from safelight.errors import Reason
from safelight.imaging.appearance import SIDE, Appearance
from safelight.presets import load_presets
from tests.support.pages import ROOT, blocks
from tests.support.pictures import SAMPLES

GALLERY = ROOT / "examples" / "gallery"
PICTURES = Pictures(base="https://cdn.example.com", key_id="web", secret="0123456789abcdef")
SIGNERS = SigningKeys.read("web:0123456789abcdef")
IMAGE = "01M7YB1NC8XE9XQ3H3PCRZFKK6"
node = pytest.mark.needs("node")


def run(script: str, *arguments: object) -> Any:
    """Run a module of JavaScript; return what it prints as JSON."""
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", script, *map(json.dumps, arguments)],
        cwd=GALLERY, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("number", "name"), [(0, "subscribe.py"), (1, "completions.py")])
def test_the_guide_to_completions_shows_the_examples_own_programs(number: int, name: str) -> None:
    assert blocks("guide/completions.md", "python")[number] == (GALLERY / name).read_text()


SIGN = """
import { signed } from "./signing.mjs";
const urls = JSON.parse(process.argv[1]);
console.log(JSON.stringify(urls.map(([path, expires, query]) =>
  signed(path, { keyId: "web", secret: "0123456789abcdef", expires, query }))));
"""
ODD = "/a b/é/日本/!$&'()*+,;=:@?#%[]\"<>\\^`{|}~.jpg"
TO_SIGN: list[tuple[str, int, dict[str, str]]] = [
    (f"/full/{IMAGE}.jpg", 1795262400, {"download": "1"}),  # the guide's vector
    (f"/full/{IMAGE}", 1, {"download": "1", "format": "webp"}),
    (ODD, 99_999_999_999, {"preset": "a b/c!'()*~&=+é", "download": "1"}),
]


@node
@pytest.mark.starts
def test_javascript_and_python_sign_the_same_urls_and_delivery_accepts_them() -> None:
    by_python = [
        signing.signed(path, key_id="web", secret="0123456789abcdef", expires=end, query=query)
        for path, end, query in TO_SIGN
    ]
    assert run(SIGN, TO_SIGN) == by_python
    for (path, end, _), url in zip(TO_SIGN, map(_parsed, by_python), strict=True):
        signers = SigningKeys.read("web:0123456789abcdef")
        signers._now = lambda: 0
        assert signers.check(path, dict(url.query)) == Grant(key_id="web", expires_at=end)
        assert url.path == path


def _parsed(url: str) -> URL:
    return URL(url, encoded=True)


@settings(max_examples=50)
@given(path=st.text(), query=st.dictionaries(st.sampled_from(["format", "download"]), st.text()))
def test_whatever_python_signs_delivery_accepts(path: str, query: dict[str, str]) -> None:
    path = "/" + path.encode("utf-8", "replace").decode()
    query = {name: text.encode("utf-8", "replace").decode() for name, text in query.items()}
    url = signing.signed(
        path, key_id="web", secret="0123456789abcdef", expires=99_999_999_999, query=query
    )
    assert SIGNERS.check(path, dict(_parsed(url).query)).key_id == "web"


DECODE = """
import { decode } from "./static/thumbhash.mjs";
const pictures = JSON.parse(process.argv[1]).map(decode);
console.log(JSON.stringify(pictures.map(({ width, height, rgba }) => [width, height, [...rgba]])));
"""


SMALL = ("astronaut-800px", "cat-451px")


def placeholders() -> dict[str, tuple[Image.Image, str]]:
    """Return pictures of many shapes with their placeholders."""
    shown = {name: Image.open(SAMPLES / f"{name}.jpg").convert("RGBA") for name in SMALL}
    cat = shown["cat-451px"]
    shown["portrait"] = cat.rotate(90, expand=True)
    shown["strip"] = cat.resize((900, 60))
    shown["translucent"] = cat.copy()
    shown["translucent"].putalpha(Image.linear_gradient("L").resize(cat.size))
    return {
        name: (
            picture,
            Appearance.of(
                picture.resize((SIDE, SIDE), Image.Resampling.BOX).tobytes(), shape=picture.size
            ).placeholder,
        )
        for name, picture in shown.items()
    }


@node
@pytest.mark.starts
def test_a_placeholder_is_decoded_to_a_blur_of_its_picture() -> None:
    made = placeholders()
    decoded = run(DECODE, [placeholder for _, placeholder in made.values()])
    for (name, (picture, _)), (width, height, rgba) in zip(made.items(), decoded, strict=True):
        assert max(width, height) == 32
        shape = min(7, picture.width / picture.height)  # the format knows no longer strips
        assert width / height == pytest.approx(shape, rel=0.35), name
        blur = Image.frombytes("RGBA", (width, height), bytes(rgba))
        ground = Image.new("RGBA", (4, 4), (128, 128, 128, 255))
        both = (ground.copy(), ground.copy())
        for laid, one in zip(both, (blur, picture), strict=True):
            laid.alpha_composite(one.resize((4, 4), Image.Resampling.BOX))
        pairs = zip(both[0].tobytes(), both[1].tobytes(), strict=True)
        assert sum(abs(a - b) for a, b in pairs) / 64 < 16, name


def test_every_reason_has_a_text_for_users_and_unknown_ones_have_a_general_one() -> None:
    assert rejections.TEXTS.keys() == {str(reason) for reason in Reason}
    assert rejections.explain("a reason of the future") == rejections.explain(None)


PROBLEM = {"detail": "The request is not as described.", "title": "The body is invalid"}


@pytest.mark.parametrize(
    ("pointer", "reason"), [("#/contentType", "unsupported"), ("#/size", "too_many_bytes")]
)
def test_a_file_that_is_refused_before_it_is_sent_has_the_text_of_its_rejection(
    pointer: str, reason: str
) -> None:
    problem = PROBLEM | {"errors": [{"pointer": pointer, "detail": "must be a media type"}]}
    assert rejections.explain_refusal(problem) == " ".join(rejections.TEXTS[reason])


def test_no_other_refusal_shows_a_user_what_is_for_developers() -> None:
    assert rejections.explain_refusal(PROBLEM) == rejections.LATER


def completed(**widths: int) -> dict[str, Any]:
    variants = {preset: {"width": width} for preset, width in widths.items()}
    return {
        "imageId": IMAGE, "status": "completed", "filename": '"><script>.jpg', "width": 900,
        "height": 1200, "dominantColour": "#102030", "placeholder": "3OcRJYB4",
        "variants": variants,
    }  # fmt: skip


def test_a_picture_is_offered_in_each_width_once_the_narrowest_first() -> None:
    html = PICTURES.figure(completed(large=900, full=900, small=320, medium=640))
    (avif,) = re.findall(r'<source type="image/avif" srcset="(.*?)"', html)
    base = "https://cdn.example.com"
    assert avif == ", ".join(
        f"{base}/{preset}/{IMAGE}.avif {width}w"
        for preset, width in (("small", 320), ("medium", 640), ("large", 900))
    )
    small = PICTURES.figure(completed(large=200, small=200, medium=200))
    # A width follows a space: a signature may hold a digit and a "w" too.
    assert re.findall(r" (\d+w)", small) == ["200w"] * 3  # one for each format
    assert 'width="900" height="1200"' in html


@pytest.mark.parametrize("status", ["completed", "rejected"])
def test_a_name_of_a_file_is_no_html(status: str) -> None:
    data = completed(small=1) | {"status": status, "reason": "empty"}
    html = PICTURES.figure(data) + pages.gallery("<b>", []) + pages.login("<i>")
    assert "<script>." not in html
    assert "&quot;&gt;&lt;script&gt;.jpg" in html
    assert "<b>" not in html
    assert "<i>" not in html


def test_the_presets_of_the_gallery_are_those_that_its_pages_use() -> None:
    presets = {preset.name: preset for preset in load_presets(GALLERY / "presets.toml")}
    assert presets.keys() == {*pages.WIDTHS, "full"}
    assert presets["full"].policy.access == "private"
    for name in pages.WIDTHS:
        assert presets[name].policy.access == "public"
        assert set(presets[name].deliverable) == {*pages.TYPES, "jpeg"}


def test_an_original_is_linked_by_a_url_that_ends_and_that_delivery_accepts() -> None:
    html = PICTURES.figure(completed(small=1))
    (link,) = re.findall(r'href="(.*?)"', html)
    url = _parsed(link.replace("&amp;", "&"))
    grant = SIGNERS.check(url.path, dict(url.query))
    assert grant.expires_at


def test_the_example_folder_is_not_in_the_image() -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in allowed
    assert not [line for line in allowed if line.startswith("!examples")]


(VECTOR,) = map(json.loads, blocks("guide/integrate.md", "json"))


def test_the_vector_of_the_guide_is_signed_as_delivery_signs() -> None:
    given = {name: value for name, value in VECTOR.items() if name not in ("url", "keyId")}
    assert signing.signed(key_id=VECTOR["keyId"], **given) == VECTOR["url"]
    signers = SigningKeys.read(f"{VECTOR['keyId']}:{VECTOR['secret']}")
    signers._now = lambda: VECTOR["expires"] - 1
    assert signers.check(VECTOR["path"], dict(_parsed(VECTOR["url"]).query)).key_id == "web"


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_code_of_the_guide_is_taken_from_the_example(language: str) -> None:
    files = [path for path in GALLERY.rglob("*") if path.suffix in (".py", ".mjs")]
    for block in blocks("guide/integrate.md", language):
        methods = textwrap.indent(block, "    ")
        assert any(
            _tight(one) in _tight(path.read_text()) for one in (block, methods) for path in files
        ), block


def _tight(code: str) -> str:
    """Leave one blank line between functions, as between methods."""
    return re.sub(r"\n{3,}", "\n\n", code)
