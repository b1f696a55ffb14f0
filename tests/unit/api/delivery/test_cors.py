"""Scripts of web pages read delivered pictures: `fetch`, a canvas, an image with `crossorigin`."""

from typing import Any

import pytest

from api.delivery.aliases import Alias
from safelight import keys
from safelight.presets import Preset
from tests.unit.api.delivery.gallery import IMAGE_ID, OTHER_ID, Gallery

PAGE = {"Origin": "https://app.example"}
PREFLIGHT = PAGE | {
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "range,traceparent",
}
ALLOW, EXPOSE = "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"
AVATARS = Alias(name="avatars", bucket="elsewhere", presets=("plain",))
ASSET = keys.asset_key(
    image_id=IMAGE_ID, revision="v1", preset="plain", fingerprint="0" * 12, extension="jpg"
)


@pytest.mark.parametrize("sent", [PAGE, {}], ids=["a page", "a CDN, which sends no Origin"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/plain/{IMAGE_ID}", 200),
        (f"/signed/{IMAGE_ID}", 403),
        (f"/secret/{IMAGE_ID}", 403),
        (f"/plain/{OTHER_ID}", 404),
        (f"/plain/{IMAGE_ID}?x=1", 400),
        (f"/%70lain/{IMAGE_ID}", 308),
        (f"/{ASSET}", 404),
    ],
)
async def test_any_page_may_read_a_picture_or_why_there_is_none(
    gallery: Gallery, path: str, status: int, sent: dict[str, str]
) -> None:
    gallery.hang()
    answer, _ = await gallery.ask(path, **sent)
    assert answer.status == status
    assert answer.headers[ALLOW] == "*"
    assert answer.headers[EXPOSE] == "*"
    assert "Origin" not in answer.headers.get("Vary", ""), "one copy in a cache is for every page"
    assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_picture_with_a_signed_url_may_be_read_too(gallery: Gallery) -> None:
    gallery.hang()
    for preset, expires in (("signed", None), ("secret", 2**33)):
        url = gallery.signing.sign(f"/{preset}/{IMAGE_ID}", expires_at=expires)
        answer, _ = await gallery.ask(url, **PAGE)
        assert (answer.status, answer.headers[ALLOW]) == (200, "*")


@pytest.mark.parametrize("sent", [PREFLIGHT, {}], ids=["a page", "a CDN, which sends no Origin"])
@pytest.mark.parametrize(
    "path", [f"/plain/{IMAGE_ID}", f"/secret/{IMAGE_ID}", "/avatars/team/anna.jpg", f"/{ASSET}"]
)
async def test_a_preflight_for_a_picture_is_answered(
    open_: Any, path: str, sent: dict[str, str]
) -> None:
    presets = [Preset(name=name, format="jpeg") for name in ("plain", "secret")]
    gallery = await open_(*presets, aliases=(AVATARS,))
    answer, body = await gallery.ask(path, method="OPTIONS", **sent)
    assert (answer.status, body) == (204, b"")
    assert answer.headers[ALLOW] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert answer.headers["Access-Control-Allow-Headers"] == "*"
    assert gallery.renderer.calls["render"] == 0


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/nowhere/at/all", "/v1/images/x"])
async def test_the_permission_is_for_pictures_only(gallery: Gallery, path: str) -> None:
    for method in ("GET", "OPTIONS"):
        answer, _ = await gallery.ask(path, method=method, **PREFLIGHT)
        assert ALLOW not in answer.headers


async def test_an_operator_may_name_the_pages_that_read_pictures(open_: Any) -> None:
    gallery = await open_(picture_cors_origins=("https://app.example", "app://shop"))
    gallery.hang()
    for origin, allowed in (("app://shop", "app://shop"), ("https://other.example", None)):
        for method in ("GET", "OPTIONS"):
            answer, _ = await gallery.ask(f"/plain/{IMAGE_ID}", method=method, Origin=origin)
            assert answer.headers.get(ALLOW) == allowed
            assert "Origin" in ", ".join(answer.headers.getall("Vary"))


async def test_an_operator_may_let_no_page_read_pictures(open_: Any) -> None:
    gallery = await open_(picture_cors_origins=())
    gallery.hang()
    answer, _ = await gallery.ask(f"/plain/{IMAGE_ID}", **PAGE)
    assert (answer.status, answer.headers.get(ALLOW)) == (200, None)


async def test_pages_of_the_api_may_read_how_long_a_picture_took(open_: Any) -> None:
    gallery = await open_(cors_origins=("https://app.example", "app://shop"))
    gallery.hang()
    for path, status in ((f"/plain/{IMAGE_ID}", 200), (f"/plain/{OTHER_ID}", 404)):
        answer, _ = await gallery.ask(path)  # an <img> sends no Origin
        assert answer.status == status
        assert answer.headers["Timing-Allow-Origin"] == "https://app.example, app://shop"
    answer, _ = await gallery.ask("/healthz", **PAGE)
    assert "Timing-Allow-Origin" not in answer.headers


async def test_no_page_may_read_timings_unless_an_operator_names_it(gallery: Gallery) -> None:
    gallery.hang()
    answer, _ = await gallery.ask(f"/plain/{IMAGE_ID}", **PAGE)
    assert answer.status == 200
    assert "Timing-Allow-Origin" not in answer.headers
