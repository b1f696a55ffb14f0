"""Replacing the picture of an image: a new upload of it is requested and awaited."""

import asyncio
from typing import Any

import pytest

from api.uploads import PENDING_SECONDS
from safelight.erasures import Erasure
from safelight.record import Record, Status
from tests.unit.api.clients import BOB, Api, an_upload
from tests.unit.api.test_uploads import settle, token_in

KEY = {"Idempotency-Key": "second-try"}


def a_replacement(image_id: str, **changes: Any) -> dict[str, Any]:
    return {"imageId": image_id, "contentType": "image/png", "size": 99} | changes


async def completed(api: Api) -> Record:
    _, told = await api.post(an_upload(tags=["a"]))
    return await settle(api, told["imageId"])


async def test_a_settled_image_waits_for_a_new_upload_under_the_same_key(api: Api) -> None:
    record = await completed(api)
    answer, told = await api.post(a_replacement(record.image_id))
    assert answer.status == 201
    assert (told["imageId"], told["key"]) == (record.image_id, record.original_key)
    assert told["contentType"] == "image/png"
    stored = api.records.records[record.image_id]
    assert token_in(told) == stored.upload_token != record.settled_token
    assert stored == record.model_copy(update={"upload_token": stored.upload_token})


async def test_an_image_says_that_its_picture_is_being_replaced(api: Api) -> None:
    record = await completed(api)
    assert "replacing" not in (await api.get(record.image_id))[1]
    await api.post(a_replacement(record.image_id))
    _, image = await api.get(record.image_id)
    assert (image["status"], image["replacing"]) == ("completed", True)
    await settle(api, record.image_id)
    assert "replacing" not in (await api.get(record.image_id))[1]


async def test_a_pending_image_gets_another_form_and_is_kept_for_it(api: Api) -> None:
    _, first = await api.post(an_upload())
    api.a_second_later()
    pending = api.records.records[first["imageId"]]
    api.records.records[first["imageId"]] = pending.model_copy(update={"expires_at": 1})
    answer, second = await api.post(a_replacement(first["imageId"]))
    stored = api.records.records[first["imageId"]]
    assert (answer.status, stored.status) == (201, Status.PENDING)
    assert token_in(second) == stored.upload_token != token_in(first)
    assert (stored.expires_at or 0) > PENDING_SECONDS
    assert "replacing" not in (await api.get(first["imageId"]))[1]


async def test_a_new_request_takes_the_place_of_the_one_before(api: Api) -> None:
    record = await completed(api)
    (_, one), (_, other) = [await api.post(a_replacement(record.image_id)) for _ in range(2)]
    assert token_in(one) != token_in(other) == api.records.records[record.image_id].upload_token


async def test_a_repeated_key_has_the_same_token(api: Api) -> None:
    record = await completed(api)
    first, one = await api.post(a_replacement(record.image_id), **KEY)
    second, other = await api.post(a_replacement(record.image_id), **KEY)
    assert token_in(one) == token_in(other)
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"


async def test_requests_with_one_key_at_once_have_one_token(api: Api) -> None:
    record = await completed(api)
    body = a_replacement(record.image_id)
    answers = await asyncio.gather(*(api.post(body, **KEY) for _ in range(4)))
    assert len({token_in(told) for _, told in answers}) == 1


async def test_a_key_whose_upload_was_settled_leads_to_the_image(api: Api) -> None:
    record = await completed(api)
    await api.post(a_replacement(record.image_id), **KEY)
    await settle(api, record.image_id)
    answer, problem = await api.post(a_replacement(record.image_id), **KEY)
    assert (answer.status, problem["type"]) == (409, "/problems/already_settled")
    assert problem["statusUrl"] == f"/v1/images/{record.image_id}"
    assert api.records.records[record.image_id].upload_token is None


async def test_a_token_that_was_replaced_never_comes_back(api: Api) -> None:
    """An upload with it may have been deleted by now."""
    record = await completed(api)
    _, first = await api.post(a_replacement(record.image_id), **KEY)
    await api.post(a_replacement(record.image_id))
    _, again = await api.post(a_replacement(record.image_id), **KEY)
    assert token_in(again) != token_in(first)


async def test_the_same_key_for_another_request_is_refused(api: Api) -> None:
    record = await completed(api)
    await api.post(a_replacement(record.image_id), **KEY)
    for _ in range(2):
        answer, problem = await api.post(a_replacement(record.image_id, size=98), **KEY)
        assert (answer.status, problem["type"]) == (422, "/problems/idempotency_key_reused")
        if api.records.records[record.image_id].upload_token:
            await settle(api, record.image_id)


async def test_a_request_whose_write_was_repeated_has_the_token_that_was_written(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the first write was lost, so the second one fails on its condition."""
    record = await completed(api)
    await_upload = api.records.await_upload

    async def twice(read: Record, **how: Any) -> Record | None:
        await await_upload(read, **how)
        return await await_upload(read, **how)

    monkeypatch.setattr(api.records, "await_upload", twice)
    answer, told = await api.post(a_replacement(record.image_id))
    assert answer.status == 201
    assert token_in(told) == api.records.records[record.image_id].upload_token


async def test_an_image_that_changes_all_the_time_is_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await completed(api)

    async def changed(_: Record, **__: Any) -> None:
        return None

    monkeypatch.setattr(api.records, "await_upload", changed)
    answer, problem = await api.post(a_replacement(record.image_id))
    assert (answer.status, problem["type"]) == (409, "/problems/changed_meanwhile")


async def test_only_its_owner_replaces_an_image(api: Api) -> None:
    record = await completed(api)
    answer, problem = await api.post(a_replacement(record.image_id), **BOB)
    assert (answer.status, problem["type"]) == (404, "/problems/unknown_image")
    assert api.records.records[record.image_id] == record


async def test_an_erased_image_is_not_replaced(api: Api) -> None:
    record = await completed(api)
    erasure = {"erased_at": 1, "erased_by": "owner", "erasure": Erasure(requested_at=1)}
    erased = record.model_copy(update={"status": Status.ERASED, **erasure})
    api.records.records[record.image_id] = erased
    answer, problem = await api.post(a_replacement(record.image_id))
    assert answer.status == 410
    assert problem["receiptUrl"] == f"/v1/images/{record.image_id}/erasure"
    assert api.records.records[record.image_id] == erased


async def test_an_object_that_was_stored_without_the_api_is_not_replaced_through_it(
    api: Api,
) -> None:
    """Its next overwrite would not count."""
    record = await completed(api)
    adopted = record.model_copy(update={"original_key": "uploads/key%3Aalice/holiday.jpg"})
    api.records.records[record.image_id] = adopted
    answer, problem = await api.post(a_replacement(record.image_id))
    assert answer.status == 422
    assert [fault["pointer"] for fault in problem["errors"]] == ["#/imageId"]
    assert api.records.records[record.image_id] == adopted


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"filename": "other.jpg"}, "#/filename"),
        ({"tags": ["b"]}, "#/tags"),
        ({"keepDays": 9}, "#/keepDays"),
        ({"imageId": "x"}, "#/imageId"),
        ({"imageId": 5}, "#/imageId"),
    ],
)
async def test_a_member_that_a_replacement_cannot_have_is_named(
    api: Api, changes: dict[str, Any], pointer: str
) -> None:
    record = await completed(api)
    answer, problem = await api.post(a_replacement(record.image_id, **changes))
    assert answer.status == 422
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]


async def test_a_put_may_replace_an_image_too(api: Api) -> None:
    record = await completed(api)
    _, told = await api.post(a_replacement(record.image_id, method="PUT"))
    token = api.records.records[record.image_id].upload_token
    assert told["headers"]["x-amz-meta-upload-token"] == token


async def test_repeating_the_first_request_does_not_hand_out_the_form_of_a_replacement(
    api: Api,
) -> None:
    """It would use the replacement's token up with the first picture."""
    _, first = await api.post(an_upload(), **KEY)
    await api.post(a_replacement(first["imageId"]), **{"Idempotency-Key": "replacement"})
    answer, problem = await api.post(an_upload(), **KEY)
    assert (answer.status, problem["type"]) == (409, "/problems/changed_meanwhile")
