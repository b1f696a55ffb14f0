"""Requests that wait for changes of an image, with a clock that only pauses move."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry

from api.metrics import WatchMetrics
from api.preferences import MOST_WAIT_SECONDS, wait_of
from api.problems import Problem
from api.watching import LONGEST_INTERVAL, READS_AT_ONCE, NoRoom, Watches, interval
from safelight.errors import Unavailable
from safelight.record import Record, Status
from safelight.search import Found, Position, Search
from tests.support.fakes import FakeRecords
from tests.unit.api.clients import ALICE, Api, Start
from tests.unit.api.test_images import IMAGE_ID, completed, record, stored


@dataclass
class Clock:
    """Time that passes only while a request pauses, and what happens at certain times."""

    seconds: float = 0
    pauses: list[float] = field(default_factory=list)
    events: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def now(self) -> float:
        return self.seconds

    def at(self, seconds: float, happens: Callable[[], object]) -> None:
        self.events.append((seconds, happens))

    async def sleep(self, event: asyncio.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds
        due = [one for one in self.events if one[0] <= self.seconds]
        self.events = [one for one in self.events if one[0] > self.seconds]
        for _, happens in due:
            happens()
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def api(start: Start, clock: Clock) -> Api:
    return await start(now=clock.now, sleep=clock.sleep)


async def test_a_client_that_waits_gets_the_image_as_soon_as_it_is_settled(
    api: Api, clock: Clock
) -> None:
    stored(api, record())
    clock.at(1.2, lambda: stored(api, completed()))
    answer, image = await api.get(IMAGE_ID, Prefer="wait=20")
    assert (answer.status, image["status"]) == (200, "completed")
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert clock.seconds == 1.5
    assert "Retry-After" not in answer.headers


async def test_a_client_that_waited_in_vain_gets_the_pending_image(api: Api, clock: Clock) -> None:
    stored(api, record())
    answer, image = await api.get(IMAGE_ID, Prefer="wait=2")
    assert (answer.status, image["status"], clock.seconds) == (200, "pending", 2)
    assert answer.headers["Preference-Applied"] == "wait=2"
    assert answer.headers["Retry-After"] == "1"


async def test_durations_leave_out_the_wait_that_a_client_prefers(api: Api) -> None:
    stored(api, record())
    labels = {"route": "/v1/images/{imageId}", "method": "GET", "status": "200"}
    name = "safelight_http_request_duration_seconds_sum"
    await api.get(IMAGE_ID)
    before = api.value(name, **labels)
    await api.get(IMAGE_ID, Prefer="wait=20")  # 20 s of a clock that only pauses move
    assert api.value(name, **labels) == before > 0


async def test_no_client_waits_longer_than_a_load_balancer(api: Api, clock: Clock) -> None:
    stored(api, record())
    answer, _ = await api.get(IMAGE_ID, Prefer="wait=3600")
    assert answer.headers["Preference-Applied"] == f"wait={MOST_WAIT_SECONDS}"
    assert clock.seconds == MOST_WAIT_SECONDS


@pytest.mark.parametrize("prefer", [{}, {"Prefer": "wait=0"}, {"Prefer": "respond-async"}])
async def test_no_client_waits_unasked(api: Api, clock: Clock, prefer: dict[str, str]) -> None:
    stored(api, record())
    answer, image = await api.get(IMAGE_ID, **prefer)
    assert (image["status"], clock.pauses) == ("pending", [])
    assert "Preference-Applied" not in answer.headers


async def test_a_settled_image_is_answered_at_once(api: Api, clock: Clock) -> None:
    stored(api, completed(status=Status.REJECTED))
    answer, _ = await api.get(IMAGE_ID, Prefer="wait=9")
    assert answer.headers["Preference-Applied"] == "wait=9"
    assert clock.pauses == []


@pytest.mark.parametrize(
    ("change", "status", "problem"),
    [
        (lambda api: stored(api, record(status=Status.ERASED)), 410, "image_erased"),
        (lambda api: api.records.records.clear(), 404, "unknown_image"),
        (
            lambda api: api.records.fail_next["get"].append(Unavailable("table", "down")),
            503,
            "unavailable",
        ),
    ],
)
async def test_an_image_that_is_gone_while_a_client_waits_is_a_problem(
    api: Api, clock: Clock, change: Callable[[Api], object], status: int, problem: str
) -> None:
    stored(api, record())
    clock.at(1, lambda: change(api))
    answer, body = await api.get(IMAGE_ID, Prefer="wait=9")
    assert (answer.status, body["type"]) == (status, f"/problems/{problem}")


async def test_a_client_for_which_there_is_no_room_is_answered_at_once(start: Start) -> None:
    answers: list[Any] = []

    async def ask_meanwhile(event: asyncio.Event, seconds: float) -> None:
        answers.append(await api.get(IMAGE_ID, Prefer="wait=5"))
        stored(api, completed())

    api = await start(sleep=ask_meanwhile, watches_per_user=1)
    stored(api, record())
    first, image = await api.get(IMAGE_ID, Prefer="wait=5")
    ((second, pending),) = answers
    assert (second.status, pending["status"], image["status"]) == (200, "pending", "completed")
    assert "Preference-Applied" in first.headers
    assert "Preference-Applied" not in second.headers
    assert api.value("safelight_watches_refused_total", limit="user") == 1
    assert api.value("safelight_watches", kind="answer") == 0


async def test_a_process_that_stops_answers_clients_that_wait(start: Start) -> None:
    async def stop_meanwhile(event: asyncio.Event, seconds: float) -> None:
        await api.client.app.shutdown()
        assert event.is_set()

    api = await start(sleep=stop_meanwhile)
    stored(api, record())
    answer, image = await api.get(IMAGE_ID, Prefer="wait=20")
    assert (answer.status, image["status"]) == (200, "pending")


def some_watches(clock: Clock, **changes: Any) -> Watches:
    usual = {
        "most": 3,
        "most_of_a_user": 2,
        "metrics": WatchMetrics(CollectorRegistry()),
        "clock": clock.now,
        "sleep": clock.sleep,
    }
    return Watches(**usual | changes)


@pytest.mark.parametrize(
    ("users", "problem"),
    [(("a", "a", "a"), Problem.RATE_LIMITED), (("a", "b", "c", "d"), Problem.UNAVAILABLE)],
)
def test_places_are_bounded_and_given_back(
    clock: Clock, users: tuple[str, ...], problem: Problem
) -> None:
    watches = some_watches(clock)
    for _ in range(2):
        with ExitStack() as held:
            for user in users[:-1]:
                held.enter_context(watches.place(user, "image"))
            with pytest.raises(NoRoom) as refusal:
                held.enter_context(watches.place(users[-1], "image"))
            assert refusal.value.problem is problem
            assert refusal.value.headers == {"Retry-After": "10"}


async def test_all_requests_share_one_rate_of_reads(clock: Clock) -> None:
    watches = some_watches(clock, reads_per_second=10)
    for _ in range(5):
        await watches.pause(0)
    assert clock.seconds == pytest.approx(0.4)
    await watches.pause(5)
    assert clock.seconds == pytest.approx(5.4)


class StallingRecords(FakeRecords):
    """A table that answers only while it flows, and the number of reads that wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.flows = asyncio.Event()
        self.flows.set()
        self.waiting = 0

    async def _read(self) -> None:
        self.waiting += 1
        await self.flows.wait()
        self.waiting -= 1

    async def get(self, image_id: str) -> Record | None:
        await self._read()
        return await super().get(image_id)

    async def find(self, search: Search, *, after: Position | None = None, most: int) -> Found:
        await self._read()
        return await super().find(search, after=after, most=most)


@pytest.mark.parametrize(
    ("path", "headers", "kind"),
    [
        (f"/v1/images/{IMAGE_ID}", {"Prefer": "wait=25"}, "answer"),
        (f"/v1/images/{IMAGE_ID}/events", {}, "image"),
        ("/v1/events", {}, "user"),
    ],
)
async def test_few_of_many_waiting_requests_read_a_table_that_is_slow(
    start: Start, path: str, headers: dict[str, str], kind: str
) -> None:
    """So the others leave connections to requests that do not wait, such as uploads."""

    async def sleep(_: asyncio.Event, seconds: float) -> None:
        await asyncio.sleep(0)

    many = 2 * READS_AT_ONCE
    records = StallingRecords()
    api = await start(records=records, sleep=sleep, watches_per_user=many)
    stored(api, record())
    asking = [
        asyncio.create_task(api.ask("GET", path, headers=ALICE | headers)) for _ in range(many)
    ]
    while api.value("safelight_watches", kind=kind) < many or records.waiting:
        await asyncio.sleep(0)
    records.flows.clear()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert records.waiting == READS_AT_ONCE
    await api.client.app.shutdown()
    records.flows.set()
    await asyncio.gather(*asking)


def test_a_request_reads_less_often_the_longer_nothing_changes() -> None:
    times = [interval(seconds) for seconds in (0, 9.9, 10, 60, 300, 10**6)]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0.5, LONGEST_INTERVAL)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["wait=7"], 7),
        (["WAIT = 7"], 7),
        (['respond-async, wait="7"; foo=bar'], 7),
        (["respond-async", "wait=7, wait=9"], 7),
        (["wait=-1"], None),
        (["wait"], None),
        (["waiting=7"], None),
        ([f"wait={'9' * 400}"], None),
    ],
)  # fmt: skip
def test_a_preference_is_read_in_every_spelling(headers: list[str], seconds: int | None) -> None:
    given = CIMultiDict([("Prefer", header) for header in headers])
    request = make_mocked_request("GET", "/", headers=given)
    assert wait_of(request) == seconds
