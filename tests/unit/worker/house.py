"""Both roles of the worker among fakes: one house that uploads and renders share."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote_plus

from prometheus_client import CollectorRegistry

from safelight import keys
from safelight.aws.queue import Message
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan
from safelight.imaging.probe import Probe
from safelight.imaging.render import RenderedVariant, Rendering
from safelight.imaging.spool import Spool
from safelight.looking import FaceFinder, RemoteDetector
from safelight.making import Maker, Pipeline
from safelight.presets import load_presets
from safelight.queued import OfCleanup, read_cleanup
from safelight.record import Record
from tests.support.fakes import (
    APPEARANCE,
    IDS,
    FakeDeadLetters,
    FakeFaces,
    FakeObjects,
    FakeRecords,
    FakeTopic,
    FakeVersion,
)
from worker.demands import Demands
from worker.ingest import Ingests
from worker.metrics import WorkerMetrics
from worker.observer import Observer
from worker.processor import Processor
from worker.renders import Renders
from worker.stale_versions import StaleVersions
from worker.tombstones import MetTombstones
from worker.verdict import Progress

BUCKET = "uploads-bucket"
PRESETS = load_presets(Path(__file__).parents[3] / "presets.toml")
IMAGE = "01JZ6V8M7Q2N4R5T6W8X9Y0ZAB"
KEY = keys.source_key(user_id="key:alice", image_id=IMAGE)
NOW = 1_800_000_000_000
"""In milliseconds since 1970."""


class FakeRenderer:
    """Makes a file for every recipe; its bytes are the source's, so that revisions differ."""

    def __init__(self) -> None:
        self.outcome: Exception | None = None
        self.failures: Mapping[str, str] = {}
        self.renders = 0
        self.meanwhile: Callable[[], None] = lambda: None
        """Happens while a picture is rendered."""

    async def probe(self, path: Path) -> Probe:
        assert path.exists()
        return Probe(format="jpeg", width=800, height=600, size_bytes=path.stat().st_size)

    async def render(self, plan: Plan, source: Path, directory: Path) -> Rendering:
        self.renders += 1
        self.meanwhile()
        if self.outcome is not None:
            raise self.outcome
        variants = tuple(
            self._variant(recipe.preset, recipe.fingerprint, source, directory)
            for recipe in plan.recipes
            if recipe.preset not in self.failures
        )
        return Rendering(
            variants=variants, failures=self.failures, appearance=APPEARANCE, seconds=0.1
        )

    def _variant(
        self, preset: str, fingerprint: str, source: Path, directory: Path
    ) -> RenderedVariant:
        body = source.read_bytes() + preset.encode()
        path = directory / preset
        path.write_bytes(body)
        return RenderedVariant(
            preset=preset,
            fingerprint=fingerprint,
            path=path,
            media_type="image/webp",
            extension="webp",
            width=80,
            height=80,
            size_bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            seconds=0.01,
            quality=64,
            score=71,
        )


class House:
    """Both roles among the same fakes."""

    def __init__(
        self, spool: Path, *, faces: FakeFaces | None = None, keep_days: int | None = None
    ) -> None:
        registry = CollectorRegistry()
        metrics = WorkerMetrics(registry)
        self.registry = registry
        self.objects = FakeObjects()
        self.records = FakeRecords()
        self.topic = FakeTopic()
        self.renderer = FakeRenderer()
        self.spool = spool
        self.cleanup = FakeDeadLetters()
        tombstones = MetTombstones(self.cleanup, metrics=metrics, now=lambda: NOW / 1000)
        observer = Observer(metrics)
        admission = Admission(10**9)
        detector = RemoteDetector(faces) if faces else None
        pipeline = Pipeline(
            assets=self.objects,
            renderer=self.renderer,
            admission=admission,
            max_source_bytes=1000,
            face_finder=detector
            and FaceFinder(renderer=self.renderer, admission=admission, detector=detector),
        )
        self.processor = Processor(
            sources=self.objects,
            records=self.records,
            topic=self.topic,
            pipeline=pipeline,
            spool=Spool(spool),
            presets=PRESETS,
            observer=observer,
            tombstones=tombstones,
            stale_versions=StaleVersions(self.cleanup, metrics=metrics),
            ids=IDS,
            uploads_bucket=BUCKET,
            keep_days=keep_days,
        )
        maker = Maker(pipeline=pipeline, spool=Spool(spool))
        self.renders = Renders(
            demands=Demands(
                records=self.records,
                sources=self.objects,
                maker=maker,
                observer=observer,
                tombstones=tombstones,
            ),
            ingests=Ingests(
                sources=self.objects,
                processor=self.processor,
                observer=observer,
                ids=IDS,
                uploads_bucket=BUCKET,
            ),
        )

    def upload(
        self, body: bytes = b"A", *, sequencer: str = "01", key: str = KEY, token: str | None = None
    ) -> dict:
        version = self.objects.upload(key, body, token=token)
        return self.event(version, sequencer=sequencer, key=key)

    def event(self, version: FakeVersion, *, sequencer: str = "01", key: str = KEY) -> dict:
        return {
            "eventVersion": "2.1",
            "eventName": "ObjectCreated:Post",
            "eventTime": "2026-11-02T03:04:05Z",
            "s3": {
                "bucket": {"name": BUCKET},
                "object": {
                    "key": quote_plus(key, safe="/"),
                    "size": len(version.body or b""),
                    "eTag": version.etag,
                    "versionId": version.version_id,
                    "sequencer": sequencer,
                },
            },
        }

    async def process(self, *records: dict) -> Progress:
        return await self.receive(json.dumps({"Records": records}))

    async def receive(self, body: str) -> Progress:
        return await self.processor.process(_message(body))

    async def render(self, body: str) -> Progress:
        return await self.renders.process(_message(body))

    def erasures(self) -> list[OfCleanup]:
        """Return the messages that were sent to cleanup."""
        return [read_cleanup(json.loads(letter.body)) for letter in self.cleanup.letters]

    @property
    def record(self) -> Record:
        return self.records.records[IMAGE]

    def value(self, outcome: str) -> float:
        labels = {"outcome": outcome}
        return self.registry.get_sample_value("safelight_demands_total", labels) or 0

    def ingests(self, outcome: str) -> float:
        labels = {"outcome": outcome}
        return self.registry.get_sample_value("safelight_ingests_total", labels) or 0

    def outcomes(self, outcome: str) -> float:
        return sum(
            sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == "safelight_images_total" and sample.labels["outcome"] == outcome
        )


def _message(body: str) -> Message:
    return Message(
        message_id="m", receipt="r", body=body, receive_count=1, sent_at=0.0, received_at=0.0
    )
