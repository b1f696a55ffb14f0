"""`POST /v1/urls`: URLs for the caller's own images, signed by keys that the caller has not."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from api.auth import Authentication
from api.dialects.own import Own
from api.dialects.table import DIALECTS, DialectSettings, read
from safelight.keys import new_image_id
from safelight.presets import Preset
from safelight.record import Record, Status
from safelight.wish.canonical import canonical
from tests.unit.api.clients import ALICE, ALL_KEYS, BOB, Api, Start
from tests.unit.api.test_quotas import Subjects

KEY = "00112233445566778899aabbccddeeff"
OWN_KEYS = "bobs:the-secret-of-bob-alone:key:bob,web:a-secret-of-the-web"
KEYS = {
    "options_keys": OWN_KEYS,
    "thumbor_keys": KEY,
    "imgproxy_keys": f"{KEY}:{KEY}",
    "aws_handler_keys": KEY,
    "imgix_keys": KEY,
}
PICTURES = "https://pictures.example"
PRESETS = (
    Preset(name="small", format="jpeg", box=(30, 30), access="public", formats=("webp",)),
    Preset(name="signed", format="jpeg", box=(30, 30)),
    Preset(name="secret", format="jpeg", box=(30, 30), access="private"),
)


@pytest.fixture
async def api(start: Start) -> Api:
    return await start(
        presets=PRESETS,
        delivery_url=PICTURES,
        signing_keys="bobs:the-secret-of-bob-alone:key:bob,web:a-secret-of-the-web",
        **KEYS,
    )


def own(api: Api, *, user_id: str = "key:alice", status: Status = Status.COMPLETED) -> str:
    image_id = new_image_id()
    api.records.records[image_id] = Record(
        image_id=image_id,
        user_id=user_id,
        uploaded_at=1,
        original_key=f"uploads/{image_id}",
        status=status,
    )
    return image_id


async def ask(api: Api, image_id: str, *, headers: Any = ALICE, **asked: Any) -> tuple[Any, Any]:
    body = {"imageId": image_id, **asked}
    return await api.ask("POST", "/v1/urls", json=body, headers=headers)


def meaning(url: str) -> Any:
    """Read a URL as delivery would."""
    path, _, query = url.removeprefix(PICTURES).partition("?")
    return read(path, query, DialectSettings(**KEYS).dialects, now=datetime.now(UTC))


async def test_each_dialect_has_a_url_or_says_what_it_cannot_express(api: Api) -> None:
    image_id = own(api)
    options = "box=90x60,fit=cover,gravity=attention,enlarge=yes"
    answer, body = await ask(api, image_id, options=options, format="webp")
    assert answer.status == 200
    expected = "box=90x60,fit=cover,gravity=attention,enlarge=yes,format=webp"
    assert (body["imageId"], body["options"]) == (image_id, expected)
    assert list(body["urls"]) == list(DIALECTS)
    assert "preview" not in body
    for name, answered in body["urls"].items():
        url = meaning(answered["url"])
        assert (url.dialect, url.source.key) == (name, image_id)
        assert canonical(url.options) == expected
        assert url.expires is None
        assert url.stored
    _, body = await ask(api, image_id, options="box=90x60,fit=outside,max-bytes=900")
    refused = {name: each["option"] for name, each in body["urls"].items() if "refused" in each}
    assert refused == {"imgproxy": "fit", "aws": "max-bytes", "imgix": "fit"}


async def test_all_urls_end_when_the_caller_says(api: Api) -> None:
    before = int(time.time())
    _, body = await ask(api, own(api), options="_", expiresIn=100)
    ends = datetime.fromisoformat(body["expiresAt"])
    assert before + 100 <= ends.timestamp() <= time.time() + 100
    assert {meaning(each["url"]).expires for each in body["urls"].values()} == {ends}


async def test_a_preview_is_a_url_that_ends_and_stores_nothing(api: Api) -> None:
    before = int(time.time())
    _, body = await ask(api, own(api), options="blur=2", preview=True)
    url = meaning(body["preview"]["url"])
    assert (url.dialect, url.stored) == ("own", False)
    assert before + 600 <= url.expires.timestamp() <= time.time() + 600
    assert meaning(body["urls"]["own"]["url"]).stored


async def test_a_url_is_never_signed_with_the_key_of_another_tenant(api: Api) -> None:
    for user, headers in (("key:alice", ALICE), ("key:bob", BOB)):
        image_id = own(api, user_id=user)
        _, body = await ask(api, image_id, headers=headers, options="_")
        holder = meaning(body["urls"]["own"]["url"])
        assert (holder.key_id, holder.user_id) == (
            ("bobs", "key:bob") if user == "key:bob" else ("web", None)
        )
        _, body = await ask(api, image_id, headers=headers, preset="signed")
        assert f"key={holder.key_id}" in body["urls"]["preset"]["url"]


async def test_the_key_of_the_caller_signs_before_the_key_for_all(start: Start) -> None:
    pairs = "web:a-secret-of-the-web,alices:the-secret-of-alice-alone:key:alice"
    api = await start(
        presets=PRESETS, delivery_url=PICTURES, signing_keys=pairs, options_keys=pairs
    )
    image_id = own(api)
    _, body = await ask(api, image_id, options="_")
    dialects = DialectSettings(options_keys=pairs).dialects
    path = body["urls"]["own"]["url"].removeprefix(PICTURES)
    assert read(path, "", dialects, now=datetime.now(UTC)).key_id == "alices"
    _, body = await ask(api, image_id, preset="signed")
    assert "key=alices" in body["urls"]["preset"]["url"]


async def test_a_person_may_have_urls_signed_so_often_a_minute(start: Start) -> None:
    authentication = Authentication(tokens=Subjects(), keys=ALL_KEYS, anonymous=False)
    api = await start(
        authentication=authentication, delivery_url=PICTURES, urls_per_minute=2, **KEYS
    )
    image_id, person = own(api, user_id="oidc:a.b.c"), {"Authorization": "Bearer a.b.c"}
    for width in (10, 20):
        answer, _ = await ask(api, image_id, headers=person, options=f"box={width}x9")
        assert answer.status == 200
    answer, problem = await ask(api, image_id, headers=person, options="box=30x9")
    assert (answer.status, problem["type"]) == (429, "/problems/rate_limited")
    assert answer.headers["RateLimit"].startswith('"urls";r=0;')
    for _ in range(3):
        answer, _ = await ask(api, own(api), options="_")
        assert answer.status == 200


async def test_without_a_key_for_the_caller_a_dialect_is_off(start: Start) -> None:
    bobs = "bobs:the-secret-of-bob-alone:key:bob"
    api = await start(presets=PRESETS, delivery_url=PICTURES, options_keys=bobs, signing_keys=bobs)
    _, body = await ask(api, own(api), options="_", preview=True)
    for name, answered in body["urls"].items():
        setting = f"SAFELIGHT_{DIALECTS[name].KEYS.upper()}"
        assert answered == {"off": f"{setting} has no key for your images"}
    assert body["preview"] == body["urls"]["own"]
    _, body = await ask(api, own(api), preset="signed")
    assert body["urls"]["preset"]["off"].startswith("SAFELIGHT_SIGNING_KEYS")


async def test_without_delivery_all_urls_are_off_and_beside_it_they_are_paths(
    start: Start,
) -> None:
    api = await start(**KEYS)
    _, body = await ask(api, own(api), options="_")
    assert body["urls"]["own"] == {"off": "SAFELIGHT_DELIVERY_URL is not set"}
    both = await start(api_roles=("uploads", "delivery"), **KEYS)
    _, body = await ask(both, own(both), options="_")
    assert body["urls"]["own"]["url"].startswith(Own.PREFIX)


async def test_a_caller_gets_no_url_of_an_image_of_others(start: Start) -> None:
    api = await start(delivery_url=PICTURES, admins=("key:alice",), **KEYS)
    for image_id in (own(api, user_id="key:bob"), new_image_id(), "../x", ""):
        answer, body = await ask(api, image_id, options="_")
        assert (answer.status, body["type"]) == (404, "/problems/unknown_image")
    answer, _ = await ask(api, own(api, status=Status.ERASED), options="_")
    assert answer.status == 410


@pytest.mark.parametrize(
    ("asked", "pointer", "option", "why"),
    [
        ({"options": "blurr=2"}, "#/options", "blurr", "is none of trim, turn"),
        ({"options": "quality=101"}, "#/options", "quality", "must be from 1 to 100"),
        ({"options": "x" * 1501}, "#/options", None, "must have at most 1500 characters"),
        ({"options": "watermark=YS9i"}, "#/options", "watermark", "may not be yours"),
        ({"options": "box=9x9,fit=cover,gravity=faces"}, "#/options", "gravity", "SAFELIGHT_FACES"),
        ({"options": "face"}, "#/options", "gravity", "SAFELIGHT_FACES"),
        ({"options": "format=png", "format": "webp"}, "#/format", None, "is not the format of"),
        ({"options": "_", "format": "bmp"}, "#/format", None, "must be one of"),
        ({"options": "_", "expiresIn": 0}, "#/expiresIn", None, "must be at least 1"),
        ({"options": "_", "preset": "small"}, "#", None, "must have either options or a preset"),
        ({}, "#", None, "must have either options or a preset"),
        ({"preset": "small", "preview": True}, "#", None, "must have options for a preview"),
        ({"preset": "large"}, "#/preset", None, "is not the name of a preset"),
        ({"preset": "small", "format": "png"}, "#/format", None, "must be one of webp, jpeg"),
        ({"preset": "secret"}, "#/expiresIn", None, "must be given: the preset is private"),
        ({"options": "_", "size": 1}, "#/size", None, "There is no member of this name"),
    ],
)
async def test_a_refusal_names_the_member_and_the_option(
    api: Api, asked: dict[str, Any], pointer: str, option: str | None, why: str
) -> None:
    answer, body = await ask(api, own(api), **asked)
    assert (answer.status, body["type"]) == (422, "/problems/invalid_request")
    (fault,) = body["errors"]
    assert (fault["pointer"], fault.get("option")) == (pointer, option)
    assert why in fault["detail"]


async def test_a_preset_has_the_url_that_its_access_requires(api: Api) -> None:
    image_id = own(api)
    for asked, path in (
        ({"preset": "small"}, f"/small/{image_id}"),
        ({"preset": "small", "format": "webp"}, f"/small/{image_id}.webp"),
    ):
        _, body = await ask(api, image_id, **asked)
        assert body["urls"] == {"preset": {"url": PICTURES + path}}
        assert "options" not in body
    for preset, asked in (("signed", {}), ("secret", {"expiresIn": 60})):
        _, body = await ask(api, image_id, preset=preset, **asked)
        url = body["urls"]["preset"]["url"]
        assert url.startswith(f"{PICTURES}/{preset}/{image_id}?")
        assert ("expires=" in url) is bool(asked)
