"""Models the worker's contract with its queue, driven by schedules of faults.

The processor is the real one. Its collaborators are the fakes that pass the same contract suites as
the real edges. A life is one worker processing one message. It may be killed, failed or frozen at
any call that it makes, before or after the call is carried out. No process, no clock, no sleep.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prometheus_client import CollectorRegistry

from safelight import keys
from safelight.aws.queue import Message
from safelight.errors import Misconfigured, Reason, Rejection, SafelightError, Unavailable
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan
from safelight.imaging.probe import Probe
from safelight.imaging.render import RenderedVariant, Rendering
from safelight.imaging.spool import Spool
from safelight.making import Pipeline
from safelight.presets import Preset
from safelight.record import Record
from safelight.wish.wish import Wish
from tests.support.fakes import (
    APPEARANCE,
    IDS,
    FakeDeadLetters,
    FakeObjects,
    FakeQueue,
    FakeRecords,
    FakeTopic,
)
from tests.support.faults.injector import Source, s3_record
from tests.support.faults.invariant import Asset, World, faults_of
from worker.metrics import WorkerMetrics
from worker.observer import Observer
from worker.processor import Processor
from worker.stale_versions import StaleVersions
from worker.tombstones import MetTombstones
from worker.verdict import Retry, verdict_on

BUCKET = "uploads-bucket"
VISIBILITY_SECONDS = 60
IMAGES = tuple(IDS.of_object(bucket=BUCKET, key=name) for name in ("one", "two"))
PRESETS = (
    Preset(name="compressed", wish=Wish(format="webp")),
    Preset(name="small", wish=Wish(format="jpeg")),
)
_NEVER = 10**6

Ill = Literal["fine", "killed", "unavailable", "misconfigured", "frozen"]


@dataclass(frozen=True, slots=True)
class Fate:
    """The fault of a life at its n-th call, and whether that call is carried out first."""

    ill: Ill = "fine"
    call: int = _NEVER
    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Store a source; its event is not sent yet."""

    image: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Notify:
    """Send one of the events so far: late, out of order, or again."""

    which: int


@dataclass(frozen=True, slots=True)
class Work:
    """Have a worker receive one message and process it as far as its fate allows."""

    fate: Fate


@dataclass(frozen=True, slots=True)
class Thaw:
    """Let a frozen life continue."""

    which: int


@dataclass(frozen=True, slots=True)
class Jump:
    """Move the queue's clock forward."""

    seconds: int


Action = Put | Notify | Work | Thaw | Jump


class Killed(BaseException):
    """The process was killed: nothing of it continues, and no `except Exception` catches this."""


class Life:
    """One worker processing one message. After its death every further call is killed too."""

    def __init__(self, fate: Fate) -> None:
        self.thawed = asyncio.Event()
        self.frozen = False
        self._fate = fate
        self._calls = 0
        self._dead = False

    def wire(self, target: object) -> Any:
        """Wrap a collaborator of the processor, so that its calls meet this life's fate."""
        return _Wire(self, target)

    async def call(self, carry_out: Callable[[], Awaitable[Any]]) -> Any:
        """Make one call, or suffer the fault at it."""
        if self._dead:
            raise Killed
        self._calls += 1
        if self._calls != self._fate.call:
            return await carry_out()
        if not self._fate.carried_out:
            await self._suffer()
            return await carry_out()
        answer = await carry_out()
        await self._suffer()
        return answer

    async def _suffer(self) -> None:
        match self._fate.ill:
            case "killed":
                self._dead = True
                raise Killed
            case "unavailable":
                raise Unavailable("model", "on purpose")
            case "misconfigured":
                raise Misconfigured("model", "on purpose")
            case "frozen":
                self.frozen = True
                await self.thawed.wait()


class _Wire:
    def __init__(self, life: Life, target: object) -> None:
        self._life = life
        self._target = target

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._target, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._life.call(lambda: method(*args, **kwargs))

        return call


class _Renderer:
    """Writes a file for every recipe; a source that begins with `bad` is rejected."""

    async def probe(self, path: Path) -> Probe:
        return Probe(format="jpeg", width=80, height=60, size_bytes=path.stat().st_size)

    async def render(self, plan: Plan, source: Path, directory: Path) -> Rendering:
        body = source.read_bytes()
        if body.startswith(b"bad"):
            raise Rejection(Reason.CORRUPT, "it says so")
        variants = []
        for recipe in plan.recipes:
            path = directory / recipe.preset
            path.write_bytes(made := body + recipe.preset.encode())
            variants.append(
                RenderedVariant(
                    preset=recipe.preset, fingerprint=recipe.fingerprint, path=path,
                    media_type="image/webp", extension="webp", width=80, height=60,
                    size_bytes=len(made), sha256=hashlib.sha256(made).hexdigest(), seconds=0.01,
                )
            )  # fmt: skip
        return Rendering(variants=tuple(variants), failures={}, appearance=APPEARANCE, seconds=0.1)


class Model:
    """A queue, a table, buckets and a topic in memory, and short-lived workers."""

    def __init__(self, spool: Path) -> None:
        self.seconds = 0.0
        self.sources: list[Source] = []
        self.rejected: dict[str, str] = {}
        self.objects = FakeObjects()
        self.records = FakeRecords()
        self.topic = FakeTopic()
        self.cleanup = FakeDeadLetters()
        self.queue = FakeQueue(
            now=lambda: self.seconds,
            visibility_seconds=VISIBILITY_SECONDS,
            max_receive_count=_NEVER,
        )
        self._metrics = WorkerMetrics(CollectorRegistry())
        self._spool = Spool(spool)
        self._notified: set[int] = set()
        self._frozen: list[tuple[Life, asyncio.Task[None]]] = []
        self._shown: dict[str, Record] = {}

    async def act(self, action: Action) -> None:
        """Carry out one action; ignore it if it makes no sense now."""
        match action:
            case Put(image, whole):
                self._put(image, whole=whole)
            case Notify(which) if self.sources:
                self._notify(which % len(self.sources))
            case Work(fate):
                await self._work(fate)
            case Thaw(which) if self._frozen:
                await self._thaw(which % len(self._frozen))
            case Jump(seconds):
                self.seconds += seconds
        self._assert_no_step_back()

    async def drain(self) -> None:
        """Finish: send all events, thaw all lives, and work off the queue without faults."""
        for number in set(range(len(self.sources))) - self._notified:
            self._notify(number)
        while self._frozen:
            await self._thaw(0)
        while self.queue.entries:
            self.seconds += 1000
            await self._work(Fate())
        self._assert_no_step_back()

    def faults(self) -> list[str]:
        """List what is wrong with the final state."""
        return faults_of(self._world(), self.sources, rejected=self.rejected)

    def _put(self, image: int, *, whole: bool) -> None:
        image_id = IMAGES[image]
        key = keys.source_key(user_id="key:alice", image_id=image_id)
        number = len(self.sources)
        body = f"{'good' if whole else 'bad'} {number}".encode()
        version = self.objects.upload(key, body)
        self.sources.append(
            Source(
                bucket=BUCKET, key=key, image_id=image_id, version_id=version.version_id,
                etag=version.etag, size_bytes=len(body), sequencer=f"{number:04X}",
            )
        )  # fmt: skip
        self.rejected.pop(image_id, None)
        if not whole:
            self.rejected[image_id] = Reason.CORRUPT

    def _notify(self, number: int) -> None:
        self._notified.add(number)
        self.queue.send(json.dumps({"Records": [s3_record(self.sources[number])]}))

    async def _work(self, fate: Fate) -> None:
        """Run one life until it ends or freezes."""
        life = Life(fate)
        work = asyncio.ensure_future(self._live(life))
        while not work.done() and not life.frozen:
            await asyncio.sleep(0)
        if life.frozen:
            self._frozen.append((life, work))
        else:
            work.result()

    async def _thaw(self, which: int) -> None:
        life, work = self._frozen.pop(which)
        life.thawed.set()
        await work

    async def _live(self, life: Life) -> None:
        """Process one message as the consumer does: process, decide, carry out."""
        queue = life.wire(self.queue)
        try:
            for message in await queue.receive(max_messages=1, wait_seconds=0):
                receipt = message.receipt
                match await self._outcome(life, message):
                    case None:
                        await queue.delete([receipt])
                    case seconds:
                        await queue.change_visibility({receipt: seconds})
        except (Killed, SafelightError):
            return  # its lease runs out

    async def _outcome(self, life: Life, message: Message) -> int | None:
        """Process a message; return None if it is done, else the seconds until its retry."""
        try:
            await self._processor(life).process(message)
        except Misconfigured:
            return 0
        except SafelightError as error:
            verdict = verdict_on(error, receive_count=message.receive_count)
            assert isinstance(verdict, Retry)
            return verdict.after_seconds
        return None

    def _processor(self, life: Life) -> Processor:
        objects = life.wire(self.objects)
        pipeline = Pipeline(
            assets=objects,
            renderer=life.wire(_Renderer()),
            admission=Admission(10**12),
            max_source_bytes=1000,
        )
        return Processor(
            sources=objects,
            records=life.wire(self.records),
            topic=life.wire(self.topic),
            pipeline=pipeline,
            spool=self._spool,
            presets=PRESETS,
            observer=Observer(self._metrics),
            tombstones=MetTombstones(life.wire(self.cleanup), metrics=self._metrics),
            stale_versions=StaleVersions(life.wire(self.cleanup), metrics=self._metrics),
            ids=IDS,
            uploads_bucket=BUCKET,
        )

    def _assert_no_step_back(self) -> None:
        """Assert that no record goes back to an older revision, or settles one revision twice."""
        for image_id, record in self.records.records.items():
            shown = self._shown.get(image_id, record)
            assert (record.sequencer or "") >= (shown.sequencer or ""), f"{image_id} stepped back"
            if record.revision == shown.revision:
                assert record == shown, f"{image_id} was settled twice"
            else:
                assert (record.sequence or 0) > (shown.sequence or 0), f"{image_id} lost count"
            self._shown[image_id] = record

    def _world(self) -> World:
        return World(
            records=self.records.records,
            assets={
                key: Asset(
                    size_bytes=len(asset.body), sha256=hashlib.sha256(asset.body).hexdigest()
                )
                for key, asset in self.objects.assets.items()
            },
            completions=[json.loads(one.to_json()) for one in self.topic.published],
            entries={key for key, (_, listed) in self.records.entries.items() if listed},
            queued=len(self.queue.entries),
            dead_letters=self.queue.dead_letters,
        )


async def run(schedule: Sequence[Action], spool: Path) -> list[str]:
    """Run a schedule to its end; return what is wrong."""
    model = Model(spool)
    for action in schedule:
        await model.act(action)
    await model.drain()
    return model.faults()
