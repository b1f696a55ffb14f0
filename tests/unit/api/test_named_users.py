"""A backend acts for its users with one API key: it names the user of each request."""

from typing import Any

import pytest

from api.apikeys import ApiKeys, digest_of
from api.auth import Authentication
from safelight import keys, users
from tests.unit.api.clients import ALICE, Api, Start, an_upload
from tests.unit.api.test_quotas import Subjects

SHOP = {"X-Api-Key": "sl_shop"}
DEFINED = f"shop:{digest_of('sl_shop')}:users,plain:{digest_of('sl_plain')}"


def by_keys(defined: str) -> Authentication:
    return Authentication(tokens=Subjects(), keys=ApiKeys.read(defined), anonymous=False)


@pytest.fixture
async def shop(start: Start) -> Api:
    return await start(authentication=by_keys(DEFINED), uploads_per_minute=2)


async def ask(api: Api, user: str | None, **more: str) -> tuple[Any, Any]:
    headers = SHOP | ({"X-Safelight-User": user} if user is not None else {}) | more
    return await api.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)


@pytest.mark.parametrize("name", ["anna", "a/b", "auth0|12:3", "x" * 255, "anonymous", "a b", ".."])
async def test_an_image_belongs_to_the_user_that_the_request_names(shop: Api, name: str) -> None:
    answer, told = await ask(shop, name)
    assert answer.status == 201
    user_id = f"key:shop/{name}"
    assert users.is_user_id(user_id)
    assert shop.records.records[told["imageId"]].user_id == user_id
    assert len(told["key"].encode()) <= 1024
    assert keys.read_source_key(told["key"]) == (user_id, told["imageId"])
    assert keys.owner_of(told["key"]) == user_id


async def test_each_user_that_a_key_names_sees_its_own_images_only(shop: Api) -> None:
    _, annas = await ask(shop, "anna")
    _, shops = await ask(shop, None)
    for image, name, status in (
        (annas, "anna", 200), (annas, "bert", 404), (annas, None, 404), (shops, "anna", 404),
        (shops, None, 200),
    ):  # fmt: skip
        headers = SHOP | ({"X-Safelight-User": name} if name else {})
        answer, _ = await shop.ask("GET", image["statusUrl"], headers=headers)
        assert answer.status == status, (image["imageId"], name)


async def test_an_idempotency_key_is_of_the_named_user(shop: Api) -> None:
    same = {"Idempotency-Key": "order-1"}
    _, annas = await ask(shop, "anna", **same)
    _, berts = await ask(shop, "bert", **same)
    _, again = await ask(shop, "anna", **same)
    assert annas["imageId"] == again["imageId"] != berts["imageId"]


async def test_each_named_user_has_the_limit_of_a_tokens_user(shop: Api) -> None:
    answers = [(await ask(shop, "anna"))[0] for _ in range(3)]
    assert [answer.status for answer in answers] == [201, 201, 429]
    assert answers[0].headers["RateLimit"].startswith('"uploads";r=1;')
    assert (await ask(shop, "bert"))[0].status == 201
    assert [(await ask(shop, None))[0].status for _ in range(4)] == [201] * 4


async def test_the_limit_of_a_key_counts_the_requests_for_all_its_users(start: Start) -> None:
    defined = by_keys(f"shop:{digest_of('sl_shop')}:3:users")
    api = await start(authentication=defined, uploads_per_minute=2)
    asked = ["anna", "bert", None, "carl", None]
    assert [(await ask(api, name))[0].status for name in asked] == [201, 201, 201, 429, 429]
    _, problem = await ask(api, "dora")
    assert problem["detail"] == "key:shop has requested too many upload URLs."


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"X-Api-Key": "sl_plain"}, "may not name users"),
        ({"Authorization": "Bearer sl_plain"}, "may not name users"),
        ({"Authorization": "Bearer anna"}, "A token names its user"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_name_that_the_credential_may_not_give_is_refused_not_ignored(
    shop: Api, headers: dict[str, str], why: str, method: str
) -> None:
    path = "/v1/uploads" if method == "POST" else f"/v1/images/{'0' * 26}"
    named = headers | {"X-Safelight-User": "anna"}
    answer, problem = await shop.ask(method, path, json=an_upload(), headers=named)
    assert (answer.status, problem["type"]) == (403, "/problems/user_not_allowed")
    assert why in problem["detail"]
    assert shop.records.records == {}


async def test_without_authentication_no_user_can_be_named(start: Start) -> None:
    api = await start(anonymous=True)
    named = {"X-Safelight-User": "anna"}
    answer, problem = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=named)
    assert (answer.status, problem["type"]) == (403, "/problems/user_not_allowed")


@pytest.mark.parametrize("values", [[""], ["zo\u00eb"], ["x" * 256], ["anna", "bert"], ["a\tb"]])
async def test_a_name_that_no_user_can_have_is_refused(shop: Api, values: list[str]) -> None:
    headers = [*SHOP.items(), *(("X-Safelight-User", value) for value in values)]
    answer, problem = await shop.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)
    assert (answer.status, problem["type"]) == (400, "/problems/invalid_user")


async def test_credentials_come_before_the_name(shop: Api) -> None:
    headers = {"X-Api-Key": "sl_unknown", "X-Safelight-User": "anna"}
    answer, _ = await shop.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)
    assert answer.status == 401


def test_a_key_names_users_only_if_its_own_definition_says_so() -> None:
    read = ApiKeys.read(f"shop:{digest_of('a')}:users,shop:{digest_of('b')},x:users:{'0' * 64}:9")
    assert [(key.name, key.names_users) for key in read.keys] == [
        ("shop", True), ("shop", False), ("x:users", False),
    ]  # fmt: skip
    assert ApiKeys.read(f"shop:{digest_of('a')}:5:users").uploads_per_minute == {"shop": 5}
    for wrong in (":user", ":users:5", ":Users", ":users:"):
        with pytest.raises(ValueError, match="key 1 is not of the form"):
            ApiKeys.read(f"shop:{digest_of('a')}{wrong}")


async def test_a_user_whom_a_key_names_is_no_user_of_another_kind(start: Start) -> None:
    api = await start(
        authentication=by_keys(f"{DEFINED},alice:{digest_of(ALICE['X-Api-Key'])}"),
        uploads_per_minute=9,
    )
    _, annas = await ask(api, "anna")
    others = ({"Authorization": "Bearer key:shop/anna"}, {"Authorization": "Bearer anna"}, ALICE)
    for headers in others:
        answer, _ = await api.ask("GET", annas["statusUrl"], headers=headers)
        assert answer.status == 404


async def test_pages_may_send_the_name(start: Start) -> None:
    api = await start(cors_origins=["https://app.example"])
    asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer, _ = await api.ask("OPTIONS", "/v1/uploads", headers=asks)
    assert "X-Safelight-User" in answer.headers["Access-Control-Allow-Headers"]
