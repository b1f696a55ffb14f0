"""Pages of other origins make no browser change anything, though no credentials are needed."""

import pytest

from tests.unit.api.clients import Api, Start, an_upload

APP = "https://app.example"


def own(site: Api) -> str:
    return f"http://{site.client.server.host}:{site.client.server.port}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_a_change_that_another_site_sends_is_refused(
    site: Api, method: str, headers: dict[str, str]
) -> None:
    path = "/v1/uploads" if method == "POST" else "/v1/images/01M8J1TZA6AQNZGH7GSKKKT0JR"
    answer, problem = await site.ask(method, path, json=an_upload(), headers=headers)
    assert (answer.status, problem["type"]) == (403, "/problems/cross_site")
    assert not site.records.records


async def test_a_change_that_our_own_page_sends_is_made(site: Api) -> None:
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": own(site)},
        {"Origin": own(site)},
        {},  # a program
    ):
        answer, _ = await site.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)
        assert answer.status == 201


async def test_a_change_that_an_allowed_origin_sends_is_made(start: Start) -> None:
    site = await start(anonymous=True, cors_origins=(APP,))
    headers = {"Origin": APP, "Sec-Fetch-Site": "cross-site"}
    answer, _ = await site.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)
    assert answer.status == 201
    assert answer.headers["Access-Control-Allow-Origin"] == APP


async def test_an_api_key_needs_no_proof_of_origin(api: Api) -> None:
    answer, _ = await api.post(an_upload(), **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 201


async def test_a_page_asks_for_its_data_under_a_loopback_name_only(site: Api) -> None:
    for path in ("/ui/", "/v1/session"):
        answer, problem = await site.ask("GET", path, headers={"Host": "rebound.example"})
        assert (answer.status, problem["type"]) == (421, "/problems/misdirected")
