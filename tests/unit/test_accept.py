"""deploy/ecs/accept.js as a JavaScript engine runs it: what CloudFront's cache is asked for."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import quickjs
from hypothesis import given
from hypothesis import strategies as st

from api.delivery.negotiation import ANYWHERE, in_order
from safelight.formats import BY_NAME, BY_SIZE
from tests.support.templates import FOLDER, read

FORMATS = ("avif", "webp", "jpeg")
BROWSERS = {
    "Chrome": ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "avif"),
    "Firefox": ("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", "avif"),
    "Safari 16": (
        "image/webp,image/avif,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
        "avif",
    ),
    "Safari 14": (
        "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5",
        "webp",
    ),
    "Safari 13": ("image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", "jpeg"),
    "curl": ("*/*", "jpeg"),
}
_RANGES = st.sampled_from(
    [
        "image/avif",
        "image/webp",
        "image/jpeg",
        "image/png",
        "image/*",
        "*/*",
        "text/html",
        "IMAGE/AVIF",
        "",
    ]
)
_WEIGHTS = st.sampled_from(["", ";q=1", ";q=0", ";q=0.5", "; Q=0.9", ";q=2", ";q=x", ";v=b3;q=0.7"])
_HEADERS = st.lists(st.tuples(_RANGES, _WEIGHTS).map("".join), max_size=6).map(",".join)


@pytest.fixture(scope="module")
def handler() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The function, called as CloudFront calls it: an event in, a request out."""
    context = quickjs.Context()
    context.eval((FOLDER / "accept.js").read_text())

    def call(headers: dict[str, Any]) -> dict[str, Any]:
        event = json.dumps({"version": "1.0", "request": {"uri": "/small/1", "headers": headers}})
        answered: dict[str, Any] = json.loads(context.eval(f"JSON.stringify(handler({event}))"))
        return answered

    return call


def left(handler: Callable[[dict[str, Any]], dict[str, Any]], accept: str) -> str:
    text: str = handler({"accept": {"value": accept}})["headers"]["accept"]["value"]
    return text


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_browser_gets_the_best_that_it_names(handler, browser: str) -> None:
    accept, expected = BROWSERS[browser]
    assert in_order(left(handler, accept), FORMATS, alpha=False)[0] == expected


def test_there_are_three_texts_and_no_more(handler) -> None:
    accepts = [
        "*/*",
        "image/webp",
        "image/avif,image/webp",
        "",
        "nonsense",
        "image/avif",
        "image/avif;q=0",
    ]
    accepts += [accept for accept, _ in BROWSERS.values()]
    assert len({left(handler, accept) for accept in accepts}) == 3


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("image/webp,image/avif;q=0.5", "webp"),
        ("image/avif;q=0,image/webp", "webp"),
        ("image/avif,image/webp;q=0", "jpeg"),  # the text for AVIF would also allow WebP
        ("image/jpeg,image/webp;q=0.1", "jpeg"),
        ("image/avif;q=high,image/webp;q=1.1", "jpeg"),
        ("IMAGE/AVIF , Image/WebP", "avif"),
        ("image/avif,image/webp" + "," * 1000, "jpeg"),
    ],
)
def test_weights_are_honoured(handler, accept: str, expected: str) -> None:
    assert in_order(left(handler, accept), FORMATS, alpha=False)[0] == expected


def test_several_lines_are_one_and_none_is_jpeg(handler) -> None:
    lines = {
        "value": "image/avif",
        "multiValue": [{"value": "image/avif"}, {"value": "image/webp"}],
    }
    assert "image/avif" in handler({"accept": lines})["headers"]["accept"]["value"]
    assert handler({})["headers"]["accept"]["value"] == "image/*"


def test_nothing_else_of_a_request_is_touched(handler) -> None:
    request = handler({"accept": {"value": "*/*"}, "host": {"value": "cdn.example.com"}})
    assert request["uri"] == "/small/1"
    assert request["headers"]["host"] == {"value": "cdn.example.com"}


def test_the_edge_names_every_format_that_delivery_negotiates(handler) -> None:
    negotiated = {BY_NAME[name].media_type for name in BY_SIZE if name not in ANYWHERE}
    everything = left(handler, ",".join(sorted(negotiated)))
    assert negotiated == set(everything.split(",")) - {"image/*"}


@given(accept=_HEADERS)
def test_nobody_gets_what_was_not_accepted(handler, accept: str) -> None:
    chosen = in_order(left(handler, accept), FORMATS, alpha=False)[0]
    acceptable = in_order(accept or None, FORMATS, alpha=False)
    assert chosen in acceptable or chosen == "jpeg"


def test_the_template_holds_this_very_code() -> None:
    function = read("edge")["Resources"]["Accept"]["Properties"]["FunctionCode"]
    assert function.strip() == (FOLDER / "accept.js").read_text().strip()
    assert len(function.encode()) <= 10_240  # CloudFront's limit
