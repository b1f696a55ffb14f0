"""Searches the index by day: the settled images of all users, one day in a step."""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key

from safelight.aws.dependency import Dependency
from safelight.aws.items import read_values, written
from safelight.aws.searching import expressions, filter_of
from safelight.days import FIRST_DAY, SHARDS, bounds_of, date_of, shard_name, shard_of
from safelight.search import EDGE, Found, Position, Range, Search, Settled

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

DAY_INDEX = "day-index"
_AHEAD_MS = 300_000
"""How far the clock of a worker may be ahead, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One day of a search, or what is left of it. Times are milliseconds since 1970."""

    day: date
    times: Range
    after: Position | None
    """The last image that was read, if it is of this day."""
    last: bool
    """Whether no day follows."""
    newest_first: bool

    @property
    def edge(self) -> Position:
        """The position behind this day."""
        first, last = bounds_of(self.day)
        return Position(time=first if self.newest_first else last, image_id=EDGE)

    def order_of(self, position: Position) -> tuple[int, int]:
        """Return the order of a position: by time, then by shard."""
        at = -position.time if self.newest_first else position.time
        return at, shard_of(position.image_id)

    def times_of(self, shard: int) -> tuple[int, int]:
        """Return the times that are left of a shard; the first is later if there are none.

        The images of the position's millisecond were read in the shards before its own.
        """
        least, most = self.times.least or 0, self.times.most or 0
        if self.after is None or shard >= shard_of(self.after.image_id):
            return least, most
        return (least, most - 1) if self.newest_first else (least + 1, most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a query of one shard returned."""

    found: Sequence[Settled] = ()
    inspected: int = 0
    ends_at: Position | None = None


class DaySearcher:
    """Finds settled images of all users in the table."""

    def __init__(
        self,
        client: "DynamoDBClient",
        dependency: Dependency,
        *,
        table: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._dependency = dependency
        self._table = table
        self._now = now

    async def find(self, search: Search, *, after: Position | None, most: int) -> Found:
        """Read about `most` images of one day in order, and return those that the search finds.

        It queries all shards at once. A day without images gives an empty page that goes on.
        """
        step = step_of(search, after, now=int(self._now() * 1000))
        if step is None:
            return Found(summaries=(), inspected=0, ends_at=None)
        limit = -(-most // SHARDS)
        pages = await asyncio.gather(
            *(self._page(search, step, shard, limit) for shard in range(SHARDS))
        )
        return merged(pages, step)

    async def _page(self, search: Search, step: Step, shard: int, limit: int) -> Page:
        query = query_of(search, step, shard, limit)
        if query is None:
            return Page()
        async with self._dependency.call("Query", self._table):
            answer = await self._client.query(TableName=self._table, **query)
        last = read_values(answer.get("LastEvaluatedKey", {}))
        return Page(
            found=[Settled.model_validate(read_values(item)) for item in answer["Items"]],
            inspected=answer["ScannedCount"],
            ends_at=Position(time=last["completedAt"], image_id=last["imageId"]) if last else None,
        )


def step_of(search: Search, after: Position | None, *, now: int) -> Step | None:
    """Return the next day of a search behind a position; None at the end. `now` is in ms."""
    least = max(search.uploaded.least or 0, bounds_of(FIRST_DAY)[0])
    most = now + _AHEAD_MS
    if search.uploaded.most is not None:
        most = min(most, search.uploaded.most)
    passed = after is not None and after.image_id == EDGE
    if after is not None and search.newest_first:
        most = min(most, after.time - passed)
    elif after is not None:
        least = max(least, after.time + passed)
    if least > most:
        return None
    day = date_of(most if search.newest_first else least)
    first, last = bounds_of(day)
    return Step(
        day=day,
        times=Range(least=max(least, first), most=min(most, last)),
        after=None if passed else after,
        last=least >= first if search.newest_first else most <= last,
        newest_first=search.newest_first,
    )


def query_of(search: Search, step: Step, shard: int, limit: int) -> Mapping[str, Any] | None:
    """Return the arguments of a Query of one shard; None if nothing is left of it."""
    least, most = step.times_of(shard)
    if least > most:
        return None
    name = shard_name(step.day, shard)
    arguments: dict[str, Any] = {
        "IndexName": DAY_INDEX,
        "ScanIndexForward": not search.newest_first,
        "Limit": limit,
    }
    if step.after is not None and shard == shard_of(step.after.image_id):
        start = {"day": name, "completedAt": step.after.time, "imageId": step.after.image_id}
        arguments["ExclusiveStartKey"] = written(start)
    key = Key("day").eq(name) & Key("completedAt").between(least, most)
    return arguments | expressions(key, filter_of(search))


def merged(pages: Sequence[Page], step: Step) -> Found:
    """Merge the pages of all shards, up to the first place where a shard was not read further."""
    order = step.order_of
    ends = [page.ends_at for page in pages if page.ends_at is not None]
    nearest = min(ends, key=order, default=None)
    entries: Iterable[Settled] = heapq.merge(
        *(page.found for page in pages), key=lambda one: order(one.position)
    )
    if nearest is not None:
        end = order(nearest)
        entries = takewhile(lambda one: order(one.position) <= end, entries)
    return Found(
        summaries=tuple(entries),
        inspected=sum(page.inspected for page in pages),
        ends_at=nearest or (None if step.last else step.edge),
    )
