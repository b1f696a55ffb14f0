"""Changes an image's tags and file name, safely beside other editors and workers."""

import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from api.problems import Fault, Problem, Refusal
from api.words import MOST_TAGS, Filename, Tags
from safelight.record import Record
from safelight.tags import TagEntry, entry_of

MOST_TRIES = 5
"""How often a change that names no version is tried when others change the same image."""


class EditRequest(BaseModel):
    """The body of a change. Members that are left out change nothing."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", alias_generator=to_camel)

    tags: Tags | None = Field(default=None, description="All tags from now on.")
    tags_version: int | None = Field(
        default=None,
        ge=0,
        description="The `tagsVersion` that was read. The change is refused if it is another now.",
    )
    add_tags: Tags = Field(default=(), description="Tags to add, beside the present ones.")
    remove_tags: Tags = Field(default=(), description="Tags to remove, if they are there.")
    filename: Filename | None = Field(default=None, description="The new file name.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tags is not None and (self.add_tags or self.remove_tags):
            raise ValueError("must have either tags, or addTags and removeTags")
        if set(self.add_tags) & set(self.remove_tags):
            raise ValueError("must not add and remove the same tag")
        return self

    def tags_after(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        """Return the tags that an image has after the change."""
        wanted = self.tags if self.tags is not None else (*tags, *self.add_tags)
        return tuple(tag for tag in dict.fromkeys(wanted) if tag not in self.remove_tags)


class Records(Protocol):
    """The table of images."""

    async def edit(
        self, read: Record, *, tags: tuple[str, ...], filename: str | None
    ) -> Record | None:
        """Change a record as it was read; return None if it changed meanwhile."""
        ...

    async def put_tag(self, entry: TagEntry) -> None:
        """Write a tag entry, unless a newer one is there."""
        ...

    async def drop_tag(self, entry: TagEntry, *, now: float) -> None:
        """Take a tag entry out of the index, unless a newer one is there."""
        ...


class Editing:
    """The change of one image. Entries of new tags come before the record, removals after it.

    So an image that has a tag always has its entry, wherever the process dies; an entry too many
    is harmless, because the record decides.
    """

    def __init__(self, records: Records, *, now: Callable[[], float] = time.time) -> None:
        self._records = records
        self._now = now

    async def edit(self, change: EditRequest, find: Callable[[], Awaitable[Record]]) -> Record:
        """Change the image that `find` reads, and return its record.

        Raises a `Refusal` if the image was changed meanwhile.
        """
        read = await find()
        for _ in range(MOST_TRIES):
            if change.tags_version not in (None, read.tags_version):
                break
            if (edited := await self._applied(change, read)) is not None:
                return edited
            read = await self._found_again(find, change, read)
        raise Refusal(
            Problem.CHANGED_MEANWHILE,
            f"The image has version {read.tags_version} of its tags: {json.dumps(read.tags)}.",
        )

    async def _found_again(
        self, find: Callable[[], Awaitable[Record]], change: EditRequest, before: Record
    ) -> Record:
        """Read the image again after a change of it lost to another one.

        If the image was erased, take the entries of added tags out of the index first: the
        erasure deletes those of the tombstone's tags only.
        """
        try:
            return await find()
        except Refusal:
            if before.status.settled:
                tags = change.tags_after(before.tags)
                await self._drop(before, [tag for tag in tags if tag not in before.tags])
            raise

    async def _drop(self, read: Record, tags: Iterable[str]) -> None:
        """Take entries out of the index that a change of this record has put, or made needless."""
        for tag in tags:
            entry = entry_of(read, tag, version=read.tags_version + 1)
            await self._records.drop_tag(entry, now=self._now())

    async def _applied(self, change: EditRequest, read: Record) -> Record | None:
        """Apply a change to the record that was read; return None if it changed meanwhile."""
        tags = change.tags_after(read.tags)
        if len(tags) > MOST_TAGS:
            fault = Fault(
                pointer="#/addTags", detail=f"would make {len(tags)} of {MOST_TAGS} tags."
            )
            raise Refusal(Problem.INVALID_REQUEST, "The image has too many tags.", errors=[fault])
        changes = tags != read.tags or change.filename not in (None, read.filename)
        version = read.tags_version + changes
        if read.status.settled:  # the worker writes the entries of a pending image
            for tag in tags:
                if tag not in read.tags:
                    await self._records.put_tag(entry_of(read, tag, version=version))
        if not changes:
            return read
        edited = await self._records.edit(read, tags=tags, filename=change.filename)
        if edited is not None and read.status.settled:
            await self._drop(read, [tag for tag in read.tags if tag not in tags])
        return edited
