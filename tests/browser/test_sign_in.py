"""Users sign in on the pages, go on after a session has ended, and sign out."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import unused_port
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from api.apikeys import digest_of
from ops.local.system import LocalSystem
from tests.support import visitor
from tests.support.oidc import OidcProvider, serving
from tests.support.visitor import accessibility_faults, texts_outside_words, visit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.starts,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

CAT = (Path(__file__).parents[2] / "samples" / "cat-451px.jpg").read_bytes()
KEYS = {"alice": "sl_alices-key", "bob": "sl_bobs-key"}
DONE = re.compile(r"^Completed")
REFUSED = r"Failed to load resource: the server responded with a status of 40[134]"
WIDTH = "document.documentElement.scrollWidth"
NARROW: dict[str, Any] = {"viewport": {"width": 320, "height": 700}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A server whose users sign in with keys, and at a provider."""

    browser: Browser
    system: LocalSystem
    http: aiohttp.ClientSession
    provider: OidcProvider

    @property
    def url(self) -> str:
        return f"{self.system.api_url}/ui/"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site() -> AsyncIterator[Site]:
    keys = ",".join(f"{name}:{digest_of(key)}" for name, key in KEYS.items())
    async with serving(OidcProvider()) as provider:
        port = unused_port()
        settings = {
            **provider.settings(f"http://127.0.0.1:{port}"),
            "SAFELIGHT_PORT": str(port),
            "SAFELIGHT_API_KEYS": keys,
        }
        async with (
            LocalSystem(delivers=True, pages=True, api_settings=settings) as system,
            visitor.chromium() as browser,
            aiohttp.ClientSession() as http,
        ):
            yield Site(browser=browser, system=system, http=http, provider=provider)


async def sign_in(page: Page, key: str = KEYS["alice"]) -> None:
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()


async def sign_in_at_the_provider(page: Page, answer: str = "Allow") -> None:
    await page.get_by_role("link", name="Sign in with your account").click()
    await page.get_by_role("button", name=answer).click()


async def signed_in_as(page: Page, name: str) -> None:
    await expect(page.locator("form.who")).to_contain_text(name)


async def end_session(context: BrowserContext) -> None:
    """Do to a session what time does: the browser drops its cookie."""
    await context.clear_cookies()


async def test_a_key_opens_the_page_that_was_asked_for(site: Site) -> None:
    async with visit(site.browser, f"{site.url}?tag=cats", allowed=REFUSED) as page:
        await expect(page).to_have_url(re.compile(r"/ui/sign-in\?to=%2Fui%2F%3Ftag%3Dcats$"))
        assert await page.title() == "Sign in · Safelight"
        await page.get_by_label("API key").focus()
        await page.keyboard.type(KEYS["alice"])
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{site.url}?tag=cats")
        await signed_in_as(page, "alice")
        (cookie,) = await page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
            "safelight",
            True,
            "Lax",
        )
        assert await page.evaluate("document.cookie") == ""
        await page.goto(f"{site.system.api_url}/ui/sign-in")  # signed in already
        await expect(page).to_have_url(site.url)


async def test_a_wrong_key_is_refused_in_words(site: Site) -> None:
    async with visit(site.browser, f"{site.url}?tag=cats", allowed=REFUSED) as page:
        await sign_in(page, "sl_wrong")
        await expect(page.get_by_role("alert")).to_have_text("This server does not know this key.")
        await expect(page.get_by_label("API key")).to_be_focused()
        await expect(page.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
        await sign_in(page)
        await expect(page).to_have_url(f"{site.url}?tag=cats")


async def test_the_account_of_the_issuer_opens_the_page_that_was_asked_for(site: Site) -> None:
    async with visit(site.browser, f"{site.url}?tag=cats", allowed=REFUSED) as page:
        await sign_in_at_the_provider(page)
        await expect(page).to_have_url(f"{site.url}?tag=cats")
        await signed_in_as(page, "carol@example.com")
        cookies = {cookie["name"] for cookie in await page.context.cookies()}
        assert cookies == {"safelight"}
    assert site.provider.violations == []


async def test_a_sign_in_that_the_user_refuses_is_explained(site: Site) -> None:
    async with visit(site.browser, f"{site.url}?tag=cats", allowed=REFUSED) as page:
        await sign_in_at_the_provider(page, "Deny")
        await expect(page.get_by_role("alert")).to_have_text(
            "You or the account service refused the sign-in."
        )
        await sign_in_at_the_provider(page)
        await expect(page).to_have_url(f"{site.url}?tag=cats")


async def test_a_form_without_scripts_signs_in(site: Site) -> None:
    url = f"{site.system.api_url}/ui/sign-in"
    async with visit(site.browser, url, java_script_enabled=False) as page:
        await sign_in(page)
        await expect(page).to_have_url(site.url)
        assert [cookie["name"] for cookie in await page.context.cookies()] == ["safelight"]


async def test_uploads_wait_while_the_session_has_ended(site: Site) -> None:
    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await sign_in(page)
        await signed_in_as(page, "alice")
        await end_session(page.context)
        cat = {"name": "waits.jpg", "mimeType": "image/jpeg", "buffer": CAT}
        await page.locator("input[type=file]").set_input_files([cat])
        row = page.locator(".rows").get_by_role("listitem").filter(has_text="waits.jpg")
        await expect(row.locator(".word")).to_have_text("Waiting: sign in again")
        notice = page.get_by_role("alert").filter(has_text="Your session has ended.")
        await expect(notice).to_be_visible()
        assert not await accessibility_faults(page)
        async with page.context.expect_page() as opened:
            await notice.get_by_role("link", name="Sign in again").click()
        other = await opened.value
        await sign_in(other)
        await signed_in_as(other, "alice")
        await expect(row.locator(".word")).to_have_text(DONE)
        await expect(notice).to_have_count(0)


async def test_another_user_who_signs_in_gets_no_page_of_the_one_before(site: Site) -> None:
    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await sign_in(page)
        await signed_in_as(page, "alice")
        await end_session(page.context)
        other = await page.context.new_page()
        await other.goto(site.url)
        await sign_in(other, KEYS["bob"])
        await signed_in_as(other, "bob")
        await signed_in_as(page, "bob")


async def test_signing_out_ends_the_session_in_all_tabs(site: Site) -> None:
    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await sign_in(page)
        await signed_in_as(page, "alice")
        other = await page.context.new_page()
        await other.goto(site.url)
        await other.get_by_role("button", name="Sign out").click()
        await expect(other).to_have_url(re.compile(r"/ui/sign-in\?to=%2Fui%2F$"))
        assert await page.context.cookies() == []
        cat = {"name": "out.jpg", "mimeType": "image/jpeg", "buffer": CAT}
        await page.locator("input[type=file]").set_input_files([cat])
        await expect(page.get_by_text("Your session has ended.")).to_be_visible()


async def test_other_tabs_show_that_the_user_has_signed_out(site: Site) -> None:
    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await sign_in(page)
        await signed_in_as(page, "alice")
        other = await page.context.new_page()
        await other.goto(site.url)
        await other.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_text("Your session has ended.")).to_be_visible()


async def test_back_shows_no_page_of_a_user_who_has_signed_out(site: Site) -> None:
    """Browsers keep whole pages for Back, and show them with this event."""
    shown = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await sign_in(page)
        await signed_in_as(page, "alice")
        await end_session(page.context)
        await page.evaluate(shown)
        await expect(page).to_have_url(re.compile(r"/ui/sign-in\?to=%2Fui%2F$"))


async def test_the_image_of_another_user_is_not_found(site: Site) -> None:
    body = {"filename": "bobs.jpg", "contentType": "image/jpeg", "size": len(CAT)}
    headers = {"X-Api-Key": KEYS["bob"]}
    async with site.http.post(
        f"{site.system.api_url}/v1/uploads", json=body, headers=headers
    ) as answer:
        path = (await answer.json())["statusUrl"]
    status = "async (path) => (await fetch(path)).status"
    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await sign_in(page)
        await signed_in_as(page, "alice")
        assert await page.evaluate(status, path) == 404
        assert await page.evaluate(status, "/v1/session") == 200


async def test_a_page_of_another_site_changes_nothing(site: Site) -> None:
    """It may be of the same host: cookies do not know ports."""
    evil = site.system.delivery_url + "/healthz"
    submit = """(url) => {
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action: url });
        document.body.append(form);
        form.submit();
    }"""
    async with visit(site.browser, site.url, allowed=f"{REFUSED}|CORS policy|ERR_FAILED") as page:
        await sign_in(page)
        await signed_in_as(page, "alice")
        other = await page.context.new_page()
        for path in ("/ui/key", "/ui/logout", "/v1/uploads"):
            await other.goto(evil)
            async with other.expect_response(f"**{path}") as answered:
                await other.evaluate(submit, site.system.api_url + path)
            answer = await answered.value
            assert (answer.status, (await answer.json())["type"]) == (403, "/problems/cross_site")
        read = """async (url) => {
            try { return (await fetch(url, { credentials: 'include' })).status; }
            catch (error) { return error.name; }
        }"""
        await other.goto(evil)
        assert await other.evaluate(read, f"{site.system.api_url}/v1/session") == "TypeError"
        assert await page.evaluate("async () => (await fetch('/v1/session')).status") == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_state_is_accessible_on_a_narrow_page(site: Site, scheme: Any) -> None:
    async with visit(
        site.browser, site.url, allowed=REFUSED, color_scheme=scheme, **NARROW
    ) as page:
        await expect(page.get_by_label("API key")).to_be_visible()
        assert not await accessibility_faults(page)
        await sign_in(page, "sl_wrong")
        await expect(page.get_by_role("alert")).to_be_visible()
        assert not await accessibility_faults(page)
        await sign_in(page)
        await signed_in_as(page, "alice")
        assert not await accessibility_faults(page)
        assert await page.evaluate(WIDTH) == 320
        site.provider.claims = {"name": "a name of some length " * 3}
        await page.get_by_role("button", name="Sign out").click()
        await sign_in_at_the_provider(page)
        await signed_in_as(page, "a name of some length")
        assert await page.evaluate(WIDTH) == 320
        site.provider.claims = {}


async def test_every_text_is_one_of_words(site: Site) -> None:
    sign_in_page = f"{site.system.api_url}/ui/sign-in?words=pseudo"
    async with visit(site.browser, f"{sign_in_page}&error=users", allowed=REFUSED) as page:
        await expect(page.get_by_role("alert")).to_be_visible()
        assert not await texts_outside_words(page)
        await page.locator("#key").fill(KEYS["alice"])
        await page.locator("button").click()
        await page.goto(f"{site.url}?words=pseudo")
        await signed_in_as(page, "alice")
        await end_session(page.context)
        cat = {"name": "waits.jpg", "mimeType": "image/jpeg", "buffer": CAT}
        await page.locator("input[type=file]").set_input_files([cat])
        await expect(page.locator(".notice")).to_be_visible()
        assert not await texts_outside_words(page)


async def test_a_page_that_is_idle_says_that_its_session_has_ended(site: Site) -> None:
    """The server ends each stream of events after a while; the next one is refused."""

    async def ends(route: Route) -> None:
        await route.fulfill(body="retry: 200\n\n", content_type="text/event-stream")

    async with visit(site.browser, "about:blank", allowed=REFUSED) as page:
        await page.route("**/v1/events", ends)
        await page.goto(site.url)
        await sign_in(page)
        await signed_in_as(page, "alice")
        await end_session(page.context)
        await page.unroute("**/v1/events")
        await expect(page.get_by_text("Your session has ended.")).to_be_visible()
        other = await page.context.new_page()
        await other.goto(site.url)
        await sign_in(other)
        async with page.expect_request("**/v1/events"):
            await signed_in_as(other, "alice")
        await expect(page.get_by_text("Your session has ended.")).to_have_count(0)
