"""Rate limits of keys and users."""

from typing import Any

import pytest

from api.apikeys import ApiKeys, digest_of
from api.auth import Authentication
from api.problems import Refusal
from api.quotas import SWEEP_AT, Quotas
from tests.unit.api.clients import Start, an_upload


class Subjects:
    """Accepts every token, and takes it as its subject."""

    async def subject_of(self, token: str) -> str:
        return token


def took(quotas: Quotas, name: str) -> bool:
    try:
        quotas.take(name, detail="Too many.")
    except Refusal:
        return False
    return True


def test_a_name_has_so_many_and_gets_them_back_evenly() -> None:
    now = [0.0]
    quotas = Quotas(6, policy="renders", now=lambda: now[0])
    assert [took(quotas, "web") for _ in range(7)] == [True] * 6 + [False]
    assert took(quotas, "another")
    with pytest.raises(Refusal) as refused:
        quotas.take("web", detail="Too many.")
    assert refused.value.headers == {
        "Retry-After": "10",
        "RateLimit-Policy": '"renders";q=6;w=60',
        "RateLimit": '"renders";r=0;t=60',
    }
    now[0] = 10
    assert [took(quotas, "web") for _ in range(2)] == [True, False]
    now[0] = 1000
    assert quotas.headers("web")["RateLimit"] == '"renders";r=6;t=0'


def test_the_buckets_of_names_that_come_no_more_are_dropped() -> None:
    now = [0.0]
    quotas = Quotas(6, policy="renders", now=lambda: now[0])
    for number in range(20 * SWEEP_AT):
        now[0] += 0.1
        quotas.take(str(number), detail="Too many.")
    assert len(quotas._levels) <= SWEEP_AT


@pytest.fixture
def signed_in() -> Authentication:
    return Authentication(tokens=Subjects(), keys=ApiKeys(), anonymous=False)


async def ask(api: Any, subject: str, **changes: Any) -> tuple[Any, Any]:
    headers = {"Authorization": f"Bearer {subject}"}
    return await api.ask("POST", "/v1/uploads", json=an_upload(**changes), headers=headers)


async def test_the_user_of_a_token_has_so_many_uploads_a_minute(
    start: Start, signed_in: Authentication
) -> None:
    api = await start(authentication=signed_in, uploads_per_minute=2)
    answers = [await ask(api, "alice") for _ in range(3)]
    assert [answer.status for answer, _ in answers] == [201, 201, 429]
    assert answers[0][0].headers["RateLimit"].startswith('"uploads";r=1;')
    assert answers[0][0].headers["RateLimit-Policy"] == '"uploads";q=2;w=60'
    refused, problem = answers[2]
    assert problem["type"] == "/problems/rate_limited"
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert refused.headers["RateLimit"].startswith('"uploads";r=0;')
    assert (await ask(api, "bob"))[0].status == 201


async def test_a_request_that_is_not_valid_costs_one_too(
    start: Start, signed_in: Authentication
) -> None:
    api = await start(authentication=signed_in, uploads_per_minute=1)
    assert (await ask(api, "alice", size=-1))[0].status == 422
    assert (await ask(api, "alice"))[0].status == 429


async def test_an_api_key_has_no_limit(start: Start) -> None:
    api = await start(uploads_per_minute=1)
    answers = [(await api.post(an_upload()))[0] for _ in range(3)]
    assert [answer.status for answer in answers] == [201] * 3
    assert "RateLimit" not in answers[0].headers


async def test_an_anonymous_client_has_no_limit(start: Start) -> None:
    api = await start(anonymous=True, uploads_per_minute=1)
    assert [(await api.post(an_upload()))[0].status for _ in range(3)] == [201] * 3


async def test_an_api_key_has_the_limit_that_its_definition_gives(start: Start) -> None:
    keys = ApiKeys.read(f"shop:{digest_of('sl_shop')}:2,other:{digest_of('sl_other')}")
    api = await start(
        authentication=Authentication(tokens=None, keys=keys, anonymous=False), uploads_per_minute=9
    )

    async def statuses(key: str) -> list[int]:
        sent = {"X-Api-Key": key}
        return [
            (await api.ask("POST", "/v1/uploads", json=an_upload(), headers=sent))[0].status
            for _ in range(4)
        ]

    assert await statuses("sl_shop") == [201, 201, 429, 429]
    assert await statuses("sl_other") == [201] * 4


@pytest.mark.parametrize("rate", ["0", "-1", "x", "", "12345678"])
def test_a_rate_is_a_number_above_zero(rate: str) -> None:
    with pytest.raises(ValueError, match="name:sha256:RATE"):
        ApiKeys.read(f"shop:{digest_of('sl_shop')}:{rate}")
