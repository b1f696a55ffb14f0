"""Days: where the index by day has a settled image. Pure.

Each UTC day has 16 shards, so that no partition of the index gets all settlements of a day.
"""

from datetime import UTC, date, datetime, timedelta
from zlib import crc32

FIRST_DAY = date(2026, 11, 1)
"""The first day on which an image can have been settled: this software is not older."""
SHARDS = 16
_DAY_MS = 24 * 3600 * 1000


def day_of(completed_at: int, image_id: str) -> str:
    """Return the day of an image that was settled then, in ms since 1970, such as 2026-11-28.7."""
    return shard_name(date_of(completed_at), shard_of(image_id))


def date_of(milliseconds: int) -> date:
    """Return the UTC date of a time in ms since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date()


def shard_of(image_id: str) -> int:
    """Return the number of an image's shard."""
    return crc32(image_id.encode()) % SHARDS


def shard_name(day: date, shard: int) -> str:
    """Return the `day` of the images in one shard."""
    return f"{day.isoformat()}.{shard:x}"


def bounds_of(day: date) -> tuple[int, int]:
    """Return the first and the last millisecond of a day."""
    start = (day - date(1970, 1, 1)) // timedelta(days=1) * _DAY_MS
    return start, start + _DAY_MS - 1
