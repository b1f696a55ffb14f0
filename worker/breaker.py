"""Tells when work is hopeless for now, so that the worker stops receiving and keeps what it has.

A message that fails because a service is down is no more at fault than the next one: returning each
of them would burn receive counts until good pictures were dead letters.
"""

from safelight.errors import Misconfigured, Unavailable
from worker.metrics import WorkerMetrics

FAILURES_TO_OPEN = 5
"""In a row, without one success: retries inside a call have failed before these count."""
PATIENT_RECEIVES = 5
"""A message received this often is held while a service is down: half its receives are left."""
DISPENSABLE = frozenset({"sns"})
"""Without these a picture can still be settled: only its telling waits."""


class Breaker:
    """Open while a service fails for every message; closed by the first success.

    It also counts the messages that are held for better times, at most `most_held`: they must not
    take the room of others, or one message that always fails would stop the worker.
    """

    def __init__(self, metrics: WorkerMetrics, *, most_held: int) -> None:
        self._metrics = metrics
        self._most_held = most_held
        self._failures: dict[str, int] = {}
        self.held = 0

    @property
    def open(self) -> bool:
        """Whether receiving is of no use, but to find out when that changes."""
        return any(
            count >= FAILURES_TO_OPEN and dependency not in DISPENSABLE
            for dependency, count in self._failures.items()
        )

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
        hopeless = isinstance(error, Misconfigured) or self.open
        return (hopeless or receive_count >= PATIENT_RECEIVES) and self.held < self._most_held
