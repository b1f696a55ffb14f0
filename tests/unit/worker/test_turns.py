"""A free slot goes to the user with the fewest pictures in work."""

import asyncio
import random
from collections import Counter

import pytest

from worker.turns import Turns


class Floor:
    """Tasks that take turns and work until they are let go."""

    def __init__(self, slots: int) -> None:
        self.turns = Turns(slots)
        self.working: list[tuple[str, asyncio.Event]] = []
        self.order: list[str] = []

    async def work(self, name: str) -> None:
        async with self.turns.turn(name[0]):
            end = asyncio.Event()
            self.working.append((name, end))
            self.order.append(name)
            try:
                await end.wait()
            finally:
                self.working.remove((name, end))

    def come(self, *names: str) -> dict[str, asyncio.Task[None]]:
        return {name: asyncio.create_task(self.work(name)) for name in names}

    @property
    def busy(self) -> Counter[str]:
        return Counter(name[0] for name, _ in self.working)

    def end(self, name: str) -> None:
        next(end for one, end in self.working if one == name).set()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_slot_goes_to_the_user_with_the_fewest_pictures_in_work() -> None:
    floor = Floor(2)
    floor.come("a1", "a2", "a3", "a4", "b1", "b2")
    await settle()
    floor.end("a1")
    await settle()
    floor.end("a2")
    await settle()
    assert floor.order == ["a1", "a2", "b1", "a3"]


async def test_one_user_alone_fills_every_slot() -> None:
    floor = Floor(2)
    floor.come("a1", "a2", "a3")
    await settle()
    assert floor.busy == {"a": 2}


async def test_a_waiter_that_is_cancelled_takes_no_slot() -> None:
    floor = Floor(1)
    tasks = floor.come("a1", "b1", "c1")
    await settle()
    tasks["b1"].cancel()
    await settle()
    floor.end("a1")
    await settle()
    assert floor.order == ["a1", "c1"]


async def test_a_waiter_that_is_cancelled_just_as_it_is_granted_gives_the_slot_back() -> None:
    floor = Floor(1)
    tasks = floor.come("a1", "b1", "c1")
    await settle()
    floor.end("a1")
    while floor.working:
        await asyncio.sleep(0)
    tasks["b1"].cancel()
    await settle()
    assert floor.order == ["a1", "c1"]


@pytest.mark.parametrize("seed", range(20))
async def test_slots_are_never_idle_nor_overfilled_and_the_least_busy_user_is_next(
    seed: int,
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    slots = chance.randint(1, 4)
    floor = Floor(slots)
    tasks: dict[str, asyncio.Task[None]] = {}
    for number in range(150):
        draw = chance.random()
        waiting = [name for name in tasks if name not in floor.order]
        if draw < 0.5:
            tasks |= floor.come(f"{chance.choice('abcd')}{number}")
        elif draw < 0.85 and floor.working:
            ended = chance.choice(floor.working)[0]
            before, had = len(floor.order), floor.busy
            floor.end(ended)
            await settle()
            had[ended[0]] -= 1
            if waiting:
                fewest = min(had[name[0]] for name in waiting)
                expected = next(name for name in waiting if had[name[0]] == fewest)
                assert floor.order[before:] == [expected]
        elif tasks:
            tasks[chance.choice(list(tasks))].cancel()
        await settle()
        tasks = {name: task for name, task in tasks.items() if not task.done()}
        assert len(floor.working) == min(slots, len(tasks))
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
