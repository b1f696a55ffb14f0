"""Follows the images of a user: what changed between two reads of the index. Pure."""

from collections.abc import Iterable, Iterator

from safelight.record import Status
from safelight.search import Range, Search, Summary

LATE_MS = 60_000
"""How late an image may show up in the index, with the clocks of several processes, in ms."""


class Followed:
    """The images of a user as a stream sent them last.

    Only images uploaded since a certain time are read. That time moves on, up to the oldest image
    that is pending. A client that connects again gets everything since then once more, so nothing
    is lost.
    """

    def __init__(self, *, user_id: str, since: int) -> None:
        self._user_id = user_id
        self._known: dict[str, Summary] = {}
        self.since = since
        """Milliseconds since 1970."""

    @property
    def search(self) -> Search:
        """The search that finds the followed images, the newest first."""
        return Search(
            user_id=self._user_id, uploaded=Range(least=self.since), statuses=tuple(Status)
        )

    def changes(self, found: Iterable[Summary]) -> Iterator[Summary]:
        """Return the images that differ from what was sent, in the order found.

        The index may answer with an older state than before: no settled image is pending again.
        """
        for summary in found:
            before = self._known.get(summary.image_id)
            outdated = before and before.status.settled and not summary.status.settled
            if summary != before and not outdated:
                self._known[summary.image_id] = summary
                yield summary

    def move_on(self, *, now: int, earliest: int) -> None:
        """Leave out images that no longer change, and all from before `earliest`; times in ms."""
        pending = (one.uploaded_at for one in self._known.values() if not one.status.settled)
        awaited = (at for at in pending if at >= earliest)
        self.since = max(self.since, earliest, min(now - LATE_MS, *awaited, now))
        self._known = {
            image_id: one for image_id, one in self._known.items() if one.uploaded_at >= self.since
        }
