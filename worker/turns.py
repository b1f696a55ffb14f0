"""Shares the worker's slots: a free slot goes to the user who has the fewest pictures in work."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

STUCK_SECONDS = 2
"""Time without a free slot after which the pictures in work count as slow."""


class Turns:
    """A number of slots. No slot is left free while a message waits."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._working: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], str] = {}
        """The users of the waiting messages, in the order of arrival."""
        self._granted_at = time.monotonic()

    @property
    def stuck(self) -> bool:
        """Return whether every slot has been busy with the same pictures for `STUCK_SECONDS`."""
        return not self._free and time.monotonic() - self._granted_at >= STUCK_SECONDS

    @contextlib.asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait for a slot and keep it for the block.

        The next slot goes to the user with the fewest blocks in work; among equals, to the first
        to arrive.
        """
        granted = asyncio.get_running_loop().create_future()
        self._waiting[granted] = user
        self._grant()
        try:
            await granted
            yield
        finally:
            if self._waiting.pop(granted, None) is None:  # it had a slot, even if cancelled at once
                self._working[user] -= 1
                if not self._working[user]:
                    del self._working[user]
                self._free += 1
                self._grant()

    def _grant(self) -> None:
        while self._free and self._waiting:
            granted = min(self._waiting, key=lambda one: self._working[self._waiting[one]])
            self._working[self._waiting.pop(granted)] += 1
            self._free -= 1
            self._granted_at = time.monotonic()
            if not granted.cancelled():
                granted.set_result(None)
