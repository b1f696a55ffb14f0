"""Of all who want one thing at once, the first one's work serves all."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Work under way, by the key of what it is for."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        """Count what is under way."""
        return len(self._under_way)

    def __contains__(self, key: str) -> bool:
        """Tell whether this is under way."""
        return key in self._under_way

    async def join(self, key: str, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for what is under way for this key, or for what begins now.

        Who stops waiting stops nothing.
        """
        flight = self._under_way.get(key)
        if flight is None:
            flight = self._under_way[key] = asyncio.create_task(begin())
            flight.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(flight)
