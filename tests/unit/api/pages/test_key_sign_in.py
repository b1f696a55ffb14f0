"""An API key begins a session, whose cookie is a credential for the pages of this server only."""

import time
from http.cookies import Morsel
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp.helpers
import pytest
import structlog
import time_machine
from aiohttp import ClientResponse

from api.apikeys import digest_of
from tests.unit.api.clients import ALICE, KEYS, Api, Start, an_upload
from tests.unit.api.pages.conftest import OWN, ROLES, SESSION_KEY, sign_in

PAGES_URL = "https://pictures.example"
ALICES = f"alice:{digest_of(KEYS['alice'])}"
FORM = {"key": KEYS["alice"]}


def cookie_of(answer: ClientResponse) -> Morsel[str]:
    (cookie,) = answer.cookies.values()
    return cookie


def error_of(answer: ClientResponse) -> str:
    """Return the fault that a redirect to the page of sign-in shows."""
    location = urlsplit(answer.headers["Location"])
    assert (answer.status, location.path) == (303, "/ui/sign-in")
    assert not answer.cookies
    (error,) = parse_qs(location.query)["error"]
    return error


async def session(api: Api, **headers: str) -> tuple[Any, Any]:
    return await api.ask("GET", "/v1/session", headers=headers)


async def test_a_key_begins_a_session_of_its_user(keyed: Api) -> None:
    answer = await sign_in(keyed, KEYS["alice"], to="/ui/pictures/01?a=%20b")
    assert (answer.status, answer.headers["Location"]) == (303, "/ui/pictures/01?a=%20b")
    _, found = await session(keyed)
    assert (found["userId"], found["name"], found["anonymous"]) == ("key:alice", "alice", False)
    _, ticket = await keyed.ask("POST", "/v1/uploads", json=an_upload(), headers=OWN)
    assert keyed.records.records[ticket["imageId"]].user_id == "key:alice"


async def test_a_user_sees_no_image_of_another(keyed: Api) -> None:
    _, ticket = await keyed.post(an_upload())
    await sign_in(keyed, KEYS["bob"])
    assert (await keyed.ask("GET", ticket["statusUrl"]))[0].status == 404
    await sign_in(keyed, KEYS["alice"])
    assert (await keyed.ask("GET", ticket["statusUrl"]))[0].status == 200


async def test_the_cookie_is_for_this_host_and_for_no_script(keyed: Api, start: Start) -> None:
    plain = cookie_of(await sign_in(keyed, KEYS["alice"]))
    site = await start(api_roles=ROLES, session_keys=SESSION_KEY, pages_url=PAGES_URL)
    secure = cookie_of(await sign_in(site, KEYS["alice"]))
    assert (plain.key, secure.key) == ("safelight", "__Host-safelight")
    assert (bool(plain["secure"]), bool(secure["secure"])) == (False, True)
    for cookie in (plain, secure):
        assert cookie["httponly"]
        assert (cookie["path"], cookie["samesite"], cookie["domain"]) == ("/", "Lax", "")
        assert cookie["max-age"] == str(8 * 3600)
        assert KEYS["alice"] not in cookie.value
        assert len(cookie.value) < 250


async def test_a_name_that_is_not_loopback_gets_a_secure_cookie(keyed: Api) -> None:
    headers = {**OWN, "Host": "pictures.example"}
    answer, _ = await keyed.ask(
        "POST", "/ui/key", data=FORM, headers=headers, allow_redirects=False
    )
    assert cookie_of(answer).key == "__Host-safelight"


@pytest.mark.parametrize("key", ["", "sl_wrong", KEYS["alice"] + "x", KEYS["alice"][:-1], "ä"])
async def test_another_key_begins_none(keyed: Api, key: str) -> None:
    answer = await sign_in(keyed, key, to="/ui/playground")
    assert error_of(answer) == "key"
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["to"] == ["/ui/playground"]
    assert (await session(keyed))[0].status == 401


async def test_a_key_that_may_name_users_begins_none(start: Start) -> None:
    shop = f"shop:{digest_of('sl_shop')}"
    site = await start(api_roles=ROLES, session_keys=SESSION_KEY, api_keys=f"{shop}:users,{ALICES}")
    assert error_of(await sign_in(site, "sl_shop")) == "users"
    before = await start(api_roles=ROLES, session_keys=SESSION_KEY, api_keys=shop)
    cookie = cookie_of(await sign_in(before, "sl_shop"))
    assert (await session(site, Cookie=f"{cookie.key}={cookie.value}"))[0].status == 401


@pytest.mark.parametrize(
    "to",
    [
        "", "/", "//evil.example", "https://evil.example", "/ui", "/ui//evil.example",
        "/ui/\\evil.example", "/\\evil.example", "/ui/\n", "/ui/a\r\nSet-Cookie: a=b", "/ui/\t",
        "/ui/ä", '/ui/"', " /ui/", "/ui/ a", "/ui/?to=//evil.example", "javascript:alert(1)",
        "/ui/..//x", "/v1/session",
    ],
)  # fmt: skip
async def test_a_sign_in_leads_to_a_page_of_this_server_only(keyed: Api, to: str) -> None:
    answer = await sign_in(keyed, KEYS["alice"], to=to)
    assert (answer.status, answer.headers["Location"]) == (303, "/ui/")
    refused = await sign_in(keyed, "sl_wrong", to=to)
    assert parse_qs(urlsplit(refused.headers["Location"]).query)["to"] == ["/ui/"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": PAGES_URL},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"{PAGES_URL}.evil.example"},
        {"Origin": "https://app.example"},
    ],
)
@pytest.mark.parametrize("pages_url", [PAGES_URL, None])
async def test_another_site_neither_signs_in_nor_out_nor_changes_anything(
    start: Start, headers: dict[str, str], pages_url: str | None
) -> None:
    site = await start(
        api_roles=ROLES,
        session_keys=SESSION_KEY,
        pages_url=pages_url,
        cors_origins=("https://app.example",),
    )
    cookie = cookie_of(await sign_in(site, KEYS["alice"]))
    site.client.session.cookie_jar.clear()
    signed_in = {"Cookie": f"{cookie.key}={cookie.value}"} | headers
    for method, path, body in (
        ("POST", "/ui/key", {"data": FORM}),
        ("POST", "/ui/logout", {"data": {}}),
        ("POST", "/v1/uploads", {"json": an_upload()}),
        ("PATCH", "/v1/images/01M8J1TZA6AQNZGH7GSKKKT0JR", {"json": {"tags": []}}),
        ("DELETE", "/v1/images/01M8J1TZA6AQNZGH7GSKKKT0JR", {}),
        ("POST", "/v1/erasures", {"json": {"all": True}}),
    ):
        answer, problem = await site.ask(method, path, headers=signed_in, **body)
        assert (answer.status, problem["type"]) == (403, "/problems/cross_site"), path
        assert not answer.cookies
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert not site.records.records


@pytest.mark.parametrize(
    "headers",
    [OWN, {"Origin": PAGES_URL}, {**OWN, "Origin": "null"}, {**OWN, "Origin": PAGES_URL}],
)
async def test_our_own_page_changes_things(start: Start, headers: dict[str, str]) -> None:
    site = await start(api_roles=ROLES, session_keys=SESSION_KEY, pages_url=PAGES_URL)
    cookie = cookie_of(await sign_in(site, KEYS["alice"]))
    answer, _ = await site.ask(
        "POST",
        "/v1/uploads",
        json=an_upload(),
        headers={"Cookie": f"{cookie.key}={cookie.value}"} | headers,
    )
    assert answer.status == 201


async def test_other_sites_may_ask_but_get_no_permission_to_read(start: Start) -> None:
    site = await start(
        api_roles=ROLES, session_keys=SESSION_KEY, cors_origins=("https://app.example",)
    )
    await sign_in(site, KEYS["alice"])
    answer, _ = await session(site, Origin="https://app.example")
    assert answer.status == 200
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "credential",
    [ALICE, {"Authorization": f"Bearer {KEYS['alice']}"}, {"X-Api-Key": ""}],
)
async def test_a_cookie_beside_another_credential_is_refused(
    keyed: Api, credential: dict[str, str]
) -> None:
    await sign_in(keyed, KEYS["alice"])
    answer, problem = await session(keyed, **credential)
    assert (answer.status, problem["type"]) == (401, "/problems/invalid_credentials")
    assert "more than one credential" in problem["detail"]


async def test_a_session_names_no_other_user(keyed: Api) -> None:
    await sign_in(keyed, KEYS["alice"])
    answer, problem = await session(keyed, **{"X-Safelight-User": "bob"})
    assert (answer.status, problem["type"]) == (403, "/problems/user_not_allowed")


async def test_a_cookie_that_does_not_hold_is_as_none(keyed: Api, start: Start) -> None:
    """Beside it another credential is the only one."""
    cookie = cookie_of(await sign_in(keyed, KEYS["alice"]))
    for site in (
        await start(api_roles=ROLES, session_keys="7a" * 32),
        await start(api_roles=ROLES, session_keys=SESSION_KEY, pages_url=PAGES_URL),
        await start(),
    ):
        sent = f"{cookie.key}={cookie.value}"
        assert (await session(site, Cookie=sent))[0].status in (401, 404)
        answer, _ = await site.ask(
            "POST", "/v1/uploads", json=an_upload(), headers={"Cookie": sent, **ALICE}
        )
        assert answer.status == 201


@pytest.mark.parametrize("change", [lambda text: text[:-3] + "AAA", lambda _: "", lambda _: "x;y"])
async def test_a_changed_cookie_is_no_session(keyed: Api, change: Any) -> None:
    cookie = cookie_of(await sign_in(keyed, KEYS["alice"]))
    keyed.client.session.cookie_jar.clear()
    answer, problem = await session(keyed, Cookie=f"safelight={change(cookie.value)}")
    assert (answer.status, problem["type"]) == (401, "/problems/unauthenticated")


async def test_a_session_ends_after_eight_hours(keyed: Api) -> None:
    cookie = cookie_of(await sign_in(keyed, KEYS["alice"]))
    keyed.client.session.cookie_jar.clear()
    sent = f"{cookie.key}={cookie.value}"
    began = time.time()
    for later, status in ((8 * 3600 - 60, 200), (8 * 3600 + 1, 401)):
        with time_machine.travel(began + later):
            assert (await session(keyed, Cookie=sent))[0].status == status


async def test_a_session_lasts_as_long_as_its_key_is_accepted(start: Start) -> None:
    site = await start(api_roles=ROLES, session_keys=SESSION_KEY)
    cookie = cookie_of(await sign_in(site, KEYS["alice"]))
    sent = f"{cookie.key}={cookie.value}"
    others = f"bob:{digest_of(KEYS['bob'])}"
    for keys, status in (
        (f"{ALICES},{others}", 200),
        (f"alice:{digest_of('sl_new')},{ALICES}", 200),
        (others, 401),
        (f"alice:{digest_of('sl_new')}", 401),
        (f"bob:{digest_of(KEYS['alice'])}", 401),
    ):
        later = await start(api_roles=ROLES, session_keys=SESSION_KEY, api_keys=keys)
        assert (await session(later, Cookie=sent))[0].status == status, keys


async def test_session_keys_are_replaced_without_an_end_of_sessions(start: Start) -> None:
    site = await start(api_roles=ROLES, session_keys=SESSION_KEY)
    cookie = cookie_of(await sign_in(site, KEYS["alice"]))
    sent = f"{cookie.key}={cookie.value}"
    both = await start(api_roles=ROLES, session_keys=f"{'7a' * 32},{SESSION_KEY}")
    assert (await session(both, Cookie=sent))[0].status == 200


async def test_a_rollout_of_session_keys_signs_no_one_out(start: Start) -> None:
    """In each step processes before it and after it answer one user in turn."""
    old, new = SESSION_KEY, "7a" * 32
    steps = [old, f"{old},{new}", f"{new},{old}"]  # then the old one is removed after 8 hours
    sites = [await start(api_roles=ROLES, session_keys=keys) for keys in steps]
    for before, after in pairwise(sites):
        for begins, reads in ((before, after), (after, before)):
            cookie = cookie_of(await sign_in(begins, KEYS["alice"]))
            sent = f"{cookie.key}={cookie.value}"
            assert (await session(reads, Cookie=sent))[0].status == 200


async def test_signing_out_removes_the_cookie(start: Start) -> None:
    for pages_url in (None, PAGES_URL):
        site = await start(api_roles=ROLES, session_keys=SESSION_KEY, pages_url=pages_url)
        name = cookie_of(await sign_in(site, KEYS["alice"])).key
        answer, _ = await site.ask("POST", "/ui/logout", headers=OWN, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/ui/")
        cookie = cookie_of(answer)
        assert (cookie.key, cookie.value, cookie["max-age"], cookie["path"]) == (name, "", "0", "/")
        assert bool(cookie["secure"]) is (pages_url is not None)
        forgotten = '"cache"' if pages_url else None
        assert answer.headers.get("Clear-Site-Data") == forgotten
        assert (await session(site))[0].status == 401


async def test_a_refused_session_lists_the_ways_to_sign_in(keyed: Api, api: Api) -> None:
    answer, problem = await session(keyed)
    assert (answer.status, problem["type"]) == (401, "/problems/unauthenticated")
    assert problem["signIn"] == ["key"]
    assert "cookie of a session" in problem["detail"]
    _, problem = await api.ask("GET", "/v1/images/x")
    assert "signIn" not in problem
    assert "cookie" not in problem["detail"]


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"key=sl_wrong", "application/x-www-form-urlencoded", 303),
        (b"", "application/x-www-form-urlencoded", 303),
        (b"key=%ff%00", "application/x-www-form-urlencoded", 303),
        (b"key=sl_wrong", " Application/X-WWW-Form-Urlencoded ; charset=UTF-8", 303),
        (b"key=sl_wrong", "text/plain", 415),
        (b"key=sl_wrong", "", 415),
        (b"key=sl_wrong", "application/x-www-form-urlencoded-not", 415),
        (b"key=sl_wrong", "(" * 20_000, 415),
        (b"key=sl_wrong", "a/" + "(" * 20_000, 415),
        (b'{"key": "sl_wrong"}', "application/json", 415),
        (b"key=\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join([b"a=b"] * 50), "application/x-www-form-urlencoded", 400),
        (b"key=" + b"x" * 17_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_a_form_is_read_within_limits(
    keyed: Api, body: bytes, media_type: str, status: int
) -> None:
    headers = {**OWN, "Content-Type": media_type}
    answer, _ = await keyed.ask(
        "POST", "/ui/key", data=body, headers=headers, allow_redirects=False
    )
    assert answer.status == status


async def test_a_form_is_read_without_the_parser_that_hostile_headers_delay(
    keyed: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp's parser of `Content-Type` takes seconds for some texts, and raises for others."""

    def refuse(_: str) -> None:
        raise AssertionError("the header was parsed by aiohttp")

    monkeypatch.setattr(aiohttp.helpers, "parse_content_type", refuse)
    answer = await keyed.send(
        b"POST /ui/key HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\n"
        b"Connection: close\r\n\r\nkey=sl_wrong"
    )
    assert answer.startswith(b"HTTP/1.1 303 ")


async def test_without_authentication_there_is_no_sign_in(site: Api) -> None:
    expected = {("GET", "/ui/sign-in"): 404, ("POST", "/ui/key"): 405, ("POST", "/ui/logout"): 405}
    for (method, path), status in expected.items():
        answer, _ = await site.ask(method, path, headers=OWN)
        assert answer.status == status, path


async def test_the_page_of_sign_in_is_confined_like_every_page(keyed: Api) -> None:
    pictures, _ = await keyed.ask("GET", "/ui/")
    answer, body = await keyed.ask("GET", "/ui/sign-in?error=%3Cscript%3E&to=//evil.example")
    assert b'action="/ui/key"' in body
    assert b"evil" not in body
    for name in ("Content-Security-Policy", "Referrer-Policy", "Cross-Origin-Opener-Policy"):
        assert answer.headers[name] == pictures.headers[name]


async def test_a_sign_in_is_logged_with_its_user_and_without_the_key(keyed: Api) -> None:
    with structlog.testing.capture_logs() as events:
        await sign_in(keyed, KEYS["alice"])
        await sign_in(keyed, "sl_wrong")
    done, failed = (event for event in events if event["event"] == "request")
    assert (done["signed_in"], done["user_id"]) == ("key", "key:alice")
    assert (failed["sign_in_failed"], "user_id" in failed) == ("key", False)
    assert "sl_" not in str(events)
