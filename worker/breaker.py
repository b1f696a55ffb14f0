"""Tells when work is hopeless for now, so that the worker stops receiving and keeps what it has.

A message that fails because a service is down is no more at fault than the next one: returning each
of them would burn receive counts until good pictures were dead letters.
"""

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

from safelight.errors import Misconfigured, Unavailable
from worker.metrics import WorkerMetrics

FAILURES_TO_OPEN = 5
"""In a row, without one success: retries inside a call have failed before these count."""
PATIENT_RECEIVES = 5
"""A message received this often is held while a service is down: half its receives are left."""
DISPENSABLE = frozenset({"sns"})
"""Without these a picture can still be settled: only its telling waits."""
MOST_HELD = 500
"""A held message costs a timer and a tenth of a renewal; more than this are returned."""
PAUSE_SECONDS = 5
"""Between two attempts to find out whether what is hopeless still is."""


class Breaker:
    """Open while a service fails for every message; closed by the first success.

    It also counts the messages that are held for better times: they must not take the room of
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
        self._tried_at: dict[str, float] = defaultdict(float)

    @property
    def open(self) -> bool:
        """Whether receiving is of no use, but to find out when that changes."""
        return any(self._down(each) and each not in DISPENSABLE for each in self._failures)

    def failed(self, error: Unavailable | Misconfigured) -> None:
        """Count a failure. What only a person can put right opens the breaker at once."""
        weight = FAILURES_TO_OPEN if isinstance(error, Misconfigured) else 1
        count = self._failures.get(error.dependency, 0) + weight
        self._failures[error.dependency] = count
        self._metrics.breaker_open.labels(error.dependency).set(count >= FAILURES_TO_OPEN)

    def succeeded(self) -> None:
        """Close it: a message went all its way."""
        for dependency in self._failures:
            self._metrics.breaker_open.labels(dependency).set(0)
        self._failures.clear()

    def holds(self, error: Unavailable | Misconfigured, *, receive_count: int) -> bool:
        """Tell whether a message that failed so is held and tried again, not returned."""
        settled = error.dependency in DISPENSABLE
        spent = receive_count >= PATIENT_RECEIVES
        return (self.open or settled or spent) and self.held < MOST_HELD

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Count a message as held for the block."""
        self.held += 1
        self.on_held()
        try:
            yield
        finally:
            self.held -= 1

    async def better_times(self, dependency: str) -> None:
        """Wait until a service may be back: of all that wait for it, one at a time finds out."""
        while True:
            # Those that waited together should not come together.
            jitter = random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
            await asyncio.sleep(self.pause_seconds * jitter)
            now = time.monotonic()
            if not self._down(dependency) or now - self._tried_at[dependency] > self.pause_seconds:
                self._tried_at[dependency] = now
                return

    def _down(self, dependency: str) -> bool:
        return self._failures.get(dependency, 0) >= FAILURES_TO_OPEN
