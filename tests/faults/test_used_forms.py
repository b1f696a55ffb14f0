"""Forms that are used again, at any time, while workers die: row 50 of the faults."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from tests.support import pictures
from tests.support.faults.injector import Source
from tests.support.faults.rig import Rig
from tests.support.faults.supervisor import Worker
from tests.support.person import SETTLED_SECONDS, Person

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
DRAWS = 50
"""How many images there are, each with a schedule of its own."""
AT_ONCE = 5


@dataclass
class Form:
    """An upload that was requested, and the versions that were stored with it."""

    image_id: str
    key: str
    token: str
    stored: list[Source] = field(default_factory=list)

    @classmethod
    def of(cls, ticket: Mapping[str, Any]) -> "Form":
        token = ticket["fields"]["x-amz-meta-upload-token"]
        return cls(image_id=ticket["imageId"], key=ticket["key"], token=token)


@dataclass
class Schedule:
    """What happens to one image, drawn from its own seed."""

    rig: Rig
    alice: Person
    draw: Random
    forms: list[Form] = field(default_factory=list)
    stale: int = 0
    """Versions whose form was used up or replaced before they were stored."""

    async def run(self) -> None:
        """Upload, upload again with used forms, and maybe replace the picture."""
        await self._request()
        await self._use(self.draw.randint(1, 3))
        await self._until_settled()
        await self._use_again(self.draw.randint(1, 2))
        for _ in range(self.draw.randint(0, 2)):
            await self._request(imageId=self.forms[0].image_id)
            await self._use_again(self.draw.randint(0, 2), newest=1)
            await self._use(self.draw.randint(1, 2))
            await self._until_settled()
            await self._use_again(self.draw.randint(0, 2))

    async def _request(self, **request: Any) -> None:
        self.forms.append(Form.of(await self.alice.ask(CAT, **request)))

    async def _use(self, times: int, form: Form | None = None) -> None:
        """Store versions with a form; send their events late, repeated and out of order."""
        form = form or self.forms[-1]
        versions = [
            await self.rig.injector.put(CAT, key=form.key, token=form.token) for _ in range(times)
        ]
        form.stored += versions
        events = [one for one in versions for _ in range(self.draw.randint(1, 2))]
        events += self.draw.choices([one for form in self.forms for one in form.stored], k=1)
        self.draw.shuffle(events)
        for event in events:
            await asyncio.sleep(self.draw.uniform(0, 0.2))
            await self.rig.injector.notify(event)

    async def _use_again(self, times: int, *, newest: int = 0) -> None:
        """Use forms that no longer count; `newest` forms still do."""
        for _ in range(times):
            used = self.forms[: len(self.forms) - newest]
            self.stale += 1
            await self._use(1, self.draw.choice(used))

    async def _until_settled(self) -> None:
        async with asyncio.timeout(SETTLED_SECONDS):
            while True:
                _, image = await self.alice.image(self.forms[0].image_id)
                if image["status"] != "pending" and not image.get("replacing"):
                    return
                await asyncio.sleep(0.1)

    def faults(self, record: Any, published: set[str]) -> list[str]:
        """Compare the record with the forms: the last one is settled, each of them once."""
        last = self.forms[-1]
        faults = []
        if (record.settled_token, record.upload_token) != (last.token, None):
            faults.append(f"{record.image_id} has the token {record.settled_token}")
        if record.revision not in {one.revision for one in last.stored}:
            faults.append(f"{record.image_id} shows a version of another form")
        if record.sequence != len(self.forms):
            faults.append(f"{record.image_id} was settled {record.sequence} times")
        if len(published) > len(self.forms):
            faults.append(f"{record.image_id} was published with {len(published)} revisions")
        return faults


async def _kill_now_and_then(rig: Rig, fleet: list[Worker]) -> None:
    while True:
        await asyncio.sleep(rig.random.uniform(2, 6))
        victim = rig.random.choice(fleet)
        victim.kill()
        fleet[fleet.index(victim)] = await rig.worker()


@pytest.mark.slow
async def test_row_50_fifty_images_with_used_forms_and_workers_that_die(rig: Rig) -> None:
    """Run the schedules, some at once, with two workers of which one is killed now and then."""
    alice = await rig.alice()
    fleet = await rig.fleet(2)
    schedules = [Schedule(rig, alice, Random(rig.random.random())) for _ in range(DRAWS)]
    room = asyncio.Semaphore(AT_ONCE)

    async def in_turn(schedule: Schedule) -> None:
        async with room:
            await schedule.run()

    killing = asyncio.create_task(_kill_now_and_then(rig, fleet))
    try:
        await asyncio.gather(*map(in_turn, schedules))
    finally:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
    await rig.worker()  # the last one may have been killed
    world = await rig.settled(seconds=120)
    revisions: dict[str, set[str]] = {}
    for completion in world.completions:
        revisions.setdefault(completion["subject"], set()).add(completion["data"]["revisionTag"])
    faults = [
        fault
        for schedule in schedules
        for image_id in (schedule.forms[0].image_id,)
        for fault in schedule.faults(world.records[image_id], revisions[image_id])
    ]
    assert not faults, "\n".join(faults)
    assert sum(schedule.stale for schedule in schedules) >= DRAWS
