"""Streams of events, as a page meets them, with a clock that only pauses move."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from api.event_stream import HEARTBEAT_SECONDS, Event, EventStream
from api.following import LATE_MS, Followed
from api.metrics import WatchMetrics
from api.middlewares import REQUEST_ID
from api.streams import STREAM_SECONDS
from safelight import keys
from safelight.erasures import Erasure
from safelight.errors import Unavailable
from safelight.record import Record, Status
from safelight.search import Summary
from tests.unit.api.clients import ALICE, BOB, Api, Start
from tests.unit.api.test_images import IMAGE_ID, completed, record, stored
from tests.unit.api.test_waiting import Clock

PATH = f"/v1/images/{IMAGE_ID}/events"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def api(start: Start, clock: Clock) -> Api:
    return await start(now=clock.now, sleep=clock.sleep)


def read(text: bytes) -> list[dict[str, str]]:
    """Read a stream as browsers do: the fields of each event, comments left out."""
    blocks = [block for block in text.decode().split("\n\n") if block]
    found = [
        dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        for block in blocks
    ]
    return [event for event in found if event]


async def streamed(api: Api, path: str = PATH, **headers: str) -> list[dict[str, str]]:
    answer, body = await api.ask("GET", path, headers=ALICE | headers)
    assert (answer.status, answer.content_type) == (200, "text/event-stream")
    retry, *events = read(body)
    assert retry == {"retry": "2000"}
    return events


async def test_a_stream_has_the_states_of_an_image_until_it_is_settled(
    api: Api, clock: Clock
) -> None:
    stored(api, record())
    clock.at(3, lambda: stored(api, completed()))
    pending, settled = await streamed(api)
    assert (pending["event"], pending["id"]) == ("image", "pending")
    assert json.loads(pending["data"])["status"] == "pending"
    assert settled["id"] == f"completed.{keys.revision_tag('v1')}"
    image = json.loads(settled["data"])
    _, answered = await api.get(IMAGE_ID)
    assert image.keys() == answered.keys()
    assert image["variants"]["compressed"]["url"].startswith("https://")
    assert clock.seconds == 3
    assert api.value("safelight_streams_ended_total", end="done") == 1
    assert api.value("safelight_watches", kind="image") == 0


async def test_the_stream_of_an_upload_that_is_cancelled_ends_with_its_problem(
    api: Api, clock: Clock
) -> None:
    stored(api, record())
    tombstone = record(
        status=Status.ERASED, erased_at=1, erased_by="owner", erasure=Erasure(requested_at=1)
    )
    clock.at(3, lambda: stored(api, tombstone))
    _, last = await streamed(api)
    assert last["event"] == "problem"
    problem = json.loads(last["data"])
    assert problem["type"] == "/problems/image_erased"
    assert problem["receiptUrl"] == f"/v1/images/{IMAGE_ID}/erasure"


async def test_the_stream_of_a_user_has_an_image_that_is_erased(api: Api, clock: Clock) -> None:
    now = round(time.time() * 1000)
    stored(api, completed(uploaded_at=now))
    nothing = {"filename": None, "media_type": None, "original_size": None}
    tombstone = record(status=Status.ERASED, uploaded_at=now, **nothing)
    clock.at(3, lambda: stored(api, tombstone))
    events = await streamed(api, "/v1/events")
    images = [json.loads(one["data"]) for one in events if one.get("event") == "image"]
    assert [image["status"] for image in images] == ["completed", "erased"]
    assert images[1].keys() == {"imageId", "status", "uploadedAt", "tags"}


async def test_a_client_that_comes_back_gets_no_event_twice(api: Api, clock: Clock) -> None:
    stored(api, record())
    clock.at(3, lambda: stored(api, completed()))
    (settled,) = await streamed(api, **{"Last-Event-ID": "pending"})
    answer, body = await api.ask("GET", PATH, headers=ALICE | {"Last-Event-ID": settled["id"]})
    assert (answer.status, body) == (204, b"")
    assert len(await streamed(api, **{"Last-Event-ID": "completed.other"})) == 1


async def test_the_headers_let_events_through_proxies_and_to_pages(start: Start) -> None:
    api = await start(cors_origins=("https://app.example.com",))
    stored(api, completed())
    for method in ("GET", "HEAD"):
        answer, body = await api.ask(
            method, PATH, headers=ALICE | {"Origin": "https://app.example.com"}
        )
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert "X-Request-Id" in answer.headers
        assert bool(body) is (method == "GET")
    assert api.value("safelight_watches", kind="image") == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda api: stored(api, record(status=Status.ERASED)), "image_erased"),
        (lambda api: api.records.records.clear(), "unknown_image"),
    ],
)
async def test_an_image_that_goes_ends_its_stream_with_a_problem(
    api: Api, clock: Clock, change: Callable[[Api], object], problem: str
) -> None:
    stored(api, record())
    clock.at(3, lambda: change(api))
    _, last = await streamed(api)
    assert last["event"] == "problem"
    assert json.loads(last["data"])["type"] == f"/problems/{problem}"
    answer, _ = await api.ask("GET", PATH, headers=ALICE)
    assert answer.status in {404, 410}


async def test_only_the_owner_gets_the_events_of_an_image(api: Api) -> None:
    stored(api, completed())
    answer, _ = await api.ask("GET", PATH, headers=BOB)
    assert answer.status == 404


async def test_a_table_that_is_down_for_a_while_only_delays_events(api: Api, clock: Clock) -> None:
    stored(api, record())
    down = [Unavailable("table", "down")] * 30
    clock.at(1, lambda: api.records.fail_next["get"].extend(down))
    clock.at(2, lambda: stored(api, completed()))
    assert [event["id"].split(".")[0] for event in await streamed(api)] == ["pending", "completed"]


async def test_a_silent_stream_has_comments_and_ends_after_a_while(api: Api, clock: Clock) -> None:
    stored(api, record())
    _, body = await api.ask("GET", PATH, headers=ALICE)
    assert len(read(body)) == 2
    assert body.count(b":\n\n") >= STREAM_SECONDS / (HEARTBEAT_SECONDS + 5) - 1
    assert STREAM_SECONDS <= clock.seconds <= STREAM_SECONDS + 5


@pytest.mark.parametrize("path", [PATH, "/v1/events"])
async def test_streams_end_when_the_process_stops(start: Start, path: str) -> None:
    async def stop_meanwhile(_: asyncio.Event, seconds: float) -> None:
        await api.client.app.shutdown()

    api = await start(sleep=stop_meanwhile)
    stored(api, record())
    await streamed(api, path)
    assert api.value("safelight_streams_ended_total", end="done") == 1


async def test_streams_are_bounded_for_a_process_and_a_user(start: Start) -> None:
    answers: list[Any] = []

    async def ask_meanwhile(event: asyncio.Event, seconds: float) -> None:
        if not answers:
            answers.append(None)
            answers.append(await api.ask("GET", PATH, headers=ALICE))
            answers.append(await api.ask("GET", "/v1/events", headers=BOB))
            stored(api, completed())

    api = await start(sleep=ask_meanwhile, watches=1, watches_per_user=1)
    stored(api, record())
    await streamed(api)
    for (answer, body), status, problem in zip(
        answers[1:], (429, 503), ("rate_limited", "unavailable"), strict=True
    ):
        assert (answer.status, body["type"]) == (status, f"/problems/{problem}")
        assert answer.headers["Retry-After"] == "10"


@pytest.mark.parametrize(
    ("path", "headers", "kind"),
    [(PATH, {}, "image"), (f"/v1/images/{IMAGE_ID}", {"Prefer": "wait=20"}, "answer")],
)
async def test_a_client_that_leaves_gives_its_place_back(
    start: Start, path: str, headers: dict[str, str], kind: str
) -> None:
    waits, left = asyncio.Event(), asyncio.Event()

    async def sleep(event: asyncio.Event, seconds: float) -> None:
        waits.set()
        await left.wait()
        await asyncio.sleep(0)

    api = await start(sleep=sleep, now=lambda: 0.0)  # no comment is ever due
    assert api.client.server.runner.server is not None
    api.client.server.runner.server.handler_cancellation = False  # only test servers cancel
    stored(api, record())
    asking = asyncio.create_task(api.client.get(path, headers=ALICE | headers))
    await waits.wait()
    assert api.value("safelight_watches", kind=kind) == 1
    asking.cancel()
    await api.client.session.close()
    left.set()
    while api.value("safelight_watches", kind=kind):
        await asyncio.sleep(0)
    assert api.value("safelight_streams_ended_total", end="gone") == (kind == "image")


async def test_a_client_that_stops_reading_is_cut_off() -> None:
    metrics = WatchMetrics(CollectorRegistry())

    async def endless() -> AsyncIterator[Event]:
        while True:
            yield Event(name="image", data="x" * 1_000_000)

    async def handle(request: web.Request) -> web.StreamResponse:
        request[REQUEST_ID] = "1"
        return EventStream(
            request, endless(), held=ExitStack(), metrics=metrics, write_seconds=0.05
        )

    app = web.Application()
    app.router.add_get("/", handle)
    async with TestServer(app) as server:
        with socket.create_connection((server.host, server.port)) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            slow = metrics.ended.labels("slow")
            while slow._value.get() == 0:
                await asyncio.sleep(0)


def an_image(at: int, **changes: Any) -> Record:
    usual: dict[str, Any] = {"image_id": keys.new_image_id(), "uploaded_at": at}
    return record(**usual | changes)


def settled(one: Record) -> Record:
    return one.model_copy(update={"status": Status.COMPLETED, "revision": "v1"})


async def test_a_users_stream_begins_with_recent_images_and_has_every_change(
    api: Api, clock: Clock
) -> None:
    now = int(time.time() * 1000)
    older, newer = an_image(now - 60_000), an_image(now - 1000)
    for one in (older, newer, an_image(now - 5_000_000), an_image(now, user_id="key:bob")):
        stored(api, one)
    clock.at(10, lambda: stored(api, settled(older)))
    start, *images = await streamed(api, "/v1/events")
    assert (start["event"], start["data"]) == ("start", "{}")
    states = [
        (image["imageId"], image["status"])
        for event in images
        if "data" in event
        for image in [json.loads(event["data"])]
    ]
    assert states == [
        (older.image_id, "pending"),
        (newer.image_id, "pending"),
        (older.image_id, "completed"),
    ]


async def test_a_users_stream_goes_on_where_the_last_one_ended(api: Api, clock: Clock) -> None:
    now = int(time.time() * 1000)
    stored(api, settled(an_image(now - 1_000_000)))
    events = await streamed(api, "/v1/events")
    assert [event.get("event") for event in events[:2]] == ["start", "image"]
    arrived = an_image(now - 1000)
    stored(api, arrived)
    again = await streamed(api, "/v1/events", **{"Last-Event-ID": events[-1]["id"]})
    assert [json.loads(one["data"])["imageId"] for one in again if "data" in one] == [
        arrived.image_id
    ]
    for outdated in ("1", "completed.x", "9" * 15):
        first, *_ = await streamed(api, "/v1/events", **{"Last-Event-ID": outdated})
        assert first["event"] == "start"


async def test_a_users_stream_outlives_a_table_that_is_down(api: Api, clock: Clock) -> None:
    image = an_image(int(time.time() * 1000))
    stored(api, image)
    clock.at(2, lambda: api.records.fail_next["find"].extend([Unavailable("table", "down")] * 30))
    clock.at(3, lambda: stored(api, settled(image)))
    events = await streamed(api, "/v1/events")
    assert [json.loads(one["data"]).get("status") for one in events if "data" in one] == [
        None,
        "pending",
        "completed",
    ]


def test_an_index_that_goes_back_in_time_makes_no_image_pending_again() -> None:
    image = an_image(5)
    before, after = (Summary.model_validate(one.to_item()) for one in (image, settled(image)))
    followed = Followed(user_id="key:alice", since=0)
    reads = (before, before, after, before, after)
    changes = [one.status for read in reads for one in followed.changes([read])]
    assert changes == [Status.PENDING, Status.COMPLETED]


def test_the_images_that_are_read_again_begin_with_the_oldest_that_is_pending() -> None:
    now = 10_000_000
    forgotten, awaited, done = (an_image(at) for at in (1_000, 5_000_000, 4_000_000))
    followed = Followed(user_id="key:alice", since=0)
    for one in (forgotten, awaited, settled(done)):
        list(followed.changes([Summary.model_validate(one.to_item())]))
    followed.move_on(now=now, earliest=2_000)
    assert followed.since == awaited.uploaded_at
    list(followed.changes([Summary.model_validate(settled(awaited).to_item())]))
    followed.move_on(now=now, earliest=2_000)
    assert followed.since == now - LATE_MS
