"""Erases all images of a user, turn by turn. A message carries the erasure from turn to turn.

Each turn reads the images of the user again, so it may be repeated, or begin again anywhere.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from structlog.contextvars import bind_contextvars

from safelight.erasure_events import ErasureEvent
from safelight.erasures import Caches, Erasure, entomb
from safelight.queued import EraseImage, EraseUser
from safelight.record import Record, Status
from safelight.search import Found, Position, Range, Search
from safelight.user_erasures import UserErasure, counts_key
from worker.cleanup.collaborators import Later, Tombstones, Topic
from worker.cleanup.metrics import CleanupMetrics
from worker.verdict import Progress

MOST_IN_A_TURN = 1000
"""The most erasures that a turn begins; the lease of its message is renewed meanwhile."""
NEXT_TURN_SECONDS = 5
"""The longest pause between two turns. The index shows a tombstone a second after its write."""
MOST_TAGS = 100
"""The most images of a turn whose copies are invalidated by their tags. With more, caches drop
everything, which makes the next view of every user's pictures slower."""
READ_AT_ONCE = 16
"""How many records are read at once."""
_PAGE = 1000


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read the current record of an image."""
        ...

    async def find(self, search: Search, *, after: Position | None = None, most: int) -> Found:
        """Read up to `most` images of a user in order."""
        ...


class Counts(Protocol):
    """The documents with the counts."""

    async def put(self, key: str, text: str) -> None:
        """Store a document, in place of the one with this key."""
        ...

    async def read(self, key: str) -> str | None:
        """Return a document; None if there is none."""
        ...


class ForgettingTombstones(Tombstones, Protocol):
    """Records of erased images."""

    async def forget_user(self, tombstone: Record) -> None:
        """Take the user out of a tombstone."""
        ...


class UserErasures:
    """Takes the turns of erasures of users."""

    def __init__(
        self,
        *,
        records: Records,
        tombstones: ForgettingTombstones,
        counts: Counts,
        topic: Topic,
        queue: Later,
        wait_seconds: int,
        index_lag_ms: int,
        metrics: CleanupMetrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`wait_seconds` is the time between two looks whether all images are erased.

        `index_lag_ms` is how long after the request an image may be missing in the index.
        """
        self._records = records
        self._tombstones = tombstones
        self._counts = counts
        self._topic = topic
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._next_turn_seconds = min(NEXT_TURN_SECONDS, wait_seconds)
        self._index_lag_ms = index_lag_ms
        self._metrics = metrics
        self._now = now

    async def go_on(self, message: EraseUser) -> Progress:
        """Take the next turn: begin erasures, or else count them, or else forget the user."""
        bind_contextvars(erasure_id=message.erasure_id)
        known = await self._read_counts(message)
        if known is not None and known.state == "complete":
            return await self._forget(message, known)
        begun = await self._begin(message)
        counts = _with(known, message, begun) if begun else await self._count(message)
        await self._counts.put(counts_key(message.erasure_id), counts.to_json())
        if counts.state == "complete":
            return await self._forget(message, counts)
        pause = self._next_turn_seconds if begun else self._wait_seconds
        await self._queue.send(message.to_json(), delay_seconds=pause)
        self._metrics.deletions.labels("user", "begun" if begun else "counted").inc()
        return Progress.STORED

    async def _begin(self, message: EraseUser) -> int:
        """Begin the erasure of up to `MOST_IN_A_TURN` images; return of how many."""
        found: list[str] = []
        statuses = tuple(status for status in Status if status is not Status.ERASED)
        async for image_id in self._images(message, statuses):
            found.append(image_id)
            if len(found) == MOST_IN_A_TURN:
                break
        caches: Caches = "flush" if len(found) > MOST_TAGS else "tag"
        begun = 0
        async for record in self._read(found):
            if record.status is not Status.ERASED:
                await self._erase(record, caches=caches)
                begun += 1
        return begun

    async def _erase(self, record: Record, *, caches: Caches) -> None:
        at = self._ms()
        await self._send(record, at=at, caches=caches)
        await entomb(
            record.image_id,
            records=self._records,
            tombstones=self._tombstones,
            by="user",
            requested_at=at,
            at=at,
        )

    async def _send(self, record: Record, *, at: int, caches: Caches) -> None:
        erasure = EraseImage(
            image_id=record.image_id, key=record.original_key, by="user", at=at, caches=caches
        )
        await self._queue.send(erasure.to_json(), delay_seconds=self._next_turn_seconds)

    async def _count(self, message: EraseUser) -> UserErasure:
        """Count the images, and send the messages of erasures that were lost.

        Nothing is complete before the index shows what was stored before the request.
        """
        at = self._ms()  # before the listing
        images = complete = size = 0
        ids = [image_id async for image_id in self._images(message, tuple(Status))]
        async for record in self._read(ids):
            images += 1
            erasure = record.erasure
            complete += erasure is not None and erasure.state == "complete"
            size += _bytes(erasure)
            if _is_lost(record, at=at):
                await self._send(record, at=at, caches="tag")
        whole = images == complete and at >= message.before + self._index_lag_ms
        return UserErasure(
            erasure_id=message.erasure_id,
            state="complete" if whole else "running",
            images=images,
            complete=complete,
            bytes=size,
            completed_at=at if whole else None,
        )

    async def _forget(self, message: EraseUser, counts: UserErasure) -> Progress:
        """Take the user out of all tombstones, once their number is stored."""
        async for image_id in self._images(message, (Status.ERASED,)):
            record = await self._records.get(image_id)
            if record is not None:
                await self._tombstones.forget_user(record)
        await self._topic.publish(ErasureEvent.of_user(counts, message.user_id))
        self._metrics.deletions.labels("user", "complete").inc()
        return Progress.PUBLISHED

    async def _images(self, message: EraseUser, statuses: tuple[Status, ...]) -> AsyncIterator[str]:
        """List the ids of the user's images that were uploaded before the moment, oldest first."""
        search = Search(
            user_id=message.user_id,
            uploaded=Range(most=message.before),
            statuses=statuses,
            newest_first=False,
        )
        after: Position | None = None
        while True:
            found = await self._records.find(search, after=after, most=_PAGE)
            for summary in found.summaries:
                yield summary.image_id
            if (after := found.ends_at) is None:
                return

    async def _read(self, ids: Sequence[str]) -> AsyncIterator[Record]:
        """Read records, several at once."""
        for start in range(0, len(ids), READ_AT_ONCE):
            batch = ids[start : start + READ_AT_ONCE]
            for record in await asyncio.gather(*map(self._records.get, batch)):
                if record is not None:
                    yield record

    async def _read_counts(self, message: EraseUser) -> UserErasure | None:
        text = await self._counts.read(counts_key(message.erasure_id))
        return None if text is None else UserErasure.model_validate_json(text)

    def _ms(self) -> int:
        return round(1000 * self._now())


def _with(known: UserErasure | None, message: EraseUser, begun: int) -> UserErasure:
    """Return the counts after a turn that began erasures: nothing is counted until all have."""
    if known is None:
        return UserErasure(erasure_id=message.erasure_id, images=begun, complete=0, bytes=0)
    return known.model_copy(update={"images": known.images + begun})


def _is_lost(record: Record, *, at: int) -> bool:
    """Return whether no message carries the erasure of an erased image any more."""
    if record.erasure is None:
        return record.status is Status.ERASED
    return record.erasure.is_stuck(at=at)


def _bytes(erasure: Erasure | None) -> int:
    found = erasure.found if erasure else None
    return found.source_bytes + found.asset_bytes if found else 0
