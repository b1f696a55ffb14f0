"""Processes uploads, from the message to the published completion.

There is no lock, no "processing" row and no outbox table, because every step can be repeated
safely. Assets have immutable keys, and the commit is one conditional write. The message itself is
the outbox: it is deleted only after its completion was published.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from safelight.aws.queue import Message
from safelight.aws.records import Commit
from safelight.completion import Completion
from safelight.errors import ImageIdTaken, Reason, Rejection, StaleUpload, Superseded
from safelight.image_ids import ImageIds
from safelight.imaging.plan import plan
from safelight.imaging.spool import Spool
from safelight.making import Pipeline, Source, Sources
from safelight.presets import Preset
from safelight.record import Record, Status
from safelight.tags import TagEntry, entries_of
from worker.events import Upload, read_events
from worker.observer import Observer
from worker.settlement import (
    completed,
    for_token,
    rejected,
    settled_before,
    stamped,
    variant_of,
)
from worker.stale_versions import StaleVersions
from worker.tombstones import MetTombstones
from worker.verdict import Progress, most_hopeful


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read the current record of an image."""
        ...

    async def commit(self, record: Record) -> Commit:
        """Settle an upload, unless this revision or a newer one is settled already."""
        ...

    async def advance(self, record: Record, *, sequencer: str) -> None:
        """Give a settled revision a later sequencer."""
        ...

    async def put_tag(self, entry: TagEntry) -> None:
        """Write a tag entry, unless a newer one is there."""
        ...

    async def drop_tag(self, entry: TagEntry, *, now: float) -> None:
        """Take a tag entry out of the index, unless a newer one is there."""
        ...


class Topic(Protocol):
    """The topic for completions."""

    async def publish(self, event: Completion) -> None:
        """Publish a completion. A repeat has the same id."""
        ...


class Processor:
    """Settles uploads. In the role `uploads` it processes the messages too."""

    def __init__(
        self,
        *,
        sources: Sources,
        records: Records,
        topic: Topic,
        pipeline: Pipeline,
        spool: Spool,
        presets: Sequence[Preset],
        observer: Observer,
        tombstones: MetTombstones,
        stale_versions: StaleVersions,
        ids: ImageIds,
        uploads_bucket: str,
        keep_days: int | None = None,
    ) -> None:
        """`keep_days` is for images without a record; by default they are kept for good."""
        self._sources = sources
        self._records = records
        self._topic = topic
        self._pipeline = pipeline
        self._spool = spool
        self._presets = presets
        self._observer = observer
        self._tombstones = tombstones
        self._stale_versions = stale_versions
        self._ids = ids
        self._uploads_bucket = uploads_bucket
        self._keep_days = keep_days

    async def process(self, message: Message) -> Progress:
        """Settle every upload of a message, and return the progress of the furthest one.

        If any of them fail, raise one of their errors after all were tried.
        """
        events = read_events(message.body, bucket=self._uploads_bucket, ids=self._ids)
        failures: list[Exception] = list(events.faults)
        progress = Progress.NONE
        for upload in events.uploads:
            try:
                progress = max(progress, await self._process(upload))
            except Exception as error:  # noqa: BLE001 - raised below, after the other uploads
                failures.append(error)
        if failures:
            raise most_hopeful(failures)
        return progress

    async def _process(self, upload: Upload) -> Progress:
        if upload.removed:
            self._observer.removed()
            return Progress.NONE
        return await self.settle(*await self.identify(upload))

    async def settle(self, upload: Upload, current: Record | None) -> Progress:
        """Settle an upload, given the current record of its image, and publish the completion.

        An upload that is settled already is only published again. Tag entries are written before,
        so an image that a completion names can be found by its tags. An upload that the image does
        not wait for changes nothing, and its version is deleted.
        """
        self._observer.began(upload)
        commit = settled_before(upload, current) or await self._work_out(upload, current)
        self._observer.settled(upload, commit)
        if commit and commit.result == "repeated" and _is_later(upload, commit.record):
            await self._records.advance(commit.record, sequencer=upload.sequencer)
        if commit is None or commit.result in ("superseded", "stale"):
            if commit and _is_erased(commit.record):
                await self._tombstones.met(commit.record.image_id, key=upload.key)
            if commit and commit.result == "stale":
                await self._stale_versions.met(upload)
            return Progress.NONE
        if not await self._index(commit.record, upload):
            return Progress.NONE
        with self._observer.stage("publish"):
            await self._topic.publish(Completion.of(commit.record))
        self._observer.published(commit.record)
        return Progress.PUBLISHED

    async def _index(self, record: Record, upload: Upload) -> bool:
        """Write the tag entries of an image, and return whether it is still there.

        Its erasure may have come to its end since the record was written. It has not seen the
        entries then, and its tombstone does not name their tags any more.
        """
        if not (entries := entries_of(record)):
            return True
        with self._observer.stage("commit"):
            for entry in entries:
                await self._records.put_tag(entry)
            current = await self._records.get(record.image_id)
            if current is None or not _is_erased(current):
                return True
            for entry in entries:
                await self._records.drop_tag(entry, now=time.time())
        await self._tombstones.met(record.image_id, key=upload.key)
        return False

    async def identify(self, upload: Upload) -> tuple[Upload, Record | None]:
        """Find the image of an upload; return the upload and the image's record, if it has one.

        An upload whose key contains the id of another key's image is adopted. One that meets a
        tombstone, which may not know its key any more, is adopted only if it was adopted before
        the erasure: an erased image would come back under another id.
        """
        current = await self._records.get(upload.image_id)
        if current is None or current.original_key == upload.key:
            return upload, current
        adopted = upload.adopted(self._ids)
        other = await self._records.get(adopted.image_id)
        if _is_erased(current) and (other is None or other.original_key != upload.key):
            return upload, current
        return adopted, other

    async def _work_out(self, upload: Upload, current: Record | None) -> Commit | None:
        """Make the variants, or reject the source, and commit the result.

        Returns None if the source was replaced.
        """
        started = time.monotonic()
        try:
            settlement = await self._make(upload, current)
        except Rejection as rejection:
            settlement = rejected(upload, rejection)
        except StaleUpload:
            return Commit.found(current, revision=upload.revision) if current else None
        except Superseded:
            return None
        settlement = for_token(settlement, current)
        keep_days = self._keep_days if current is None else None
        settlement = stamped(settlement, started, keep_days=keep_days)
        with self._observer.stage("commit"):
            commit = await self._records.commit(settlement)
        if commit.record.original_key != upload.key and not _is_erased(commit.record):
            raise ImageIdTaken(f"{upload.key}: its image id belongs to another object meanwhile")
        return commit

    async def _make(self, upload: Upload, current: Record | None) -> Record:
        """Render and store the variants of every preset; return the record to commit.

        Raises `StaleUpload` if the image does not wait for this upload, or if the source is
        gone and another upload was requested or settled: then it is unknown whether it waited.
        """
        source = Source(
            bucket=self._sources,
            key=upload.key,
            version_id=upload.version_id,
            etag=upload.etag,
            upload_tokens=current.accepted_tokens if current else None,
        )
        try:
            with self._spool.directory() as directory:
                made = await self._pipeline.run(
                    source,
                    partial(plan, presets=self._presets),
                    key_of=lambda rendered: variant_of(upload, rendered).key,
                    directory=directory,
                    needs_faces=self._pipeline.finds_faces,
                    observer=self._observer,
                )
        except Rejection as rejection:
            if rejection.reason is Reason.SOURCE_GONE and current and current.was_replaced:
                raise StaleUpload(rejection.detail) from rejection
            raise
        return completed(upload, made)


def _is_erased(record: Record) -> bool:
    return record.status is Status.ERASED


def _is_later(upload: Upload, record: Record) -> bool:
    """Return whether an ingest settled this revision with a lower sequencer than its event has."""
    return record.sequencer is not None and record.sequencer < upload.sequencer
