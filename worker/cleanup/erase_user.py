"""Erases all images of a user, turn by turn. A message carries the erasure from turn to turn.

Each turn reads the images of the user again, so it may be repeated, or begin again anywhere.
"""

import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from structlog.contextvars import bind_contextvars

from safelight.erasure_events import ErasureEvent
from safelight.erasures import Erasure, entomb
from safelight.queued import EraseImage, EraseUser
from safelight.record import Record, Status
from safelight.search import Found, Position, Range, Search
from safelight.user_erasures import UserErasure, counts_key
from worker.cleanup.collaborators import Later, Tombstones, Topic
from worker.verdict import Progress

MOST_IN_A_TURN = 1000
"""The most erasures that a turn begins; the lease of its message is renewed meanwhile."""
NEXT_TURN_SECONDS = 5
"""The pause between two turns. The index shows a tombstone about a second after it is written."""
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
        now: Callable[[], float] = time.time,
    ) -> None:
        """`wait_seconds` is the time between two looks whether all images are erased."""
        self._records = records
        self._tombstones = tombstones
        self._counts = counts
        self._topic = topic
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._now = now

    async def go_on(self, message: EraseUser) -> Progress:
        """Take the next turn: begin erasures, or else count them, or else forget the user."""
        bind_contextvars(erasure_id=message.erasure_id)
        known = await self._read_counts(message)
        if known is not None and known.state == "complete":
            return await self._forget(message, known)
        begun = await self._begin(message)
        counts = await self._count(message)
        await self._counts.put(counts_key(message.erasure_id), counts.to_json())
        if counts.state == "complete":
            return await self._forget(message, counts)
        pause = NEXT_TURN_SECONDS if begun else self._wait_seconds
        await self._queue.send(message.to_json(), delay_seconds=pause)
        return Progress.NONE

    async def _begin(self, message: EraseUser) -> int:
        """Begin the erasure of up to `MOST_IN_A_TURN` images; return of how many."""
        begun = 0
        statuses = tuple(status for status in Status if status is not Status.ERASED)
        async for image_id in self._images(message, statuses):
            record = await self._records.get(image_id)
            if record is None or record.status is Status.ERASED:
                continue
            at = self._ms()
            erasure = EraseImage(
                image_id=image_id, key=record.original_key, by="user", at=at, caches="flush"
            )
            await self._queue.send(erasure.to_json(), delay_seconds=NEXT_TURN_SECONDS)
            await entomb(
                image_id,
                records=self._records,
                tombstones=self._tombstones,
                by="user",
                requested_at=at,
                at=at,
            )
            begun += 1
            if begun == MOST_IN_A_TURN:
                break
        return begun

    async def _count(self, message: EraseUser) -> UserErasure:
        images = complete = size = 0
        async for image_id in self._images(message, tuple(Status)):
            record = await self._records.get(image_id)
            if record is None:
                continue
            images += 1
            erasure = record.erasure
            complete += erasure is not None and erasure.state == "complete"
            size += _bytes(erasure)
        whole = images == complete
        return UserErasure(
            erasure_id=message.erasure_id,
            state="complete" if whole else "running",
            images=images,
            complete=complete,
            bytes=size,
            completed_at=self._ms() if whole else None,
        )

    async def _forget(self, message: EraseUser, counts: UserErasure) -> Progress:
        """Take the user out of all tombstones, once their number is stored."""
        async for image_id in self._images(message, (Status.ERASED,)):
            record = await self._records.get(image_id)
            if record is not None:
                await self._tombstones.forget_user(record)
        await self._topic.publish(ErasureEvent.of_user(counts, message.user_id))
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

    async def _read_counts(self, message: EraseUser) -> UserErasure | None:
        text = await self._counts.read(counts_key(message.erasure_id))
        return None if text is None else UserErasure.model_validate_json(text)

    def _ms(self) -> int:
        return round(1000 * self._now())


def _bytes(erasure: Erasure | None) -> int:
    found = erasure.found if erasure else None
    return found.source_bytes + found.asset_bytes if found else 0
