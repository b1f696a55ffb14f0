"""What the role `cleanup` uses of other modules."""

from collections.abc import Mapping
from typing import Protocol

from safelight.aws.queue import NO_ATTRIBUTES
from safelight.erasure_events import ErasureEvent
from safelight.erasures import By, Erasure
from safelight.record import Record, Status


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read the current record of an image."""
        ...


class Tombstones(Protocol):
    """Records of erased images."""

    async def erase(
        self, image_id: str, *, before: Status | None, by: By, requested_at: int, at: int
    ) -> Record | None:
        """Write a tombstone in place of a record with this status."""
        ...

    async def advance(
        self, read: Record, erasure: Erasure, *, expires_at: int | None = None
    ) -> Record | None:
        """Write the progress of an erasure, unless it has progressed meanwhile."""
        ...


class Documents(Protocol):
    """Documents that outlive tombstones."""

    async def add(self, key: str, text: str) -> bool:
        """Store a document unless it exists; return whether it was stored."""
        ...

    async def put(self, key: str, text: str) -> None:
        """Store a document, in place of the one with this key."""
        ...

    async def read(self, key: str) -> str | None:
        """Return a document; None if there is none."""
        ...


class Topic(Protocol):
    """The topic for events."""

    async def publish(self, event: ErasureEvent) -> None:
        """Publish an event. A repeat has the same id."""
        ...


class Cdn(Protocol):
    """A distribution whose caches may have copies."""

    distribution_id: str

    async def invalidate(self, what: str, *, reference: str) -> str:
        """Start an invalidation and return its id."""
        ...

    async def has_finished(self, invalidation: str) -> bool:
        """Return whether no cache keeps an answer from before the invalidation."""
        ...


class Later(Protocol):
    """CleanupQueue, in which an erasure waits."""

    async def send(
        self,
        body: str,
        *,
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
        delay_seconds: int = 0,
    ) -> None:
        """Send a message that stays hidden for the delay."""
        ...
