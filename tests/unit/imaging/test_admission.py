"""The predicted memory of renders in flight stays under the budget."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.imaging.admission import Admission, default_budget_bytes


@given(st.lists(st.integers(1, 150), max_size=12))
def test_the_sum_in_flight_never_passes_the_budget(shares: list[int]) -> None:
    async def play() -> int:
        gate, highest = Admission(100), 0

        async def render(share: int) -> None:
            nonlocal highest
            async with gate.admit(share):
                highest = max(highest, gate.admitted_bytes)
                await asyncio.sleep(0)

        await asyncio.gather(*(render(share) for share in shares))
        assert gate.admitted_bytes == 0
        return highest

    assert asyncio.run(play()) <= 100


async def test_one_that_is_over_the_whole_budget_is_admitted_alone() -> None:
    gate = Admission(100)
    async with gate.admit(1), asyncio.timeout(5):
        large = asyncio.create_task(gate.admit(1000).__aenter__())
        await asyncio.sleep(0)
        assert not large.done()
    await large
    assert gate.admitted_bytes == 100


async def test_a_large_one_is_not_starved_by_small_ones_behind_it() -> None:
    gate, order = Admission(100), []

    async def render(name: str, share: int) -> None:
        async with gate.admit(share):
            order.append(name)
            await asyncio.sleep(0)

    async with gate.admit(60):
        waiting = [
            asyncio.create_task(render("large", 90)),
            asyncio.create_task(render("small", 10)),
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == ["large", "small"]


@pytest.mark.parametrize("cancelled", ["waiting", "holding"])
async def test_a_cancelled_render_gives_its_share_back(cancelled: str) -> None:
    gate = Admission(100)
    held = asyncio.Event()

    async def render() -> None:
        async with gate.admit(80):
            held.set()
            await asyncio.Event().wait()

    first = asyncio.create_task(render())
    await held.wait()
    second = asyncio.create_task(render())
    await asyncio.sleep(0)
    for task in (second, first) if cancelled == "waiting" else (first, second):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert gate.admitted_bytes == 0
    async with asyncio.timeout(5), gate.admit(100):
        assert gate.admitted_bytes == 100


def test_the_default_budget_is_a_share_of_real_memory() -> None:
    assert 64 * 1024**2 < default_budget_bytes() < 10 * 1024**4
