"""A user's stream under random schedules: clients cut off, an index that is late, a table down."""

import asyncio
import json
import random
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry

from api.auth import USER
from api.delivery.signing import SigningKeys
from api.images import Images
from api.listing import Listing
from api.metrics import SearchMetrics, WatchMetrics
from api.middlewares import REQUEST_ID
from api.streams import Streams
from api.thumbnails import Thumbnails
from api.watching import Watches
from safelight.errors import Unavailable
from safelight.record import Record, Status
from safelight.search import Found, Position, Search
from tests.support.fakes import FakePresigner, FakeRecords

BEGIN = 1_800_000_000
"""When a schedule begins, in seconds since 1970."""
UPLOADING_SECONDS = 3000
IMAGES = 30
SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 50))]


class World(FakeRecords):
    """A table whose uploads and settlements follow a schedule, and whose index is late."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)  # noqa: S311 - a schedule
        self.seconds = 0.0
        self.schedule: list[tuple[float, Record]] = []
        for number in range(IMAGES):
            uploaded = self.random.uniform(0, UPLOADING_SECONDS)
            settled = uploaded + self.random.uniform(1, 600)
            pending = Record(
                image_id=f"{number:026}",
                user_id="key:alice",
                uploaded_at=int((BEGIN + uploaded) * 1000),
                original_key="k",
            )
            done = {"status": Status.COMPLETED, "revision": "v1"}
            self.schedule += [(uploaded, pending), (settled, pending.model_copy(update=done))]

    def now(self) -> float:
        return BEGIN + self.seconds

    def clock(self) -> float:
        return self.seconds

    async def sleep(self, event: asyncio.Event, seconds: float) -> None:
        self.seconds += seconds

    async def find(self, search: Search, *, after: Position | None = None, most: int) -> Found:
        if self.random.random() < 0.1:
            raise Unavailable("table", "down")
        seen = self.seconds - self.random.uniform(0, 10)
        in_order = sorted(self.schedule, key=lambda one: one[0])
        self.records = {record.image_id: record for at, record in in_order if at <= seen}
        return await super().find(search, after=after, most=most)


def streams_of(world: World) -> Streams:
    metrics = WatchMetrics(CollectorRegistry())
    watches = Watches(
        most=9, most_of_a_user=9, metrics=metrics, clock=world.clock, sleep=world.sleep
    )
    thumbnails = Thumbnails(presets=(), signing=SigningKeys({}), delivery_url=None)
    urls: dict[str, Any] = {"url_seconds": 900}
    return Streams(
        records=world,
        images=Images(
            records=world, presigner=FakePresigner(), delivery_url=None, watches=watches, **urls
        ),
        listing=Listing(
            records=world,
            thumbnails=thumbnails,
            metrics=SearchMetrics(CollectorRegistry()),
            **urls,
        ),
        watches=watches,
        metrics=metrics,
        now=world.now,
        **urls,
    )


@web.middleware
async def as_alice(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[USER], request[REQUEST_ID] = "key:alice", "1"
    return await handler(request)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_client_that_is_cut_off_at_random_misses_nothing(seed: int) -> None:
    """It loses the rest of each stream, so it is away for up to 15 minutes.

    It applies the rule of the guide: no settled image becomes pending again.
    """
    world = World(seed)
    app = web.Application(middlewares=[as_alice])
    app.router.add_get("/v1/events", streams_of(world).user)
    shown: dict[str, str] = {}
    last_id, starts = "", 0
    async with TestClient(TestServer(app)) as client:
        over = False
        while not over:
            over = world.seconds > UPLOADING_SECONDS + 600  # this stream is read to its end
            answer = await client.get("/v1/events", headers={"Last-Event-ID": last_id})
            blocks = (await answer.text()).split("\n\n")
            for block in blocks[: None if over else world.random.randrange(len(blocks))]:
                fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
                last_id = fields.get("id", last_id)
                starts += fields.get("event") == "start"
                if fields.get("event") == "image":
                    image = json.loads(fields["data"])
                    if shown.get(image["imageId"]) != "completed":
                        shown[image["imageId"]] = image["status"]
    assert starts >= 1
    assert shown == {record.image_id: "completed" for _, record in world.schedule}
