"""Delivery with a client: it renders real pixels in this process, between fakes of AWS."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image
from prometheus_client import CollectorRegistry
from yarl import URL

from api.app import RUNNER_OPTIONS, make_app
from api.auth import Authentication
from api.delivery.aliases import Alias
from api.delivery.cache import CachedAssets, CachedRecords
from api.delivery.defaults import Defaults
from api.delivery.deferral import Deferral
from api.delivery.delivery import Delivery
from api.delivery.freeform import FreeForm
from api.delivery.lookup import Lookup
from api.delivery.on_demand import OnDemand
from api.delivery.signing import SigningKeys
from api.delivery.sources import SourceImages
from api.dialects.table import Dialects
from api.metrics import DeliveryMetrics
from api.quotas import Quotas
from safelight import keys
from safelight.aws.objects import Asset
from safelight.imaging.admission import Admission
from safelight.imaging.limits import Limits
from safelight.imaging.plan import Plan
from safelight.imaging.probe import Probe, probe
from safelight.imaging.render import Rendering, render
from safelight.imaging.spool import Spool
from safelight.looking import FaceFinder, RemoteDetector
from safelight.making import Maker, Pipeline
from safelight.presets import Preset
from safelight.record import Record, Status
from tests.support import pictures
from tests.support.fakes import IDS, Fake, FakeDeadLetters, FakeFaces, FakeObjects, FakeRecords
from tests.unit.api.clients import ALL_KEYS, api_settings

IMAGE_ID = "01M7YB1NC8XE9XQ3H3PCRZFKK6"
OTHER_ID = "01M7YB1NC8XE9XQ3H3PCRZFKK7"
SOURCE = pictures.encoded(Image.new("RGB", (60, 40), (200, 60, 60)), "JPEG")
SIGNING = "web:a-secret-of-the-web,alices:a-secret-of-alice:key:alice"
BROWSER = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
NOBODY = pictures.encoded(Image.new("RGB", (8, 8), (9, 9, 9)), "PNG")


class Renderer(Fake):
    """Renders in this process. While the gate is closed, every render waits."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = 0
        self.most_at_once = 0

    async def probe(self, path: Path) -> Probe:
        self._called("probe")
        return probe(path, Limits())

    async def render(self, plan: Plan, source: Path, directory: Path) -> Rendering:
        self._called("render")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            return render(plan, source, directory, Limits())
        finally:
            self.at_once -= 1


@dataclass
class Gallery:
    """A delivery, its collaborators, and a client."""

    client: TestClient[web.Request, web.Application]
    records: FakeRecords
    objects: FakeObjects
    renderer: Renderer
    on_demand: OnDemand
    signing: SigningKeys
    workers: FakeDeadLetters
    """The queue of the workers."""
    elsewhere: FakeObjects
    """The bucket that aliases name."""
    registry: CollectorRegistry

    def counted(self, outcome: str) -> float:
        labels = {"outcome": outcome}
        return self.registry.get_sample_value("safelight_delivery_pictures_total", labels) or 0

    def hang(self, source: bytes = SOURCE, *, image_id: str = IMAGE_ID, **changes: Any) -> Record:
        """Add an uploaded and settled picture without variants."""
        key = keys.source_key(user_id="key:alice", image_id=image_id)
        version = self.objects.upload(key, source)
        settled: dict[str, Any] = {
            "image_id": image_id,
            "user_id": "key:alice",
            "uploaded_at": 1,
            "original_key": key,
            "status": Status.COMPLETED,
            "media_type": "image/jpeg",
            "sha256": hashlib.sha256(source).hexdigest(),
            "revision": version.version_id,
            "version_id": version.version_id,
            "sequencer": "1",
        }
        record = Record(**(settled | changes))
        self.records.records[image_id] = record
        return record

    async def ask(
        self, path: str, *, method: str = "GET", accept: str | None = "*/*", **headers: str
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(
            method,
            URL(path, encoded=True),
            headers=given | ({"Accept": accept} if accept is not None else {}),
            skip_auto_headers=("Accept",),
            allow_redirects=False,
        ) as answer:
            return answer, await answer.read()


@asynccontextmanager
async def open_gallery(
    spool: Path,
    *presets: Preset,
    slots: int = 2,
    queue: int = 4,
    wait_seconds: float = 30,
    max_result_bytes: int = 1024**2,
    avif_wait_pixels: int = 10**9,
    renders_per_minute: int = 10**6,
    most_unstored_bytes: int = 10**6,
    aliases: tuple[Alias, ...] = (),
    dialects: Dialects | None = None,
    recent: bool = False,
    faces: FakeFaces | None = None,
    picture_cors_origins: tuple[str, ...] = ("*",),
    cors_origins: tuple[str, ...] = (),
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Gallery]:
    records, objects, renderer = FakeRecords(), FakeObjects(), Renderer()
    signing = SigningKeys.read(SIGNING)
    with Spool(spool) as own:
        admission = Admission(10**9)
        detector = RemoteDetector(faces) if faces else None
        pipeline = Pipeline(
            assets=objects,
            renderer=renderer,
            admission=admission,
            max_source_bytes=10**6,
            max_result_bytes=max_result_bytes,
            face_finder=detector
            and FaceFinder(renderer=renderer, admission=admission, detector=detector),
        )
        maker = Maker(pipeline=pipeline, spool=own)
        registry = CollectorRegistry()
        metrics = DeliveryMetrics(registry)
        on_demand = OnDemand(
            maker,
            slots=slots,
            queue=queue,
            wait_seconds=wait_seconds,
            metrics=metrics,
            most_unstored_bytes=most_unstored_bytes,
        )
        workers, elsewhere = FakeDeadLetters(), FakeObjects()
        shown = Asset(
            media_type="image/png",
            size_bytes=len(NOBODY),
            sha256=hashlib.sha256(NOBODY).hexdigest(),
            body=NOBODY,
        )
        sources = SourceImages(
            cached=CachedRecords(records) if recent else records,
            current=records,
            bucket=objects,
            buckets={alias.name: elsewhere for alias in aliases},
            ids=IDS,
        )
        freeform = dialects and FreeForm(
            dialects=dialects, aliases=aliases, sources=sources, max_age_seconds=600
        )
        delivery = Delivery(
            sources=sources,
            freeform=freeform,
            lookup=Lookup(
                assets=CachedAssets(objects, most_bytes=10**6) if recent else objects,
                on_demand=on_demand,
                deferral=Deferral(workers, least_pixels=avif_wait_pixels),
                quotas=Quotas(renders_per_minute, policy="renders"),
                max_bytes=max_result_bytes,
                metrics=metrics,
            ),
            presets=presets,
            defaults=Defaults({each.name: shown for each in presets if each.policy.default}),
            signing=signing,
            aliases={alias.name: alias for alias in aliases},
            metrics=metrics,
            now=now,
        )
        app = make_app(
            settings=api_settings(
                picture_cors_origins=picture_cors_origins, cors_origins=cors_origins
            ),
            records=records,
            presigner=None,
            authentication=Authentication(tokens=None, keys=ALL_KEYS, anonymous=False),
            registry=registry,
            delivery=delivery,
        )
        server = TestServer(app)
        await server.start_server(**RUNNER_OPTIONS)
        async with TestClient(server, connector=aiohttp.TCPConnector(limit=0)) as client:
            yield Gallery(
                client, records, objects, renderer, on_demand, signing, workers, elsewhere, registry
            )
