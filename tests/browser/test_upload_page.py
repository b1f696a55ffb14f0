"""The page of pictures uploads, shows one state for each file, and mends what went wrong."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, FileChooser, Locator, Page, Route, expect

from ops.local.system import LocalSystem
from tests.support import visitor
from tests.support.faults.proxy import (
    Answer,
    Call,
    Fault,
    FaultProxy,
    Forward,
    Rule,
    answer_lost,
    hanging,
    refused,
)
from tests.support.visitor import accessibility_faults, texts_outside_words, visit

pytestmark = [
    pytest.mark.starts,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

SAMPLES = Path(__file__).parents[2] / "samples"
CAT = (SAMPLES / "cat-451px.jpg").read_bytes()
DONE = re.compile(r"^Completed")
REFUSED = r"Failed to load resource: the server responded with a status of \d+"
CUT = r"Failed to load resource: net::ERR_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A server with the pages, and the way from a browser to its storage."""

    browser: Browser
    system: LocalSystem
    storage: FaultProxy
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"{self.system.api_url}/ui/"

    @contextlib.contextmanager
    def storing(self, fault: Fault, times: int | None = None) -> Iterator[Rule]:
        """Apply a fault to the forms that are sent within the block."""
        rule = self.storage.add(Rule("POST", fault, times=times))
        try:
            yield rule
        finally:
            rule.on = False

    async def images(self, filename: str) -> list[dict[str, Any]]:
        """List the images whose file name begins like this, also pending ones."""
        url = f"{self.system.api_url}/v1/images?filename={filename}"
        url += "&status=pending&status=completed&status=rejected"
        async with self.http.get(url) as answer:
            assert answer.status == 200, await answer.text()
            found: list[dict[str, Any]] = (await answer.json())["images"]
            return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site() -> AsyncIterator[Site]:
    async with FaultProxy("") as storage:
        settings = {"SAFELIGHT_PUBLIC_S3_ENDPOINT_URL": storage.url}
        async with (
            LocalSystem(delivers=True, pages=True, api_settings=settings) as system,
            visitor.chromium() as browser,
            aiohttp.ClientSession() as http,
        ):
            storage.endpoint_url = system.emulator.endpoint_url
            yield Site(browser=browser, system=system, storage=storage, http=http)


def answered(status: int, code: str) -> Fault:
    """Refuse a call with an answer that the page may read, as S3's are."""
    fault = refused(status, code)

    async def answer(call: Call, forward: Forward) -> Answer:
        answer = await fault(call, forward)
        return replace(answer, headers={**answer.headers, "Access-Control-Allow-Origin": "*"})

    return answer


def a_file(name: str, content: bytes = CAT, media_type: str = "image/jpeg") -> Any:
    return {"name": name, "mimeType": media_type, "buffer": content}


async def choose(page: Page, *files: Any) -> None:
    await page.locator("input[type=file]").set_input_files(list(files))


def rows(page: Page) -> Locator:
    """Find the rows of uploads. The library below has other items."""
    return page.locator(".rows").get_by_role("listitem")


def row(page: Page, name: str) -> Locator:
    return rows(page).filter(has=page.get_by_title(name, exact=True))


def state(page: Page, name: str) -> Locator:
    return row(page, name).locator(".word")


@pytest.mark.slow
async def test_a_picture_is_uploaded_and_shown(site: Site) -> None:
    async with visit(site.browser, site.url) as page:
        await page.get_by_label("Tags for these uploads").fill("summer, cats")
        await choose(page, a_file("cat.jpg"))
        await expect(state(page, "cat.jpg")).to_have_text(DONE)
        await expect(row(page, "cat.jpg")).to_contain_text(re.compile("451 . 300"))
        await expect(row(page, "cat.jpg").get_by_role("link", name="Open cat.jpg")).to_be_visible()
        picture = row(page, "cat.jpg").locator("img")
        assert await picture.evaluate("async (one) => (await one.decode(), one.naturalWidth > 0)")
        await expect(page.get_by_role("status")).to_have_text("cat.jpg completed")
        assert await page.title() == "Pictures · Safelight"
    (image,) = await site.images("cat.jpg")
    assert (image["status"], image["tags"]) == ("completed", ["summer", "cats"])


@pytest.mark.slow
async def test_eight_files_have_every_outcome(site: Site) -> None:
    expected = {
        "Blüte 花 №1 #7%20?.jpg": DONE,
        "noext": DONE,
        "IMG_0001.HEIC": DONE,
        "notes.jpg": "Rejected: the file is not in a supported format",
        "empty.jpg": "Rejected: the file has no bytes",
        "truncated.jpg": "Rejected: the jpeg file ends before its data does",
        "page.html": "Not sent: text/html is not the type of a picture",
        "70.jpg": "Not sent: larger than 64 MB",
    }
    contents = {
        "notes.jpg": b"hello world",
        "empty.jpg": b"",
        "truncated.jpg": CAT[:30_000],
        "70.jpg": bytes(1),
    }
    types = {"noext": "", "IMG_0001.HEIC": "image/heif", "page.html": "text/html"}
    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await page.evaluate(
            """() => {
                const big = new File([new Uint8Array(70e6)], '70.jpg', { type: 'image/jpeg' });
                globalThis.big = big;
            }"""
        )
        names = [name for name in expected if name != "70.jpg"]
        await choose(
            page,
            *(a_file(one, contents.get(one, CAT), types.get(one, "image/jpeg")) for one in names),
        )
        await drop(page, "globalThis.big")
        for name, text in expected.items():
            await expect(state(page, name)).to_have_text(text)
        await expect(page.get_by_text("8 of 8 finished, 3 rejected, 2 not sent")).to_be_visible()
        for name in ("page.html", "70.jpg", "notes.jpg"):  # would fail in the same way
            await expect(row(page, name).get_by_role("button")).to_have_count(0)
        await page.get_by_role("button", name="Hide finished").click()
        await expect(rows(page)).to_have_count(0)
    assert not await site.images("70.jpg")


async def drop(page: Page, file: str) -> None:
    """Drop a file, a global of the page, as a user would with a mouse."""
    await page.evaluate(
        f"""() => {{
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add({file});
            for (const kind of ['dragenter', 'dragover', 'drop']) {{
                const init = {{ dataTransfer, bubbles: true, cancelable: true }};
                document.body.dispatchEvent(new DragEvent(kind, init));
            }}
        }}"""
    )


@pytest.mark.slow
async def test_a_file_that_the_storage_refused_is_sent_again_as_the_same_image(site: Site) -> None:
    with site.storing(answered(503, "SlowDown"), times=5) as rule:
        await send_again(site)
    assert rule.used == 5


async def send_again(site: Site) -> None:
    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await choose(page, a_file("refused.jpg"))
        await expect(state(page, "refused.jpg")).to_have_text(
            "Not sent: the storage answered with status 503"
        )
        (before,) = await site.images("refused.jpg")
        await page.get_by_role("button", name="Send refused.jpg again").click()
        await expect(state(page, "refused.jpg")).to_have_text(DONE)
    (image,) = await site.images("refused.jpg")
    assert (image["imageId"], image["status"]) == (before["imageId"], "completed")


@pytest.mark.slow
async def test_a_form_that_has_expired_is_renewed_once_without_asking(site: Site) -> None:
    expired = answered(403, "AccessDenied")
    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        with site.storing(expired, times=1):
            await choose(page, a_file("renewed.jpg"))
            await expect(state(page, "renewed.jpg")).to_have_text(DONE)
        with site.storing(expired) as denied:
            await choose(page, a_file("denied.jpg"))
            await expect(state(page, "denied.jpg")).to_have_text(
                "Not sent: the storage answered with status 403"
            )
    assert denied.used == 2
    assert len(await site.images("renewed.jpg")) == 1


@pytest.mark.slow
async def test_an_upload_whose_answer_was_lost_is_completed(site: Site) -> None:
    async with visit(site.browser, site.url, allowed=CUT) as page:
        with site.storing(answer_lost, times=1) as rule:
            await choose(page, a_file("lost.jpg"))
            await expect(state(page, "lost.jpg")).to_have_text(DONE)
    assert rule.used == 1
    assert len(await site.images("lost.jpg")) == 1


@pytest.mark.slow
async def test_a_file_that_is_longer_than_announced_is_refused(site: Site) -> None:
    async def announce_less(route: Route) -> None:
        body = route.request.post_data_json
        await route.continue_(post_data={**body, "size": body["size"] - 1})

    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await page.route("**/v1/uploads", announce_less)
        await choose(page, a_file("longer.jpg"))
        await expect(state(page, "longer.jpg")).to_have_text(
            "Not sent: the storage answered with status 400"
        )


@pytest.mark.slow
async def test_a_user_who_asked_too_often_waits(site: Site) -> None:
    asked = []

    async def limit(route: Route) -> None:
        asked.append(route.request.headers["idempotency-key"])
        if len(asked) > 1:
            await route.continue_()
        else:
            await route.fulfill(status=429, headers={"Retry-After": "2"}, json={"title": "slow"})

    async with visit(site.browser, site.url, allowed=REFUSED) as page:
        await page.route("**/v1/uploads", limit)
        await choose(page, a_file("often.jpg"))
        await expect(state(page, "often.jpg")).to_have_text(
            "Waiting: too many uploads, continues in 2 s"
        )
        await expect(state(page, "often.jpg")).to_have_text(DONE)
    assert len(asked) == 2
    assert len(set(asked)) == 1


@pytest.mark.slow
async def test_uploads_continue_when_the_network_is_back(site: Site) -> None:
    async with visit(site.browser, site.url, allowed=CUT) as page:
        await expect(page.get_by_role("heading", name="Pictures")).to_be_visible()
        await page.context.set_offline(True)
        await choose(page, a_file("offline.jpg"))
        await expect(state(page, "offline.jpg")).to_be_visible()
        await page.context.set_offline(False)
        await expect(state(page, "offline.jpg")).to_have_text(DONE)


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["refused", "cut"])
async def test_a_page_without_a_stream_of_events_asks_for_its_images(
    site: Site, broken: str
) -> None:
    async def breaks(route: Route) -> None:
        if broken == "cut":
            await route.abort()
        else:
            await route.fulfill(status=429, json={"title": "too many streams"})

    async with visit(site.browser, site.url, allowed=f"{CUT}|{REFUSED}") as page:
        await page.route("**/v1/events", breaks)
        await choose(page, a_file(f"polled-{broken}.jpg"))
        await expect(state(page, f"polled-{broken}.jpg")).to_have_text(DONE)


@pytest.mark.slow
async def test_a_cancelled_upload_leaves_the_list_and_no_picture(site: Site) -> None:
    async with visit(site.browser, site.url, allowed=CUT) as page:
        with site.storing(hanging) as held:
            await choose(page, a_file("cancelled.jpg"))
            await expect(state(page, "cancelled.jpg")).to_have_text(re.compile("^Sending"))
            while not held.used:
                await asyncio.sleep(0.05)
            await page.get_by_role("button", name="Cancel cancelled.jpg").click()
            await expect(rows(page)).to_have_count(0)
            await expect(page.get_by_role("status")).to_have_text("cancelled.jpg cancelled")
        await choose(page, a_file("cancelled.jpg"))  # the same file is another upload now
        await expect(state(page, "cancelled.jpg")).to_have_text(DONE)
    completed = [one for one in await site.images("cancelled") if one["status"] == "completed"]
    assert len(completed) == 1


@pytest.mark.slow
async def test_leaving_the_page_while_it_sends_asks_first(site: Site, tmp_path: Path) -> None:
    leaving = tmp_path / "leaving.jpg"
    leaving.write_bytes(CAT)
    with site.storing(hanging):
        await leave_while_sending(site, leaving)


async def leave_while_sending(site: Site, leaving: Path) -> None:
    async with visit(site.browser, site.url, allowed=CUT) as page:
        kinds: list[str] = []

        async def stay(dialog: Any) -> None:
            kinds.append(dialog.type)
            await dialog.dismiss()

        page.on("dialog", stay)
        await choose(page, leaving)
        await expect(rows(page)).to_have_count(1)
        await choose(page, leaving)
        await expect(page.get_by_role("status")).to_have_text("leaving.jpg is in the list already")
        await expect(rows(page)).to_have_count(1)
        await page.get_by_role("heading", name="Pictures").click()  # a page that was used may ask
        await page.evaluate("() => { location.search = '?other'; }")
        while not kinds:
            await asyncio.sleep(0.05)
        assert kinds == ["beforeunload"]
        await page.get_by_role("button", name="Cancel leaving.jpg").click()
        await page.goto(site.url)
        assert kinds == ["beforeunload"]


@pytest.mark.slow
async def test_faults_of_tags_are_shown_before_anything_is_sent(site: Site) -> None:
    async with visit(site.browser, site.url) as page:
        tags = page.get_by_label("Tags for these uploads")
        await tags.fill(",".join(map(str, range(11))))
        await expect(page.get_by_text("At most 10 tags are possible.")).to_be_visible()
        await choose(page, a_file("tagged.jpg"))
        await expect(tags).to_be_focused()
        await expect(rows(page)).to_have_count(0)
        await tags.fill("x" * 65)
        await expect(page.get_by_text("A tag has at most 64 characters")).to_be_visible()


@pytest.mark.slow
async def test_a_keyboard_is_enough(site: Site) -> None:
    choosers: list[FileChooser] = []
    async with visit(site.browser, site.url) as page:
        page.on("filechooser", lambda one: choosers.append(one))  # noqa: PLW0108 - it gets a mark
        await expect(page.get_by_role("heading", name="Pictures")).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.locator("input[type=file]")).to_be_focused()
        for key in ("Enter", "u"):
            await page.keyboard.press(key)
            while not choosers:
                await asyncio.sleep(0.05)
            await choosers.pop().set_files([a_file(f"key-{key}.jpg")])
            await expect(state(page, f"key-{key}.jpg")).to_have_text(DONE)
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        await page.get_by_role("checkbox", name="Use these keys").press("Space")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await page.get_by_role("button", name="Hide finished").press("Enter")
        await expect(page.locator("input[type=file]")).to_be_focused()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_state_is_accessible_on_a_narrow_page(site: Site, scheme: str) -> None:
    narrow = {"color_scheme": scheme, "viewport": {"width": 320, "height": 700}}
    held = [f"held-{number}.jpg" for number in range(8)]
    async with visit(site.browser, site.url, allowed=f"{REFUSED}|{CUT}", **narrow) as page:
        await expect(page.get_by_role("heading", name="Pictures")).to_be_visible()
        assert not await accessibility_faults(page)
        with site.storing(answered(503, "SlowDown")):
            await choose(page, a_file("failed.jpg"))
            await expect(state(page, "failed.jpg")).to_have_text(re.compile("^Not sent"))
        with site.storing(hanging):
            await choose(page, *map(a_file, held))
            await expect(page.get_by_text("Waiting", exact=True).first).to_be_visible()
            await expect(page.get_by_text("Sending").first).to_be_visible()
            assert not await accessibility_faults(page)
            for name in held:
                await page.get_by_role("button", name=f"Cancel {name}").click()
        await choose(page, a_file("cat-with-a-long-name-of-a-camera-2026-11-29-0001.jpg"))
        await choose(page, a_file("notes.jpg", b"hello"))
        await expect(page.get_by_text("3 of 3 finished")).to_be_visible()
        assert not await accessibility_faults(page)
        assert await page.evaluate("document.documentElement.scrollWidth") == 320
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()
        assert not await accessibility_faults(page)


@pytest.mark.slow
async def test_every_text_is_one_of_words(site: Site) -> None:
    async with visit(site.browser, f"{site.url}?words=pseudo", allowed=REFUSED) as page:
        await choose(
            page,
            a_file("cat.jpg"),
            a_file("notes.jpg", b"x"),
            a_file("page.html", b"x", "text/html"),
        )
        await expect(page.locator(".row[data-state=completed]")).to_have_count(1)
        await expect(page.locator(".row[data-state=rejected]")).to_have_count(1)
        await expect(page.locator(".row[data-state=failed]")).to_have_count(1)
        await page.keyboard.press("?")
        assert not await texts_outside_words(page)


@pytest.mark.slow
async def test_a_server_that_does_not_answer_is_reported_with_a_way_back(site: Site) -> None:
    async with visit(site.browser, "about:blank", allowed=CUT) as page:
        await page.route("**/v1/session", lambda route: route.abort())
        await page.goto(site.url)
        await expect(page.get_by_role("alert")).to_contain_text("The page cannot be shown")
        assert not await accessibility_faults(page)
        await page.unroute("**/v1/session")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_text("Drop pictures anywhere")).to_be_visible()
