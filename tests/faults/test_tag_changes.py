"""Tags that several clients change while workers and the API are killed: row 49 of the faults."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import aiohttp
import pytest

from api.editing import EditRequest
from tests.support import pictures
from tests.support.faults.proxy import Answer, Call, ConnectionCut, Fault, Forward, Rule
from tests.support.faults.rig import Rig
from tests.support.faults.supervisor import Worker, until
from tests.support.person import Person

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
ALICE = {"X-Api-Key": "sl_alice"}
KEPT = ("x", "y")
"""Tags that no client changes, so that a worker writes two entries."""
CHANGED = ("a", "b", "c")
CLIENTS = 3
LAST_CHANGES = 3
"""How often each client changes the image once it is settled, or in all before the upload."""


@dataclass(frozen=True, slots=True)
class Step:
    """The worker's n-th call of an operation, and whether it is carried out before the kill."""

    operation: str
    nth: int = 1
    carried_out: bool = True


STEPS = {
    "receive": Step("ReceiveMessage"),
    "read": Step("GetItem"),
    "fetch": Step("GetObject"),
    "put": Step("PutObject", 2),
    "before the commit": Step("UpdateItem", 1, carried_out=False),
    "commit": Step("UpdateItem", 1),
    "first entry": Step("UpdateItem", 2),
    "second entry": Step("UpdateItem", 3),
    "publish": Step("Publish"),
    "delete": Step("DeleteMessageBatch", 1, carried_out=False),
}


def dying(worker: Worker, step: Step) -> Fault:
    """Kill the worker at a step. The calls of the API pass."""
    numbers = count(1)

    async def fault(call: Call, forward: Forward) -> Answer:
        if call.caller != worker.name or next(numbers) != step.nth:
            return await forward()
        if step.carried_out:
            await forward()
        worker.kill()
        raise ConnectionCut

    return fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change, and the answer to it: the version of the tags and the tags; None if refused."""

    body: Mapping[str, Any]
    answer: tuple[int, tuple[str, ...]] | None

    def gives(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        """Return the tags after the change, if these were there before."""
        strict = {name: tuple(value) if isinstance(value, list) else value
                  for name, value in self.body.items()}  # fmt: skip
        return EditRequest.model_validate(strict).tags_after(tags)


@dataclass
class Image:
    """One image, and everything that clients did to its tags."""

    path: str
    urls: list[str]
    """The addresses of the API, the newest last."""
    done: list[Change] = field(default_factory=list)
    unknown: int = 0
    """The number of requests without an answer, each of which may have changed the tags."""
    ending: bool = False
    """Whether each client makes its last changes."""


def a_change(draw: Random, tags: Sequence[str], version: int) -> dict[str, Any]:
    """Draw a change: tags to add, tags to remove, or all tags as of a version."""
    drawn = draw.sample(CHANGED, draw.randint(1, 2))
    match draw.choice(("addTags", "removeTags", "tags")):
        case "tags":
            return {"tags": [*KEPT, *drawn], "tagsVersion": version}
        case name:
            return {name: drawn}


async def ask(image: Image, http: aiohttp.ClientSession, method: str, **more: Any) -> Any:
    """Send a request to the API until it is answered, wherever it runs by then."""
    while True:
        try:
            url = image.urls[-1] + image.path
            async with http.request(method, url, headers=ALICE, **more) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, json.JSONDecodeError):
            image.unknown += method == "PATCH"
            await asyncio.sleep(0.05)


async def edit(image: Image, http: aiohttp.ClientSession, draw: Random) -> None:
    """Change the image's tags again and again, and some times once it is to end."""
    left = LAST_CHANGES
    while left:
        left -= image.ending
        _, read = await ask(image, http, "GET")
        body = a_change(draw, read["tags"], read["tagsVersion"])
        status, answer = await ask(image, http, "PATCH", json=body)
        assert status == 200 or (status, answer["type"]) == (409, "/problems/changed_meanwhile")
        version = (answer["tagsVersion"], tuple(answer["tags"])) if status == 200 else None
        image.done.append(Change(body=body, answer=version))
        await asyncio.sleep(draw.uniform(0, 0.3))


def lost(image: Image, before: tuple[str, ...], after: tuple[int, tuple[str, ...]]) -> list[str]:
    """Compare all answers with each other: each change follows from the version before it."""
    answered = [change for change in image.done if change.answer]
    tags_of: dict[int, tuple[str, ...]] = {0: before}
    faults = []
    for version, tags in [change.answer for change in answered if change.answer] + [after]:
        if tags_of.setdefault(version, tags) != tags:
            faults.append(f"version {version} was answered as {tags} and {tags_of[version]}")
    missing = [version for version in range(after[0]) if version not in tags_of]
    if len(missing) > image.unknown or max(tags_of) > after[0]:
        faults.append(f"versions {missing} are of no change; {image.unknown} without an answer")
    return faults + [
        f"{change} follows from no version before it"
        for change in answered
        if change.answer and not _follows(change, *change.answer, tags_of)
    ]


def _follows(
    change: Change, version: int, tags: tuple[str, ...], tags_of: Mapping[int, tuple[str, ...]]
) -> bool:
    """Whether a change gave these tags: from the version before, or without any effect."""
    named = change.body.get("tagsVersion")
    return any(
        named in (None, one) and (one not in tags_of or change.gives(tags_of[one]) == tags)
        for one in range(max(0, version - 1), version + 1)
    )


async def _replace_api(rig: Rig, api: Any, image: Image) -> None:
    """Kill the API at a random moment, and start another."""
    await asyncio.sleep(rig.random.uniform(0, 4))
    api.kill()
    image.urls.append(await (await rig.api()).listening())


async def _settle(rig: Rig, image: Image, ticket: Mapping[str, Any], worker: Worker) -> None:
    """Upload the picture, replace the worker once it is killed, and wait until all is settled."""
    await asyncio.sleep(rig.random.uniform(0, 1))
    token = ticket["fields"]["x-amz-meta-upload-token"]
    await rig.injector.upload(CAT, key=ticket["key"], token=token)
    await until(lambda: worker.exit_code is not None, "the worker is killed")
    await rig.worker()
    await rig.until_empty()
    image.ending = True


BESIDE = [pytest.param(step, True, id=step) for step in STEPS]
BEFORE = [
    pytest.param(step, False, id=f"{step}, edited before") for step in ("commit", "first entry")
]
"""Without a change afterwards, only workers write the entries."""


@pytest.mark.slow
@pytest.mark.parametrize(("step", "beside"), BESIDE + BEFORE)
async def test_row_49_tags_changed_by_three_clients_are_found_whatever_is_killed(
    rig: Rig, step: str, beside: bool
) -> None:
    """The clients change the tags beside the upload, or only before it."""
    api = await rig.api()
    urls = [await api.listening()]
    worker = await rig.worker()
    async with aiohttp.ClientSession() as http:
        ticket = await Person(http, urls[0], "sl_alice").ask(CAT, tags=list(KEPT))
        image = Image(path=f"/v1/images/{ticket['imageId']}", urls=urls, ending=not beside)
        rig.proxy.add(Rule(STEPS[step].operation, dying(worker, STEPS[step])))
        async with asyncio.TaskGroup() as group:
            group.create_task(_replace_api(rig, api, image))
            editors = [edit(image, http, Random(rig.random.random())) for _ in range(CLIENTS)]
            if not beside:
                await asyncio.gather(*editors)
            group.create_task(_settle(rig, image, ticket, worker))
            if beside:
                await asyncio.gather(*editors)
        world = await rig.settled()
        record = world.records[ticket["imageId"]]
        assert not lost(image, KEPT, (record.tags_version, record.tags))
        alice = Person(http, urls[-1], "sl_alice")
        for tag in (*KEPT, *CHANGED):
            found = await alice.found(tag=tag)
            assert found == ([record.image_id] if tag in record.tags else [])
