"""Exports the images of a user into a folder: a line of facts and the original of each.

No name in the folder comes from the user, so no file is written outside of it.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self

from pydantic import Field
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from api.images import Image
from safelight.aws.objects import Fetched
from safelight.errors import Misconfigured, Reason, Rejection, SafelightError
from safelight.faces import Face
from safelight.formats import BY_NAME
from safelight.record import Record, Status
from safelight.search import Found, Position, Search, Summary

PAGE = 1000
"""The most images that one query reads."""
AT_ONCE = 8
"""How many originals are fetched at once."""
FETCH_SECONDS = 3600
"""How long one original may take. A body that stalls fails within seconds."""
FACTS, ORIGINALS = "images.jsonl", "originals"
"""The file and the folder with what was exported."""
_EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {one.media_type: one.extension for one in BY_NAME.values()}
)


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Return an image's record, or None."""
        ...

    async def find(self, search: Search, *, after: Position | None, most: int) -> Found:
        """Read up to `most` images behind a position, and return those that the search finds."""
        ...


class Objects(Protocol):
    """The uploads bucket."""

    async def fetch(
        self, *, key: str, version_id: str | None, etag: str | None, to: Path, max_bytes: int,
        seconds: float,
    ) -> Fetched:  # fmt: skip
        """Write one version of a source to a file."""
        ...


class ExportedImage(Image):
    """An image as its owner sees it, without variants, and with the facts that the API leaves out.

    It has neither keys nor version ids: from those, URLs of every variant could be computed.
    """

    faces: tuple[Face, ...] | None = Field(
        default=None, description="Boxes around the faces, as shares of the width and height."
    )
    file: str | None = Field(
        default=None, description="The original, as a path in the folder; absent if there is none."
    )

    @classmethod
    def from_record(cls, record: Record, *, file: str | None) -> Self:
        """Describe an image whose original is in this file of the folder."""
        image = Image.of(record.model_copy(update={"variants": {}}), {}, urls_expire_at=None)
        return cls(**image.model_dump(), faces=record.faces, file=file)


@dataclass(slots=True, kw_only=True)
class Sums:
    """What was exported so far."""

    images: int = 0
    originals: int = 0
    fetched: int = 0
    size_bytes: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    """Image id -> why its original could not be exported."""


class Exporting:
    """The export of one user's images to a folder that is prepared."""

    def __init__(
        self, records: Records, objects: Objects, *, user_id: str, out: Path, quiet: bool = False
    ) -> None:
        """Show progress on the terminal unless `quiet`."""
        self._records = records
        self._objects = objects
        self._user_id = user_id
        self._out = out
        self._sums = Sums()
        self._progress = Progress(
            TextColumn("Exported"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )

    async def run(self) -> Sums:
        """Write a line for each image, and its original. At the end they replace earlier lines."""
        expected = [(one.image_id, one.original_size or 0) async for one in self._summaries()]
        partial = self._out / f".{FACTS}.part"
        with self._progress, partial.open("w", encoding="utf-8") as lines:
            task = self._progress.add_task("", total=sum(size for _, size in expected))
            for start in range(0, len(expected), AT_ONCE):
                batch = expected[start : start + AT_ONCE]
                found = await asyncio.gather(*(self._image(image_id) for image_id, _ in batch))
                lines.writelines(f"{line}\n" for line in found if line is not None)
                self._progress.advance(task, sum(size for _, size in batch))
        partial.replace(self._out / FACTS)
        return self._sums

    async def _summaries(self) -> AsyncIterator[Summary]:
        search = Search(user_id=self._user_id, newest_first=False)
        after: Position | None = None
        while True:
            found = await self._records.find(search, after=after, most=PAGE)
            for summary in found:
                yield summary
            after = found.ends_at
            if after is None:
                return

    async def _image(self, image_id: str) -> str | None:
        """Export one image, and return its line; None if it was erased meanwhile."""
        record = await self._records.get(image_id)
        if record is None or record.status is Status.ERASED:
            return None
        file: str | None = None
        try:
            file = await self._original(record)
        except Misconfigured:
            raise
        except SafelightError as error:
            self._sums.faults[image_id] = str(error)
        self._sums.images += 1
        image = ExportedImage.from_record(record, file=file)
        return image.model_dump_json(by_alias=True, exclude_none=True, exclude={"variants"})

    async def _original(self, record: Record) -> str | None:
        """Fetch the original unless it is there; return its path, or None if there is none."""
        extension = _EXTENSIONS.get(record.media_type or "", "bin")
        name = f"{ORIGINALS}/{record.image_id}.{extension}"
        to = self._out / name
        if not await asyncio.to_thread(_is_whole, to, record.sha256):
            if not await self._fetched(record, to):
                return None
            self._sums.fetched += 1
        self._sums.originals += 1
        self._sums.size_bytes += to.stat().st_size
        return name

    async def _fetched(self, record: Record, to: Path) -> bool:
        """Fetch the version that the record is about; return False if there should be none."""
        partial = to.with_name(f".{to.name}.part")
        try:
            fetched = await self._objects.fetch(
                key=record.original_key,
                version_id=record.version_id,
                etag=None,
                to=partial,
                max_bytes=sys.maxsize,
                seconds=FETCH_SECONDS,
            )
        except Rejection:  # the source is gone
            if record.status is Status.PENDING or record.reason is Reason.SOURCE_GONE:
                return False
            raise
        else:
            if record.sha256 not in (None, fetched.sha256):
                raise SafelightError("the source was replaced meanwhile; repeat the command")
            partial.replace(to)
            return True
        finally:
            partial.unlink(missing_ok=True)


def _is_whole(path: Path, sha256: str | None) -> bool:
    """Return whether a file has these bytes. Without a known hash it is fetched again."""
    if sha256 is None or not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
