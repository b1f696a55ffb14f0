"""The way of an upload: this page tells it.

There is no lock, no "processing" row and no outbox table, because every step is harmless to repeat:
assets have immutable keys, the commit is one conditional write, and the message itself is the
outbox: it is deleted only after its completion was published.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from safelight.aws.objects import Fetched
from safelight.aws.queue import Message
from safelight.aws.records import Commit
from safelight.completion import Completion
from safelight.errors import Rejection, Superseded, Unavailable
from safelight.image_ids import ImageIds
from safelight.imaging.admission import Admission
from safelight.imaging.plan import plan
from safelight.imaging.render import Rendering
from safelight.imaging.result import Renderer
from safelight.imaging.spool import Spool
from safelight.presets import Preset
from safelight.record import Record, Variant
from worker.events import Upload, read_events
from worker.observer import Observer
from worker.settlement import completed, rejected, settled_before, stamped, variant_of
from worker.verdict import Progress, most_hopeful


class Objects(Protocol):
    """Where sources come from and assets go."""

    async def fetch(
        self, *, key: str, version_id: str | None, etag: str | None, to: Path, max_bytes: int
    ) -> Fetched:
        """Write one version of a source to a file."""
        ...

    async def put(self, *, key: str, path: Path, media_type: str, sha256: str) -> None:
        """Store a file as an asset."""
        ...


class Records(Protocol):
    """What is known of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read the record that stands."""
        ...

    async def commit(self, record: Record) -> Commit:
        """Settle an upload, unless this revision or a newer one is settled already."""
        ...

    async def advance(self, record: Record, *, sequencer: str) -> None:
        """Give a settled revision a later sequencer."""
        ...


class Topic(Protocol):
    """Who is told that an image is settled."""

    async def publish(self, completion: Completion) -> None:
        """Tell it; a repeat has the same id."""
        ...


class Processor:
    """Settles the uploads of S3's events, and so is the role uploads.

    Its collaborators are all it knows of the world.
    """

    def __init__(
        self,
        *,
        objects: Objects,
        records: Records,
        topic: Topic,
        renderer: Renderer,
        presets: Sequence[Preset],
        admission: Admission,
        spool: Spool,
        observer: Observer,
        ids: ImageIds,
        uploads_bucket: str,
        max_bytes: int,
    ) -> None:
        self._objects = objects
        self._records = records
        self._topic = topic
        self._renderer = renderer
        self._presets = presets
        self._admission = admission
        self._spool = spool
        self._observer = observer
        self._ids = ids
        self._uploads_bucket = uploads_bucket
        self._max_bytes = max_bytes

    async def process(self, message: Message) -> Progress:
        """Settle every upload of a message; then raise what kept one from it, if anything did.

        Returns how far the upload got that got farthest.
        """
        events = read_events(message.body, bucket=self._uploads_bucket, ids=self._ids)
        failures: list[Exception] = list(events.faults)
        reach = Progress.NONE
        for upload in events.uploads:
            try:
                reach = max(reach, await self._process(upload))
            except Exception as error:  # noqa: BLE001 - raised below, after the others' turn
                failures.append(error)
        if failures:
            raise most_hopeful(failures)
        return reach

    async def _process(self, upload: Upload) -> Progress:
        if upload.removed:
            self._observer.removed()
            return Progress.NONE
        return await self.settle(*await self.identify(upload))

    async def settle(self, upload: Upload, standing: Record | None) -> Progress:
        """Settle an upload whose record was read; if it is settled already, only publish again."""
        self._observer.began(upload)
        commit = settled_before(upload, standing) or await self._work_out(upload)
        self._observer.settled(upload, commit)
        if commit and commit.result == "repeated" and _is_later(upload, commit.record):
            await self._records.advance(commit.record, sequencer=upload.sequencer)
        if commit is None or commit.result == "superseded":
            return Progress.NONE
        with self._observer.stage("publish"):
            await self._topic.publish(Completion.of(commit.record))
        self._observer.published(commit.record)
        return Progress.PUBLISHED

    async def identify(self, upload: Upload) -> tuple[Upload, Record | None]:
        """Find the image of an upload and read its record, if it has one.

        A key that borrows another image's id is adopted.
        """
        standing = await self._records.get(upload.image_id)
        if standing is None or standing.original_key == upload.key:
            return upload, standing
        upload = upload.adopted(self._ids)
        return upload, await self._records.get(upload.image_id)

    async def _work_out(self, upload: Upload) -> Commit | None:
        """Make the variants, or find out why there can be none, and commit which it was."""
        started = time.monotonic()
        try:
            with self._spool.directory() as directory:
                settlement = await self._make(upload, directory)
        except Rejection as rejection:
            settlement = rejected(upload, rejection)
        except Superseded:
            return None
        with self._observer.stage("commit"):
            commit = await self._records.commit(stamped(settlement, started))
        if commit.record.original_key != upload.key:
            raise Unavailable("dynamodb", f"image id {upload.image_id} was taken meanwhile")
        return commit

    async def _make(self, upload: Upload, directory: Path) -> Record:
        """Fetch, probe, plan, admit, render, put."""
        source = directory / "source"
        with self._observer.stage("fetch"):
            fetched = await self._objects.fetch(
                key=upload.key,
                version_id=upload.version_id,
                etag=upload.etag,
                to=source,
                max_bytes=self._max_bytes,
            )
        with self._observer.stage("probe"):
            probe = await self._renderer.probe(source)
        wanted = plan(probe, self._presets)
        async with self._admission.admit(wanted.predicted_bytes):
            with self._observer.stage("render"):
                rendering = await self._renderer.render(wanted, source, directory)
        self._observer.rendered(rendering)
        with self._observer.stage("put"):
            variants = await self._put(upload, rendering)
        return completed(upload, fetched, probe, rendering, variants)

    async def _put(self, upload: Upload, rendering: Rendering) -> Mapping[str, Variant]:
        """Put all assets at once; wait for every one, also when another fails."""
        variants = {
            rendered.preset: variant_of(upload, rendered) for rendered in rendering.variants
        }
        puts = (
            self._objects.put(
                key=variants[rendered.preset].key,
                path=rendered.path,
                media_type=rendered.media_type,
                sha256=rendered.sha256,
            )
            for rendered in rendering.variants
        )
        for outcome in await asyncio.gather(*puts, return_exceptions=True):
            if outcome is not None:
                raise outcome
        return variants


def _is_later(upload: Upload, record: Record) -> bool:
    """Return whether a revision was settled by its key, before its own event said its place."""
    return record.sequencer is not None and record.sequencer < upload.sequencer
