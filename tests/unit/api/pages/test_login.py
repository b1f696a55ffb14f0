"""Users sign in at the issuer by the code flow, and no one can be signed in as another."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
import stamina
import structlog
import time_machine
from aiohttp import web

from api.__main__ import make_authentication
from api.jwks import Issuer
from api.pages.login import PENDING_SECONDS
from api.pages.provider import EXCHANGES_AT_ONCE, Provider, RefusedCode
from safelight.errors import Unavailable
from safelight.serving import is_safe_url
from tests.support.oidc import OidcProvider, serving
from tests.unit.api.clients import Api, Start, api_settings
from tests.unit.api.pages.conftest import ROLES, SESSION_KEY
from tests.unit.api.pages.test_key_sign_in import cookie_of, error_of

PAGES_URL = "http://localhost:8080"
"""Where browsers find the pages. The tests ask the server itself in its place."""


@dataclass
class Visitor:
    """A browser of its own, between the pages and the provider."""

    api: Api
    provider: OidcProvider

    async def begin(self, to: str = "/ui/") -> str:
        """Begin a sign-in, and return the address at the provider."""
        answer = await self.get(f"/ui/login?to={to}")
        assert answer.status == 303
        return answer.headers["Location"]

    async def allow(self, url: str, **form: str) -> str:
        """Answer the provider's question, and return the path of the way back."""
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, data=form, allow_redirects=False) as answer,
        ):
            assert answer.status == 303, self.provider.violations
            back = answer.headers["Location"]
        assert back.startswith(f"{PAGES_URL}/ui/callback?")
        return back.removeprefix(PAGES_URL)

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        answer, _ = await self.api.ask("GET", path, allow_redirects=False, headers=headers)
        return answer

    async def session(self) -> Any:
        return (await self.api.ask("GET", "/v1/session"))[1]

    def forget(self) -> None:
        """Become another browser."""
        self.api.client.session.cookie_jar.clear()


@pytest.fixture
async def oidc() -> AsyncIterator[OidcProvider]:
    with stamina.set_testing(True, attempts=1, cap=True):
        async with serving(OidcProvider()) as running:
            yield running


@pytest.fixture
async def visitor(start: Start, oidc: OidcProvider) -> AsyncIterator[Visitor]:
    async with AsyncExitStack() as stack:
        yield await started(stack, start, oidc)


async def started(
    stack: AsyncExitStack, start: Start, oidc: OidcProvider, **changes: Any
) -> Visitor:
    """Start a server that lets users sign in at the provider, built as the program builds it."""
    given = {
        name.removeprefix("SAFELIGHT_").lower(): value
        for name, value in oidc.settings(PAGES_URL).items()
    }
    given |= {"oidc_audience": ("safelight",), "api_roles": ROLES, "session_keys": SESSION_KEY}
    authentication, login = await stack.enter_async_context(
        make_authentication(api_settings(**given | changes))
    )
    api = await start(authentication=authentication, login=login, **given | changes)
    return Visitor(api=api, provider=oidc)


async def test_a_user_signs_in_and_returns_to_the_page(visitor: Visitor) -> None:
    back = await visitor.allow(await visitor.begin("/ui/playground%3Fimage=01"))
    answer = await visitor.get(back)
    assert (answer.status, answer.headers["Location"]) == (303, "/ui/playground?image=01")
    assert {cookie["httponly"] for cookie in answer.cookies.values()} == {True}
    assert answer.cookies["safelight-login"]["max-age"] == "0"
    found = await visitor.session()
    assert (found["userId"], found["name"]) == ("oidc:carol", "carol@example.com")
    assert visitor.provider.violations == []


async def test_what_the_browser_takes_to_the_issuer_is_no_secret(visitor: Visitor) -> None:
    first, second = [parse_qs(urlsplit(await visitor.begin()).query) for _ in range(2)]
    assert first["redirect_uri"] == [f"{PAGES_URL}/ui/callback"]
    assert first["code_challenge_method"] == ["S256"]
    assert first["scope"] == ["openid email"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) == 43
        assert first[name] != second[name]
    assert "code_verifier" not in first


@pytest.mark.parametrize(
    ("changes", "secret"),
    [
        ({}, None),
        ({}, "s3:cr%t +"),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post"]}, "s3:cr%t +"),
    ],
)
async def test_a_client_authenticates_as_the_issuer_asks(
    start: Start, oidc: OidcProvider, changes: dict[str, Any], secret: str | None
) -> None:
    oidc.configuration, oidc.client_secret = changes, secret
    async with AsyncExitStack() as stack:
        visitor = await started(stack, start, oidc)
        await visitor.get(await visitor.allow(await visitor.begin()))
        assert (await visitor.session())["userId"] == "oidc:carol"
    assert oidc.violations == []


async def test_an_issuer_may_have_another_address_than_its_name(
    start: Start, oidc: OidcProvider
) -> None:
    oidc.name = "https://issuer.example/pool"
    async with AsyncExitStack() as stack:
        visitor = await started(stack, start, oidc)
        await visitor.get(await visitor.allow(await visitor.begin()))
        assert (await visitor.session())["userId"] == "oidc:carol"


async def test_a_wrong_secret_is_a_matter_of_the_operator(start: Start, oidc: OidcProvider) -> None:
    oidc.client_secret = "right"
    async with AsyncExitStack() as stack:
        visitor = await started(stack, start, oidc, oidc_client_secret="wrong")
        back = await visitor.allow(await visitor.begin())
        assert fault(await visitor.get(back)) == "refused"


def fault(answer: aiohttp.ClientResponse) -> str:
    """Return the fault that a failed sign-in shows; nothing but the pending cookie was changed."""
    assert answer.status == 303
    assert all(cookie.value == "" for cookie in answer.cookies.values())
    answer.cookies.clear()
    return error_of(answer)


async def test_a_user_who_refuses_is_not_signed_in(visitor: Visitor) -> None:
    back = await visitor.allow(await visitor.begin("/ui/playground"), answer="deny")
    answer = await visitor.get(back)
    assert "to=%2Fui%2Fplayground" in answer.headers["Location"]
    assert fault(answer) == "denied"
    assert "userId" not in await visitor.session()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", "denied"),
        ("server_error", "unavailable"),
        ("temporarily_unavailable", "unavailable"),
        ("invalid_scope", "refused"),
        ("<script>", "refused"),
        ("", "refused"),
    ],
)
async def test_an_error_of_the_issuer_has_words(
    visitor: Visitor, error: str, expected: str
) -> None:
    state = parse_qs(urlsplit(await visitor.begin()).query)["state"][0]
    answer = await visitor.get(f"/ui/callback?error={error}&state={state}")
    assert fault(answer) == expected


async def test_the_log_has_the_description_of_an_error(visitor: Visitor) -> None:
    """Cognito answers `invalid_request` for most faults of a client."""
    state = parse_qs(urlsplit(await visitor.begin()).query)["state"][0]
    error = f"error=invalid_request&error_description=invalid_scope{'%0A' * 200}"
    with structlog.testing.capture_logs() as events:
        await visitor.get(f"/ui/callback?{error}&state={state}")
    (line,) = [event for event in events if "sign_in_failed" in event]
    assert line["error"].startswith("the issuer answered 'invalid_request': 'invalid_scope\\n")
    assert len(line["error"]) < 300


# Attacks


async def test_a_link_of_another_person_signs_no_one_in(visitor: Visitor) -> None:
    """Else the user would upload pictures as the attacker (login CSRF)."""
    attackers = await visitor.allow(await visitor.begin())
    visitor.forget()
    assert fault(await visitor.get(attackers)) == "expired"
    await visitor.begin()  # a sign-in of the victim's own is pending
    assert fault(await visitor.get(attackers)) == "expired"
    assert "userId" not in await visitor.session()


async def test_a_foreign_answer_does_not_end_the_pending_sign_in(visitor: Visitor) -> None:
    url = await visitor.begin()
    assert fault(await visitor.get("/ui/callback?code=a&state=b")) == "expired"
    await visitor.get(await visitor.allow(url))
    assert (await visitor.session())["userId"] == "oidc:carol"


async def test_an_answer_is_good_once(visitor: Visitor) -> None:
    back = await visitor.allow(await visitor.begin())
    await visitor.get(back)
    assert fault(await visitor.get(back)) == "expired"


async def test_a_used_code_is_refused_even_with_its_cookie(visitor: Visitor) -> None:
    answer = await visitor.get("/ui/login")
    cookie = cookie_of(answer)
    pending = {"Cookie": f"{cookie.key}={cookie.value}"}
    back = await visitor.allow(answer.headers["Location"])
    visitor.forget()
    assert (await visitor.get(back, **pending)).headers["Location"] == "/ui/"
    visitor.forget()
    assert fault(await visitor.get(back, **pending)) == "expired"
    assert visitor.provider.violations == ["invalid_grant"]


async def test_a_code_of_another_sign_in_buys_nothing(visitor: Visitor) -> None:
    """The code was issued for another verifier (PKCE)."""
    stolen = parse_qs(urlsplit(await visitor.allow(await visitor.begin())).query)["code"][0]
    visitor.forget()
    state = parse_qs(urlsplit(await visitor.begin()).query)["state"][0]
    answer = await visitor.get(f"/ui/callback?code={stolen}&state={state}")
    assert fault(answer) == "expired"
    assert visitor.provider.violations == ["invalid_grant"]


async def test_an_answer_that_names_another_issuer_sends_no_code(visitor: Visitor) -> None:
    """Else one issuer could get the codes of another (RFC 9207)."""
    back = await visitor.allow(await visitor.begin())
    foreign = re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Fevil.example", back)
    assert foreign != back
    assert fault(await visitor.get(foreign)) == "refused"
    assert len(visitor.provider.grants) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of-another-sign-in"},
        {"nonce": None},
        {"nonce": 5},
        {"aud": "safelight"},
        {"aud": ["other"]},
        {"azp": "other"},
        {"aud": ["pages", "other"]},
        {"aud": ["pages", "other"], "azp": "other"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"sub": "zoë"},
        {"sub": None},
        {"token_use": "access", "aud": None, "client_id": "pages"},
    ],
)
async def test_a_token_of_another_sign_in_is_refused(
    visitor: Visitor, claims: dict[str, Any]
) -> None:
    visitor.provider.claims = claims
    back = await visitor.allow(await visitor.begin())
    assert fault(await visitor.get(back)) == "refused"
    assert "userId" not in await visitor.session()


@pytest.mark.parametrize(
    "claims",
    [{"aud": ["pages"]}, {"azp": "pages"}, {"aud": ["pages", "other"], "azp": "pages"}],
)
async def test_a_token_for_several_audiences_names_the_pages_as_its_client(
    visitor: Visitor, claims: dict[str, Any]
) -> None:
    visitor.provider.claims = claims
    await visitor.get(await visitor.allow(await visitor.begin()))
    assert (await visitor.session())["userId"] == "oidc:carol"


async def test_no_cookie_of_the_issuer_goes_with_the_code_of_another_user(
    start: Start, oidc: OidcProvider
) -> None:
    oidc.url = oidc.url.replace("127.0.0.1", "localhost")  # addresses have no cookies in aiohttp
    async with AsyncExitStack() as stack:
        visitor = await started(stack, start, oidc)
        for subject in ("carol", "dave"):
            oidc.subject = subject
            visitor.forget()
            await visitor.get(await visitor.allow(await visitor.begin()))
            assert (await visitor.session())["userId"] == f"oidc:{subject}"


@pytest.mark.parametrize(
    "query",
    [
        "", "code=a", "state={state}", "code=&state={state}", "code=a&code=b&state={state}",
        "code=a&state={state}&state={state}", "code=a&state={state}x", "code=a&state=%C3%A4",
        "code=a&state={state}&iss=https://evil.example", "code=a&state={state}&iss=",
    ],
)  # fmt: skip
async def test_an_incomplete_or_doubled_answer_signs_no_one_in(
    visitor: Visitor, query: str
) -> None:
    state = parse_qs(urlsplit(await visitor.begin()).query)["state"][0]
    answer = await visitor.get(f"/ui/callback?{query.format(state=state)}")
    assert fault(answer) in ("expired", "refused")
    assert "userId" not in await visitor.session()


async def test_cookies_serve_for_their_own_purpose_only(visitor: Visitor) -> None:
    pending = (await visitor.get("/ui/login")).cookies["safelight-login"].value
    back = await visitor.allow(await visitor.begin())
    session = (await visitor.get(back)).cookies["safelight"].value
    visitor.forget()
    answer, _ = await visitor.api.ask(
        "GET", "/v1/session", headers={"Cookie": f"safelight={pending}"}
    )
    assert answer.status == 401
    swapped = {"Cookie": f"safelight-login={session}"}
    assert fault(await visitor.get("/ui/callback?code=a&state=b", **swapped)) == "expired"


async def test_a_sign_in_must_be_finished_in_ten_minutes(visitor: Visitor) -> None:
    answer = await visitor.get("/ui/login")
    cookie = cookie_of(answer)
    pending = {"Cookie": f"{cookie.key}={cookie.value}"}
    back = await visitor.allow(answer.headers["Location"])
    visitor.forget()
    with time_machine.travel(time.time() + PENDING_SECONDS + 1):
        assert fault(await visitor.get(back, **pending)) == "expired"


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/ui/%5Cevil", "/ui/%0a"])
async def test_a_sign_in_leads_to_no_other_server(visitor: Visitor, to: str) -> None:
    answer = await visitor.get(await visitor.allow(await visitor.begin(to)))
    assert answer.headers["Location"] == "/ui/"


@pytest.mark.parametrize(
    ("to", "kept"),
    [("/ui/" + "~" * 2000, True), ("/ui/" + "~" * 2001, False), ("/ui/" + '"' * 2000, False)],
)
async def test_the_longest_way_back_fits_into_a_cookie(
    visitor: Visitor, to: str, kept: bool
) -> None:
    answer = await visitor.get(f"/ui/login?{urlencode({'to': to})}")
    cookie = cookie_of(answer)
    assert len(f"__Host-{cookie.key}={cookie.value}") <= 4096
    back = await visitor.get(await visitor.allow(answer.headers["Location"]))
    assert back.headers["Location"] == (to if kept else "/ui/")


async def test_the_host_of_a_request_decides_nothing(visitor: Visitor) -> None:
    answer = await visitor.get("/ui/login", Host="evil.example")
    assert "evil" not in answer.headers["Location"]


async def test_a_session_lasts_as_long_as_issuer_and_client(
    start: Start, oidc: OidcProvider, visitor: Visitor
) -> None:
    answer = await visitor.get(await visitor.allow(await visitor.begin()))
    sent = {"Cookie": f"safelight={answer.cookies['safelight'].value}"}
    async with AsyncExitStack() as stack:
        for changes, status in (({}, 200), ({"oidc_client_id": "other"}, 401)):
            other = await started(stack, start, oidc, **changes)
            assert (await other.get("/v1/session", **sent)).status == status


# Outages


async def test_an_issuer_that_is_away_is_reported(visitor: Visitor) -> None:
    visitor.provider.failing = True
    for _ in range(2):  # the second time it is not asked
        assert fault(await visitor.get("/ui/login?to=/ui/")) == "unavailable"
    visitor.provider.failing = False
    assert fault(await visitor.get("/ui/login?to=/ui/")) == "unavailable"


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500, text="{}"),
        web.Response(status=408, text="{}"),
        web.Response(status=429, text='{"error": "invalid_request"}'),
        web.Response(status=400, text='{"error": "temporarily_unavailable"}'),
        web.Response(status=302, headers={"Location": "https://evil.example"}),
        web.Response(status=200, text="<html>"),
        web.Response(status=200, text="[]"),
        web.Response(status=200, text="{}"),
        web.Response(status=200, text='{"id_token": 5}'),
        web.Response(status=200, text=" " * 300_000),
        web.Response(status=200, text="[" * 100_000),
    ],
    ids=lambda answer: f"{answer.status} {answer.text[:20]}" if answer.text else "redirect",
)
async def test_an_answer_that_holds_no_token_is_reported(
    visitor: Visitor, answer: web.Response
) -> None:
    visitor.provider.token_answer = answer
    back = await visitor.allow(await visitor.begin())
    assert fault(await visitor.get(back)) == "unavailable"


async def test_an_issuer_that_never_sends_tokens_is_given_up(oidc: OidcProvider) -> None:
    oidc.hanging = True
    async with exchanging(oidc, exchange_seconds=0.05) as waiting:
        with pytest.raises(Unavailable, match="it sent no tokens: TimeoutError"):
            await waiting.id_token("code", verifier="v")


@asynccontextmanager
async def exchanging(oidc: OidcProvider, **changes: Any) -> AsyncIterator[Provider]:
    """Exchange codes at the provider itself, for the block."""
    async with aiohttp.ClientSession() as http:
        issuer = Issuer(http, issuer=oidc.url, jwks_url=None, acceptable=is_safe_url)
        yield Provider(
            http,
            issuer,
            client_id="pages",
            client_secret=None,
            redirect_uri=PAGES_URL,
            **changes,
        )


async def test_an_issuer_that_hangs_holds_few_connections(oidc: OidcProvider) -> None:
    """Any client can send invented codes with one pending cookie."""
    oidc.hanging = True
    async with exchanging(oidc) as waiting:
        await waiting.authorization_url(state="s", nonce="n", challenge="c")  # knows the issuer
        codes = [
            asyncio.create_task(waiting.id_token(f"code-{number}", verifier="v"))
            for number in range(EXCHANGES_AT_ONCE)
        ]
        await asyncio.sleep(0)  # each begins
        with pytest.raises(Unavailable, match="too many codes are being exchanged"):
            await waiting.id_token("one-more", verifier="v")
        for code in codes:
            code.cancel()
        await asyncio.gather(*codes, return_exceptions=True)
        oidc.hanging = False
        with pytest.raises(RefusedCode):
            await waiting.id_token("one-more", verifier="v")


async def test_the_codes_of_a_minute_are_limited(oidc: OidcProvider) -> None:
    clock = 0.0
    async with exchanging(oidc, exchanges_per_minute=2, now=lambda: clock) as limited:
        for _ in range(2):
            with pytest.raises(RefusedCode):
                await limited.id_token("invented", verifier="v")
        with pytest.raises(Unavailable, match="too many codes were exchanged within a minute"):
            await limited.id_token("invented", verifier="v")
        clock += 30
        with pytest.raises(RefusedCode):
            await limited.id_token("invented", verifier="v")
    assert oidc.violations == ["invalid_grant"] * 3


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize("url", ["http://evil.example/", "javascript:alert(1)", None, 5])
async def test_an_issuer_sends_users_and_codes_to_safe_addresses_only(
    start: Start, oidc: OidcProvider, name: str, url: Any
) -> None:
    oidc.configuration = {name: url}
    async with AsyncExitStack() as stack:
        visitor = await started(stack, start, oidc)
        answer = await visitor.get("/ui/login")
        if name == "token_endpoint":
            answer = await visitor.get(await visitor.allow(answer.headers["Location"]))
        assert fault(answer) == "unavailable"


async def test_a_refused_session_lists_the_issuer_first(visitor: Visitor) -> None:
    assert (await visitor.session())["signIn"] == ["oidc", "key"]
