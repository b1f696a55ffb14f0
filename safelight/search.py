"""Searching the images of a user: the conditions, and what a found image shows of its record."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from safelight.record import Record, Status
from safelight.stored import StoredModel

LISTED = (Status.PENDING, Status.COMPLETED, Status.REJECTED)
"""The states of images that a search finds unless it names others."""


EVERYONE = "*"
"""In place of a user id: the settled images of all users, by the time of their settlement."""
EDGE = "0" * 26
"""In place of an image id: no image is at this position, and none of its millisecond follows."""


class Position(StoredModel):
    """A place between two images of a list. The image there may be gone."""

    time: int
    """When the image was uploaded, or settled in a list of all users, in ms since 1970."""
    image_id: str


class Summary(StoredModel):
    """An image as the index has it: the projected attributes of its record.

    Times are milliseconds since 1970, sizes bytes and pixels.
    """

    image_id: str
    user_id: str
    uploaded_at: int
    status: Status
    filename: str | None = None
    tags: tuple[str, ...] = ()
    media_type: str | None = None
    original_size: int | None = None
    width: int | None = None
    height: int | None = None
    placeholder: str | None = None
    perceptual_hash: str | None = None
    keep_until: int | None = None

    @property
    def position(self) -> Position:
        """The place of the image among the images of its user."""
        return Position(time=self.uploaded_at, image_id=self.image_id)


class Settled(Summary):
    """A settled image as the index by day has it."""

    completed_at: int

    @property
    def position(self) -> Position:
        """The place of the image among those of all users."""
        return Position(time=self.completed_at, image_id=self.image_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Whole numbers from `least` to `most`, both included. None leaves a side open."""

    least: int | None = None
    most: int | None = None

    def __bool__(self) -> bool:
        return self.least is not None or self.most is not None

    def __contains__(self, number: int) -> bool:
        return (self.least is None or self.least <= number) and (
            self.most is None or number <= self.most
        )

    def admits(self, number: int | None) -> bool:
        """Return whether a number is within the range. Without a number only open sides admit."""
        return not self or (number is not None and number in self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The conditions of a search among the images of one user, or all users. All must hold."""

    user_id: str
    """A user id or `EVERYONE`. A search among all users has no tags."""
    uploaded: Range = field(default_factory=Range)
    """Milliseconds since 1970; the time of the settlement in a search among all users."""
    keep_until: Range = field(default_factory=Range)
    """Milliseconds since 1970. Images that are kept for good are outside every range."""
    statuses: tuple[Status, ...] = LISTED
    media_types: tuple[str, ...] = ()
    """Any of them; any type if there are none."""
    width: Range = field(default_factory=Range)
    """Pixels of the source."""
    height: Range = field(default_factory=Range)
    filename: str = ""
    """The beginning of the file name."""
    tags: tuple[str, ...] = ()
    """All of them."""
    newest_first: bool = True

    @property
    def narrows(self) -> bool:
        """Whether a condition may leave out many of the images that a query reads."""
        return bool(
            set(self.statuses) != set(LISTED)
            or self.media_types
            or self.width
            or self.height
            or self.filename
            or self.keep_until
            or len(self.tags) > 1
        )

    def finds(self, summary: Summary) -> bool:
        """Return whether an image meets every condition."""
        return (
            self.user_id in (EVERYONE, summary.user_id)
            and summary.position.time in self.uploaded
            and self.keep_until.admits(summary.keep_until)
            and summary.status in self.statuses
            and (not self.media_types or summary.media_type in self.media_types)
            and self.width.admits(summary.width)
            and self.height.admits(summary.height)
            and (summary.filename or "").startswith(self.filename)
            and set(self.tags) <= set(summary.tags)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """The condition that an image looks like another one. The table cannot check it."""

    image_id: str
    perceptual_hash: int
    distance: int
    """The most bits of the hash that differ."""

    @classmethod
    def to(cls, record: Record | None, *, user_id: str, distance: int) -> Self:
        """Return the likeness to an image. Raises a `ValueError` unless it is one of the user's."""
        if record is None or record.user_id != user_id or record.perceptual_hash is None:
            raise ValueError("must be a completed image of the same user")
        perceptual_hash = int(record.perceptual_hash, 16)
        return cls(image_id=record.image_id, perceptual_hash=perceptual_hash, distance=distance)

    def finds(self, summary: Summary) -> bool:
        """Return whether an image looks like it, and is another one."""
        if summary.perceptual_hash is None or summary.image_id == self.image_id:
            return False
        differing = self.perceptual_hash ^ int(summary.perceptual_hash, 16)
        return differing.bit_count() <= self.distance


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One step of a search: up to so many images, in order."""

    summaries: tuple[Summary, ...]
    inspected: int
    """The number of images that were read, found or not."""
    ends_at: Position | None
    """The last image that was read, if there may be more behind it; None at the end."""
    stale: int = 0
    """The number of tag entries among them whose image is gone or lacks the tag."""

    def __iter__(self) -> Iterator[Summary]:
        return iter(self.summaries)
