"""Rate limits: a bucket of tokens for each key or user, in each process."""

import math
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from api.problems import Problem, Refusal

WINDOW_SECONDS = 60
SWEEP_AT = 1024
"""At this number of buckets, full ones are dropped; then again each time the number doubles."""


class Quotas:
    """Allows each name a number of requests a minute; buckets refill evenly."""

    def __init__(
        self,
        per_minute: int,
        *,
        policy: str,
        own: Mapping[str, int] = MappingProxyType({}),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_minute = per_minute
        self.own = own
        """Names that have a limit of their own, in requests a minute."""
        self._policy = policy
        self._now = now
        self._levels: dict[str, tuple[float, float]] = {}
        self._sweep_at = SWEEP_AT

    def take(self, name: str, *, detail: str, tokens: int = 1) -> None:
        """Take tokens from a name's bucket; raise a `Refusal` with this detail if it has fewer."""
        level = self._level(name)
        if level < tokens:
            seconds = max(1, math.ceil((tokens - level) * WINDOW_SECONDS / self._most(name)))
            headers = {"Retry-After": str(seconds), **self.headers(name)}
            raise Refusal(Problem.RATE_LIMITED, detail, headers=headers)
        self._levels[name] = level - tokens, self._now()
        if len(self._levels) >= self._sweep_at:
            self._sweep()

    def headers(self, name: str) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers-10."""
        level, most = self._level(name), self._most(name)
        full_in = math.ceil((most - level) * WINDOW_SECONDS / most)
        return {
            "RateLimit-Policy": f'"{self._policy}";q={most};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self._policy}";r={int(level)};t={full_in}',
        }

    def _level(self, name: str) -> float:
        most = self._most(name)
        level, at = self._levels.get(name, (float(most), self._now()))
        return min(most, level + (self._now() - at) * most / WINDOW_SECONDS)

    def _most(self, name: str) -> int:
        return self.own.get(name, self._per_minute)

    def _sweep(self) -> None:
        """Drop full buckets: a name without a bucket gets a full one. All fill within a minute."""
        self._levels = {
            name: held
            for name, held in self._levels.items()
            if self._level(name) < self._most(name)
        }
        self._sweep_at = max(SWEEP_AT, 2 * len(self._levels))
