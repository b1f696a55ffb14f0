"""Images that are cancelled or changed while they are erased: rows 56 and 57 of the faults."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

import pytest

from tests.support import pictures
from tests.support.faults.cleaning import Cleaning
from tests.support.person import Person

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
DRAWS = 50
"""How many images there are, each with a schedule of its own."""
AT_ONCE = 10
CHANGE = (200, 409, 410)
"""The answers to a change: done, overtaken by another one, or the image is erased."""
REPLACEMENT = (201, 409, 410)
KEPT = 0.1
"""The share of images that are changed and not erased, beside the first image."""


async def in_turn(schedules: list[Callable[[], Awaitable[None]]]) -> None:
    """Run schedules, some at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def run(schedule: Callable[[], Awaitable[None]]) -> None:
        async with room:
            await schedule()

    await asyncio.gather(*map(run, schedules))


@dataclass
class Cancelled:
    """A pending upload that is erased before, while or after its form is used, if it is at all."""

    cleaning: Cleaning
    alice: Person
    draw: Random
    image_id: str = ""
    erased: bool = False
    early: int = 0
    """The number of versions that were stored before the erasure was answered."""
    late: int = 0

    async def run(self) -> None:
        """Request an upload, cancel it, and use its form at other moments."""
        ticket = await self.alice.ask(CAT, tags=["sea", "sand"])
        self.image_id = ticket["imageId"]
        token = ticket["fields"]["x-amz-meta-upload-token"]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._cancel())
            for _ in range(self.draw.randint(0, 2)):
                group.create_task(self._use(ticket["key"], token))
        await self.cleaning.until_state(self.alice, self.image_id, "complete")

    async def _cancel(self) -> None:
        await asyncio.sleep(self.draw.uniform(0, 0.5))
        await self.alice.erase(self.image_id)
        self.erased = True

    async def _use(self, key: str, token: str) -> None:
        """Store a version around the cancellation, or around the end of the erasure."""
        await asyncio.sleep(self.draw.choice((self.draw.uniform(0, 1), self.draw.uniform(5, 14))))
        early = not self.erased
        source = await self.cleaning.rig.injector.put(CAT, key=key, token=token)
        self.early, self.late = self.early + early, self.late + (not early)
        await asyncio.sleep(self.draw.uniform(0, 0.3))
        await self.cleaning.rig.injector.notify(source)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_row_56_a_cancelled_upload_leaves_nothing_whenever_it_arrives(
    cleaning: Cleaning,
) -> None:
    alice = await cleaning.rig.alice()
    await asyncio.gather(*(cleaning.start(role) for role in ("uploads", "cleanup")))
    draws = [Random(cleaning.rig.random.random()) for _ in range(DRAWS)]
    schedules = [Cancelled(cleaning, alice, draw) for draw in draws]
    await in_turn([schedule.run for schedule in schedules])
    world = await cleaning.cleaned(seconds=240)
    assert {record.erasure is not None for record in world.records.values()} == {True}
    assert await alice.found() == []
    assert await alice.found(tag="sea") == []
    completed = {one["subject"] for one in world.completions}
    for schedule in schedules:
        receipt = await alice.receipt(schedule.image_id)
        if not schedule.early:
            assert schedule.image_id not in completed
        if not schedule.early + schedule.late:
            assert (receipt["sources"]["versions"], receipt["assets"]["objects"]) == (0, 0)
            assert "caches" not in receipt
            assert not cleaning.references[f"#img-{schedule.image_id}"]
    kinds = {(bool(one.early), bool(one.late)) for one in schedules}
    assert {(False, False), (True, False), (False, True)} <= kinds


@dataclass
class Changed:
    """An image that clients erase, change and replace at the same time."""

    cleaning: Cleaning
    clients: list[Person]
    """The same user at two processes of the API."""
    draw: Random
    erased: bool
    """Whether they erase it."""
    image_id: str = ""

    async def run(self) -> None:
        """Complete an image; then do everything to it in a random order."""
        source = await self.cleaning.picture(self.clients[0], CAT, tags=["sea", "sand"])
        self.image_id = source.image_id
        await self.cleaning.rig.injector.notify(source)
        await self.clients[0].settled(self.image_id)
        acts = [self._retag, self._retag, self._rename, self._replace]
        acts += [self._erase] * 2 * self.erased
        async with asyncio.TaskGroup() as group:
            for act in acts:
                group.create_task(self._later(act))

    async def _later(self, act: Callable[[Person], Awaitable[None]]) -> None:
        await asyncio.sleep(self.draw.uniform(0, 0.2))
        await act(self.draw.choice(self.clients))

    async def _erase(self, client: Person) -> None:
        await client.erase(self.image_id)

    async def _retag(self, client: Person) -> None:
        tags = self.draw.sample(("sea", "sand", "wind", "sun"), 2)
        body = {"addTags": tags[:1], "removeTags": tags[1:]}
        path = f"/v1/images/{self.image_id}"
        await client.request("PATCH", path, status=CHANGE, json=body)

    async def _rename(self, client: Person) -> None:
        path = f"/v1/images/{self.image_id}"
        await client.request("PATCH", path, status=CHANGE, json={"filename": "b.jpg"})

    async def _replace(self, client: Person) -> None:
        ticket = await client.ask(CAT, imageId=self.image_id, status=REPLACEMENT)
        if "fields" in ticket:
            token = ticket["fields"]["x-amz-meta-upload-token"]
            await asyncio.sleep(self.draw.uniform(0, 0.2))
            injector = self.cleaning.rig.injector
            source = await injector.put(CAT, key=ticket["key"], token=token)
            await injector.notify(source)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_row_57_images_that_are_erased_twice_and_changed_at_once_leave_nothing(
    cleaning: Cleaning,
) -> None:
    clients = [await cleaning.rig.alice() for _ in range(2)]
    await asyncio.gather(*(cleaning.start(role) for role in ("uploads", "cleanup") * 2))
    draws = [Random(cleaning.rig.random.random()) for _ in range(DRAWS)]
    schedules = [
        Changed(cleaning, clients, draw, erased=number > 0 and draw.random() >= KEPT)
        for number, draw in enumerate(draws)
    ]
    await in_turn([schedule.run for schedule in schedules])
    world = await cleaning.cleaned(seconds=240)
    erased = {one for one, record in world.records.items() if record.erasure is not None}
    assert erased == {one.image_id for one in schedules if one.erased}
    kept = world.records.keys() - erased
    assert kept
    for tag in ("sea", "sand", "wind", "sun"):
        having = {one for one in kept if tag in world.records[one].tags}
        assert set(await clients[0].found(tag=tag)) == having
