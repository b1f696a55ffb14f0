"""Previews: `store=no` renders a picture without leaving an object behind."""

import asyncio
import json
import time
from typing import Any

import pytest

from api.dialects.own import Own
from api.dialects.table import Dialects
from tests.support.pictures import encoded, noise
from tests.unit.api.delivery.conftest import PRESETS
from tests.unit.api.delivery.gallery import IMAGE_ID, OTHER_ID, Gallery
from tests.unit.api.dialects.test_dialects import url_of

OWN = Own(keys=("web:a-secret-of-the-web",))
ENDS = int(time.time()) + 3600


def url(words: str, *, image_id: str = IMAGE_ID) -> str:
    return url_of(OWN, f"{words}/{image_id}")[0]


def preview(words: str = "box=20x20,format=webp", *, ends: int = ENDS) -> str:
    return url(f"{words},expires={ends},store=no")


@pytest.fixture
async def gallery(open_: Any) -> Gallery:
    opened: Gallery = await open_(*PRESETS, dialects=Dialects(known=(OWN,)))
    opened.hang()
    return opened


async def test_a_preview_is_rendered_each_time_and_leaves_no_object(gallery: Gallery) -> None:
    for number in (1, 2):
        answer, body = await gallery.ask(preview())
        assert (answer.status, answer.content_type) == (200, "image/webp")
        assert body[8:12] == b"WEBP"
        assert "rendered" in answer.headers["Server-Timing"]
        assert gallery.renderer.calls["render"] == number
    assert gallery.objects.assets == {}


async def test_a_preview_is_kept_by_the_client_alone_and_not_beyond_its_end(
    gallery: Gallery,
) -> None:
    answer, _ = await gallery.ask(preview())
    assert answer.headers["Cache-Control"] == "private, max-age=600"
    answer, _ = await gallery.ask(preview(ends=int(time.time()) + 60))
    seconds = int(answer.headers["Cache-Control"].rpartition("=")[2])
    assert 50 <= seconds <= 60


async def test_a_preview_is_what_is_stored_if_that_is_there(gallery: Gallery) -> None:
    _, stored = await gallery.ask(url("box=20x20,format=webp"))
    answer, body = await gallery.ask(preview())
    assert body == stored
    assert "stored" in answer.headers["Server-Timing"]
    assert answer.headers["Cache-Control"] == "private, max-age=600"
    assert gallery.renderer.calls["render"] == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("store=no", "store: needs expires"),
        ("store=yes,expires=ENDS", "store: must be no; found 'yes'"),
        ("store=no,store=no,expires=ENDS", "store: is given twice"),
    ],
)
async def test_a_preview_must_end_and_say_only_no(gallery: Gallery, words: str, why: str) -> None:
    answer, body = await gallery.ask(url(words.replace("ENDS", str(ENDS))))
    assert answer.status == 400
    assert why in json.loads(body)["detail"]


async def test_a_request_that_stores_never_waits_for_a_preview(gallery: Gallery) -> None:
    gallery.renderer.gate.clear()
    first = asyncio.create_task(gallery.ask(preview()))
    while not gallery.on_demand.under_way:
        await asyncio.sleep(0)
    second = asyncio.create_task(gallery.ask(url("box=20x20,format=webp")))
    while gallery.on_demand.under_way < 2:
        await asyncio.sleep(0)
    third = asyncio.create_task(gallery.ask(preview()))
    gallery.renderer.gate.set()
    answers = [await each for each in (first, second, third)]
    assert len({body for _, body in answers}) == 1
    assert len(gallery.objects.assets) == 1


async def test_a_preview_waits_for_a_render_that_stores(gallery: Gallery) -> None:
    gallery.renderer.gate.clear()
    first = asyncio.create_task(gallery.ask(url("box=20x20,format=webp")))
    while not gallery.renderer.at_once:
        await asyncio.sleep(0)
    second = asyncio.create_task(gallery.ask(preview()))
    while gallery.objects.calls["read"] < 2:
        await asyncio.sleep(0)
    gallery.renderer.gate.set()
    await first
    answer, _ = await second
    assert "joined" in answer.headers["Server-Timing"]
    assert gallery.renderer.calls["render"] == 1


async def test_previews_count_in_the_quota_of_the_key(open_: Any) -> None:
    gallery = await open_(*PRESETS, dialects=Dialects(known=(OWN,)), renders_per_minute=2)
    gallery.hang()
    statuses = [(await gallery.ask(preview()))[0].status for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_a_large_preview_is_refused_and_the_same_picture_stored_is_not(
    open_: Any,
) -> None:
    gallery = await open_(*PRESETS, dialects=Dialects(known=(OWN,)), most_unstored_bytes=1000)
    gallery.hang(encoded(noise(60, 40), "PNG"), image_id=OTHER_ID)
    large = url(f"format=png,expires={ENDS},store=no", image_id=OTHER_ID)
    for _ in range(2):
        answer, body = await gallery.ask(large)
        assert answer.status == 400
        assert "store: the result has" in json.loads(body)["detail"]
    assert gallery.renderer.calls["render"] == 1, "it is not tried for every viewer"
    answer, body = await gallery.ask(url("format=png", image_id=OTHER_ID))
    assert answer.status == 200
    assert len(body) > 1000
