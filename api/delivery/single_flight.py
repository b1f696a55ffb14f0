"""Runs work once for all callers with the same key; bounds the concurrency and the queue."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from api.problems import Problem, Refusal

T = TypeVar("T")


class Busy(Refusal):
    """There is no room for this work now. The client may try again after some seconds."""

    def __init__(self, detail: str, *, retry_seconds: int) -> None:
        super().__init__(Problem.BUSY, detail, headers={"Retry-After": str(retry_seconds)})


class SingleFlight(Generic[T]):
    """Work in progress, by key.

    `at_once` pieces of work run at a time; `waiting` more may wait, each for `wait_seconds`.
    """

    def __init__(self, *, at_once: int, waiting: int, wait_seconds: float) -> None:
        self.room = at_once + waiting
        """The most work that may run or wait."""
        self._places = asyncio.Semaphore(at_once)
        self._wait_seconds = wait_seconds
        self._under_way: dict[str, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        """Count the work that runs or waits."""
        return len(self._under_way)

    def __contains__(self, key: str) -> bool:
        """Return whether work for this key runs or waits."""
        return key in self._under_way

    async def join(
        self,
        key: str,
        work: Callable[[], Coroutine[Any, Any, T]],
        *,
        before: Callable[[], None] = lambda: None,
    ) -> T:
        """Return the result of the work in progress for this key, or start it. May raise `Busy`.

        `before` is called only when new work starts, and may raise to prevent it. A caller that
        stops waiting does not stop the work.
        """
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= self.room:
                raise self._busy()
            before()
            task = self._under_way[key] = asyncio.create_task(self._in_its_place(work))
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def _in_its_place(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise self._busy() from None
        try:
            return await work()
        finally:
            self._places.release()

    def _busy(self) -> Busy:
        return Busy(
            "Too many requests are waiting.",
            retry_seconds=max(1, round(self._wait_seconds / 2)),
        )
