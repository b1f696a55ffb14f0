"""One picture has one URL, so that caches do not fill with copies."""

from typing import Any

import pytest

from api.delivery.aliases import Alias
from tests.unit.api.delivery.conftest import PRESETS
from tests.unit.api.delivery.gallery import IMAGE_ID, SOURCE, Gallery

ALIASES = (Alias(name="avatars", bucket="acme-pictures", presets=("small", "plain")),)

KEY = "a%20(b)/%C3%A9,.jpg"


@pytest.fixture
async def gallery(open_: Any) -> Gallery:
    opened: Gallery = await open_(*PRESETS, aliases=ALIASES)
    opened.hang()
    opened.elsewhere.upload("a (b)/é,.jpg", SOURCE)
    opened.elsewhere.upload("a[1]|b.jpg", SOURCE)
    return opened


@pytest.mark.parametrize(
    ("asked", "spelt"),
    [
        (f"/small/%30{IMAGE_ID[1:]}", f"/small/{IMAGE_ID}"),
        (f"/small/{IMAGE_ID}?&&&&", f"/small/{IMAGE_ID}"),
        (f"/small/{IMAGE_ID}?&&download=1", f"/small/{IMAGE_ID}?download=1"),
        (f"/small/{IMAGE_ID}?f%6Frmat=%77ebp", f"/small/{IMAGE_ID}?format=webp"),
        ("/avatars/a%20%28b)/%c3%a9,.jpg", f"/avatars/{KEY}"),
        (f"/avatars/{KEY}?preset=pl%61in", f"/avatars/{KEY}?preset=plain"),
        ("/avatars/a[1]|b.jpg", "/avatars/a%5B1%5D%7Cb.jpg"),
        (f"/small/{IMAGE_ID.lower()}", f"/small/{IMAGE_ID}"),
        (f"/small/{IMAGE_ID}.JPG", f"/small/{IMAGE_ID}.jpg"),
        (f"/small/{IMAGE_ID.lower()}.WebP?download=1", f"/small/{IMAGE_ID}.webp?download=1"),
    ],
)  # fmt: skip
async def test_another_spelling_is_sent_to_the_one(
    gallery: Gallery, asked: str, spelt: str
) -> None:
    answer, _ = await gallery.ask(asked)
    assert (answer.status, answer.headers["Location"]) == (308, spelt)
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await gallery.ask(spelt))[0].status == 200


@pytest.mark.parametrize(
    ("extension", "status"),
    [("webp", 200), ("jpg", 400), ("anything", 400), ("tar.webp", 400), ("", 400)],
)
async def test_an_extension_beside_a_format_says_the_same(
    gallery: Gallery, extension: str, status: int
) -> None:
    answer, _ = await gallery.ask(f"/small/{IMAGE_ID}.{extension}?format=webp")
    assert answer.status == status


@pytest.mark.parametrize("path", ["/small/x?format=@", "/small/x?a%20b=1", "/avatars/%2E%2E/a.jpg"])
async def test_what_no_url_can_say_is_refused_at_once(gallery: Gallery, path: str) -> None:
    assert (await gallery.ask(path))[0].status == 400


async def test_bytes_that_are_no_text_give_no_500(gallery: Gallery) -> None:
    for path in ("/avatars/%FF", "/avatars/%25FF", "/small/%ed%a0%80", "/avatars/a%2Fb"):
        answer, _ = await gallery.ask(path)
        assert answer.status in (308, 400, 404)


async def test_a_signed_url_is_answered_in_the_spelling_that_was_signed(gallery: Gallery) -> None:
    for path in (f"/signed/{IMAGE_ID.lower()}.JPG", f"/signed/{IMAGE_ID}.jpg"):
        answer, _ = await gallery.ask(gallery.signing.sign(path))
        assert (answer.status, answer.content_type) == (200, "image/jpeg")
    assert len(gallery.objects.assets) == 1
