"""Pictures by URL: stored or rendered, in the right format, with the right cache headers."""

import asyncio
import hashlib
import io
import json
from dataclasses import replace
from itertools import islice
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from yarl import URL

from safelight import keys
from safelight.aws.objects import PART_BYTES
from safelight.errors import Archived, Reason, Rejection, Unavailable
from safelight.presets import Preset
from safelight.queued import read_queued
from safelight.record import Status, Variant
from tests.support import pictures
from tests.support.fakes import FakeAsset
from tests.unit.api.delivery.conftest import PRESETS
from tests.unit.api.delivery.gallery import BROWSER, IMAGE_ID, NOBODY, OTHER_ID, SOURCE, Gallery

BY_NAME = {preset.name: preset for preset in PRESETS}


def key_of(preset: Preset, extension: str, *, revision: str = "v1") -> str:
    return keys.asset_key(
        image_id=IMAGE_ID,
        revision=revision,
        preset=preset.name,
        fingerprint=preset.wish.fingerprint,
        extension=extension,
    )


def in_format(name: str, format: str) -> Preset:
    preset = BY_NAME[name]
    return Preset(name=name, wish=preset.wish.in_format(format), policy=preset.policy)


def with_quality(preset: Preset, quality: int) -> Preset:
    wish = preset.wish.model_copy(update={"quality": quality})
    return preset.model_copy(update={"wish": wish})


def store_eagerly(gallery: Gallery, preset: Preset, extension: str, body: bytes) -> Variant:
    """Store a variant as a worker would have."""
    key = key_of(preset, extension)
    media_type = f"image/{extension.replace('jpg', 'jpeg')}"
    sha256 = hashlib.sha256(body).hexdigest()
    gallery.objects.assets[key] = FakeAsset(body=body, media_type=media_type, sha256=sha256)
    return Variant(key=key, media_type=media_type, width=1, height=1, size=len(body), sha256=sha256)


async def test_what_a_worker_stored_is_answered_without_rendering(gallery: Gallery) -> None:
    variant = store_eagerly(gallery, BY_NAME["plain"], "jpg", b"as a worker made it")
    gallery.hang(variants={"plain": variant})
    answer, body = await gallery.ask(f"/plain/{IMAGE_ID}")
    assert (answer.status, body) == (200, b"as a worker made it")
    assert answer.content_type == "image/jpeg"
    assert answer.headers["ETag"] == f'"{variant.sha256[:32]}"'
    assert not gallery.renderer.calls


async def test_a_preset_newer_than_the_image_is_delivered_and_its_record_does_not_gain_it(
    gallery: Gallery,
) -> None:
    old = gallery.hang(variants={"small": store_eagerly(gallery, BY_NAME["plain"], "jpg", b"x")})
    answer, body = await gallery.ask(f"/hinted/{IMAGE_ID}")
    assert (answer.status, answer.content_type) == (200, "image/jpeg"), body
    assert gallery.records.records[IMAGE_ID] == old


async def test_a_miss_is_rendered_stored_and_never_rendered_again(gallery: Gallery) -> None:
    gallery.hang()
    first, made = await gallery.ask(f"/plain/{IMAGE_ID}")
    assert (first.status, first.content_type) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(made)).size == (30, 20)
    second, again = await gallery.ask(f"/plain/{IMAGE_ID}")
    assert (second.status, again) == (200, made)
    assert second.headers["ETag"] == first.headers["ETag"]
    assert gallery.renderer.calls["render"] == 1
    assert 'desc="rendered"' in first.headers["Server-Timing"]
    assert 'desc="stored"' in second.headers["Server-Timing"]


async def test_what_is_rendered_on_demand_has_the_key_that_a_worker_would_give_it(
    gallery: Gallery,
) -> None:
    gallery.hang()
    await gallery.ask(f"/plain/{IMAGE_ID}")
    assert set(gallery.objects.assets) == {key_of(BY_NAME["plain"], "jpg")}


async def test_a_new_revision_is_another_picture(gallery: Gallery) -> None:
    gallery.hang()
    await gallery.ask(f"/plain/{IMAGE_ID}")
    gallery.hang(pictures.encoded(Image.new("RGB", (40, 60)), "JPEG"))
    _, new = await gallery.ask(f"/plain/{IMAGE_ID}")
    assert Image.open(io.BytesIO(new)).size == (20, 30)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (BROWSER, "image/avif"),
        ("image/webp,*/*", "image/webp"),
        ("*/*", "image/jpeg"),
        (None, "image/jpeg"),
        ("text/html", "image/jpeg"),
    ],
)
async def test_the_client_gets_the_best_format_that_it_names(
    gallery: Gallery, accept: str | None, media_type: str
) -> None:
    gallery.hang()
    answer, _ = await gallery.ask(f"/small/{IMAGE_ID}", accept=accept)
    assert (answer.status, answer.content_type) == (200, media_type)
    assert answer.headers["Vary"] == "Accept"


async def test_accept_may_come_in_several_lines(gallery: Gallery) -> None:
    gallery.hang()
    lines = [("Accept", "image/webp"), ("Accept", "*/*;q=0.5")]
    async with gallery.client.get(f"/small/{IMAGE_ID}", headers=lines) as answer:
        assert answer.content_type == "image/webp"


async def test_an_extension_or_a_format_wins_over_accept(gallery: Gallery) -> None:
    gallery.hang()
    for path in (f"/small/{IMAGE_ID}.webp", f"/small/{IMAGE_ID}?format=webp"):
        answer, _ = await gallery.ask(path, accept="image/avif")
        assert answer.content_type == "image/webp"


async def test_what_is_transparent_stays_so(gallery: Gallery) -> None:
    gallery.hang(pictures.translucent_png(), media_type="image/png")
    answer, body = await gallery.ask(f"/small/{IMAGE_ID}", accept="*/*")
    assert answer.content_type == "image/png"
    assert Image.open(io.BytesIO(body)).convert("RGBA").getchannel("A").getextrema() == (0, 255)


async def test_of_auto_the_format_that_its_render_chose_is_answered_if_it_is_welcome(
    gallery: Gallery,
) -> None:
    variant = store_eagerly(gallery, BY_NAME["best"], "webp", b"chosen")
    gallery.hang(variants={"best": variant})
    _, body = await gallery.ask(f"/best/{IMAGE_ID}", accept=BROWSER)
    assert body == b"chosen"
    answer, body = await gallery.ask(f"/best/{IMAGE_ID}", accept="*/*")
    assert (answer.content_type, body[:3]) == ("image/jpeg", b"\xff\xd8\xff")


@pytest.mark.parametrize(
    ("headers", "width"),
    [
        ({}, 20),
        ({"Sec_CH_DPR": "2"}, 40),
        ({"Sec_CH_DPR": "1.2"}, 30),
        ({"Sec_CH_DPR": "99"}, 60),
        ({"Sec_CH_DPR": "much"}, 20),
        ({"Sec_CH_Width": "10"}, 60),
    ],
)
async def test_hints_scale_the_box_in_steps_and_never_enlarge_the_picture(
    gallery: Gallery, headers: dict[str, str], width: int
) -> None:
    gallery.hang()
    answer, body = await gallery.ask(f"/hinted/{IMAGE_ID}", **headers)
    assert Image.open(io.BytesIO(body)).width == width
    assert answer.headers["Vary"] == "Accept, Sec-CH-DPR, Sec-CH-Width"


async def test_hints_mean_nothing_where_the_preset_does_not_allow_them(gallery: Gallery) -> None:
    gallery.hang()
    _, body = await gallery.ask(f"/plain/{IMAGE_ID}", Sec_CH_DPR="2")
    assert Image.open(io.BytesIO(body)).width == 30


async def test_an_answer_varies_by_accept_only_where_that_was_read(gallery: Gallery) -> None:
    """A cache keeps a copy for each Accept of a URL that says it varies by it."""
    gallery.hang()
    for path in (f"/small/{IMAGE_ID}", f"/small/{OTHER_ID}"):
        answer, _ = await gallery.ask(path, accept="image/webp,*/*")
        assert answer.headers["Vary"] == "Accept"
    (key,) = gallery.objects.assets
    named = (
        f"/small/{IMAGE_ID}.webp",
        f"/small/{IMAGE_ID}?format=webp",
        f"/small/{OTHER_ID}.webp",
        f"/small/{IMAGE_ID}.webp?x=1",
        f"/{key}",
    )
    for path in named:
        answer, _ = await gallery.ask(path, accept="image/webp,*/*")
        assert "Vary" not in answer.headers, path
    answer, _ = await gallery.ask(f"/hinted/{IMAGE_ID}.jpg")
    assert answer.headers["Vary"] == "Sec-CH-DPR, Sec-CH-Width"


async def test_caches_are_told_how_long_and_by_what_to_forget(gallery: Gallery) -> None:
    gallery.hang()
    answer, _ = await gallery.ask(f"/plain/{IMAGE_ID}")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    fingerprint = BY_NAME["plain"].wish.fingerprint
    assert answer.headers["x-amz-meta-cache-tag"] == f"img-{IMAGE_ID},preset-{fingerprint}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == f'inline; filename="{IMAGE_ID}-plain.jpg"'


async def test_a_download_is_an_attachment(gallery: Gallery) -> None:
    gallery.hang()
    answer, _ = await gallery.ask(f"/plain/{IMAGE_ID}?download=1")
    assert answer.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize("eager", [True, False])
async def test_what_the_client_has_is_not_sent_again(gallery: Gallery, eager: bool) -> None:
    variant = store_eagerly(gallery, BY_NAME["plain"], "jpg", b"picture")
    gallery.hang(variants={"plain": variant} if eager else {})
    first, _ = await gallery.ask(f"/plain/{IMAGE_ID}")
    gallery.objects.calls.clear()
    again, body = await gallery.ask(f"/plain/{IMAGE_ID}", If_None_Match=first.headers["ETag"])
    assert (again.status, body) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again.headers[name] == first.headers[name]
    assert gallery.objects.calls["read"] == 0
    assert gallery.objects.calls["look"] == (0 if eager else 1)
    other, body = await gallery.ask(f"/plain/{IMAGE_ID}", If_None_Match='"another"')
    assert (other.status, body) == (200, b"picture")


async def test_head_is_get_without_the_picture(gallery: Gallery) -> None:
    gallery.hang()
    for _ in ("a miss", "a hit"):
        head, nothing = await gallery.ask(f"/plain/{IMAGE_ID}", method="HEAD")
        got, body = await gallery.ask(f"/plain/{IMAGE_ID}")
        assert (head.status, nothing) == (200, b"")
        assert head.headers["Content-Length"] == str(len(body))
        told = ("ETag", "Content-Type", "Cache-Control", "Vary", "Accept-Ranges")
        assert {name: head.headers[name] for name in told} == {
            name: got.headers[name] for name in told
        }


@pytest.mark.parametrize(
    ("asked", "status", "part", "told"),
    [
        ("bytes=0-2", 206, b"012", "bytes 0-2/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-0,5-6", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=2-1", 200, b"0123456789", None),
    ],
)
async def test_a_part_can_be_asked_for(
    gallery: Gallery, asked: str, status: int, part: bytes, told: str | None
) -> None:
    variant = store_eagerly(gallery, BY_NAME["plain"], "jpg", b"0123456789")
    gallery.hang(variants={"plain": variant})
    answer, body = await gallery.ask(f"/plain/{IMAGE_ID}", Range=asked)
    assert (answer.status, body, answer.headers.get("Content-Range")) == (status, part, told)


async def test_a_range_beyond_the_picture_and_one_of_another_version(gallery: Gallery) -> None:
    variant = store_eagerly(gallery, BY_NAME["plain"], "jpg", b"0123456789")
    gallery.hang(variants={"plain": variant})
    beyond, _ = await gallery.ask(f"/plain/{IMAGE_ID}", Range="bytes=10-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, "bytes */10")
    other, body = await gallery.ask(f"/plain/{IMAGE_ID}", Range="bytes=0-1", If_Range='"old"')
    assert (other.status, len(body)) == (200, 10)
    tag = f'"{variant.sha256[:32]}"'
    same, body = await gallery.ask(f"/plain/{IMAGE_ID}", Range="bytes=0-1", If_Range=tag)
    assert (same.status, body) == (206, b"01")


LARGE = bytes(range(256)) * (PART_BYTES // 256) + b"and what does not fit into one part"


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-", LARGE),
        (f"bytes={PART_BYTES - 2}-{PART_BYTES + 2}", LARGE[-37:-32]),
        (f"bytes={PART_BYTES}-", LARGE[PART_BYTES:]),
        ("bytes=-4", b"part"),
        ("bytes=1-3", b"\x01\x02\x03"),
    ],
)
async def test_a_large_picture_is_read_in_parts_from_where_it_is_asked_for(
    gallery: Gallery, asked: str, part: bytes
) -> None:
    gallery.hang(variants={"plain": store_eagerly(gallery, BY_NAME["plain"], "jpg", LARGE)})
    answer, body = await gallery.ask(f"/plain/{IMAGE_ID}", Range=asked)
    assert (answer.headers["Content-Length"], body) == (str(len(part)), part)
    head, _ = await gallery.ask(f"/plain/{IMAGE_ID}", method="HEAD")
    assert head.headers["Content-Length"] == str(len(LARGE))


async def test_a_large_result_is_answered_whole_when_it_is_made(open_: Any) -> None:
    gallery: Gallery = await open_(Preset(name="large", format="png", access="public"))
    gallery.hang(pictures.encoded(pictures.noise(500, 500), "PNG"))
    made, body = await gallery.ask(f"/large/{IMAGE_ID}")
    assert len(body) > PART_BYTES
    assert made.headers["ETag"] == f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    assert (await gallery.ask(f"/large/{IMAGE_ID}"))[1] == body


async def test_a_new_assets_key_is_known_though_the_old_record_is_kept(open_: Any) -> None:
    preset = BY_NAME["plain"]
    gallery: Gallery = await open_(preset, recent=True)
    gallery.hang(variants={"plain": store_eagerly(gallery, preset, "jpg", b"old")})
    assert (await gallery.ask(f"/plain/{IMAGE_ID}"))[1] == b"old"
    key = key_of(preset, "jpg", revision="v2")
    gallery.objects.assets[key] = FakeAsset(body=b"new", media_type="image/jpeg", sha256="2" * 64)
    gallery.hang(revision="v2")
    answer, body = await gallery.ask(f"/{key}")
    assert (answer.status, body) == (200, b"new")
    assert (await gallery.ask(f"/{key_of(preset, 'jpg', revision='v3')}"))[0].status == 404


async def test_a_recorded_asset_is_answered_by_its_key_whatever_its_preset_means_now(
    gallery: Gallery,
) -> None:
    once = with_quality(BY_NAME["plain"], 33)
    variant = store_eagerly(gallery, once, "jpg", b"as it was declared once")
    gallery.hang(variants={"plain": variant})
    answer, body = await gallery.ask(f"/{variant.key}")
    assert (answer.status, body) == (200, b"as it was declared once")
    assert "immutable" in answer.headers["Cache-Control"]
    del gallery.objects.assets[variant.key]
    assert (await gallery.ask(f"/{variant.key}"))[0].status == 404
    other = with_quality(once, 34)
    assert (await gallery.ask(f"/{key_of(other, 'jpg')}"))[0].status == 404


async def test_an_answer_that_cannot_be_ended_breaks_off(gallery: Gallery) -> None:
    """A response never mixes bytes of two pictures, and a truncated one never looks complete."""
    variant = store_eagerly(gallery, BY_NAME["plain"], "jpg", LARGE)
    gallery.hang(variants={"plain": variant})
    stored = gallery.objects.assets[variant.key]
    read = gallery.objects.read

    async def replaced_after_the_first(key: str, **which: Any) -> Any:
        asset = await read(key, **which)
        gallery.objects.assets[key] = replace(stored, body=LARGE[::-1], sha256="another")
        return asset

    gallery.objects.read = replaced_after_the_first  # type: ignore[method-assign]
    with pytest.raises(aiohttp.ClientPayloadError):
        await gallery.ask(f"/plain/{IMAGE_ID}")
    assert gallery.registry.get_sample_value("safelight_delivery_broken_answers_total") == 1


@pytest.mark.parametrize(
    ("path", "status", "problem"),
    [
        (f"/plain/{OTHER_ID}", 404, "unknown_image"),
        ("/plain/x", 404, "unknown_image"),
        (f"/other/{IMAGE_ID}", 404, "unknown_path"),
        (f"/plain/{IMAGE_ID}.gif", 400, "invalid_url"),
        (f"/plain/{IMAGE_ID}.webp", 400, "invalid_url"),
        (f"/plain/{IMAGE_ID}.jpg.jpg", 400, "invalid_url"),
        (f"/plain/{IMAGE_ID}?width=5", 400, "invalid_url"),
        (f"/plain/{IMAGE_ID}?download=2", 400, "invalid_url"),
        (f"/plain/{IMAGE_ID}?format=jpeg&format=png", 400, "invalid_url"),
        (f"/plain/{IMAGE_ID}?key=web", 403, "invalid_signature"),
    ],
)
async def test_what_is_not_there_or_not_understood_is_told_and_not_kept(
    gallery: Gallery, path: str, status: int, problem: str
) -> None:
    gallery.hang()
    answer, body = await gallery.ask(path)
    assert (answer.status, json.loads(body)["type"]) == (status, f"/problems/{problem}")
    assert answer.headers["Cache-Control"] == "no-store"


async def test_an_erased_image_is_gone_and_a_rejected_one_tells_why(gallery: Gallery) -> None:
    gallery.hang(status=Status.ERASED)
    answer, _ = await gallery.ask(f"/plain/{IMAGE_ID}")
    assert answer.status == 410
    gallery.hang(status=Status.REJECTED, reason=Reason.TRUNCATED, detail="ends early")
    answer, body = await gallery.ask(f"/plain/{IMAGE_ID}")
    assert (answer.status, json.loads(body)["detail"]) == (422, "truncated: ends early")


async def test_a_picture_that_is_worked_on_is_neither_there_nor_missing(gallery: Gallery) -> None:
    gallery.hang(status=Status.PENDING)
    answer, body = await gallery.ask(f"/plain/{IMAGE_ID}", accept=BROWSER)
    assert answer.status == 202
    assert json.loads(body) == {"imageId": IMAGE_ID, "status": "pending"}
    assert (answer.headers["Retry-After"], answer.headers["Cache-Control"]) == ("1", "no-store")
    shown, body = await gallery.ask(f"/avatar/{IMAGE_ID}", accept=BROWSER)
    assert (shown.status, body, shown.headers["Retry-After"]) == (202, NOBODY, "1")
    assert shown.headers["Cache-Control"] == "public, max-age=5"


async def test_the_default_picture_is_shown_to_who_looks_and_the_problem_told_to_who_reads(
    gallery: Gallery,
) -> None:
    shown, body = await gallery.ask(f"/avatar/{OTHER_ID}", accept=BROWSER)
    assert (shown.status, shown.content_type, body) == (404, "image/png", NOBODY)
    told, body = await gallery.ask(f"/avatar/{OTHER_ID}", accept="application/json")
    assert (told.status, json.loads(body)["type"]) == (404, "/problems/unknown_image")
    page, _ = await gallery.ask(f"/avatar/{OTHER_ID}", accept=BROWSER, Sec_Fetch_Dest="document")
    assert page.content_type == "application/problem+json"


@pytest.mark.parametrize("accept", [BROWSER, "application/json"])
async def test_a_cache_may_not_give_a_default_picture_to_who_reads(
    gallery: Gallery, accept: str
) -> None:
    answer, _ = await gallery.ask(f"/avatar/{OTHER_ID}", accept=accept)
    assert answer.headers["Vary"] == "Accept, Sec-Fetch-Dest"


async def test_only_answers_that_depend_on_the_destination_vary_by_it(gallery: Gallery) -> None:
    gallery.hang()
    for path in (f"/plain/{OTHER_ID}", f"/avatar/{IMAGE_ID}"):
        answer, _ = await gallery.ask(path, accept=BROWSER)
        assert answer.headers["Vary"] == "Accept"


async def test_200_who_want_one_cold_result_at_once_get_it_from_one_render(
    gallery: Gallery,
) -> None:
    gallery.hang()
    gallery.renderer.gate.clear()
    asking = [asyncio.create_task(gallery.ask(f"/plain/{IMAGE_ID}")) for _ in range(200)]
    while gallery.objects.calls["read"] < 200:
        await asyncio.sleep(0)
    gallery.renderer.gate.set()
    answers = await asyncio.gather(*asking)
    assert {answer.status for answer, _ in answers} == {200}
    assert len({body for _, body in answers}) == 1
    assert gallery.renderer.calls["render"] == 1
    assert (gallery.counted("rendered"), gallery.counted("joined")) == (1, 199)


async def test_when_slots_and_queue_are_full_the_answer_is_503_at_once(open_: Any) -> None:
    presets = [
        Preset(name=f"p{n}", format="jpeg", box=(n, n), access="public") for n in range(1, 9)
    ]
    gallery: Gallery = await open_(*presets, slots=2, queue=3)
    gallery.hang()
    gallery.renderer.gate.clear()
    paths = [f"/{preset.name}/{IMAGE_ID}" for preset in presets]
    asking = [asyncio.create_task(gallery.ask(path)) for path in paths]
    for refused in islice(asyncio.as_completed(asking), 3):
        answer, _ = await refused
        assert (answer.status, answer.headers["Retry-After"]) == (503, "15")
    alive, _ = await gallery.ask("/healthz")
    assert alive.status == 200
    gallery.renderer.gate.set()
    statuses = [answer.status for answer, _ in await asyncio.gather(*asking)]
    assert sorted(statuses) == [200] * 5 + [503] * 3
    assert gallery.renderer.most_at_once <= 2
    assert gallery.on_demand.under_way == 0


async def test_who_waits_too_long_for_a_slot_is_told_to_come_back(open_: Any) -> None:
    presets = [Preset(name=f"p{n}", format="jpeg", box=(n, n), access="public") for n in (5, 6)]
    gallery: Gallery = await open_(*presets, slots=1, wait_seconds=0.01)
    gallery.hang()
    gallery.renderer.gate.clear()
    first = asyncio.create_task(gallery.ask(f"/p5/{IMAGE_ID}"))
    while not gallery.renderer.at_once:
        await asyncio.sleep(0)
    second, _ = await gallery.ask(f"/p6/{IMAGE_ID}")
    assert second.status == 503
    gallery.renderer.gate.set()
    assert (await first)[0].status == 200


async def test_a_picture_that_cannot_be_rendered_is_not_tried_for_every_viewer(
    gallery: Gallery,
) -> None:
    gallery.hang(SOURCE[: len(SOURCE) // 2])
    for _ in range(3):
        answer, body = await gallery.ask(f"/plain/{IMAGE_ID}")
        assert (answer.status, json.loads(body)["type"]) == (422, "/problems/not_rendered")
    assert gallery.renderer.calls["probe"] == 1


async def test_a_source_that_was_replaced_meanwhile_is_not_shown_as_the_old_one(
    gallery: Gallery,
) -> None:
    gallery.hang(version_id=None, sha256="00" * 32)
    answer, _ = await gallery.ask(f"/plain/{IMAGE_ID}")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert not gallery.objects.assets


async def test_a_service_that_is_down_is_a_503_and_leaves_nothing_behind(gallery: Gallery) -> None:
    gallery.hang()
    for operation in ("read", "fetch", "put"):
        gallery.objects.fail_next[operation] = [Unavailable("s3", "slow down")]
        answer, _ = await gallery.ask(f"/plain/{IMAGE_ID}")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5"), operation
    assert (await gallery.ask(f"/plain/{IMAGE_ID}"))[0].status == 200


async def test_a_result_that_is_too_large_is_refused(open_: Any) -> None:
    gallery: Gallery = await open_(
        Preset(name="plain", format="png", access="public"), max_result_bytes=50
    )
    gallery.hang()
    answer, _ = await gallery.ask(f"/plain/{IMAGE_ID}")
    assert answer.status == 422
    assert not gallery.objects.assets


async def test_a_source_that_is_gone_is_unknown(gallery: Gallery) -> None:
    gallery.hang()
    gallery.objects.fail_next["fetch"] = [Rejection(Reason.SOURCE_GONE, "gone")]
    assert (await gallery.ask(f"/plain/{IMAGE_ID}"))[0].status == 404


async def test_a_costly_avif_is_left_to_the_workers_and_the_first_viewer_gets_webp(
    open_: Any,
) -> None:
    gallery: Gallery = await open_(avif_wait_pixels=900)
    gallery.hang(width=60, height=40)
    url = f"/small/{IMAGE_ID}"
    for _ in range(3):
        first, _ = await gallery.ask(url, accept=BROWSER)
        assert (first.status, first.content_type) == (200, "image/webp")
        assert first.headers["Cache-Control"] == "public, max-age=30"
        assert 'desc="stand-in"' in first.headers["Server-Timing"]
    (message,) = gallery.workers.letters
    demand = read_queued(json.loads(message.body))
    assert demand is not None
    avif = in_format("small", "avif")
    assert (demand.image_id, demand.revision) == (IMAGE_ID, "v1")
    assert demand.preset.wish.fingerprint == avif.wish.fingerprint
    gallery.objects.assets[key_of(avif, "avif")] = FakeAsset(
        body=b"avif", media_type="image/avif", sha256="ab" * 32
    )
    next_one, body = await gallery.ask(url, accept=BROWSER)
    assert (next_one.content_type, body) == ("image/avif", b"avif")
    assert next_one.headers["Cache-Control"] == "public, max-age=3600"


async def test_a_cheap_avif_and_one_that_is_asked_for_by_name_are_waited_for(open_: Any) -> None:
    gallery: Gallery = await open_(avif_wait_pixels=900)
    gallery.hang(width=30, height=20)
    answer, _ = await gallery.ask(f"/small/{IMAGE_ID}", accept=BROWSER)
    assert answer.content_type == "image/avif"
    gallery.hang(width=60, height=40)
    answer, _ = await gallery.ask(f"/small/{IMAGE_ID}.avif")
    assert answer.content_type == "image/avif"
    assert not gallery.workers.letters


async def test_when_the_workers_cannot_be_asked_the_viewer_sees_something_all_the_same(
    open_: Any,
) -> None:
    gallery: Gallery = await open_(avif_wait_pixels=1)
    gallery.hang(width=60, height=40)
    gallery.workers.fail_next["send"] = [Unavailable("sqs", "down")]
    for demanded in (0, 1):
        answer, _ = await gallery.ask(f"/small/{IMAGE_ID}", accept=BROWSER)
        assert answer.content_type == "image/webp"
        assert len(gallery.workers.letters) == demanded


async def test_what_stands_in_keeps_what_is_transparent(open_: Any) -> None:
    gallery: Gallery = await open_(avif_wait_pixels=1)
    gallery.hang(pictures.translucent_png(), media_type="image/png", width=40, height=20)
    answer, _ = await gallery.ask(f"/small/{IMAGE_ID}", accept="image/avif,image/jpeg")
    assert answer.content_type == "image/avif"


async def test_an_asset_is_delivered_by_its_key_and_may_be_kept_for_ever(gallery: Gallery) -> None:
    gallery.hang()
    for preset, extension in (("small", "jpg"), ("small", "webp"), ("best", "avif")):
        format = {"jpg": "jpeg"}.get(extension, extension)
        key = key_of(in_format(preset, format), extension)
        for outcome in ("rendered", "stored"):
            answer, _ = await gallery.ask(f"/{key}", accept="image/png")
            assert (answer.status, answer.content_type) == (200, f"image/{format}")
            assert f'desc="{outcome}"' in answer.headers["Server-Timing"]
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert key in gallery.objects.assets


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((key_of(BY_NAME["small"], "jpg").split("/")[3], "0" * 32), 404),
        ((keys.assets_prefix(IMAGE_ID), f"images/zz/{IMAGE_ID}/"), 404),
        (("/small-", "/large-"), 404),
        ((".jpg", ".webp"), 404),
        (("-", "-0"), 404),
        ((IMAGE_ID, OTHER_ID), 404),
        ((".jpg", ".jpg?format=webp"), 400),
    ],
)
async def test_a_key_that_means_nothing_now_is_unknown(
    gallery: Gallery, change: tuple[str, str], status: int
) -> None:
    gallery.hang()
    key = key_of(BY_NAME["small"], "jpg")
    assert (await gallery.ask(f"/{key.replace(*change)}"))[0].status == status
    assert not gallery.renderer.calls


async def test_a_key_of_the_format_auto_is_unknown_while_no_worker_stored_its_variant(
    gallery: Gallery,
) -> None:
    gallery.hang()
    answer, _ = await gallery.ask(f"/{key_of(BY_NAME['best'], 'webp')}")
    assert answer.status == 404


async def test_an_assets_key_is_as_closed_as_its_preset(gallery: Gallery) -> None:
    gallery.hang()
    key = key_of(BY_NAME["signed"], "jpg")
    assert (await gallery.ask(f"/{key}"))[0].status == 403
    assert (await gallery.ask(gallery.signing.sign(f"/{key}")))[0].status == 200


# Whatever a URL or a header may hold, aiohttp's client and what HTTP itself refuses left out.
_TEXT = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#/?"))
_ENCODED = st.text(max_size=8).map(lambda text: URL.build(path="/" + text).raw_path[1:])
_IMAGE = st.sampled_from([IMAGE_ID, OTHER_ID, f"{IMAGE_ID}.webp", f"{IMAGE_ID}.jpg"])
_WORDS = st.sampled_from(["format", "download", "expires", "key", "signature", "width"])
_VALUES = st.sampled_from(["jpeg", "webp", "1", "web", "99999999999", "-1"]) | _ENCODED
_HEADERS = st.sampled_from(
    ["Accept", "Range", "If-None-Match", "If-Range", "If-Modified-Since", "Sec-CH-DPR",
     "Sec-CH-Width", "Sec-Fetch-Dest"]
)  # fmt: skip
_HEADER_VALUES = (
    st.sampled_from(["*/*", "image/avif", "bytes=0-", "bytes=-0", "bytes=9-1", "*", "2", "1e9"])
    | _TEXT
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    preset=st.sampled_from([*BY_NAME, "other"]),
    image=_IMAGE | _ENCODED,
    query=st.lists(st.tuples(_WORDS | _ENCODED, _VALUES), max_size=4),
    headers=st.dictionaries(_HEADERS, _HEADER_VALUES, max_size=3),
    method=st.sampled_from(["GET", "HEAD"]),
)
async def test_no_url_and_no_header_gives_a_500(
    gallery: Gallery, preset: str, image: str, query: Any, headers: dict[str, str], method: str
) -> None:
    if IMAGE_ID not in gallery.records.records:
        gallery.hang()
    words = "&".join(f"{name}={value}" for name, value in query)
    url = URL(f"/{preset}/{image}?{words}", encoded=True)
    async with gallery.client.request(method, url, headers=headers) as answer:
        assert answer.status in {200, 206, 304, 400, 403, 404, 416}, await answer.text()


async def test_a_stored_asset_beyond_the_limit_says_so(open_: Any) -> None:
    gallery: Gallery = await open_()
    gallery.hang()
    url = f"/plain/{IMAGE_ID}"
    assert (await gallery.ask(url))[0].status == 200
    (key,) = gallery.objects.assets
    stored = gallery.objects.assets[key]
    gallery.objects.assets[key] = replace(stored, body=bytes(1024**2 + 1))
    answer, body = await gallery.ask(url)
    assert answer.status == 422
    assert "too_many_bytes" in body.decode()


async def test_a_source_in_an_archive_says_so_and_is_not_asked_for_again(open_: Any) -> None:
    gallery: Gallery = await open_()
    gallery.hang()
    gallery.objects.fail_next["fetch"] = [Archived("s3", "the object's storage class is GLACIER")]
    for _ in range(3):
        answer, body = await gallery.ask(f"/plain/{IMAGE_ID}")
        assert answer.status == 422
        assert "archive" in body.decode()
    assert gallery.objects.calls["fetch"] == 1
