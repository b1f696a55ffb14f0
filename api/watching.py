"""Lets requests wait for changes of images: how many may wait, and how often they read the table.

There is no channel from the workers to the API. A waiting request reads again, at first often and
then less. All of a process share one rate of reads, and few read at the same time, so that waiting
overloads neither the table nor, while the table is slow, the connections that other requests need.
"""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from api.metrics import Watched, WatchMetrics
from api.problems import Problem, Refusal

READS_PER_SECOND = 100
"""The most reads a second of all waiting requests of a process. Beyond it each waits longer."""
READS_AT_ONCE = 16
"""The most reads under way of all waiting requests of a process: a quarter of its connections."""
INTERVALS = ((10, 0.5), (60, 1), (300, 2))
"""Up to so many quiet seconds, the seconds between two reads of one request."""
LONGEST_INTERVAL = 5
RETRY_SECONDS = 10
"""After how many seconds a client should try again for which there was no room."""


Sleep = Callable[[asyncio.Event, float], Awaitable[None]]
"""Waits until an event is set, or so many seconds."""


async def until_set(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, at most so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def interval(quiet_seconds: float) -> float:
    """Return the seconds until the next read, if nothing has changed for so many seconds."""
    return next((each for below, each in INTERVALS if quiet_seconds < below), LONGEST_INTERVAL)


def is_gone(request: web.Request) -> bool:
    """Return whether the client of a request has closed its connection."""
    return request.transport is None or request.transport.is_closing()


class NoRoom(Refusal):
    """There is no place for another request that waits. The client may try again."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(problem, detail, headers={"Retry-After": str(RETRY_SECONDS)})


class Watches:
    """The waiting requests of a process. They are bounded, and end when the process stops."""

    def __init__(
        self,
        *,
        most: int,
        most_of_a_user: int,
        metrics: WatchMetrics,
        reads_per_second: float = READS_PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = until_set,
    ) -> None:
        self._most = most
        self._most_of_a_user = most_of_a_user
        self._metrics = metrics
        self._seconds_of_a_read = 1 / reads_per_second
        self._users: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._free_at = -math.inf
        self._wait = sleep
        self.reading = asyncio.Semaphore(READS_AT_ONCE)
        """Must be held by a waiting request while it reads."""
        self.clock = clock
        """Seconds of a clock that never goes back."""
        metrics.room.set(most)

    @property
    def stopping(self) -> bool:
        """Whether the process stops."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End all waiting, now and from now on."""
        self._stopping.set()

    @contextlib.contextmanager
    def place(self, user_id: str, kind: Watched) -> Iterator[None]:
        """Hold a place for a waiting request of a user; raise `NoRoom` if there is none."""
        if self._users[user_id] >= self._most_of_a_user:
            self._metrics.refused.labels("user").inc()
            raise NoRoom(
                Problem.RATE_LIMITED,
                f"You have {self._most_of_a_user} requests here that wait for changes.",
            )
        if self._users.total() >= self._most:
            self._metrics.refused.labels("process").inc()
            raise NoRoom(Problem.UNAVAILABLE, "Too many requests wait for changes here.")
        self._users[user_id] += 1
        under_way = self._metrics.under_way.labels(kind)
        under_way.inc()
        try:
            yield
        finally:
            under_way.dec()
            self._users[user_id] -= 1
            if not self._users[user_id]:
                del self._users[user_id]

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds and then for a turn to read, or until the process stops."""
        await self._sleep(seconds)
        now = self.clock()
        turn = max(now, self._free_at)
        self._free_at = turn + self._seconds_of_a_read
        await self._sleep(turn - now)

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self._wait(self._stopping, seconds)
