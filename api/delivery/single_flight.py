"""Work that many want at once: done once for all of them, so many at a time, and never piled up."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Busy(Exception):
    """There is no room for more of this work now; after so many seconds there may be."""

    def __init__(self, retry_seconds: int) -> None:
        super().__init__("There is more to do than there is room for.")
        self.retry_seconds = retry_seconds


class Flights(Generic[T]):
    """Work under way, by the key of what it is for.

    `at_once` of it is done at a time; `waiting` more may wait, for `wait_seconds`.
    """

    def __init__(self, *, at_once: int, waiting: int, wait_seconds: float) -> None:
        self.room = at_once + waiting
        """The most that may be under way."""
        self._places = asyncio.Semaphore(at_once)
        self._wait_seconds = wait_seconds
        self._under_way: dict[str, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        """Count what is under way."""
        return len(self._under_way)

    def __contains__(self, key: str) -> bool:
        """Tell whether this is under way."""
        return key in self._under_way

    async def join(
        self,
        key: str,
        work: Callable[[], Coroutine[Any, Any, T]],
        *,
        before: Callable[[], None] = lambda: None,
    ) -> T:
        """Wait for what is under way for this key, or for what begins now; else raise `Busy`.

        `before` is called where something is to begin, and may raise to prevent it. Who stops
        waiting stops nothing.
        """
        flight = self._under_way.get(key)
        if flight is None:
            if len(self._under_way) >= self.room:
                raise Busy(self._retry_seconds)
            before()
            flight = self._under_way[key] = asyncio.create_task(self._in_its_place(work))
            flight.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(flight)

    async def _in_its_place(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise Busy(self._retry_seconds) from None
        try:
            return await work()
        finally:
            self._places.release()

    @property
    def _retry_seconds(self) -> int:
        return max(1, round(self._wait_seconds / 2))
