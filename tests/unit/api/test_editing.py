"""Changes of tags and file names: what clients see, and what is left after any crash or race."""

import contextlib
import random
from collections.abc import Coroutine, Generator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from api.editing import Editing, EditRequest
from api.problems import Refusal
from safelight import keys
from safelight.record import Record, Status
from safelight.tags import TagEntry, entries_of, entry_of
from tests.support.fakes import FakeRecords
from tests.unit.api.clients import ALICE, BOB, Api, Start

SEEDS = range(50)


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


async def test_any_change_finds_an_image_again_that_lacks_its_entries(api: Api) -> None:
    """A version that knew no entries settled it."""
    for change in ({}, {"addTags": ["new"]}, {"tags": ["sea", "sun"]}):
        image = await stored(api.records)
        api.records.entries.clear()
        await patched(api, image, change)
        assert await found(api, "sea") == 1
        api.records.records.clear()


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


class Died(Exception):
    """The process ended before a call."""


class Pause:
    """Awaiting it gives control to the schedule."""

    def __await__(self) -> Generator[None]:
        yield


class Interleaved(FakeRecords):
    """Pauses before each call, so that a schedule decides who calls next."""

    async def get(self, image_id: str) -> Record | None:
        await Pause()
        return await super().get(image_id)

    async def put_tag(self, entry: TagEntry) -> None:
        await Pause()
        await super().put_tag(entry)

    async def drop_tag(self, entry: TagEntry, *, now: float) -> None:
        await Pause()
        await super().drop_tag(entry, now=now)

    async def edit(
        self, read: Record, *, tags: tuple[str, ...], filename: str | None
    ) -> Record | None:
        await Pause()
        return await super().edit(read, tags=tags, filename=filename)


async def a_worker(records: FakeRecords, image_id: str, committed: Record) -> None:
    """Write the entries as a worker does after its commit. A redelivery reads the record again."""
    with contextlib.suppress(Died):
        for entry in entries_of(committed):
            await records.put_tag(entry)
        return
    current = await records.get(image_id)
    assert current is not None
    for entry in entries_of(current):
        await records.put_tag(entry)


async def an_editor(records: FakeRecords, image_id: str, change: EditRequest) -> None:
    async def find() -> Record:
        record = await records.get(image_id)
        assert record is not None
        return record

    with contextlib.suppress(Died, Refusal):
        await Editing(records).edit(change, find)


def run_interleaved(
    tasks: list[Coroutine[None, None, None]], schedule: random.Random, *, deaths: int
) -> None:
    """Run tasks in a random order of their calls; some of them die before a call."""
    for task in tasks:
        task.send(None)  # up to its first call
    while tasks:
        task = schedule.choice(tasks)
        try:
            if deaths and schedule.random() < 0.1:
                deaths -= 1
                task.throw(Died)
            else:
                task.send(None)
        except (StopIteration, Died):
            tasks.remove(task)


def a_change(schedule: random.Random) -> EditRequest:
    tags = tuple(schedule.sample(("a", "b"), schedule.randrange(1, 3)))
    return EditRequest.model_validate({schedule.choice(("addTags", "removeTags", "tags")): tags})


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_schedule_of_editors_workers_and_a_crash_loses_an_entry(seed: int) -> None:
    schedule = random.Random(seed)  # noqa: S311 - replayable
    for _ in range(40):
        records = Interleaved()
        image = an_image(tags=("a",))
        records.records[image.image_id] = image
        changes = [a_change(schedule) for _ in range(3)]
        tasks = [a_worker(records, image.image_id, image)]
        tasks += [an_editor(records, image.image_id, change) for change in changes]
        run_interleaved(tasks, schedule, deaths=1)
        settled = records.records[image.image_id]
        listed = {key for key, (_, is_listed) in records.entries.items() if is_listed}
        missing = {entry_of(settled, tag, version=0).key for tag in settled.tags} - listed
        assert not missing, f"replay with seed {seed}: {changes}"


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
