"""One user's backlog delays no other user, in a worker with the default room."""

import asyncio
import json

from tests.support.fakes import FakeQueue
from tests.unit.worker.test_consumer import Work, running, until
from worker.consumer import MOST_ASIDE
from worker.settings import WorkerSettings
from worker.turns import STUCK_SECONDS

IMAGE = "01JZ6V8M7Q2N4R5T6W8X9Y0ZAB"
PREFETCH = WorkerSettings.model_fields["prefetch"].default


def body_of(user: str) -> str:
    source = {"key": f"uploads/key%253A{user}/{IMAGE}"}
    return json.dumps(
        {"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Post",
                      "eventTime": "", "s3": {"bucket": {"name": "b"}, "object": source}}]}
    )  # fmt: skip


async def test_another_users_picture_starts_with_the_next_free_slot() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    alice, bob = body_of("alice"), body_of("bob")
    for _ in range(10):
        queue.send(alice)
    async with running(queue, work, prefetch=PREFETCH) as worker:
        await work.until_begun(2)
        queue.send(bob)
        await until(lambda: worker.value("messages_held", state="waiting") == 9)
        work.gate.set()
        await until(lambda: len(queue.deleted) == 11)
    assert work.begun[:2] == [alice, alice]
    assert bob in work.begun[2:4]


async def test_behind_ordinary_pictures_no_more_is_held_than_the_prefetch() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    for _ in range(60):
        queue.send(body_of("alice"))
    async with running(queue, work, prefetch=PREFETCH) as worker:
        await until(lambda: worker.value("messages_held", state="waiting") == PREFETCH)
        await asyncio.sleep(STUCK_SECONDS / 4)
        assert worker.value("receive_messages_total") == PREFETCH + 2
        work.gate.set()


async def test_one_users_backlog_is_held_up_to_a_bound() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    for _ in range(60):
        queue.send(body_of("alice"))
    async with running(queue, work, prefetch=PREFETCH) as worker:
        most = PREFETCH + MOST_ASIDE
        await until(lambda: worker.value("messages_held", state="waiting") == most)
        assert worker.value("receive_messages_total") == most + 2
        work.gate.set()


async def test_while_a_service_keeps_the_slots_busy_no_more_is_held_than_the_prefetch() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    for _ in range(60):
        queue.send(body_of("alice"))
    async with running(queue, work, prefetch=PREFETCH, rendering=False) as worker:
        await until(lambda: worker.value("messages_held", state="waiting") == PREFETCH)
        await asyncio.sleep(1.5 * STUCK_SECONDS)
        assert worker.value("receive_messages_total") == PREFETCH + 2
        work.gate.set()


async def test_messages_of_many_users_take_a_place_each() -> None:
    queue, work = FakeQueue(), Work()
    work.gate.clear()
    for number in range(20):
        queue.send(body_of(f"user{number}"))
    async with running(queue, work, prefetch=PREFETCH) as worker:
        await until(lambda: worker.value("messages_held", state="waiting") == PREFETCH)
        assert worker.value("receive_messages_total") == PREFETCH + 2
        work.gate.set()
