"""Shares the worker's slots between users: a free slot goes to the user with the least in work."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

STUCK_SECONDS = 2
"""How long no slot may become free before the pictures in work count as slow."""


class Turns:
    """So many slots. No slot is kept free while a message waits."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._working: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], str] = {}
        """Users in the order in which their messages came."""
        self._granted_at = time.monotonic()

    @property
    def stuck(self) -> bool:
        """Whether every slot has been busy with the same pictures for a while."""
        return not self._free and time.monotonic() - self._granted_at >= STUCK_SECONDS

    @contextlib.asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait for a slot and keep it for the block.

        Of those that wait, the one whose user has the fewest blocks in work is next; the first
        to arrive among equals.
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
