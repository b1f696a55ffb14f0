"""Settles the latest version of a source by its key, for events that were lost or never processed.

An image that waits for an upload may have a later version that does not count. That version is
deleted, and the ingest is tried again until it is gone.

The message names only a key; the version comes from S3. An ingest does not know the version's place
in S3's order, so it gives the version the next place. The version's own event corrects that. If
that event never comes, a late event of an older version still wins, until the key is ingested
again.
"""

from dataclasses import replace
from typing import Protocol

from safelight import keys
from safelight.aws.objects import ObjectVersion
from safelight.errors import TooEarly
from safelight.image_ids import ImageIds
from safelight.queued import Ingest
from safelight.record import Record, Status
from worker.events import Upload, upload_of
from worker.observer import Observer
from worker.processor import Processor
from worker.verdict import Progress

TRIES = 5
"""How often a source is settled again because it was replaced, before its message has to wait."""


class Sources(Protocol):
    """The uploads bucket."""

    async def current_version(self, key: str) -> ObjectVersion | None:
        """Return the latest version of a source, or None if there is none."""
        ...


class Ingests:
    """Settles sources by key. A repeat finds the revision settled, and only publishes again."""

    def __init__(
        self,
        *,
        sources: Sources,
        processor: Processor,
        observer: Observer,
        ids: ImageIds,
        uploads_bucket: str,
    ) -> None:
        self._sources = sources
        self._processor = processor
        self._observer = observer
        self._ids = ids
        self._uploads_bucket = uploads_bucket

    async def settle(self, ingest: Ingest) -> Progress:
        """Settle the latest version of a key. If the key has no version, do nothing.

        The record is read before S3 is asked. In the other order, a version that arrives between
        the two could be settled already, and the older one be taken for the next. It is read again
        afterwards, since an upload that the owner requests between the two has a token that the
        first read does not know. S3 is asked again at the end, since another ingest may have
        settled a newer version meanwhile. Raises
        `TooEarly` if the source is replaced again and again, or if its latest version does not
        count: that version may hide the one that the image waits for.
        """
        progress = Progress.NONE
        for _ in range(TRIES):
            upload, current = await self._processor.identify(self._unversioned(ingest.key))
            if current is not None and current.status is Status.ERASED:
                await self._processor.settle(upload, current)  # has it erased again
                self._observer.ingested(ingest, "superseded")
                return Progress.NONE
            version = await self._sources.current_version(ingest.key)
            if version is None:
                self._observer.ingested(ingest, "gone")
                return progress
            _, now = await self._processor.identify(self._unversioned(ingest.key))
            if _tokens(now) != _tokens(current):
                continue
            upload = replace(
                upload,
                version_id=version.version_id,
                etag=version.etag,
                size_bytes=version.size_bytes,
                happened_at=version.modified_at,
            ).following(current)
            progress = max(progress, await self._processor.settle(upload, current))
            if progress is Progress.NONE and current is not None and current.upload_token:
                _, now = await self._processor.identify(upload)
                if now is not None and now.status is Status.ERASED:
                    self._observer.ingested(ingest, "superseded")
                    return Progress.NONE
                raise TooEarly(f"the latest version of {ingest.key} does not count")
            if await self._sources.current_version(ingest.key) == version:
                settled = progress is not Progress.NONE
                self._observer.ingested(ingest, "settled" if settled else "superseded")
                return progress
        raise TooEarly(f"{ingest.key} was replaced {TRIES} times while it was settled")

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


def _tokens(record: Record | None) -> tuple[str | None, str | None]:
    return (record.upload_token, record.settled_token) if record else (None, None)
