"""Detects that a service fails for every message, so that the worker stops receiving.

A message that fails because a service is down is no more at fault than the next one. To return each
of them would use up their receives, until good pictures became dead letters. So the worker stops
receiving and holds the messages that it has.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator

from safelight.errors import Misconfigured, Unavailable
from worker.consumer_metrics import ConsumerMetrics
from worker.verdict import Progress

FAILURES_TO_OPEN = 5
"""Failures in a row that open the breaker. Retries inside a call have failed before one counts."""
NOT_NEEDED_TO_SETTLE = frozenset({"sns"})
"""Without these services an upload can still be settled. Only its completion has to wait."""
HALF_CONFIRMED = frozenset({"dynamodb", "rekognition"})
"""Services whose use an on-demand render does not prove: it reads the table but writes nothing, and
it seldom looks for faces."""
LOCAL = frozenset({"spool", "render children"})
"""Parts of this worker. Another worker may succeed without them, so such messages are returned."""
MOST_HELD = 1000
"""Held messages that open the breaker. Each costs a few kilobytes and a tenth of a renewal."""
PAUSE_SECONDS = 5
"""Time between two attempts to find out whether a service works again."""


class Breaker:
    """Open while a service fails for every message; closed by the first success.

    It also holds the messages that wait for a service. They do not count against the worker's
    capacity, or one message that always fails would stop the worker.
    """

    def __init__(
        self,
        metrics: ConsumerMetrics,
        *,
        room: asyncio.Event,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        """`room` is set when a message is held, because that leaves room for another."""
        self.pause_seconds = pause_seconds
        self.held = 0
        """Messages that wait for a service."""
        self._room = room
        self._metrics = metrics
        self._failures: dict[str, int] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        metrics.messages_held.labels("held").set_function(lambda: self.held)

    @property
    def open(self) -> bool:
        """Return whether messages are received only to find out when that is of use again."""
        down = (name for name, count in self._failures.items() if count >= FAILURES_TO_OPEN)
        return self.held >= MOST_HELD or not NOT_NEEDED_TO_SETTLE.issuperset(down)

    def failed(self, error: Unavailable | Misconfigured) -> None:
        """Count a failure. One that only an operator can fix opens the breaker at once."""
        weight = FAILURES_TO_OPEN if isinstance(error, Misconfigured) else 1
        count = self._failures.get(error.dependency, 0) + weight
        self._failures[error.dependency] = count
        self._metrics.breaker_open.labels(error.dependency).set(count >= FAILURES_TO_OPEN)

    def succeeded(self, progress: Progress) -> None:
        """Close the breaker for every service that this message used.

        On-demand renders do not publish, so they leave SNS alone.
        """
        if progress is Progress.NONE:
            return
        unused = NOT_NEEDED_TO_SETTLE if progress is Progress.STORED else frozenset()
        for dependency in self._failures.keys() - unused:
            self._metrics.breaker_open.labels(dependency).set(0)
            count = self._failures.pop(dependency)
            if progress is Progress.STORED and dependency in HALF_CONFIRMED:
                # Closed, but the next failure opens it again.
                self._failures[dependency] = min(count, FAILURES_TO_OPEN - 1)

    def holds(self, error: Unavailable | Misconfigured) -> bool:
        """Return whether a message with this failure is held and tried again, not returned."""
        if error.dependency in LOCAL:
            return False
        return self.open or error.dependency in NOT_NEEDED_TO_SETTLE

    @contextlib.asynccontextmanager
    async def turn(self, missing: str | None) -> AsyncIterator[None]:
        """Wait until the missing service may work again, then run the block.

        Messages that wait for the same service run one at a time, so that they flood neither the
        service nor the slots. The first one pauses before it tries; once it succeeds, the others
        follow without a pause. If no service is missing, nothing waits.
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
        self._room.set()
        try:
            yield
        finally:
            self.held -= 1
