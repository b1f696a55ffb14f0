"""Free-form URLs: options, signatures and limits."""

import asyncio
import io
import re
from typing import Any

import pytest
from PIL import Image

from api.delivery.aliases import Alias
from api.dialects.imgproxy import Imgproxy
from api.dialects.own import Own
from api.dialects.table import DIALECTS, Dialects
from api.dialects.thumbor import Thumbor
from safelight import keys
from tests.support import pictures
from tests.unit.api.delivery.conftest import PRESETS
from tests.unit.api.delivery.gallery import BROWSER, IMAGE_ID, OTHER_ID, SOURCE, Gallery
from tests.unit.api.dialects.test_dialects import dialect, url_of
from tests.unit.api.dialects.urls import URLS

OWN = Own(
    keys=(
        "web:a-secret-of-the-web",
        "alices:a-secret-of-alice:key:alice",
        "bobs:" + "b" * 16 + ":key:bob",
    )
)
THUMBOR = Thumbor(keys=("correct horse battery",))
IMGPROXY = Imgproxy(keys=("aa" * 16 + ":" + "bb" * 16,))
ON = Dialects(known=(OWN, THUMBOR, IMGPROXY), root="thumbor")
ALIASES = (Alias(name="avatars", bucket="acme-pictures", prefix="public/", presets=("small",)),)


def url(dialect: Any, wanted: str, *, key: int = 0) -> str:
    signer = type(dialect)(keys=dialect.keys[key : key + 1])
    path, query = url_of(signer, wanted)
    return f"{path}?{query}" if query else path


@pytest.fixture
async def gallery(open_: Any) -> Gallery:
    opened: Gallery = await open_(*PRESETS, dialects=ON, aliases=ALIASES)
    opened.hang()
    return opened


def size_of(body: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(body)).size


async def test_a_wish_is_rendered_once_and_found_again(gallery: Gallery) -> None:
    path = url(OWN, f"box=20x20,fit=cover/{IMAGE_ID}.webp")
    answer, body = await gallery.ask(path)
    assert (answer.status, answer.content_type) == (200, "image/webp")
    assert size_of(body) == (20, 20)
    assert answer.headers["Cache-Control"] == "public, max-age=600"
    assert f"img-{IMAGE_ID}," in answer.headers["x-amz-meta-cache-tag"]
    assert "rendered" in answer.headers["Server-Timing"]
    again, stored = await gallery.ask(path)
    assert stored == body
    assert "stored" in again.headers["Server-Timing"]
    (key,) = gallery.objects.assets
    assert key.startswith(keys.assets_prefix(IMAGE_ID))
    assert "/options-" in key


async def test_one_wish_in_two_grammars_is_one_asset(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/anna.jpg", SOURCE)
    for path in (
        url(OWN, "box=20x10,fit=cover,enlarge=yes,format=webp/avatars/anna.jpg"),
        url(THUMBOR, "20x10/filters:format(webp)/avatars/anna.jpg"),
        url(THUMBOR, "20x10/filters:format(webp)/s3://acme-pictures/public/anna.jpg"),
        url(
            THUMBOR,
            "20x10/filters:format(webp)/https://acme-pictures.s3.eu-west-1.amazonaws.com/public/anna.jpg",
        ),
    ):
        answer, body = await gallery.ask(path)
        assert (answer.status, size_of(body)) == (200, (20, 10))
    assert len(gallery.objects.assets) == 1
    assert gallery.renderer.calls["render"] == 1


async def test_the_address_of_a_bucket_that_is_called_like_an_alias_is_another_bucket(
    gallery: Gallery,
) -> None:
    gallery.elsewhere.upload("public/anna.jpg", SOURCE)
    assert (await gallery.ask(url(THUMBOR, "20x10/s3://avatars/anna.jpg")))[0].status == 200
    address = "https://avatars.s3.amazonaws.com/anna.jpg"
    assert (await gallery.ask(url(THUMBOR, f"20x10/{address}")))[0].status == 404


async def test_a_client_without_a_format_gets_the_best_it_accepts(gallery: Gallery) -> None:
    path = url(OWN, f"box=20x20/{IMAGE_ID}")
    for accept, media_type in (
        (BROWSER, "image/avif"),
        ("image/webp,*/*", "image/webp"),
        ("*/*", "image/jpeg"),
    ):
        answer, _ = await gallery.ask(path, accept=accept)
        assert answer.content_type == media_type
        assert answer.headers["Vary"] == "Accept"
    named, _ = await gallery.ask(url(OWN, f"box=20x20/{IMAGE_ID}.webp"), accept=BROWSER)
    assert "Vary" not in named.headers


async def test_many_who_want_one_wish_wait_for_one_render(gallery: Gallery) -> None:
    gallery.renderer.gate.clear()
    path = url(OWN, f"box=20x20,blur=2,format=webp/{IMAGE_ID}")
    asked = [asyncio.create_task(gallery.ask(path)) for _ in range(30)]
    while not gallery.on_demand.under_way:
        await asyncio.sleep(0.01)
    gallery.renderer.gate.set()
    answers = await asyncio.gather(*asked)
    assert {answer.status for answer, _ in answers} == {200}
    assert gallery.renderer.calls["render"] == 1


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        (f"/s/{'A' * 43}/box=20x20/{IMAGE_ID}", 403, "signature"),
        ("/thumbor/unsafe/300x200/avatars/anna.jpg", 403, "unsafe"),
        ("/unsafe/300x200/avatars/anna.jpg", 403, "unsafe"),
        ("/imgproxy/_/w:300/plain/avatars/anna.jpg", 403, "signature"),
        ("/imgix/avatars/anna.jpg?s=1", 403, "signature"),
        (url(OWN, f"nope=1/{IMAGE_ID}"), 400, "nope"),
        (url(OWN, f"box=20x20,expires=1/{IMAGE_ID}"), 403, "expired"),
        (url(OWN, f"box=20x20/{OTHER_ID}"), 404, ""),
        (url(OWN, "box=20x20/nowhere/a.jpg"), 404, ""),
        (url(OWN, "box=20x20/avatars/missing.jpg"), 404, ""),
        (url(THUMBOR, "20x20/filters:noise(5)/avatars/anna.jpg"), 400, "noise"),
        (url(THUMBOR, "20x20/s3://other-bucket/anna.jpg"), 404, ""),
        (url(THUMBOR, "20x20/s3://acme-pictures/private/anna.jpg"), 404, ""),
        (url(THUMBOR, "20x20/https://acme-pictures.s3.amazonaws.com/private/anna.jpg"), 404, ""),
        (url(THUMBOR, "20x20/http://example.com/anna.jpg"), 400, "not fetched"),
        (url(IMGPROXY, "pr:nope/plain/avatars/anna.jpg"), 400, "nope"),
        (url(OWN, f"watermark=bm9uZS9sb2dv/{IMAGE_ID}.webp"), 400, "watermark"),
        (url(OWN, f"extend=8000:5000,rotate=45,rotate=45/{IMAGE_ID}.webp"), 400, "rotate"),
    ],
)
async def test_what_is_not_answered_says_why(
    gallery: Gallery, path: str, status: int, told: str
) -> None:
    answer, body = await gallery.ask(path)
    assert answer.status == status
    assert answer.content_type == "application/problem+json"
    assert told in body.decode()
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_tenants_key_opens_that_users_images_alone(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/logo.png", pictures.encoded(Image.new("RGB", (4, 4)), "PNG"))
    wanted = f"box=20x20/{IMAGE_ID}.webp"
    assert (await gallery.ask(url(OWN, wanted, key=1)))[0].status == 200
    assert (await gallery.ask(url(OWN, wanted, key=2)))[0].status == 404
    marked = f"watermark=YXZhdGFycy9sb2dvLnBuZw/{IMAGE_ID}.webp"
    assert (await gallery.ask(url(OWN, marked, key=1)))[0].status == 400
    assert (await gallery.ask(url(OWN, marked)))[0].status == 200


async def test_a_watermark_that_is_no_picture_says_so(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/logo.png", b"no picture")
    answer, body = await gallery.ask(url(OWN, f"watermark=YXZhdGFycy9sb2dvLnBuZw/{IMAGE_ID}.webp"))
    assert answer.status == 400
    assert "avatars/logo.png" in body.decode()


async def test_a_preset_may_be_named_instead(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/anna.jpg", SOURCE)
    answer, body = await gallery.ask(url(IMGPROXY, "pr:small/plain/avatars/anna.jpg"))
    assert (answer.status, size_of(body)) == (200, (30, 20))
    assert any("/small-" in key for key in gallery.objects.assets)


async def test_the_root_answers_for_one_dialect(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/anna.jpg", SOURCE)
    path = url(THUMBOR, "20x10/avatars/anna.jpg").removeprefix("/thumbor")
    assert (await gallery.ask(path))[0].status == 200
    assert (await gallery.ask("/small/" + IMAGE_ID))[0].status == 200
    assert (await gallery.ask("/healthz"))[0].status == 200


async def test_a_url_says_how_long_and_under_what_name_it_is_kept(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/anna.jpg", SOURCE)
    filters = "format(jpeg):max_age(30):attachment(a%22; x=b%C3%A4.jpg)".replace(" ", "%20")
    path = url(THUMBOR, f"20x10/filters:{filters}/avatars/anna.jpg")
    answer, _ = await gallery.ask(path)
    assert answer.headers["Cache-Control"] == "public, max-age=30"
    named = """attachment; filename="a__ x=b_.jpg"; filename*=UTF-8''a%22%3B%20x%3Db%C3%A4.jpg"""
    assert answer.headers["Content-Disposition"] == named


@pytest.mark.parametrize(
    ("dialect", "wanted", "named"),
    [
        (IMGPROXY, "fn:photo/plain/avatars/anna.jpg@webp", 'inline; filename="photo.webp"'),
        (IMGPROXY, "att:1/fn:photo/plain/avatars/anna.jpg@jpg", 'attachment; filename="photo.jpg"'),
        (IMGPROXY, "att:1/plain/avatars/anna.jpg@webp", 'attachment; filename="anna.webp"'),
        (
            THUMBOR,
            "filters:attachment(foo.png):format(jpeg)/avatars/anna.jpg",
            'attachment; filename="foo.png.jpg"',
        ),
        (
            THUMBOR,
            "filters:attachment(foo.jpeg):format(jpeg)/avatars/anna.jpg",
            'attachment; filename="foo.jpeg"',
        ),
        (
            THUMBOR,
            "filters:attachment():format(jpeg)/avatars/anna.jpg",
            'attachment; filename="anna.jpg"',
        ),
    ],
)
async def test_a_download_has_the_extension_of_what_is_sent(
    gallery: Gallery, dialect: Any, wanted: str, named: str
) -> None:
    gallery.elsewhere.upload("public/anna.jpg", SOURCE)
    answer, _ = await gallery.ask(url(dialect, wanted))
    assert (answer.status, answer.headers["Content-Disposition"]) == (200, named)


async def test_a_head_and_a_304_are_answered(gallery: Gallery) -> None:
    path = url(OWN, f"box=20x20/{IMAGE_ID}.webp")
    head, body = await gallery.ask(path, method="HEAD")
    assert (head.status, body) == (200, b"")
    known, _ = await gallery.ask(path, If_None_Match=head.headers["ETag"])
    assert known.status == 304


async def test_a_dialect_that_is_off_has_no_route(open_: Any) -> None:
    gallery: Gallery = await open_(*PRESETS, dialects=Dialects(known=(OWN,)))
    gallery.hang()
    assert (await gallery.ask(url(OWN, f"box=20x20/{IMAGE_ID}.webp")))[0].status == 200
    assert (await gallery.ask(url(THUMBOR, "20x20/avatars/a.jpg")))[0].status == 404


async def test_a_flood_of_wishes_is_bounded_by_the_key_that_signed_them(open_: Any) -> None:
    gallery: Gallery = await open_(*PRESETS, dialects=ON, renders_per_minute=3)
    gallery.hang()
    statuses = []
    for width in range(1, 8):
        path = url(OWN, f"box={width}x/{IMAGE_ID}.jpg")
        statuses.append((await gallery.ask(path))[0].status)
    assert statuses == [200] * 3 + [429] * 4
    assert (await gallery.ask("/healthz"))[0].status == 200


LOGO = pictures.encoded(Image.new("RGB", (6, 4), (0, 0, 255)), "PNG")


async def test_every_url_of_the_table_is_delivered(open_: Any) -> None:
    """Delivery can answer every URL that a dialect reads, and none gives a 500."""
    known = tuple(dialect(name) for name in DIALECTS)
    aliases = tuple(
        Alias(name=name, bucket=name, presets=("small",)) for name in ("avatars", "photos", "logos")
    )
    gallery: Gallery = await open_(*PRESETS, dialects=Dialects(known=known), aliases=aliases)
    for key in ("a.jpg", "a.png", "a/b.jpg"):
        gallery.elsewhere.upload(key, SOURCE)
    gallery.elsewhere.upload("red.png", LOGO)
    delivered = 0
    for name, wanted, _ in URLS:
        ours = re.sub(r"(^|/)(a\.(?:jpg|png))(?=$|[?@])", r"\1avatars/\2", wanted)
        path, query = url_of(dialect(name), ours)
        answer, body = await gallery.ask(f"{path}?{query}" if query else path)
        assert answer.status in (200, 404), (name, ours, body)
        delivered += answer.status == 200
    assert delivered >= 200


async def test_a_private_preset_needs_a_url_that_ends_in_any_grammar(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/anna.jpg", SOURCE)
    answer, body = await gallery.ask(url(IMGPROXY, "pr:secret/plain/avatars/anna.jpg"))
    assert answer.status == 403
    assert "must expire" in body.decode()


async def test_a_wish_that_cannot_be_carried_out_is_not_tried_for_every_viewer(
    gallery: Gallery,
) -> None:
    gallery.elsewhere.upload("public/logo.png", b"no picture")
    path = url(OWN, f"watermark=YXZhdGFycy9sb2dvLnBuZw/{IMAGE_ID}.webp")
    first, again = [await gallery.ask(path) for _ in range(2)]
    assert (first[0].status, again[0].status) == (400, 400)
    assert gallery.renderer.calls["render"] == 1


NAMED = {
    "own": "box=20x20/{}",
    "thumbor": "20x20/{}",
    "imagor": "20x20/{}",
    "imgproxy": "w:20/plain/{}",
    "aws": "20x20/{}",
    "imgix": "{}?w=20",
}


@pytest.mark.parametrize("name", NAMED)
async def test_a_picture_is_found_under_its_name_in_every_dialect(open_: Any, name: str) -> None:
    """Decomposed accents, brackets, empty parts, a folder named like an option, and ids."""
    of = dialect(name)
    gallery: Gallery = await open_(*PRESETS, dialects=Dialects(known=(of,)), aliases=ALIASES)
    gallery.hang()
    names = {
        "cafe\u0301.jpg": "avatars/caf%C3%A9.jpg",
        "caf\u00e8.jpg": "avatars/cafe%CC%80.jpg",
        "a[1]|b.jpg": "avatars/a%5B1%5D%7Cb.jpg",
        "b[1]|b.jpg": "avatars/b[1]|b.jpg",
        "a//b.jpg": "avatars/a//b.jpg",
        "/c.jpg": "avatars//c.jpg",
        "at 9.41\u202fAM.png": "avatars/at%209.41%E2%80%AFAM.png",
        "smart/a.jpg": "avatars/smart/a.jpg",
    }
    for key in names:
        gallery.elsewhere.upload(f"public/{key}", SOURCE)
    for source in (*names.values(), IMAGE_ID, IMAGE_ID.lower()):
        path, query = url_of(of, NAMED[name].format(source))
        answer, body = await gallery.ask(f"{path}?{query}" if query else path)
        assert answer.status == 200, (source, body)
    assert len(gallery.objects.assets) == len(names) + 1
