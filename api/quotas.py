"""How much each key or user may ask for in a minute: one bucket of tokens each, per process."""

import math
import time
from collections.abc import Callable

from api.problems import Problem, Refusal

WINDOW_SECONDS = 60
SWEEP_AT = 1024
"""With so many buckets, full ones are dropped; then again whenever their number has doubled."""


class Quotas:
    """So many a minute for each name, refilled evenly. What is stored costs none."""

    def __init__(
        self, per_minute: int, *, policy: str, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = per_minute
        self._policy = policy
        self._now = now
        self._levels: dict[str, tuple[float, float]] = {}
        self._sweep_at = SWEEP_AT

    def take(self, name: str, *, detail: str) -> None:
        """Take one of a name's tokens, or raise a `Refusal` with this detail if none is left."""
        level = self._level(name)
        if level < 1:
            seconds = max(1, math.ceil((1 - level) * WINDOW_SECONDS / self._most))
            headers = {"Retry-After": str(seconds), **self.headers(name)}
            raise Refusal(Problem.RATE_LIMITED, detail, headers=headers)
        self._levels[name] = level - 1, self._now()
        if len(self._levels) >= self._sweep_at:
            self._sweep()

    def headers(self, name: str) -> dict[str, str]:
        """Write what is left, as draft-ietf-httpapi-ratelimit-headers-10 defines it."""
        level = self._level(name)
        full_in = math.ceil((self._most - level) * WINDOW_SECONDS / self._most)
        return {
            "RateLimit-Policy": f'"{self._policy}";q={self._most};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self._policy}";r={int(level)};t={full_in}',
        }

    def _level(self, name: str) -> float:
        level, at = self._levels.get(name, (float(self._most), self._now()))
        return min(self._most, level + (self._now() - at) * self._most / WINDOW_SECONDS)

    def _sweep(self) -> None:
        """Drop full buckets: a name without one has a full one. Each is full within a minute."""
        self._levels = {
            name: held for name, held in self._levels.items() if self._level(name) < self._most
        }
        self._sweep_at = max(SWEEP_AT, 2 * len(self._levels))
