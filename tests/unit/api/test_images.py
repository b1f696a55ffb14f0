import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from safelight import keys
from safelight.errors import Reason, Unavailable
from safelight.record import Record, Status, Variant
from tests.unit.api.clients import BOB, Api, Start

IMAGE_ID = "01M7YB1NC8XE9XQ3H3PCRZFKK6"
ASSET_KEY = f"images/{IMAGE_ID}/v1/compressed-abc.webp"


def record(**changes: Any) -> Record:
    usual = {
        "image_id": IMAGE_ID,
        "user_id": "key:alice",
        "uploaded_at": 1_700_000_000_123,
        "original_key": keys.source_key(user_id="key:alice", image_id=IMAGE_ID),
        "filename": "cat.jpg",
        "tags": ("cat",),
        "media_type": "image/jpeg",
        "original_size": 1000,
    }
    return Record(**(usual | changes))


def completed(**changes: Any) -> Record:
    variant = Variant(
        key=ASSET_KEY,
        media_type="image/webp",
        width=40,
        height=30,
        size=250,
        sha256="ab" * 32,
        quality=64,
        score=71,
    )
    settled = {
        "status": Status.COMPLETED,
        "width": 40,
        "height": 30,
        "sha256": "cd" * 32,
        "placeholder": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
        "dominant_colour": "#102030",
        "perceptual_hash": "00ff00ff00ff00ff",
        "revision": "v1",
        "sequencer": "1",
        "variants": {"compressed": variant},
        "failed_variants": {"small": "the encoder refused"},
        "completed_at": 1_700_000_001_000,
        "processing_time_ms": 321,
    }
    return record(**(settled | changes))


def stored(api: Api, record: Record) -> None:
    api.records.records[record.image_id] = record


async def test_a_pending_image_says_when_to_ask_again(api: Api) -> None:
    stored(api, record())
    answer, image = await api.get(IMAGE_ID)
    assert answer.status == 200
    assert image["status"] == "pending"
    assert image["uploadedAt"] == "2023-11-14T22:13:20.123000Z"
    assert (image["filename"], image["tags"], image["variants"]) == ("cat.jpg", ["cat"], {})
    assert answer.headers["Retry-After"] == "1"


async def test_a_completed_image_has_its_variants_delivered_by_presigned_urls(api: Api) -> None:
    stored(api, completed())
    answer, image = await api.get(IMAGE_ID)
    variant = image["variants"]["compressed"]
    assert variant.pop("url").startswith(f"https://uploads.example/{ASSET_KEY}?X-Amz-Expires=900")
    assert variant == {
        "mediaType": "image/webp",
        "width": 40,
        "height": 30,
        "size": 250,
        "sha256": "ab" * 32,
        "quality": 64,
        "score": 71,
    }
    assert (image["sha256"], image["placeholder"]) == ("cd" * 32, "3OcRJYB4d3h/iIeHeEh3eIhw+j2w")
    assert (image["dominantColour"], image["perceptualHash"]) == ("#102030", "00ff00ff00ff00ff")
    assert image["savingsPercent"] == 75.0
    assert image["failedVariants"] == {"small": "the encoder refused"}
    assert image["processingTimeMs"] == 321
    assert "Retry-After" not in answer.headers


async def test_presigned_urls_are_stored_nowhere_and_tell_their_end(api: Api) -> None:
    stored(api, completed())
    answer, image = await api.get(IMAGE_ID)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    left = datetime.fromisoformat(image["urlsExpireAt"]) - datetime.now().astimezone()
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)


async def test_a_delivery_url_makes_urls_that_last(start: Start) -> None:
    api = await start(delivery_url="https://cdn.example")
    stored(api, completed())
    answer, image = await api.get(IMAGE_ID)
    assert image["variants"]["compressed"]["url"] == f"https://cdn.example/{ASSET_KEY}"
    assert "urlsExpireAt" not in image
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert api.presigner.calls["get_asset"] == 0


async def test_an_image_that_has_not_changed_is_not_sent_again(start: Start) -> None:
    api = await start(delivery_url="https://cdn.example")
    stored(api, record())
    answer, _ = await api.get(IMAGE_ID)
    tag = answer.headers["ETag"]
    same, body = await api.get(IMAGE_ID, **{"If-None-Match": tag})
    assert (same.status, body) == (304, b"")
    assert same.headers["ETag"] == tag
    assert same.headers["Retry-After"] == "1"
    stored(api, completed())
    changed, _ = await api.get(IMAGE_ID, **{"If-None-Match": tag})
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


async def test_a_rejected_image_tells_why(api: Api) -> None:
    stored(
        api,
        record(status=Status.REJECTED, reason=Reason.TRUNCATED, detail="ends after 12 bytes"),
    )
    answer, image = await api.get(IMAGE_ID)
    assert answer.status == 200
    assert (image["status"], image["reason"]) == ("rejected", "truncated")
    assert image["detail"] == "ends after 12 bytes"
    assert image["variants"] == {}


async def test_an_erased_image_is_gone(api: Api) -> None:
    stored(api, record(status=Status.ERASED))
    answer, problem = await api.get(IMAGE_ID)
    assert answer.status == 410
    assert problem["type"] == "/problems/image_erased"


@pytest.mark.parametrize("status", list(Status))
async def test_another_users_image_looks_like_none_at_all(api: Api, status: Status) -> None:
    stored(api, record(status=status))
    foreign, told = await api.get(IMAGE_ID, **BOB)
    unknown, of_none = await api.get(keys.new_image_id(), **BOB)
    assert (foreign.status, unknown.status) == (404, 404)
    for problem in (told, of_none):
        del problem["requestId"], problem["instance"]
    assert told == of_none
    assert foreign.headers.keys() == unknown.headers.keys()


@pytest.mark.parametrize(
    "image_id",
    ["x", IMAGE_ID.lower(), IMAGE_ID + "0", "%00", "%ff", "..%2f..", "%2e%2e", "8" * 26, "é"],
)
async def test_what_is_no_image_id_is_not_even_looked_up(api: Api, image_id: str) -> None:
    answer, problem = await api.get(image_id)
    assert answer.status == 404
    assert problem["type"] in {"/problems/unknown_image", "/problems/unknown_path"}
    assert api.records.calls["get"] == 0


async def test_an_image_that_cannot_be_looked_up_is_temporary(api: Api) -> None:
    api.records.fail_next["get"] = [Unavailable("dynamodb", "throttled")]
    answer, _ = await api.get(IMAGE_ID)
    assert answer.status == 503


async def test_no_answer_tells_what_is_only_ours(api: Api) -> None:
    stored(api, completed(request_hash="secret-hash"))
    _, image = await api.get(IMAGE_ID)
    told = json.dumps(image)
    assert "secret-hash" not in told
    assert "sequencer" not in told
    assert "schemaVersion" not in told
