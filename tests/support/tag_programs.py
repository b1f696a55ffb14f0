"""Workers and editors of one image as programs: the real code, whose requests are `Call`s."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from api.editing import Editing, EditRequest
from api.problems import Refusal
from safelight import keys
from safelight.aws.dependency import Dependency
from safelight.aws.queue import Message
from safelight.aws.records import Records
from safelight.errors import Reason, Rejection
from safelight.record import Record
from tests.support.conditions import CallingClient, Items
from tests.support.fakes import IDS
from tests.support.faults.injector import Source, s3_record
from tests.support.interleavings import Call, Program
from worker.metrics import WorkerMetrics
from worker.observer import Observer
from worker.processor import Processor
from worker.stale_versions import StaleVersions
from worker.tombstones import MetTombstones

BUCKET = "uploads-bucket"
IMAGE = "01JZ6V8M7Q2N4R5T6W8X9Y0ZAB"
KEY = keys.source_key(user_id="key:alice", image_id=IMAGE)
UPLOAD = Source(
    bucket=BUCKET, key=KEY, image_id=IMAGE, version_id="v1", etag="e", size_bytes=1, sequencer="01"
)
EVENT = Message(
    message_id="1",
    receipt="1",
    body=json.dumps({"Records": [s3_record(UPLOAD)]}),
    receive_count=1,
    sent_at=0,
    received_at=0,
)


@dataclass(frozen=True)
class World:
    """The table, and whether a completion was published."""

    items: Items
    published: bool = False


class Topic:
    """A topic whose publishing is a call."""

    async def publish(self, completion: Any) -> None:
        await Call("Publish", completion.id)


class BrokenSource:
    """A pipeline whose source is at fault, which is the shortest way to a settlement."""

    finds_faces = False

    async def run(self, *_: Any, **__: Any) -> Any:
        raise Rejection(Reason.CORRUPT, "on purpose")


class NoSpool:
    """A spool of which nothing is used."""

    def directory(self) -> Any:
        return contextlib.nullcontext(Path())


def the_records() -> Records:
    """Return the real edge to the table; its requests are calls."""
    client: Any = CallingClient()
    return Records(client, Dependency("dynamodb"), table="images")


def a_worker() -> Program:
    """Settle the upload: commit, put the tag entries, publish."""
    metrics = WorkerMetrics(CollectorRegistry())
    observer, tombstones = Observer(metrics), MetTombstones(None, metrics=metrics)

    async def work() -> object:
        fakes: Any = {"sources": None, "pipeline": BrokenSource(), "spool": NoSpool()}
        processor = Processor(
            records=the_records(), topic=Topic(), presets=(), observer=observer,
            tombstones=tombstones, stale_versions=StaleVersions(None, metrics=metrics), ids=IDS,
            uploads_bucket=BUCKET, **fakes,
        )  # fmt: skip
        return await processor.process(EVENT)

    return work


Change = Mapping[str, Any]
"""The body of a change of tags."""


def an_editor(change: Change, editing: type[Editing] = Editing) -> Program:
    """Change the tags; the result is their version, or the problem of a refusal."""
    request = EditRequest.model_validate(change)

    async def edit() -> object:
        records = the_records()

        async def find() -> Record:
            record = await records.get(IMAGE)
            assert record is not None
            return record

        try:
            return (await editing(records, now=lambda: 0).edit(request, find)).tags_version
        except Refusal as refusal:
            return refusal.problem

    return edit
