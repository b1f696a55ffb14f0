"""Finds the images whose time is over, for erasing them."""

from collections.abc import AsyncIterator
from typing import Protocol

from safelight.search import EVERYONE, Found, Position, Range, Search, Settled

PAGE = 1000
"""About the most images that one step reads."""


class Records(Protocol):
    """The table of images."""

    async def find(self, search: Search, *, after: Position | None, most: int) -> Found:
        """Read about `most` images behind a position, and return those that the search finds."""
        ...


async def expired(records: Records, *, now: int) -> AsyncIterator[Settled]:
    """Yield the settled images whose `keep_until` is not after `now`, in ms since 1970.

    It reads all entries of the index by day up to `now`, the oldest day first, with 16 queries at
    once: about 0.04 read units an image. The condition is checked by DynamoDB. The index is a
    second behind the table, so read the record before you act on an image: it may be erased. Stop
    at any time, and begin again: erased images are not in the index.
    """
    search = Search(
        user_id=EVERYONE,
        uploaded=Range(most=now),
        keep_until=Range(most=now),
        newest_first=False,
    )
    after: Position | None = None
    while True:
        found = await records.find(search, after=after, most=PAGE)
        for summary in found:
            if isinstance(summary, Settled):
                yield summary
        after = found.ends_at
        if after is None:
            return
