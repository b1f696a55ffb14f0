"""Entries of many tasks go out together, and each task gets its own answer."""

import asyncio
from collections.abc import Mapping

import pytest

from safelight.aws.queue import BATCH_SIZE, Failure
from safelight.errors import Unavailable
from worker.batch import Batch


class Sent:
    def __init__(self, *failures: str) -> None:
        self.calls: list[dict[str, int]] = []
        self._failures = failures

    async def __call__(self, items: Mapping[str, int]) -> tuple[Failure, ...]:
        self.calls.append(dict(items))
        return tuple(
            Failure(receipt=receipt, lost=True, detail="stale")
            for receipt in items
            if receipt in self._failures
        )


async def test_entries_of_one_moment_are_one_request() -> None:
    sent = Sent()
    batch = Batch(sent, linger_seconds=0)
    answers = await asyncio.gather(*(batch.add(f"r{i}", i) for i in range(7)))
    assert answers == [None] * 7
    assert sent.calls == [{f"r{i}": i for i in range(7)}]


async def test_no_request_has_more_than_ten_entries() -> None:
    sent = Sent()
    batch = Batch(sent, linger_seconds=0)
    await asyncio.gather(*(batch.add(f"r{i}", i) for i in range(25)))
    assert [len(call) for call in sent.calls] == [BATCH_SIZE, BATCH_SIZE, 5]


async def test_a_full_batch_does_not_linger() -> None:
    batch = Batch(Sent(), linger_seconds=3600)
    async with asyncio.timeout(5):
        await asyncio.gather(*(batch.add(f"r{i}", i) for i in range(BATCH_SIZE)))


async def test_each_sender_gets_its_own_failure() -> None:
    batch = Batch(Sent("r1"), linger_seconds=0)
    answers = await asyncio.gather(*(batch.add(f"r{i}", i) for i in range(3)))
    assert [answer is not None and answer.lost for answer in answers] == [False, True, False]


async def test_a_failing_request_fails_every_sender() -> None:
    async def send(_: Mapping[str, int]) -> tuple[Failure, ...]:
        raise Unavailable("sqs", "503")

    batch = Batch(send, linger_seconds=0)
    answers = await asyncio.gather(
        *(batch.add(f"r{i}", i) for i in range(3)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Unavailable] * 3


async def test_a_sender_that_was_cancelled_harms_nobody() -> None:
    sent = Sent()
    batch = Batch(sent, linger_seconds=0.01)
    leaving, staying = (asyncio.create_task(batch.add(f"r{i}", i)) for i in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is None
    with pytest.raises(asyncio.CancelledError):
        await leaving
