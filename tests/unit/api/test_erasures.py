"""Erasing images by HTTP: what is sent, what is written, and what clients see afterwards."""

import json
from typing import Any

import pytest
from ulid import ULID

from api.apikeys import ApiKeys
from api.auth import Authentication
from api.erasures import DELAY_SECONDS, REMEMBERED_SECONDS
from safelight import keys
from safelight.errors import Unavailable
from safelight.queued import EraseImage, EraseUser, read_cleanup
from safelight.record import Status
from safelight.user_erasures import UserErasure, counts_key
from tests.unit.api.clients import ALICE, BOB, Api, Start, an_upload
from tests.unit.api.test_editing import stored
from tests.unit.api.test_quotas import Subjects

ADMIN = {"admins": ("key:bob",)}


def messages(api: Api) -> list[Any]:
    return [read_cleanup(json.loads(letter.body)) for letter in api.queue.letters]


async def delete(api: Api, image_id: str, **headers: str) -> tuple[Any, Any]:
    return await api.ask("DELETE", f"/v1/images/{image_id}", headers=ALICE | headers)


async def receipt(api: Api, image_id: str, **headers: str) -> tuple[Any, Any]:
    return await api.ask("GET", f"/v1/images/{image_id}/erasure", headers=ALICE | headers)


async def erase(api: Api, body: Any, **headers: str) -> tuple[Any, Any]:
    return await api.ask("POST", "/v1/erasures", json=body, headers=ALICE | headers)


async def test_an_erased_image_is_gone_at_once_and_has_a_receipt(api: Api) -> None:
    image = await stored(api.records)
    answer, body = await delete(api, image.image_id)
    assert answer.status == 202
    path = f"/v1/images/{image.image_id}/erasure"
    assert body == {"imageId": image.image_id, "state": "requested", "receiptUrl": path}
    answer, problem = await api.get(image.image_id)
    assert (answer.status, problem["type"]) == (410, "/problems/image_erased")
    assert problem["receiptUrl"] == path
    answer, told = await api.ask("GET", path, headers=ALICE)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert (told["imageId"], told["state"], told["requestedBy"]) == (
        image.image_id, "requested", "owner",
    )  # fmt: skip
    assert told["notCovered"]


async def test_the_message_names_the_source_and_comes_after_the_tombstone(api: Api) -> None:
    image = await stored(api.records)
    await delete(api, image.image_id)
    (message,) = messages(api)
    assert isinstance(message, EraseImage)
    assert (message.image_id, message.key) == (image.image_id, image.original_key)
    assert (message.by, message.caches) == ("owner", "tag")
    (letter,) = api.queue.letters
    assert letter.delay_seconds == DELAY_SECONDS
    erasure = api.records.records[image.image_id].erasure
    assert erasure is not None
    assert erasure.requested_at == message.at


async def test_without_the_message_nothing_happens(api: Api) -> None:
    image = await stored(api.records)
    api.queue.fail_next["send"] = [Unavailable("sqs", "slow down")]
    answer, problem = await delete(api, image.image_id)
    assert (answer.status, problem["type"]) == (503, "/problems/unavailable")
    assert api.records.records[image.image_id] == image
    assert (await api.get(image.image_id))[0].status == 200


async def test_an_api_that_dies_before_the_tombstone_has_sent_the_message(api: Api) -> None:
    image = await stored(api.records)
    api.tombstones.fail_next["erase"] = [Unavailable("dynamodb", "slow down")]
    assert (await delete(api, image.image_id))[0].status == 503
    assert len(messages(api)) == 1


async def test_a_repeated_request_answers_with_the_state_and_sends_nothing(api: Api) -> None:
    image = await stored(api.records)
    await delete(api, image.image_id)
    tombstone = api.records.records[image.image_id]
    assert tombstone.erasure is not None
    removed = tombstone.erasure.model_copy(update={"state": "removed"})
    api.records.records[image.image_id] = tombstone.model_copy(update={"erasure": removed})
    answer, body = await delete(api, image.image_id)
    assert (answer.status, body["state"]) == (202, "removed")
    assert len(messages(api)) == 1


async def test_a_request_for_an_erasure_whose_message_was_lost_sends_it_again(api: Api) -> None:
    image = await stored(api.records)
    await delete(api, image.image_id)
    tombstone = api.records.records[image.image_id]
    assert tombstone.erasure is not None
    ages = {"requested_at": tombstone.erasure.requested_at - 3_700_000}
    tried = ages | {"tried_at": tombstone.erasure.requested_at}
    for changes, sent in ((tried, 1), (ages, 2), (ages | {"state": "complete"}, 2)):
        erasure = tombstone.erasure.model_copy(update=changes)
        api.records.records[image.image_id] = tombstone.model_copy(update={"erasure": erasure})
        answer, _ = await delete(api, image.image_id)
        assert (answer.status, len(messages(api))) == (202, sent)


async def test_a_tombstone_without_an_erasure_is_erased_again(api: Api) -> None:
    """An administrator may have written it by hand."""
    image = await stored(api.records, status=Status.ERASED)
    assert (await receipt(api, image.image_id))[0].status == 404
    assert (await delete(api, image.image_id))[0].status == 202
    assert (await receipt(api, image.image_id))[0].status == 200


async def test_a_cancelled_upload_is_erased_and_its_idempotency_key_is_used_up(api: Api) -> None:
    _, ticket = await api.post(an_upload(), **{"Idempotency-Key": "once"})
    answer, _ = await delete(api, ticket["imageId"])
    assert answer.status == 202
    erasure = api.records.records[ticket["imageId"]].erasure
    assert erasure is not None
    assert erasure.was_pending
    answer, problem = await api.post(an_upload(), **{"Idempotency-Key": "once"})
    assert (answer.status, problem["type"]) == (410, "/problems/image_erased")
    assert problem["receiptUrl"] == f"/v1/images/{ticket['imageId']}/erasure"
    answer, _ = await api.post(an_upload(), **{"Idempotency-Key": "twice"})
    assert answer.status == 201


async def test_images_of_others_and_unknown_ones_are_not_found(api: Api) -> None:
    image = await stored(api.records)
    for image_id in (image.image_id, keys.new_image_id(), "nothing"):
        answer, problem = await delete(api, image_id, **BOB)
        assert (answer.status, problem["type"]) == (404, "/problems/unknown_image")
    assert messages(api) == []
    await delete(api, image.image_id)
    assert (await receipt(api, image.image_id, **BOB))[0].status == 404


async def test_an_image_that_is_not_erased_has_no_receipt(api: Api) -> None:
    image = await stored(api.records)
    answer, problem = await receipt(api, image.image_id)
    assert (answer.status, problem["type"]) == (404, "/problems/unknown_erasure")


async def test_an_admin_erases_images_of_all_users(start: Start) -> None:
    api = await start(**ADMIN)
    image = await stored(api.records)
    assert (await delete(api, image.image_id, **BOB))[0].status == 202
    assert messages(api)[0].by == "admin"
    _, told = await receipt(api, image.image_id, **BOB)
    assert told["requestedBy"] == "admin"


async def test_several_images_are_erased_and_the_others_are_named(api: Api) -> None:
    mine = [await stored(api.records) for _ in range(25)]
    other = await stored(api.records, user_id="key:bob")
    unknown = keys.new_image_id()
    ids = [one.image_id for one in mine]
    answer, body = await erase(api, {"imageIds": [unknown, *ids, ids[0], other.image_id, "x"]})
    assert answer.status == 202
    assert [one["imageId"] for one in body["images"]] == ids
    assert body["notFound"] == [unknown, other.image_id, "x"]
    assert sorted(message.image_id for message in messages(api)) == sorted(ids)
    assert api.records.records[other.image_id] == other


async def test_everything_of_a_user_is_erased_by_one_message(api: Api) -> None:
    answer, body = await erase(api, {"everything": True})
    assert answer.status == 202
    (message,) = messages(api)
    assert isinstance(message, EraseUser)
    assert api.queue.letters[0].delay_seconds == DELAY_SECONDS
    assert (message.user_id, message.by) == ("key:alice", "owner")
    assert body == {
        "erasureId": message.erasure_id,
        "statusUrl": f"/v1/erasures/{message.erasure_id}",
    }
    assert keys.made_at(message.erasure_id) * 1000 == pytest.approx(message.before, abs=5000)


async def test_only_an_admin_erases_everything_of_another_user(start: Start) -> None:
    api = await start(**ADMIN)
    answer, problem = await erase(api, {"everything": True, "user": "key:bob"})
    assert (answer.status, problem["type"]) == (403, "/problems/not_an_admin")
    assert messages(api) == []
    answer, _ = await erase(api, {"everything": True, "user": "key:alice"}, **BOB)
    assert answer.status == 202
    assert (messages(api)[0].user_id, messages(api)[0].by) == ("key:alice", "admin")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"imageIds": []},
        {"imageIds": ["x"] * 101},
        {"imageIds": [""]},
        {"imageIds": ["x"], "everything": True},
        {"imageIds": ["x"], "user": "key:alice"},
        {"everything": False},
        {"everything": True, "user": "alice"},
        {"everything": True, "user": "*"},
        {"everything": True, "since": "2026-01-01"},
    ],
)
async def test_a_request_for_something_else_is_refused(api: Api, body: Any) -> None:
    answer, problem = await erase(api, body)
    assert (answer.status, problem["type"]) == (422, "/problems/invalid_request")
    assert problem["errors"]
    assert messages(api) == []


async def test_the_counts_of_an_erasure_are_read_by_its_id(api: Api) -> None:
    _, body = await erase(api, {"everything": True})
    answer, counts = await api.ask("GET", body["statusUrl"], headers=ALICE)
    assert (answer.status, counts["state"], counts["images"]) == (200, "requested", 0)
    erasure_id = body["erasureId"]
    written = UserErasure(
        erasure_id=erasure_id, state="complete", images=8, complete=8, bytes=7, completed_at=1500
    )
    await api.documents.put(counts_key(erasure_id), written.to_json())
    _, counts = await api.ask("GET", body["statusUrl"], headers=ALICE)
    assert counts == {
        "state": "complete", "images": 8, "complete": 8, "bytes": 7,
        "completedAt": "1970-01-01T00:00:01.500000Z",
    }  # fmt: skip


async def test_an_old_id_without_counts_is_unknown(api: Api) -> None:
    made = keys.made_at(keys.new_image_id()) - REMEMBERED_SECONDS - 60
    for erasure_id in ("nothing", str(ULID.from_timestamp(made))):
        answer, problem = await api.ask("GET", f"/v1/erasures/{erasure_id}", headers=ALICE)
        assert (answer.status, problem["type"]) == (404, "/problems/unknown_erasure")


async def test_a_person_may_erase_so_many_images_a_minute(start: Start) -> None:
    authentication = Authentication(tokens=Subjects(), keys=ApiKeys(()), anonymous=False)
    api = await start(authentication=authentication, erasures_per_minute=100)
    images = [await stored(api.records, user_id="oidc:a.b.c") for _ in range(100)]
    ids = [one.image_id for one in images]

    async def ask(method: str, path: str, **more: Any) -> tuple[Any, Any]:
        return await api.ask(method, path, headers={"Authorization": "Bearer a.b.c"}, **more)

    answer, _ = await ask("POST", "/v1/erasures", json={"imageIds": ids[:99]})
    assert answer.status == 202
    answer, problem = await ask("POST", "/v1/erasures", json={"imageIds": ids[98:]})
    assert (answer.status, problem["type"]) == (429, "/problems/rate_limited")
    assert answer.headers["RateLimit"].startswith('"erasures";r=1;')
    for expected in (202, 429):
        answer, _ = await ask("DELETE", f"/v1/images/{ids[99]}")
        assert answer.status == expected


async def test_everything_counts_as_a_hundred_images(start: Start) -> None:
    authentication = Authentication(tokens=Subjects(), keys=ApiKeys(()), anonymous=False)
    api = await start(authentication=authentication, erasures_per_minute=100)
    token = {"Authorization": "Bearer a.b.c"}
    for expected in (202, 429):
        body = {"everything": True}
        answer, _ = await api.ask("POST", "/v1/erasures", json=body, headers=token)
        assert answer.status == expected


async def test_without_the_queue_nothing_can_be_erased(start: Start) -> None:
    api = await start(erases=False)
    image = await stored(api.records)
    assert (await delete(api, image.image_id))[0].status == 405
    assert (await receipt(api, image.image_id))[0].status == 404
    assert (await erase(api, {"everything": True}))[0].status == 404
    erased = await stored(api.records, status=Status.ERASED)
    _, problem = await api.get(erased.image_id)
    assert "receiptUrl" not in problem


async def test_lists_leave_erased_images_out_unless_asked_for(api: Api) -> None:
    image, other = await stored(api.records), await stored(api.records)
    await delete(api, image.image_id)
    for query in ("", "?tag=sea"):
        _, page = await api.ask("GET", f"/v1/images{query}", headers=ALICE)
        assert [one["imageId"] for one in page["images"]] == [other.image_id]
    _, page = await api.ask("GET", "/v1/images?status=erased", headers=ALICE)
    assert [one["imageId"] for one in page["images"]] == [image.image_id]
    assert "filename" not in page["images"][0]


async def test_a_page_may_ask_for_an_erasure(start: Start) -> None:
    api = await start(cors_origins=("https://app.example",))
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "DELETE"}
    async with api.client.options("/v1/images/x", headers=headers) as answer:
        assert "DELETE" in answer.headers["Access-Control-Allow-Methods"].split(", ")
