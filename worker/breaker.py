"""Tells when work is hopeless for now, so that the worker stops receiving and keeps what it has.

A message that fails because a service is down is no more at fault than the next one: returning each
of them would burn receive counts until good pictures were dead letters.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator

from safelight.errors import Misconfigured, Unavailable
from worker.metrics import WorkerMetrics
from worker.verdict import Progress

FAILURES_TO_OPEN = 5
"""In a row, without one success: retries inside a call have failed before these count."""
NOT_NEEDED_TO_SETTLE = frozenset({"sns"})
"""Without these a picture can still be settled: only its telling waits."""
CONFIRMED_BY_READS_ONLY = frozenset({"dynamodb"})
"""What a picture that is made for nobody to be told shows only to be readable."""
LOCAL = frozenset({"spool", "render children"})
"""What only this worker has: another may do what this one cannot, so nothing is held for them."""
MOST_HELD = 1000
"""A held message costs a few kilobytes and a tenth of a renewal; with more, the breaker opens."""
PAUSE_SECONDS = 5
"""Between two attempts to find out whether what is hopeless still is."""


class Breaker:
    """Open while a service fails for every message; closed by the first success.

    It also keeps the messages that are held for better times: they must not take the room of
    others, or one message that always fails would stop the worker.
    """

    def __init__(self, metrics: WorkerMetrics, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self.pause_seconds = pause_seconds
        self.held = 0
        """Messages that are held for better times."""
        self.on_held: Callable[[], None] = lambda: None
        """Called when a message is held: it leaves room for another."""
        self._metrics = metrics
        self._failures: dict[str, int] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def open(self) -> bool:
        """Whether receiving is of no use, but to find out when that changes."""
        down = (name for name, count in self._failures.items() if count >= FAILURES_TO_OPEN)
        return self.held >= MOST_HELD or not NOT_NEEDED_TO_SETTLE.issuperset(down)

    def failed(self, error: Unavailable | Misconfigured) -> None:
        """Count a failure. What only a person can put right opens the breaker at once."""
        weight = FAILURES_TO_OPEN if isinstance(error, Misconfigured) else 1
        count = self._failures.get(error.dependency, 0) + weight
        self._failures[error.dependency] = count
        self._metrics.breaker_open.labels(error.dependency).set(count >= FAILURES_TO_OPEN)

    def succeeded(self, reach: Progress) -> None:
        """Close it, as far as a picture went: one for nobody to be told says nothing of SNS."""
        if reach is Progress.NONE:
            return
        unseen = NOT_NEEDED_TO_SETTLE if reach is Progress.STORED else frozenset()
        for dependency in self._failures.keys() - unseen:
            self._metrics.breaker_open.labels(dependency).set(0)
            count = self._failures.pop(dependency)
            if (
                reach is Progress.STORED and dependency in CONFIRMED_BY_READS_ONLY
            ):  # the next failure opens it again
                self._failures[dependency] = min(count, FAILURES_TO_OPEN - 1)

    def holds(self, error: Unavailable | Misconfigured) -> bool:
        """Tell whether a message that failed so is held and tried again, not returned."""
        needed = error.dependency not in LOCAL
        return needed and (self.open or error.dependency in NOT_NEEDED_TO_SETTLE)

    @contextlib.asynccontextmanager
    async def turn(self, missing: str | None) -> AsyncIterator[None]:
        """Try again in the block, once a service may be back: after the others that wait for it.

        One at a time finds out, after a pause; once one has succeeded the others follow it, still
        one at a time, so that they rush neither the service nor the slots. Nothing missing, no
        waiting.
        """
        if missing is None:
            yield
            return
        async with contextlib.AsyncExitStack() as taken:
            with self._holding():
                await taken.enter_async_context(self._turns[missing])
                if missing in self._failures:
                    jitter = random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
                    await asyncio.sleep(self.pause_seconds * jitter)
            yield

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        self.held += 1
        self.on_held()
        try:
            yield
        finally:
            self.held -= 1
