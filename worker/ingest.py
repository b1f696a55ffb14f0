"""Settles the latest version of a source by its key alone: an event was lost, or is a dead letter.

The message names only a key, and S3 says what is settled. An ingest cannot know the place of a
version in S3's order: it takes the next one, and the version's own event corrects that. If that
event never comes, a late event of an older version still wins, until the key is ingested again.
"""

from dataclasses import replace
from typing import Protocol

from safelight import keys
from safelight.aws.objects import ObjectVersion
from safelight.errors import Unavailable
from safelight.image_ids import ImageIds
from safelight.queued import Ingest
from safelight.record import Record
from worker.events import Upload, upload_of
from worker.observer import Observer
from worker.verdict import Progress

TRIES = 5
"""How often a source that was replaced meanwhile is settled again, before its message waits."""


class Sources(Protocol):
    """The uploads bucket."""

    async def stand(self, key: str) -> ObjectVersion | None:
        """Return the latest version of a source; None if there is none."""
        ...


class Settlement(Protocol):
    """What settles uploads."""

    async def identify(self, upload: Upload) -> tuple[Upload, Record | None]:
        """Find the image of an upload and read its record, if it has one."""
        ...

    async def settle(self, upload: Upload, standing: Record | None) -> Progress:
        """Settle an upload whose record was read."""
        ...


class Ingests:
    """Settles sources by key. A repeat finds the revision settled, and only publishes again."""

    def __init__(
        self,
        *,
        sources: Sources,
        settlement: Settlement,
        observer: Observer,
        ids: ImageIds,
        uploads_bucket: str,
    ) -> None:
        self._sources = sources
        self._settlement = settlement
        self._observer = observer
        self._ids = ids
        self._uploads_bucket = uploads_bucket

    async def settle(self, ingest: Ingest) -> Progress:
        """Settle the latest version of a key; where there is none, do nothing.

        The record is read before S3 is asked. The other way round, a version that arrives between
        the two could be settled already, and the older one be taken for the next. S3 is asked again
        at the end, since another ingest may have settled a newer version meanwhile. Raises
        `Unavailable` if the source is replaced again and again.
        """
        reach = Progress.NONE
        for _ in range(TRIES):
            upload, standing = await self._settlement.identify(self._unversioned(ingest.key))
            version = await self._sources.stand(ingest.key)
            if version is None:
                self._observer.ingested(ingest, "gone")
                return reach
            upload = replace(
                upload,
                version_id=version.version_id,
                etag=version.etag,
                size_bytes=version.size_bytes,
                happened_at=version.modified_at,
            ).following(standing)
            reach = max(reach, await self._settlement.settle(upload, standing))
            if await self._sources.stand(ingest.key) == version:
                settled = reach is not Progress.NONE
                self._observer.ingested(ingest, "settled" if settled else "superseded")
                return reach
        raise Unavailable("s3", f"{ingest.key} was replaced {TRIES} times while it was settled")

    def _unversioned(self, key: str) -> Upload:
        return upload_of(
            bucket=self._uploads_bucket,
            key=key,
            ids=self._ids,
            version_id=None,
            etag=None,
            sequencer=keys.padded_sequencer(None),
            size_bytes=None,
            happened_at=0,
        )
