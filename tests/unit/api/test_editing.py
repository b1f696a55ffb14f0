"""Changes of tags and file names, as clients see them. Races are in tests/unit/models."""

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from api.editing import Editing, EditRequest
from api.problems import Problem, Refusal
from safelight import keys
from safelight.record import Record, Status
from safelight.tags import entries_of, entry_of
from tests.support.fakes import FakeRecords, FakeTombstones
from tests.unit.api.clients import ALICE, BOB, Api, Start


def an_image(**changes: Any) -> Record:
    usual = {
        "image_id": keys.new_image_id(),
        "user_id": "key:alice",
        "uploaded_at": 1_700_000_000_000,
        "original_key": "uploads/x/y",
        "status": Status.COMPLETED,
        "filename": "cat.jpg",
        "tags": ("sea", "sun"),
        "revision": "v1",
    }
    return Record(**usual | changes)


async def stored(records: FakeRecords, **changes: Any) -> Record:
    record = an_image(**changes)
    records.records[record.image_id] = record
    if record.status.settled:
        for entry in entries_of(record):
            await records.put_tag(entry)
    return record


async def patched(api: Api, image: Record, change: Any, **headers: str) -> tuple[Any, Any]:
    path = f"/v1/images/{image.image_id}"
    return await api.ask("PATCH", path, json=change, headers=ALICE | headers)


async def found(api: Api, tag: str) -> int:
    _, page = await api.ask("GET", f"/v1/images?tag={tag}", headers=ALICE)
    return len(page["images"])


async def test_tags_are_replaced_added_and_removed(api: Api) -> None:
    image = await stored(api.records)
    answer, changed = await patched(api, image, {"tags": ["lake", "lake"], "tagsVersion": 0})
    assert (answer.status, changed["tags"], changed["tagsVersion"]) == (200, ["lake"], 1)
    assert [await found(api, tag) for tag in ("lake", "sea", "sun")] == [1, 0, 0]
    _, changed = await patched(api, image, {"addTags": ["a", "b"], "removeTags": ["lake", "no"]})
    assert (changed["tags"], changed["tagsVersion"]) == (["a", "b"], 2)
    assert [await found(api, tag) for tag in ("lake", "a", "b")] == [0, 1, 1]
    _, shown = await api.get(image.image_id)
    assert (shown["tags"], shown["tagsVersion"]) == (["a", "b"], 2)


async def test_a_file_name_is_changed_alone(api: Api) -> None:
    image = await stored(api.records)
    _, changed = await patched(api, image, {"filename": "d\u00f6g.jpg"})
    assert (changed["filename"], changed["tags"]) == ("d\u00f6g.jpg", ["sea", "sun"])
    assert await found(api, "sea") == 1


async def test_a_change_of_nothing_writes_nothing(api: Api) -> None:
    image = await stored(api.records)
    for change in ({}, {"tags": ["sea", "sun"]}, {"filename": "cat.jpg"}, {"removeTags": ["x"]}):
        answer, changed = await patched(api, image, change)
        assert (answer.status, changed["tagsVersion"]) == (200, 0)
    assert api.records.calls["edit"] == 0


async def test_a_change_writes_the_entries_of_added_and_removed_tags_only(api: Api) -> None:
    image = await stored(api.records)
    api.records.calls.clear()
    await patched(api, image, {"addTags": ["new", "sea"], "removeTags": ["sun"]})
    assert (api.records.calls["put_tag"], api.records.calls["drop_tag"]) == (1, 1)
    for tag, count in (("sea", 1), ("new", 1), ("sun", 0)):
        assert await found(api, tag) == count


async def test_a_change_is_answered_with_the_image_whatever_the_client_knows(api: Api) -> None:
    image = await stored(api.records)
    known = (await api.get(image.image_id))[0].headers["ETag"]
    answer, changed = await patched(api, image, {}, **{"If-None-Match": known})
    assert (answer.status, changed["imageId"]) == (200, image.image_id)


async def test_a_change_of_tags_that_were_read_too_early_is_refused(api: Api) -> None:
    image = await stored(api.records)
    await patched(api, image, {"addTags": ["new"]})
    answer, problem = await patched(api, image, {"tags": ["mine"], "tagsVersion": 0})
    assert (answer.status, problem["type"]) == (409, "/problems/changed_meanwhile")
    assert problem["detail"] == 'The image has version 1 of its tags: ["sea", "sun", "new"].'
    assert await found(api, "mine") == 0


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"tags": "sea"}, "#/tags"),
        ({"tags": ["a"], "addTags": ["b"]}, "#"),
        ({"addTags": ["a"], "removeTags": ["a"]}, "#"),
        ({"tags": [str(number) for number in range(11)]}, "#/tags"),
        ({"addTags": [str(number) for number in range(9)]}, "#/addTags"),
        ({"tags": ["a\x1fb"]}, "#/tags/0"),
        ({"filename": ""}, "#/filename"),
        ({"tagsVersion": -1}, "#/tagsVersion"),
        ({"colour": "red"}, "#/colour"),
    ],
)
async def test_a_change_at_fault_is_refused_and_named(api: Api, change: Any, pointer: str) -> None:
    image = await stored(api.records)
    answer, problem = await patched(api, image, change)
    assert answer.status == 422
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
    assert api.records.records[image.image_id] == image


async def test_only_the_owner_changes_an_image_that_is_not_erased(api: Api) -> None:
    image = await stored(api.records)
    answer, _ = await api.ask(
        "PATCH", f"/v1/images/{image.image_id}", json={"tags": []}, headers=BOB
    )
    assert answer.status == 404
    erased = await stored(api.records, status=Status.ERASED)
    assert (await patched(api, erased, {"tags": []}))[0].status == 410


async def test_a_pending_image_has_no_entries_before_it_is_settled(api: Api) -> None:
    image = await stored(api.records, status=Status.PENDING)
    _, changed = await patched(api, image, {"addTags": ["new"]})
    assert changed["tags"] == ["sea", "sun", "new"]
    assert api.records.entries == {}


async def test_an_admin_reads_and_changes_an_image_as_its_owner_does(start: Start) -> None:
    api = await start(admins=("key:bob",))
    image = await stored(api.records)
    answer, shown = await api.ask("GET", f"/v1/images/{image.image_id}", headers=BOB)
    assert (answer.status, shown["imageId"]) == (200, image.image_id)
    answer, changed = await patched(api, image, {"addTags": ["seen"]}, **BOB)
    assert (answer.status, changed["tags"]) == (200, ["sea", "sun", "seen"])
    assert await found(api, "seen") == 1
    assert api.records.records[image.image_id].user_id == "key:alice"


async def test_an_owner_of_images_is_no_admin(start: Start) -> None:
    api = await start(admins=("key:bob",))
    image = await stored(api.records, user_id="key:bob")
    assert (await patched(api, image, {"addTags": ["x"]}))[0].status == 404
    assert (await api.get(image.image_id))[0].status == 404


async def test_a_request_for_an_image_of_another_user_is_logged(start: Start) -> None:
    api = await start(admins=("key:bob",))
    image = await stored(api.records)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await api.ask("GET", f"/v1/images/{image.image_id}", headers=BOB)
        await api.ask("GET", "/v1/images?user=key:alice", headers=BOB)
        await api.get(image.image_id)
    told = [(line["user_id"], line.get("owner_id")) for line in logs if "user_id" in line]
    assert told == [("key:bob", "key:alice"), ("key:bob", "key:alice"), ("key:alice", None)]


class Erasing(FakeRecords):
    """A table in which every image is erased just before a change is written."""

    async def edit(
        self, read: Record, *, tags: tuple[str, ...], filename: str | None
    ) -> Record | None:
        erased = await FakeTombstones(self).erase(
            read.image_id, before=read.status, by="owner", requested_at=0, at=0
        )
        assert erased is not None
        return await super().edit(read, tags=tags, filename=filename)


async def test_a_change_that_loses_to_an_erasure_leaves_no_entry_of_an_added_tag() -> None:
    records = Erasing()
    image = await stored(records)

    async def find() -> Record:
        record = records.records[image.image_id]
        if record.status is Status.ERASED:
            raise Refusal(Problem.IMAGE_ERASED, "The image was erased.")
        return record

    with pytest.raises(Refusal):
        await Editing(records).edit(EditRequest(addTags=("new",)), find)
    assert records.entries[entry_of(image, "new", version=1).key] == (1, False)
