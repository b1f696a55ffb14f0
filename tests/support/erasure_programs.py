"""The parts that meet in an erasure as programs: the real code, whose requests are `Call`s.

Time is a number in the world. It goes on only while all programs rest.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client import CollectorRegistry

from safelight.aws.dependency import Dependency
from safelight.aws.inventory import SourceVersion, StoredAsset
from safelight.aws.tombstones import Tombstones
from safelight.erasures import entomb
from safelight.errors import Reason, Rejection
from safelight.keys import asset_key
from safelight.queued import EraseImage, read_cleanup
from safelight.record import Status
from tests.support.conditions import CallingClient, Items, Table
from tests.support.fakes import IDS
from tests.support.interleavings import Answer, Call, Program
from tests.support.tag_programs import BUCKET, EVENT, IMAGE, KEY, NoSpool, the_records
from worker.cleanup.erase_image import ImageErasures, Pauses
from worker.cleanup.metrics import CleanupMetrics
from worker.cleanup.remains import Remover
from worker.metrics import WorkerMetrics
from worker.observer import Observer
from worker.processor import Processor
from worker.stale_versions import StaleVersions
from worker.tombstones import MetTombstones

ASSET = asset_key(
    image_id=IMAGE, revision="v1", preset="small", fingerprint="0123456789ab", extension="webp"
)
PAUSES = Pauses(before_invalidation_ms=20_000, before_last_look_ms=900_000)
NO_PAUSES = Pauses(before_invalidation_ms=0, before_last_look_ms=0)


@dataclass(frozen=True)
class World:
    """The table, the buckets and CleanupQueue."""

    items: Items
    source: bool = False
    uploaded: bool = False
    asset: bool = False
    messages: tuple[tuple[int, str], ...] = ()
    """Numbers and bodies. A message stays until it is done."""
    sent: int = 0


def carry(table: Table, world: World, call: Call) -> tuple[World, Answer]:
    """Carry out a call."""
    match call.operation:
        case "Upload":
            return replace(world, source=world.source or not world.uploaded, uploaded=True), "{}"
        case "Fetch":
            return world, json.dumps(world.source)
        case "Put":
            return replace(world, asset=True), "{}"
        case "List":
            return world, json.dumps([world.source, world.asset])
        case "Delete source":
            return replace(world, source=False), "{}"
        case "Delete asset":
            return replace(world, asset=False), "{}"
        case "Send":
            messages = (*world.messages, (world.sent, call.arguments))
            return replace(world, messages=messages, sent=world.sent + 1), "{}"
        case "Receive":
            return world, json.dumps(world.messages[:1])
        case "Done":
            kept = tuple(one for one in world.messages if str(one[0]) != call.arguments)
            return replace(world, messages=kept), "{}"
    items, answer = table.carry(world.items, call)
    return replace(world, items=items), answer


class _Queue:
    def __init__(self, *, lost: bool = False) -> None:
        self._lost = lost

    async def send(self, body: str, **_: Any) -> None:
        if not self._lost:
            await Call("Send", body)


class _Pipeline:
    """Fetches, puts one asset, and then finds a fault: the shortest way to a settlement."""

    finds_faces = False

    async def run(self, *_: Any, **__: Any) -> Any:
        if not json.loads(await Call("Fetch", "")):
            raise Rejection(Reason.SOURCE_GONE, "gone")
        await Call("Put", "")
        raise Rejection(Reason.CORRUPT, "on purpose")


class _Silent:
    """A topic, a ledger, or the records of other images, that are not looked at."""

    async def get(self, _: str) -> None:
        return None

    async def publish(self, _: Any) -> None: ...
    async def put(self, *_: Any) -> None:
        pass

    async def add(self, *_: Any) -> bool:
        return True

    async def read(self, _: str) -> str | None:
        return None


class _Buckets:
    """Both buckets, which are listed by one call."""

    def __init__(self) -> None:
        self._asset = False

    async def versions(self, key: str, version_ids: Sequence[str] | None = None) -> Any:
        if version_ids is not None:
            return await Call("Delete source", "") if version_ids else None
        source, self._asset = json.loads(await Call("List", ""))
        one = SourceVersion(version_id="v1", size_bytes=1, modified_at=0, latest=True)
        return (one,) if source else ()

    async def assets(self, what: Any) -> Any:
        if not isinstance(what, str):
            return await Call("Delete asset", "") if what else None
        return (StoredAsset(key=ASSET, size_bytes=1, modified_at=0),) if self._asset else ()


def the_tombstones() -> Tombstones:
    """Return the real edge to the table; its requests are calls."""
    client: Any = CallingClient()
    return Tombstones(client, Dependency("dynamodb"), table="images")


def a_client() -> Program:
    """Upload with a form that was issued before."""

    async def upload() -> object:
        return await Call("Upload", "")

    return upload


def a_worker(*, sends_again: Callable[[str], bool] = lambda _: True) -> Program:
    """Process the event of the upload. `sends_again` says for which reading of a tombstone."""
    metrics = WorkerMetrics(CollectorRegistry())
    observer = Observer(metrics)

    async def work() -> object:
        await Call("Upload", "")  # the event is there because of it
        pipeline = _Pipeline()
        fetched = {"when": "read"}

        class _Met(MetTombstones):
            async def met(self, image_id: str, *, key: str | None) -> None:
                if sends_again(fetched["when"]):
                    await super().met(image_id, key=key)

        class _Watched(_Pipeline):
            async def run(self, *_: Any, **__: Any) -> Any:
                fetched["when"] = "commit"
                return await pipeline.run()

        fakes: Any = {"sources": None, "pipeline": _Watched(), "spool": NoSpool()}
        processor = Processor(
            records=the_records(), topic=_Silent(), presets=(), observer=observer,
            tombstones=_Met(_Queue(), metrics=metrics, now=lambda: 0), ids=IDS,
            stale_versions=StaleVersions(None, metrics=metrics), uploads_bucket=BUCKET, **fakes,
        )  # fmt: skip
        return await processor.process(EVENT)

    return work


def an_api() -> Program:
    """Erase the image: send the message, then write the tombstone."""

    async def erase() -> object:
        await Call("Send", ERASE)
        records, tombstones = the_records(), the_tombstones()
        await entomb(
            IMAGE, records=records, tombstones=tombstones, by="owner", requested_at=0, at=0
        )
        return "erased"

    return erase


ERASE = EraseImage(image_id=IMAGE, key=KEY, by="owner", at=0).to_json()


def a_delivery() -> Program:
    """Render for a viewer: read the record, fetch, put. There is no message."""

    async def render() -> object:
        record = await the_records().get(IMAGE)
        if record is None or record.status is Status.ERASED:
            return "gone"
        if json.loads(await Call("Fetch", "")):
            await Call("Put", "")
        return "done"

    return render


def a_cleanup(*, passes: int, now: float = 0, pauses: Pauses = PAUSES) -> Program:
    """Process so many messages, or fewer if there are none."""
    metrics = CleanupMetrics(CollectorRegistry())

    async def clean() -> object:
        buckets: Any = _Buckets()
        tombstones = the_tombstones()
        images = ImageErasures(
            records=the_records(), tombstones=tombstones, ledger=_Silent(),
            remover=Remover(
                records=_Silent(), inventory=buckets, deletions=buckets, tags=tombstones,
                metrics=metrics, ids=IDS, uploads_bucket=BUCKET,
            ),
            topic=_Silent(), cdn=None, queue=_Queue(), pauses=pauses, metrics=metrics,
            now=lambda: now,
        )  # fmt: skip
        for _ in range(passes):
            bodies = json.loads(await Call("Receive", ""))
            if not bodies:
                break
            number, body = bodies[0]
            message = read_cleanup(json.loads(body))
            assert isinstance(message, EraseImage)
            await images.go_on(message)
            await Call("Done", str(number))
        return "clean"

    return clean
