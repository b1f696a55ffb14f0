import asyncio

from aiohttp import web

from api.health import READY_SECONDS, Health
from safelight.errors import Unavailable
from tests.support.fakes import FakeRecords
from tests.unit.api.clients import Api


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


REQUEST: web.Request = None  # type: ignore[assignment]  # health asks nothing of the request


async def test_being_alive_asks_nothing_of_aws(api: Api) -> None:
    answer, body = await api.ask("GET", "/healthz")
    assert (answer.status, body) == (200, b"ok\n")
    assert api.records.calls.total() == 0


async def test_readiness_is_the_tables_reach() -> None:
    records, clock = FakeRecords(), Clock()
    health = Health(records, now=clock)
    records.fail_next["check"] = [Unavailable("dynamodb", "down")]
    assert (await health.readyz(REQUEST)).status == 503
    clock.seconds += 1
    assert (await health.readyz(REQUEST)).status == 200


async def test_readiness_cannot_be_used_to_hammer_aws() -> None:
    records, clock = FakeRecords(), Clock()
    health = Health(records, now=clock)
    await asyncio.gather(*(health.readyz(REQUEST) for _ in range(100)))
    assert records.calls["check"] == 1
    clock.seconds += 1
    await health.readyz(REQUEST)
    assert records.calls["check"] == 2


async def test_a_table_that_never_answers_is_out_of_reach() -> None:
    class Silent:
        async def check(self) -> None:
            raise TimeoutError

    answer = await Health(Silent()).readyz(REQUEST)
    assert answer.status == 503
    assert READY_SECONDS <= 2
