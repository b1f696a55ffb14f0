"""Tag entries: items beside the records, through which images are found by tag.

An entry is an item of the table of images whose `imageId` is that of the image and the tag, and
whose `userId` is the owner and the tag. So the index by owner lists the images with a tag too, in
the order of their uploads. An entry only suggests: the record decides whether the image has the
tag. A superfluous entry is harmless, a missing one is a fault.
"""

from dataclasses import dataclass

from safelight.record import Record

_SEPARATOR = "\x1f"
"""A character that no image id, user id or tag may contain."""
DROPPED_SECONDS = 7 * 24 * 3600
"""How long a dropped entry keeps its version, so that a late writer does not put it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagEntry:
    """The entry of one tag of an image."""

    image_id: str
    user_id: str
    uploaded_at: int
    tag: str
    version: int
    """The `tagsVersion` of the record for which the entry is written."""

    @property
    def key(self) -> str:
        """The entry's `imageId`."""
        return key_of(self.image_id, self.tag)

    @property
    def owner(self) -> str:
        """The entry's `userId`."""
        return owner_of(self.user_id, self.tag)


def entries_of(record: Record) -> tuple[TagEntry, ...]:
    """Return the entry of each tag of a record."""
    return tuple(entry_of(record, tag, version=record.tags_version) for tag in record.tags)


def entry_of(record: Record, tag: str, *, version: int) -> TagEntry:
    """Return the entry of a tag of an image, for a version of its tags."""
    return TagEntry(
        image_id=record.image_id,
        user_id=record.user_id,
        uploaded_at=record.uploaded_at,
        tag=tag,
        version=version,
    )


def owner_of(user_id: str, tag: str) -> str:
    """Return what the entries of a user's tag have as `userId`."""
    return f"{user_id}{_SEPARATOR}{tag}"


def key_of(image_id: str, tag: str) -> str:
    """Return what the entry of an image's tag has as `imageId`."""
    return f"{image_id}{_SEPARATOR}{tag}"


def image_of(key: str) -> str:
    """Return the image id of an entry's key."""
    return key.partition(_SEPARATOR)[0]


def is_entry(key: str) -> bool:
    """Return whether the `imageId` of an item of the table is that of a tag entry."""
    return _SEPARATOR in key
