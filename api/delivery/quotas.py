"""How many renders a signing key may cause: a bucket of tokens for each key, in this process."""

import math
import time
from collections.abc import Callable

WINDOW_SECONDS = 60


class Quotas:
    """So many renders a minute for each key, refilled evenly. What is stored costs none."""

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._most = per_minute
        self._now = now
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str) -> bool:
        """Take one render of a key's, if there is one left."""
        level = self._level(key_id)
        if level < 1:
            return False
        self._levels[key_id] = level - 1, self._now()
        return True

    def retry_seconds(self, key_id: str) -> int:
        """Tell when there will be one again."""
        missing = max(0.0, 1 - self._level(key_id))
        return max(1, math.ceil(missing * WINDOW_SECONDS / self._most))

    def headers(self, key_id: str) -> dict[str, str]:
        """Tell what is left, as draft-ietf-httpapi-ratelimit-headers-10 writes it."""
        level = self._level(key_id)
        full_in = math.ceil((self._most - level) * WINDOW_SECONDS / self._most)
        return {
            "RateLimit-Policy": f'"renders";q={self._most};w={WINDOW_SECONDS}',
            "RateLimit": f'"renders";r={int(level)};t={full_in}',
        }

    def _level(self, key_id: str) -> float:
        level, at = self._levels.get(key_id, (float(self._most), self._now()))
        return min(self._most, level + (self._now() - at) * self._most / WINDOW_SECONDS)
