"""The library of the page of pictures: found, filtered, opened, changed and erased."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, FileChooser, Locator, Page, Route, expect

from ops.local.system import LocalSystem
from tests.support import visitor
from tests.support.visitor import accessibility_faults, texts_outside_words, visit

pytestmark = [
    pytest.mark.starts,
    pytest.mark.slow,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

CAT = (Path(__file__).parents[2] / "samples" / "cat-451px.jpg").read_bytes()
FAST = {"SAFELIGHT_ERASE_PAUSE_SECONDS": "1", "SAFELIGHT_ERASE_LAST_LOOK_SECONDS": "2"}
REFUSED = r"Failed to load resource: the server responded with a status of \d+"
CUT = r"Failed to load resource: net::ERR_"
SETTLED = ("completed", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A server with pages and pictures, and ways to reach it beside the browser."""

    browser: Browser
    system: LocalSystem
    http: aiohttp.ClientSession

    def url(self, path: str = "") -> str:
        return f"{self.system.api_url}/ui/{path}"

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request to the API; return the status and the JSON."""
        async with self.http.request(method, self.system.api_url + path, json=body) as answer:
            return answer.status, await answer.json()

    async def announce(self, name: str, *, tags: Sequence[str] = (), size: int = 9) -> Any:
        """Request an upload, so that there is a pending image."""
        body = {"filename": name, "contentType": "image/jpeg", "size": size, "tags": list(tags)}
        status, ticket = await self.call("POST", "/v1/uploads", body)
        assert status == 201, ticket
        return ticket

    async def add(self, name: str, content: bytes = CAT, *, tags: Sequence[str] = ()) -> str:
        """Upload a picture, wait until it is settled, and return its id."""
        ticket = await self.announce(name, tags=tags, size=len(content))
        await self.send(ticket, content)
        image_id: str = ticket["imageId"]
        while (await self.image(image_id))["status"] not in SETTLED:
            await asyncio.sleep(0.1)
        return image_id

    async def send(self, ticket: Any, content: bytes) -> None:
        """Send the form of a requested upload."""
        form = aiohttp.FormData()
        for field, value in ticket["fields"].items():
            form.add_field(field, value)
        form.add_field("file", content, filename="picture")
        async with self.http.post(ticket["url"], data=form) as answer:
            assert answer.status == 201, await answer.text()

    async def image(self, image_id: str) -> Any:
        _, image = await self.call("GET", f"/v1/images/{image_id}")
        return image


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def library() -> AsyncIterator[Library]:
    settings = {"SAFELIGHT_UPLOADS_PER_MINUTE": "10000", "SAFELIGHT_ORIGINALS": "true"}
    async with (
        LocalSystem(
            delivers=True, pages=True, cleans=True, api_settings=settings, cleanup_settings=FAST
        ) as system,
        visitor.chromium() as browser,
        aiohttp.ClientSession() as http,
    ):
        yield Library(browser=browser, system=system, http=http)


def cells(page: Page) -> Locator:
    return page.locator("a.cell")


def alert(page: Page) -> Locator:
    """Find what the content reports. The frame of the page has a region of its own."""
    return page.locator("main").get_by_role("alert").filter(has_text=re.compile("."))


def cell(page: Page, name: str) -> Locator:
    return page.get_by_role("link", name=name, exact=True)


async def names(page: Page) -> list[str]:
    """Return the file names of the cells, in their order."""
    return [title for title in await cells(page).locator(".name").evaluate_all(_TITLES) if title]


_TITLES = "(all) => all.map((one) => one.title)"


async def test_pictures_are_listed_newest_first_with_their_states(library: Library) -> None:
    await library.add("states-cat.jpg")
    await library.add("states-notes.jpg", b"hello")
    await library.announce("states-waits.jpg")
    async with visit(library.browser, library.url("?name=states-")) as page:
        await expect(cells(page)).to_have_count(3)
        expected = ["states-waits.jpg", "states-notes.jpg", "states-cat.jpg"]
        assert await names(page) == expected
        await expect(cell(page, "states-waits.jpg, in progress")).to_contain_text("In progress")
        await expect(cell(page, "states-notes.jpg, rejected")).to_contain_text("Rejected")
        thumbnail = cell(page, "states-cat.jpg").locator("img")
        assert await thumbnail.evaluate("async (one) => (await one.decode(), one.naturalWidth)")
        colour = "(one) => one.style.backgroundColor"
        shot = cell(page, "states-cat.jpg").locator(".shot")
        assert re.fullmatch(r"rgb\(\d+, \d+, \d+\)", await shot.evaluate(colour))
        await expect(page.get_by_role("heading", level=3)).to_have_count(1)
        await expect(page.get_by_role("status")).to_have_text("3 pictures shown")


async def test_a_picture_whose_thumbnail_is_missing_shows_its_placeholder(
    library: Library,
) -> None:
    await library.add("blurred.jpg")
    async with visit(library.browser, "about:blank", allowed=CUT) as page:
        await page.route(f"{library.system.public_url}/**", lambda route: route.abort())
        await page.goto(library.url("?name=blurred"))
        canvas = cell(page, "blurred.jpg").locator("canvas")
        await expect(canvas).to_be_visible()
        painted = "(one) => one.getContext('2d').getImageData(9, 9, 1, 1).data[3]"
        assert await canvas.evaluate(painted) == 255
        await expect(cell(page, "blurred.jpg").locator("img")).to_have_count(0)


async def test_filters_are_in_the_address_and_survive_a_reload_and_back(library: Library) -> None:
    await library.add("filter-cat.jpg", tags=["filtered", "cats"])
    await library.add("filter-notes.jpg", b"hello", tags=["filtered"])
    async with visit(library.browser, library.url("?tag=filtered")) as page:
        await expect(cells(page)).to_have_count(2)
        await page.get_by_label("Status").select_option("completed")
        await expect(cells(page)).to_have_count(1)
        assert page.url == library.url("?tag=filtered&status=completed")
        await page.reload()
        await expect(cells(page)).to_have_count(1)
        await expect(page.get_by_label("Status")).to_have_value("completed")
        await expect(page.get_by_label("All of these tags")).to_have_value("filtered")
        await page.go_back()
        await expect(cells(page)).to_have_count(2)
        await expect(page.get_by_label("Status")).to_have_value("")
        await page.get_by_label("File name begins with").fill("filter-cat")
        await page.get_by_label("File name begins with").press("Enter")
        await expect(cells(page)).to_have_count(1)
        await page.get_by_label("Minimum width (pixels)").fill("452")
        await page.get_by_label("Minimum width (pixels)").blur()
        await expect(page.get_by_text("No picture matches the filters.")).to_be_visible()
        assert not await accessibility_faults(page)
        await page.get_by_role("button", name="Clear the filters").first.click()
        await expect(page.get_by_label("File name begins with")).to_be_focused()
        assert page.url == library.url()
        await expect(cell(page, "filter-cat.jpg")).to_be_visible()


_MATCHING = """async ([search, images]) => {
    const script = document.querySelector('script[type=module]').src;
    const { matches, valuesOf } = await import(script.replace('pictures.js', 'filters.js'));
    return images.filter((one) => matches(valuesOf(search), one)).map((one) => one.imageId);
}"""


async def test_a_changed_picture_is_judged_as_a_list_judges_it(library: Library) -> None:
    await library.add("judged.jpg", tags=["judged", "more"])
    await library.add("judged-notes.jpg", b"hello", tags=["judged"])
    await library.announce("judged-waits.jpg")
    _, everything = await library.call("GET", "/v1/images?limit=100")
    today = datetime.now().astimezone()
    tomorrow = today + timedelta(days=1)
    queries = {
        "?tag=judged": "tag=judged",
        "?tag=judged&tag=more": "tag=judged&tag=more",
        "?format=jpeg": "mediaType=image/jpeg",
        "?format=png": "mediaType=image/png",
        "?status=rejected": "status=rejected",
        "?width=451&height=300": "minWidth=451&minHeight=300",
        "?height=301": "minHeight=301",
        "?name=judged": "filename=judged",
        "?name=Judged": "filename=Judged",
        f"?from={today:%F}&to={today:%F}": "",
        f"?from={tomorrow:%F}": f"since={tomorrow:%FT00:00:00Z}",
    }
    assert any(one["filename"] == "judged.jpg" for one in everything["images"])
    async with visit(library.browser, library.url()) as page:
        for search, query in queries.items():
            _, expected = await library.call("GET", f"/v1/images?limit=100&{query}")
            found = await page.evaluate(_MATCHING, [search, everything["images"]])
            assert found == [one["imageId"] for one in expected["images"]], search


async def test_a_new_picture_that_does_not_match_is_not_shown(library: Library) -> None:
    async with visit(library.browser, library.url("?tag=shown")) as page:
        await expect(page.get_by_text("No picture matches the filters.")).to_be_visible()
        await library.add("hidden.jpg", tags=["hidden"])
        await library.add("shown.jpg", tags=["shown"])
        await expect(cell(page, "shown.jpg")).to_be_visible()
        await expect(cells(page)).to_have_count(1)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("status=lost", "There is no status lost."),
        ("format=jp2", "There is no format jp2."),
        ("from=2026-02-31", "2026-02-31 is not a date such as 2026-11-30."),
        ("from=2026-02-02&to=2026-02-01", "The end is before the beginning."),
        ("width=wide", "wide is not a number of pixels."),
        ("tag=1&tag=2&tag=3&tag=4&tag=5&tag=6", "At most 5 tags are possible."),
    ],
)
async def test_a_bad_value_in_the_address_is_reported(
    library: Library, query: str, fault: str
) -> None:
    async with visit(library.browser, library.url(f"?{query}")) as page:
        await expect(alert(page)).to_have_text(fault)
        await expect(page.locator("[aria-invalid=true]")).to_have_count(1)
        await expect(page.locator(".nothing")).to_have_count(0)
        await expect(cells(page)).to_have_count(0)
        assert not await accessibility_faults(page)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def many(library: Library) -> None:
    """Add 130 pending images, more than two pages."""
    for number in range(130):
        await library.announce(f"many-{number:03}.jpg")


@pytest.mark.usefixtures("many")
async def test_a_stream_that_begins_again_lists_again(library: Library) -> None:
    found = await library.image(await library.add("again.jpg"))
    listed = [{**found, "imageId": "0" * 26, "filename": "before.jpg"}]
    streams = 0
    gone = asyncio.Event()

    async def stream(route: Route) -> None:
        nonlocal streams
        streams += 1
        if streams > 1:
            await gone.wait()
        if streams > 2:
            return  # it stays open
        headers = {"Content-Type": "text/event-stream"}
        await route.fulfill(headers=headers, body="retry: 100\nevent: start\ndata: {}\n\n")

    async with visit(library.browser, "about:blank", allowed=CUT) as page:
        await page.route("**/v1/events", stream)
        await page.route("**/v1/images?*", lambda route: route.fulfill(json={"images": listed}))
        await page.goto(library.url())
        await expect(cell(page, "before.jpg")).to_be_visible()
        listed[:] = [{**found, "filename": "missed.jpg"}]
        gone.set()
        await expect(cell(page, "missed.jpg")).to_be_visible()
        await expect(cells(page)).to_have_count(1)


async def test_a_first_list_that_fails_is_not_said_to_be_empty(library: Library) -> None:
    await library.add("first-list.jpg")
    fails = False

    async def listed(route: Route) -> None:
        if fails:
            await route.fulfill(status=503, json={"title": "The table does not answer"})
        else:
            await route.continue_()

    async with visit(library.browser, "about:blank", allowed=REFUSED) as page:
        await page.route("**/v1/images?*", listed)
        await page.goto(library.url("?name=first-list"))
        await expect(page.get_by_role("status")).to_have_text("1 picture shown")
        fails = True
        await page.get_by_label("File name begins with").fill("other")
        await page.get_by_label("File name begins with").press("Enter")
        await expect(alert(page)).to_contain_text("The table does not answer")
        await expect(cells(page)).to_have_count(0)
        await expect(page.get_by_text("No pictures found")).to_have_count(0)


async def test_a_thumbnail_with_a_new_url_is_tried_again(library: Library) -> None:
    image_id = await library.add("broken.jpg")
    _, listed = await library.call("GET", "/v1/images?filename=broken")
    (found,) = listed["images"]
    thumbnails = found["thumbnails"]
    broken = {name: f"{url}?broken" for name, url in thumbnails.items()}
    streams = 0
    failed = asyncio.Event()

    async def stream(route: Route) -> None:
        nonlocal streams
        streams += 1
        if streams > 1:
            return  # it stays open
        await failed.wait()
        event = f"event: start\ndata: {{}}\n\nevent: image\ndata: {json.dumps(found)}\n\n"
        await route.fulfill(headers={"Content-Type": "text/event-stream"}, body=event)

    async with visit(library.browser, "about:blank", allowed=CUT) as page:
        await page.route(re.compile(r"\?broken$"), lambda route: route.abort())
        await page.route("**/v1/events", stream)
        page_of_one = {"images": [{**found, "thumbnails": broken}]}
        await page.route("**/v1/images?*", lambda route: route.fulfill(json=page_of_one))
        await page.goto(library.url())
        await expect(page.locator(f"[data-image='{image_id}'] canvas")).to_be_visible()
        await expect(cell(page, "broken.jpg").locator("img")).to_have_count(0)
        failed.set()
        await expect(cell(page, "broken.jpg").locator("img")).to_be_visible()


async def test_a_name_from_right_to_left_keeps_its_direction(library: Library) -> None:
    name = "\u0635\u0648\u0631\u0629 1.jpg"
    await library.add(name, tags=["arabic"])
    async with visit(library.browser, library.url("?tag=arabic")) as page:
        await expect(cells(page)).to_have_accessible_name(f"\u2068{name}\u2069")
        await expect(cells(page).locator(".name")).to_have_css("direction", "rtl")


async def test_a_part_that_cannot_be_loaded_is_said_in_sight(library: Library) -> None:
    async with visit(library.browser, "about:blank", allowed=CUT) as page:
        await page.route("**/detail.js", lambda route: route.abort())
        small: Any = {"width": 400, "height": 300}
        await page.set_viewport_size(small)
        await library.add("part.jpg")
        await page.goto(library.url("?name=part"))
        await cell(page, "part.jpg").click()
        await expect(page.get_by_role("button", name="Try again")).to_be_in_viewport()


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("width", [1280, 1010, 620])
async def test_pages_are_loaded_as_they_are_needed_and_back_keeps_the_place(
    library: Library, width: int
) -> None:
    asked: list[str] = []
    viewport = {"width": width, "height": 800}
    allowed = REFUSED  # openapi.json has no icon
    async with visit(
        library.browser, library.url("?name=many-"), viewport=viewport, allowed=allowed
    ) as page:
        page.on("request", lambda one: asked.append(one.url) if "/v1/images?" in one.url else None)
        await expect(cell(page, "many-129.jpg, in progress")).to_be_visible()
        await cell(page, "many-080.jpg, in progress").scroll_into_view_if_needed()
        await cell(page, "many-010.jpg, in progress").scroll_into_view_if_needed()
        await expect(cells(page)).to_have_count(130)
        assert await names(page) == [f"many-{number:03}.jpg" for number in reversed(range(130))]
        await expect(page.get_by_role("button", name="Show more")).to_have_count(0)
        await cell(page, "many-040.jpg, in progress").scroll_into_view_if_needed()
        place = await top_of(page, "many-040.jpg")
        await page.goto(f"{library.system.api_url}/openapi.json")
        await page.go_back()
        await expect(cells(page)).to_have_count(130)
        await expect(cell(page, "many-040.jpg, in progress")).to_be_in_viewport()
        assert abs(await top_of(page, "many-040.jpg") - place) <= 2
        assert len(asked) == len(set(asked)) + 3  # the same pages again after Back


async def top_of(page: Page, name: str) -> float:
    box = await cell(page, f"{name}, in progress").bounding_box()
    assert box
    return box["y"]


@pytest.mark.usefixtures("many")
async def test_a_keyboard_asks_for_more_and_moves_in_the_grid(library: Library) -> None:
    async with visit(library.browser, "about:blank") as page:
        await page.add_init_script("globalThis.IntersectionObserver = class { observe() {} "
                                   "unobserve() {} disconnect() {} };")  # fmt: skip
        await page.goto(library.url("?name=many-"))
        await expect(cells(page)).to_have_count(60)
        await page.get_by_role("button", name="Show more").press("Enter")
        await expect(cells(page)).to_have_count(120)
        await expect(page.get_by_role("button", name="Show more")).to_be_focused()
        await page.keyboard.press("/")
        await expect(page.get_by_label("File name begins with")).to_be_focused()
        await cells(page).first.focus()
        await page.keyboard.press("ArrowRight")
        await expect(cells(page).nth(1)).to_be_focused()
        columns = await cells(page).evaluate_all(
            """(all) => all.map((one) => one.getBoundingClientRect().top)
                .filter((top, _, [first]) => top === first).length"""
        )
        await page.keyboard.press("ArrowDown")
        await expect(cells(page).nth(1 + columns)).to_be_focused()
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowLeft")
        await expect(cells(page).nth(0)).to_be_focused()


@pytest.mark.usefixtures("many")
async def test_new_pictures_wait_until_a_reader_further_down_wants_them(library: Library) -> None:
    async with visit(library.browser, library.url("?name=many-")) as page:
        await expect(cell(page, "many-129.jpg, in progress")).to_be_visible()
        await cell(page, "many-080.jpg, in progress").scroll_into_view_if_needed()
        first = await library.announce("many-new.jpg")
        second = await library.announce("many-newer.jpg")
        await page.get_by_role("button", name="Show 2 new pictures").click()
        await expect(cell(page, "many-newer.jpg, in progress")).to_be_focused()
        assert (await names(page))[:3] == ["many-newer.jpg", "many-new.jpg", "many-129.jpg"]
        for ticket in (first, second):  # erased by another client
            await library.call("DELETE", f"/v1/images/{ticket['imageId']}")
        await expect(cells(page).first).to_have_accessible_name("many-129.jpg, in progress")


async def test_an_upload_enters_the_grid(library: Library) -> None:
    async with visit(library.browser, library.url()) as page:
        await expect(page.get_by_role("heading", name="Library")).to_be_visible()
        picture: Any = {"name": "entering.jpg", "mimeType": "image/jpeg", "buffer": CAT}
        await page.locator("input[type=file]").set_input_files([picture])
        await expect(cell(page, "entering.jpg")).to_be_visible()
        await expect(cells(page).first).to_have_accessible_name("entering.jpg")


async def test_empty_pages_are_skipped_and_the_reader_knows_how_far(library: Library) -> None:
    asked: list[Route] = []

    async def empty(route: Route) -> None:
        asked.append(route)
        day = f"2026-03-{30 - len(asked):02}T12:00:00Z"
        page = {"images": [], "searchedTo": day, "next": str(len(asked))}
        found = {"imageId": "0" * 26, "status": "rejected", "uploadedAt": day, "tags": []}
        await route.fulfill(json=page if len(asked) < 12 else {"images": [found]})

    async with visit(library.browser, "about:blank") as page:
        await page.route("**/v1/images?*", empty)
        await page.goto(library.url("?tag=rare"))
        await expect(page.get_by_text("Searched back to March 20, 2026")).to_be_visible()
        assert len(asked) == 10
        assert not await accessibility_faults(page)
        await page.get_by_role("button", name="Continue").click()
        await expect(cells(page)).to_have_count(1)
        assert len(asked) == 12


async def test_a_page_with_thousands_of_pictures_loads_more_only_on_request(
    library: Library,
) -> None:
    asked: list[Route] = []

    async def thousand(route: Route) -> None:
        asked.append(route)
        found = [
            {
                "imageId": f"{len(asked):013}{number:013}", "status": "rejected", "tags": [],
                "uploadedAt": "2026-03-01T12:00:00Z", "filename": f"{number}.jpg",
            }
            for number in range(1000)
        ]  # fmt: skip
        await route.fulfill(json={"images": found, "next": str(len(asked))})

    async with visit(library.browser, "about:blank") as page:
        await page.route("**/v1/images?*", thousand)
        await page.goto(library.url())
        more = page.get_by_role("button", name="Show more")
        for number in range(1, 6):
            await expect(cells(page)).to_have_count(1000 * number)
            await more.scroll_into_view_if_needed()
        said = page.get_by_text("5,000 pictures are shown. Filters find older ones faster.")
        await expect(said).to_be_visible()
        await asyncio.sleep(1)
        assert len(asked) == 5
        await more.click()
        await expect(cells(page)).to_have_count(6000)
        assert len(asked) == 6


async def test_a_search_can_be_stopped_and_a_failed_one_repeated(library: Library) -> None:
    held = asyncio.Event()
    asked: list[Route] = []

    async def slow(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            await route.fulfill(
                json={"images": [], "searchedTo": "2026-03-01T12:00:00Z", "next": "a"}
            )
        elif len(asked) == 2:
            await held.wait()
            await route.abort()
        elif len(asked) == 3:
            await route.fulfill(status=503, json={"title": "The table does not answer"})
        else:
            await route.fulfill(json={"images": []})

    async with visit(library.browser, "about:blank", allowed=f"{REFUSED}|{CUT}") as page:
        await page.route("**/v1/images?*", slow)
        await page.goto(library.url("?tag=rare"))
        await page.get_by_role("button", name="Stop").click()
        held.set()
        await page.get_by_role("button", name="Continue").click()
        await expect(alert(page)).to_contain_text("The table does not answer")
        assert not await accessibility_faults(page)
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_text("No picture matches the filters.")).to_be_visible()


async def test_a_list_that_is_no_longer_wanted_is_aborted(library: Library) -> None:
    await library.add("wanted.jpg")
    held = asyncio.Event()

    async def slow(route: Route) -> None:
        if "filename=" not in route.request.url:
            await held.wait()
        await route.continue_()

    async with visit(library.browser, "about:blank", allowed=CUT) as page:
        await page.route("**/v1/images?*", slow)
        await page.goto(library.url("?tag=slow"))
        await page.get_by_label("File name begins with").fill("wanted")
        async with page.expect_event("requestfailed") as failed:
            await page.get_by_label("File name begins with").press("Enter")
            await page.get_by_label("All of these tags").fill("")
            await page.get_by_label("All of these tags").blur()
        assert "tag=slow" in (await failed.value).url
        held.set()
        await expect(cell(page, "wanted.jpg")).to_be_visible()


_SLOW_BODY = """
const real = fetch;
globalThis.fetch = (url, request) => {
    if (!String(url).includes('tag=slow')) {
        return real(url, request);
    }
    const { signal } = request;
    const start = (body) => signal.addEventListener('abort', () => body.error(signal.reason));
    const headers = { 'Content-Type': 'application/json' };
    return Promise.resolve(new Response(new ReadableStream({ start }), { headers }));
};"""


async def test_a_list_that_is_aborted_within_its_body_is_no_failure(library: Library) -> None:
    held = asyncio.Event()

    async def slow(route: Route) -> None:
        await held.wait()
        await route.fulfill(json={"images": []})

    async with visit(library.browser, "about:blank", allowed=CUT) as page:
        await page.add_init_script(_SLOW_BODY)
        await page.route("**/v1/events", lambda route: route.abort())  # changes of other tests
        await page.route("**/v1/images?*", slow)
        await page.goto(library.url("?tag=slow"))
        async with page.expect_request("**/v1/images?*"):
            await page.get_by_role("button", name="Clear the filters").click()
        await page.evaluate("new Promise(requestAnimationFrame).then(() => null)")
        await expect(page.locator(".gallery [role=alert]")).to_have_count(0)
        await expect(page.locator("[aria-busy=true]")).to_have_count(1)
        held.set()
        await expect(page.get_by_text("There are no pictures yet.")).to_be_visible()


async def test_an_empty_library_says_how_to_begin(library: Library) -> None:
    async with visit(library.browser, "about:blank", allowed=CUT) as page:
        await page.route("**/v1/events", lambda route: route.abort())  # changes of other tests
        await page.route("**/v1/images?*", lambda route: route.fulfill(json={"images": []}))
        await page.goto(library.url())
        await expect(page.get_by_text("There are no pictures yet.")).to_be_visible()
        assert not await accessibility_faults(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_grid_is_accessible_on_a_narrow_page(library: Library, scheme: str) -> None:
    await library.add("narrow-with-a-long-name-of-a-camera-2026-11-29-0001.jpg")
    await library.add("narrow-notes.jpg", b"hello")
    await library.announce("narrow-waits.jpg")
    narrow = {"color_scheme": scheme, "viewport": {"width": 320, "height": 700}}
    async with visit(library.browser, library.url("?name=narrow-"), **narrow) as page:
        await expect(cells(page).locator(".pending").first).to_be_visible()
        await page.get_by_text("More filters").click()
        await expect(page.get_by_label("Status")).to_be_visible()
        assert not await accessibility_faults(page)
        assert await page.evaluate("document.documentElement.scrollWidth") == 320


async def test_every_text_of_the_grid_is_one_of_words(library: Library) -> None:
    await library.add("words-cat.jpg")
    await library.add("words-notes.jpg", b"hello")
    await library.announce("words-waits.jpg")
    async with visit(library.browser, library.url("?words=pseudo&name=words-")) as page:
        await expect(cells(page)).to_have_count(3)
        assert not await texts_outside_words(page)


def dialog(page: Page, name: str) -> Locator:
    return page.get_by_role("dialog", name=name, exact=True)


async def test_a_picture_opens_over_the_grid_and_arrows_follow_the_filtered_list(
    library: Library,
) -> None:
    for number in range(3):
        await library.add(f"over-{number}.jpg", tags=["over"])
        await library.add(f"not-over-{number}.jpg")
    async with visit(library.browser, library.url("?tag=over")) as page:
        await cell(page, "over-2.jpg").click()
        await expect(dialog(page, "over-2.jpg")).to_be_visible()
        await expect(page).to_have_title("over-2.jpg · Safelight")
        await expect(page.locator("#picture-title")).to_be_focused()
        await expect(page).to_have_url(re.compile("/ui/pictures/[0-9A-Z]{26}\\?tag=over$"))
        await page.keyboard.press("ArrowLeft")  # there is none before
        await page.keyboard.press("ArrowRight")
        await expect(dialog(page, "over-1.jpg")).to_be_visible()
        await page.get_by_role("button", name="Copy the SHA-256").focus()
        await page.keyboard.press("ArrowRight")
        await expect(dialog(page, "over-0.jpg")).to_be_visible()
        await expect(page.locator("#picture-title")).to_be_focused()
        await page.keyboard.press("ArrowLeft")
        await expect(dialog(page, "over-1.jpg")).to_be_visible()
        await page.get_by_role("button", name="Next picture").click()
        await expect(dialog(page, "over-0.jpg")).to_be_visible()
        await page.keyboard.press("ArrowRight")  # there is none behind
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(cell(page, "over-0.jpg")).to_be_focused()
        assert page.url == library.url("?tag=over")
        await expect(page).to_have_title("Pictures · Safelight")
        await cell(page, "over-1.jpg").press("Enter")
        await expect(dialog(page, "over-1.jpg")).to_be_visible()
        await page.reload()
        await expect(dialog(page, "over-1.jpg")).to_be_visible()
        await page.go_back()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.go_forward()
        await expect(dialog(page, "over-1.jpg")).to_be_visible()
        await page.get_by_role("button", name="Close").click()
        await expect(cells(page)).to_have_count(3)


async def test_the_arrows_go_on_to_the_next_page(library: Library) -> None:
    first, second = [await library.add(f"paged-{n}.jpg") for n in (1, 2)]
    _, listed = await library.call("GET", "/v1/images?filename=paged-")
    images = {one["imageId"]: one for one in listed["images"]}

    held = asyncio.Event()

    async def one_each(route: Route) -> None:
        if "cursor" in route.request.url:
            await held.wait()
            await route.fulfill(json={"images": [images[first]]})
        else:
            await route.fulfill(json={"images": [images[second]], "next": "more"})

    async with visit(library.browser, "about:blank") as page:
        await page.add_init_script("globalThis.IntersectionObserver = class { observe() {} "
                                   "unobserve() {} disconnect() {} };")  # fmt: skip
        await page.route("**/v1/images?*", one_each)
        await page.goto(library.url())
        await cell(page, "paged-2.jpg").click()
        await expect(dialog(page, "paged-2.jpg")).to_be_visible()
        async with page.expect_request("**/v1/images?*cursor*"):
            await page.keyboard.press("ArrowRight")
        await page.go_back()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        held.set()
        await expect(cells(page)).to_have_count(2)
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert page.url == library.url()
        await page.reload()
        await cell(page, "paged-2.jpg").click()
        await expect(dialog(page, "paged-2.jpg")).to_be_visible()
        await page.keyboard.press("ArrowRight")
        await expect(dialog(page, "paged-1.jpg")).to_be_visible()


async def test_the_address_of_a_picture_is_a_page(library: Library) -> None:
    image_id = await library.add("alone.jpg", tags=["alone"])
    image = await library.image(image_id)
    async with visit(
        library.browser,
        library.url(f"pictures/{image_id}"),
        permissions=["clipboard-read", "clipboard-write"],
    ) as page:
        await expect(page.get_by_role("heading", name="alone.jpg")).to_be_visible()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_text("56.5% smaller")).to_be_visible()
        await expect(page.get_by_text(re.compile("JPEG . 451 . 300 . 41.5 kB"))).to_be_visible()
        await expect(page.get_by_text(image["dominantColour"], exact=True)).to_be_visible()
        preview = page.get_by_role("img", name="alone.jpg")
        assert await preview.evaluate("async (one) => (await one.decode(), one.naturalWidth)")
        row = page.get_by_role("row", name="small")
        texts = ["JPEG", "150 . 100", r"[\d.]+ kB", r"[\d.]+%", "85", "."]
        await expect(row.get_by_role("cell")).to_have_text(
            [*map(re.compile, texts), re.compile("Copy")]
        )
        await page.get_by_role("button", name="Copy the URL of small").click()
        await expect(row.get_by_role("button", name="Copied")).to_be_visible()
        assert await clipboard(page) == image["variants"]["small"]["url"]
        link = row.get_by_role("link", name="Open small")
        assert await link.get_attribute("href") == image["variants"]["small"]["url"]
        await page.get_by_role("button", name="Copy the SHA-256").click()
        assert await clipboard(page) == image["sha256"]
        original = page.get_by_role("link", name="Download the original")
        async with page.expect_download() as downloading:
            await original.click()
        download = await downloading.value
        assert download.suggested_filename == "alone.jpg"
        assert Path(await download.path()).read_bytes() == CAT
        await page.get_by_role("link", name="alone", exact=True).click()
        await expect(cell(page, "alone.jpg")).to_be_visible()


async def clipboard(page: Page) -> str:
    text: str = await page.evaluate("navigator.clipboard.readText()")
    return text


async def test_a_rejected_and_a_waiting_picture_say_why_they_have_no_variants(
    library: Library,
) -> None:
    rejected = await library.add("why.jpg", b"hello")
    ticket = await library.announce("later.jpg", size=len(CAT))
    async with visit(library.browser, library.url(f"pictures/{rejected}")) as page:
        reason = "Rejected: the file is not in a supported format"
        await expect(page.get_by_text(reason)).to_be_visible()
        await expect(page.get_by_role("table")).to_have_count(0)
        await page.goto(library.url(f"pictures/{ticket['imageId']}"))
        await expect(page.get_by_text("The upload has not arrived yet")).to_be_visible()
        await library.send(ticket, CAT)
        await expect(page.get_by_role("row", name="small")).to_be_visible()


async def test_a_waiting_picture_that_is_closed_is_asked_for_no_more(library: Library) -> None:
    image_id = (await library.announce("unwatched.jpg"))["imageId"]
    asked: list[str] = []
    async with visit(library.browser, "about:blank", allowed=REFUSED) as page:
        await page.route("**/v1/events", lambda route: route.fulfill(status=429, json={}))
        page.on("request", lambda one: asked.append(one.url) if image_id in one.url else None)
        await page.goto(library.url("?name=unwatched"))
        async with page.expect_request(f"**/v1/images/{image_id}"):
            await cell(page, "unwatched.jpg, in progress").click()
        async with page.expect_request(f"**/v1/images/{image_id}"):
            await expect(page.get_by_text("The upload has not arrived yet")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        for _ in range(3):  # with each check of the stream, awaited images are asked for
            async with page.expect_request("**/v1/session"):
                asked.clear()
        assert not asked


async def test_a_variant_that_failed_shows_why(library: Library) -> None:
    image_id = await library.add("failed-variant.jpg")
    image = await library.image(image_id)
    image["failedVariants"] = {"hero": "the picture is larger than it may be"}
    async with visit(library.browser, "about:blank") as page:
        await page.route(f"**/v1/images/{image_id}", lambda route: route.fulfill(json=image))
        await page.goto(library.url(f"pictures/{image_id}"))
        row = page.get_by_role("row", name="hero")
        await expect(row).to_contain_text("Failed: the picture is larger than it may be")


async def test_urls_of_presets_that_are_not_public_are_signed_by_the_api(library: Library) -> None:
    image_id = await library.add("signed.jpg")
    _, vocabulary = await library.call("GET", "/v1/presets")
    for preset in vocabulary["presets"]:
        preset["access"] = "private" if preset["name"] == "small" else "signed"
    asked: list[Any] = []

    async def sign(route: Route) -> None:
        body = route.request.post_data_json
        asked.append(body)
        if len(asked) == 1:
            limit = {"Retry-After": "1"}
            await route.fulfill(status=429, headers=limit, json={"title": "Too many URLs"})
            return
        url = f"{library.system.public_url}/signed/{body['preset']}.{body.get('format')}"
        answer = {"off": "there is no key"} if body["preset"] == "medium" else {"url": url}
        await route.fulfill(json={"urls": {"preset": answer}})

    async with visit(library.browser, "about:blank", allowed=REFUSED) as page:
        await page.route("**/v1/presets", lambda route: route.fulfill(json=vocabulary))
        await page.route("**/v1/urls", sign)
        await page.goto(library.url(f"pictures/{image_id}"))
        await expect(page.get_by_role("row", name="medium")).to_contain_text(
            "none: there is no key"
        )
        link = page.get_by_role("link", name="Open small")
        signed = f"{library.system.public_url}/signed"
        await expect(link).to_have_attribute("href", f"{signed}/small.None")
        await expect(page.locator("code")).to_contain_text(f'srcset="{signed}/large.avif"')
        await page.get_by_role("combobox", name="Variant").select_option("medium")
        await expect(alert(page)).to_have_text("There is no URL for this: there is no key")
        assert not await accessibility_faults(page)
        expires = page.get_by_text("URLs of private presets expire in an hour.")
        await expect(expires).to_have_count(1)  # below the table
        await page.get_by_role("combobox", name="Variant").select_option("small")
        await expect(expires).to_have_count(2)
    assert {one["preset"] for one in asked if "expiresIn" in one} == {"small"}


@pytest.mark.parametrize("image_id", ["01M7YB1NC8XE9XQ3H3PCRZFKK6", "nonsense", "%2e%2e%3f"])
async def test_an_unknown_picture_is_a_clear_text(library: Library, image_id: str) -> None:
    async with visit(library.browser, library.url(f"pictures/{image_id}"), allowed=REFUSED) as page:
        await expect(alert(page)).to_have_text("You have no picture with this ID.")
        await page.get_by_role("link", name="All pictures").click()
        await expect(page.get_by_role("heading", name="Library")).to_be_visible()


async def test_snippets_show_the_picture_on_other_pages(library: Library) -> None:
    image_id = await library.add('a "quoted" <name> & more.jpg')
    image = await library.image(image_id)
    delivery = library.system.public_url
    common = (
        'width="451" height="300" alt="a &quot;quoted&quot; &lt;name&gt; &amp; more.jpg"'
        f' style="background-color: {image["dominantColour"]}">'
    )
    picture = (
        "<picture>\n"
        f'  <source type="image/avif" srcset="{delivery}/large/{image_id}.avif">\n'
        f'  <source type="image/webp" srcset="{delivery}/large/{image_id}.webp">\n'
        f'  <img src="{delivery}/large/{image_id}.jpg" {common}\n'
        "</picture>"
    )
    widths = {"small": 150, "medium": 300, "large": 451}
    srcset = ", ".join(f"{delivery}/{name}/{image_id} {n}w" for name, n in widths.items())
    async with visit(
        library.browser,
        library.url(f"pictures/{image_id}"),
        permissions=["clipboard-read", "clipboard-write"],
    ) as page:
        await page.get_by_role("combobox", name="Variant").select_option("large")
        text = page.get_by_role("region", name="HTML for your page").locator("code")
        await expect(text).to_have_text(picture)
        await page.get_by_role("button", name="Copy the HTML").click()
        assert await clipboard(page) == picture
        await page.get_by_label("srcset").check()
        await expect(text).to_have_text(
            f'<img src="{delivery}/large/{image_id}" srcset="{srcset}" sizes="451px" {common}'
        )
        await page.get_by_label("URL", exact=True).check()
        await expect(text).to_have_text(f"{delivery}/large/{image_id}")
    for url in re.findall(r'http[^" ,]+', f"{picture} {srcset}"):
        async with library.http.get(url) as answer:
            assert answer.status == 200, url
            suffix = url.rpartition(".")[2]
            if suffix in ("avif", "webp"):
                assert answer.content_type == f"image/{suffix}"


async def test_tags_and_the_name_are_changed_beside_other_editors(library: Library) -> None:
    image_id = await library.add("edited.jpg", tags=["first"])
    path = f"/v1/images/{image_id}"
    async with visit(library.browser, library.url("?name=edited"), allowed=REFUSED) as page:
        await cell(page, "edited.jpg").click()
        tags = page.locator(".tag a")
        await expect(tags).to_have_text(["first"])
        await library.call("PATCH", path, {"addTags": ["theirs"]})
        await page.get_by_label("New tags").fill("mine, mine too")
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(tags).to_have_text(["first", "theirs", "mine", "mine too"])
        note = "Another client changed the tags too. All tags are shown."
        await expect(page.get_by_text(note)).to_be_visible()
        assert not await accessibility_faults(page)
        await page.get_by_role("button", name="Remove the tag first").click()
        await expect(tags).to_have_text(["theirs", "mine", "mine too"])
        await expect(page.get_by_text(note)).to_have_count(0)
        await expect(page.get_by_label("New tags")).to_be_focused()
        await page.get_by_label("New tags").fill(",".join(map(str, range(8))))
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Not changed: would make 11 of 10 tags.")).to_be_visible()
        await page.get_by_role("button", name="Rename").click()
        await expect(page.get_by_label("File name", exact=True)).to_be_focused()
        await page.keyboard.type("renamed.jpg")
        await page.keyboard.press("Enter")
        await expect(dialog(page, "renamed.jpg")).to_be_visible()
        await expect(page.get_by_role("button", name="Rename")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(cell(page, "renamed.jpg")).to_be_visible()
    image = await library.image(image_id)
    assert (image["filename"], image["tags"]) == ("renamed.jpg", ["theirs", "mine", "mine too"])


async def test_changes_are_sent_one_after_the_other_and_reach_the_grid(library: Library) -> None:
    image_id = await library.add("queued.jpg", tags=["one", "two", "three"])
    await library.add("queued-other.jpg")
    held = asyncio.Event()

    async def slow(route: Route) -> None:
        if route.request.method == "PATCH":
            await held.wait()
        await route.continue_()

    async with visit(library.browser, "about:blank", allowed=CUT) as page:
        await page.route("**/v1/events", lambda route: route.abort())
        await page.route(f"**/v1/images/{image_id}", slow)
        await page.goto(library.url("?name=queued"))
        await cell(page, "queued.jpg").click()
        await page.get_by_role("button", name="Remove the tag one").click()
        await page.get_by_role("button", name="Remove the tag two").click()
        held.set()
        await expect(page.locator(".tag a")).to_have_text(["three"])
        await expect(page.get_by_text("Another client changed")).to_have_count(0)
        held.clear()
        await page.get_by_role("button", name="Rename").click()
        await page.keyboard.type("queued-late.jpg")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Previous picture").click()
        await expect(dialog(page, "queued-other.jpg")).to_be_visible()
        async with page.expect_response(lambda one: one.request.method == "PATCH"):
            held.set()
        await expect(page.locator("#picture-title")).to_have_text("queued-other.jpg")
        await page.keyboard.press("Escape")
        await expect(cell(page, "queued-late.jpg")).to_be_visible()


async def test_a_tag_of_the_present_filter_closes_the_picture_and_may_have_a_comma(
    library: Library,
) -> None:
    await library.add("comma.jpg", tags=["sun, sea"])
    async with visit(library.browser, library.url("?tag=sun%2C+sea")) as page:
        await cell(page, "comma.jpg").click()
        await page.get_by_role("link", name="sun, sea", exact=True).click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.get_by_label("Status").select_option("completed")
        assert page.url == library.url("?tag=sun%2C+sea&status=completed")
        await expect(cell(page, "comma.jpg")).to_be_visible()


async def test_a_change_that_lost_to_others_shows_the_picture_as_it_is(library: Library) -> None:
    image_id = await library.add("lost.jpg", tags=["before"])

    async def lose(route: Route) -> None:
        if route.request.method != "PATCH":
            await route.continue_()
            return
        await library.call("PATCH", f"/v1/images/{image_id}", {"tags": ["theirs"]})
        problem = {"type": "/problems/changed_meanwhile", "title": "Changed", "status": 409}
        await route.fulfill(status=409, json=problem)

    async with visit(library.browser, library.url(f"pictures/{image_id}"), allowed=REFUSED) as page:
        await page.route(f"**/v1/images/{image_id}", lose)
        await page.get_by_label("New tags").fill("mine")
        await page.keyboard.press("Enter")
        await expect(page.locator(".tag a")).to_have_text(["theirs"])
        await expect(page.get_by_text("Your change was not saved")).to_be_visible()
        await expect(page.get_by_label("New tags")).to_have_value("mine")


async def test_erasing_shows_a_receipt_and_the_urls_are_dead(library: Library) -> None:
    await library.add("kept.jpg", tags=["erasing"])
    image_id = await library.add("erased.jpg", tags=["erasing"])
    urls = [one["url"] for one in (await library.image(image_id))["variants"].values()]
    async with visit(
        library.browser,
        library.url("?tag=erasing"),
        allowed=REFUSED,
        permissions=["clipboard-read", "clipboard-write"],
    ) as page:
        await cell(page, "erased.jpg").click()
        erase = page.get_by_role("button", name="Erase…")
        await erase.click()
        asks = dialog(page, "Erase erased.jpg?")
        await expect(asks.get_by_role("listitem")).to_have_text(
            [
                "the source, 41.5 kB",
                re.compile(r"^4 variants, [\d.]+ kB$"),
                "its copies in caches at the edge (CDN)",
            ]
        )
        await expect(asks.get_by_role("button", name="Keep it")).to_be_focused()
        assert not await accessibility_faults(page)
        await page.keyboard.press("Escape")
        await expect(asks).to_have_count(0)
        await expect(erase).to_be_focused()
        await erase.click()
        await asks.get_by_role("button", name="Erase", exact=True).click()
        await expect(page.get_by_text("Complete: a final check found nothing.")).to_be_visible()
        await expect(dialog(page, "erased.jpg")).to_be_visible()
        await expect(page.get_by_text("1 version, 41.5 kB")).to_be_visible()
        await expect(page.get_by_text(re.compile(r"^\d objects, [\d.]+ kB$"))).to_be_visible()
        assert not await accessibility_faults(page)
        await page.get_by_role("button", name="Copy the receipt as JSON").click()
        _, receipt = await library.call("GET", f"/v1/images/{image_id}/erasure")
        assert json.loads(await clipboard(page)) == receipt
        await page.keyboard.press("Escape")
        await expect(cell(page, "kept.jpg")).to_be_focused()
        await expect(cells(page)).to_have_count(1)
        for url in urls:
            async with library.http.get(url) as answer:
                assert answer.status == 410, url
        await page.goto(library.url(f"pictures/{image_id}"))
        await expect(page.get_by_text("This picture was erased.")).to_be_visible()
        await expect(page.get_by_role("heading", name="Receipt")).to_be_visible()


async def test_a_session_that_ends_is_noticed_in_the_dialog_too(library: Library) -> None:
    image_id = await library.add("session.jpg")
    sent: list[str] = []

    async def refuse(route: Route) -> None:
        if route.request.method == "DELETE":
            sent.append(route.request.url)
            await route.fulfill(status=401, json={"title": "Authentication is required"})
        else:
            await route.continue_()

    async with visit(library.browser, library.url("?name=session"), allowed=REFUSED) as page:
        await page.route(f"**/v1/images/{image_id}", refuse)
        await cell(page, "session.jpg").click()
        await page.get_by_role("button", name="Erase…").click()
        await page.get_by_role("button", name="Erase", exact=True).click()
        asks = dialog(page, "Erase session.jpg?")
        await expect(asks.get_by_text("Your session has ended.")).to_be_visible()
        await asks.get_by_role("link", name="Sign in again").focus()
        await expect(asks.get_by_role("link", name="Sign in again")).to_be_focused()
        assert not await accessibility_faults(page)
        await asks.get_by_role("button", name="Keep it").click()
        await expect(asks).to_have_count(0)
        _, session = await library.call("GET", "/v1/session")
        signed_in = "(user) => new BroadcastChannel('session').postMessage(user)"
        await page.evaluate(signed_in, session["userId"])
        await expect(page.get_by_text("Your session has ended.")).to_have_count(0)
        await page.evaluate("fetch('/v1/session').then(() => null)")  # after what was sent before
    assert len(sent) == 1


async def test_an_erasure_that_is_sent_is_not_given_up(library: Library) -> None:
    image_id = await library.add("sent-erasure.jpg")
    held = asyncio.Event()

    async def slow(route: Route) -> None:
        if route.request.method == "DELETE":
            await held.wait()
        await route.continue_()

    async with visit(library.browser, library.url("?name=sent-erasure"), allowed=REFUSED) as page:
        await page.route(f"**/v1/images/{image_id}", slow)
        await cell(page, "sent-erasure.jpg").click()
        await page.get_by_role("button", name="Erase…").click()
        asks = dialog(page, "Erase sent-erasure.jpg?")
        await asks.get_by_role("button", name="Erase", exact=True).click()
        await expect(asks.get_by_role("button", name="Keep it")).to_be_disabled()
        await page.keyboard.press("Escape")
        await expect(asks).to_be_visible()
        held.set()
        await expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
        await expect(page.get_by_text("This picture was erased.")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(cells(page)).to_have_count(0)


async def test_a_picture_that_cannot_be_read_now_can_be_tried_again(library: Library) -> None:
    image_id = await library.add("again.jpg", tags=["kept"])
    page_url = library.url(f"pictures/{image_id}")
    async with visit(library.browser, "about:blank", allowed=f"{REFUSED}|{CUT}") as page:
        await page.route(f"**/v1/images/{image_id}", lambda route: route.abort())
        await page.goto(page_url)
        reason = "The picture cannot be loaded: the server cannot be reached"
        await expect(alert(page)).to_have_text(reason)
        assert not await accessibility_faults(page)
        await page.unroute(f"**/v1/images/{image_id}")
        await page.get_by_role("button", name="Try again").press("Enter")
        await expect(page.get_by_role("row", name="small")).to_be_visible()
        await expect(page.get_by_role("heading", name="again.jpg")).to_be_focused()
        await page.context.set_offline(True)
        await page.get_by_role("button", name="Remove the tag kept").click()
        note = "Not changed: the server cannot be reached"
        await expect(page.get_by_text(note)).to_be_visible()


async def test_a_picture_is_kept_if_its_erasure_is_refused(library: Library) -> None:
    image_id = await library.add("refused-erasure.jpg")

    async def refuse(route: Route) -> None:
        if route.request.method == "DELETE":
            await route.fulfill(status=429, json={"title": "Too many erasures"})
        else:
            await route.continue_()

    async with visit(library.browser, library.url(f"pictures/{image_id}"), allowed=REFUSED) as page:
        await page.route(f"**/v1/images/{image_id}", refuse)
        await page.get_by_role("button", name="Erase…").click()
        await page.get_by_role("button", name="Erase", exact=True).click()
        await expect(alert(page)).to_have_text("Not erased: Too many erasures")
        await page.get_by_role("button", name="Keep it").click()
        await expect(page.get_by_role("row", name="small")).to_be_visible()


async def test_a_keyboard_uploads_opens_copies_and_erases(library: Library) -> None:
    choosers: list[FileChooser] = []
    async with visit(
        library.browser,
        library.url("?name=keyboard-"),
        permissions=["clipboard-read", "clipboard-write"],
    ) as page:
        page.on("filechooser", lambda one: choosers.append(one))  # noqa: PLW0108 - it gets a mark
        await expect(page.get_by_text("No picture matches the filters.")).to_be_visible()
        await page.keyboard.press("u")
        while not choosers:
            await asyncio.sleep(0.05)
        picture: Any = {"name": "keyboard-cat.jpg", "mimeType": "image/jpeg", "buffer": CAT}
        await choosers.pop().set_files([picture])
        await expect(page.get_by_role("link", name="Open keyboard-cat.jpg")).to_be_visible()
        await tab_to(page, cell(page, "keyboard-cat.jpg"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("row", name="small")).to_be_visible()
        await tab_to(page, page.get_by_role("button", name="Copy the URL of small"))
        await page.keyboard.press("Enter")
        assert (await clipboard(page)).startswith(library.system.public_url)
        await tab_to(page, page.get_by_role("button", name="Erase…"), key="Shift+Tab")
        await page.keyboard.press("Enter")
        await tab_to(page, page.get_by_role("button", name="Erase", exact=True))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(cells(page)).to_have_count(0)
        await expect(page.get_by_role("heading", name="Library")).to_be_focused()


async def test_after_an_erasure_the_focus_is_on_what_was_done(library: Library) -> None:
    image_id = await library.add("focus.jpg")
    async with visit(library.browser, library.url(f"pictures/{image_id}")) as page:
        await expect(page.get_by_role("button", name="Erase…")).to_be_visible()
        assert await page.evaluate("document.activeElement === document.body")
        await tab_to(page, page.get_by_role("button", name="Erase…"))
        await page.keyboard.press("Enter")
        await tab_to(page, page.get_by_role("button", name="Erase", exact=True))
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("This picture was erased.")).to_be_focused()
        await expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
        assert not await accessibility_faults(page)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Copy the receipt as JSON")).to_be_focused()


async def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press Tab until an element has the focus, as a person does."""
    for _ in range(40):
        if await target.evaluate("(one) => one === document.activeElement"):
            return
        await page.keyboard.press(key)
    await expect(target).to_be_focused(timeout=1)


async def test_the_open_of_an_upload_opens_its_picture(library: Library) -> None:
    async with visit(library.browser, library.url()) as page:
        picture: Any = {"name": "opened.jpg", "mimeType": "image/jpeg", "buffer": CAT}
        await page.locator("input[type=file]").set_input_files([picture])
        link = page.get_by_role("link", name="Open opened.jpg")
        await link.click()
        await expect(dialog(page, "opened.jpg")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(link).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_picture_is_accessible_on_a_narrow_page(library: Library, scheme: str) -> None:
    completed = await library.add("cat-of-a-camera-with-a-long-name-1.jpg", tags=["a", scheme * 12])
    rejected = await library.add("notes-with-a-long-name-of-a-camera.jpg", b"hello")
    narrow = {"color_scheme": scheme, "viewport": {"width": 320, "height": 700}}
    async with visit(library.browser, library.url(f"?tag={scheme * 12}"), **narrow) as page:
        await cell(page, "cat-of-a-camera-with-a-long-name-1.jpg").click()
        await expect(page.locator("code")).to_contain_text("<picture>")
        assert not await accessibility_faults(page)
        await page.get_by_role("button", name="Rename").click()
        await page.get_by_role("button", name="Erase…").click()
        assert not await accessibility_faults(page)
        for image_id in (completed, rejected):
            await page.goto(library.url(f"pictures/{image_id}"))
            await expect(page.get_by_role("button", name="Rename")).to_be_visible()
            assert not await accessibility_faults(page)
            assert await page.evaluate("document.documentElement.scrollWidth") == 320


async def test_every_text_of_a_picture_is_one_of_words(library: Library) -> None:
    completed = await library.add("pseudo.jpg", tags=["pseudo"])
    rejected = await library.add("pseudo-notes.jpg", b"hello")
    waiting = (await library.announce("pseudo-waits.jpg"))["imageId"]
    async with visit(library.browser, library.url("?words=pseudo"), allowed=REFUSED) as page:
        for image_id in (waiting, rejected, completed):
            await page.goto(library.url(f"pictures/{image_id}?words=pseudo"))
            await expect(page.locator(".facts")).to_be_visible()
            assert not await texts_outside_words(page)
        await expect(page.locator("code")).to_be_visible()
        await page.locator(".picture > .about > .acts button").last.click()
        assert not await texts_outside_words(page)
        await page.locator(".danger").click()
        await expect(page.locator(".receipt")).to_be_visible()
        assert not await texts_outside_words(page)


async def test_a_cancelled_upload_leaves_no_record(library: Library) -> None:
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        if route.request.method == "POST":
            await held.wait()
        await route.abort()

    async with visit(library.browser, library.url(), allowed=f"{CUT}|{REFUSED}") as page:
        await page.route(f"{library.system.emulator.endpoint_url}/**", hold)
        picture: Any = {"name": "cancelled.jpg", "mimeType": "image/jpeg", "buffer": CAT}
        await page.locator("input[type=file]").set_input_files([picture])
        await expect(cell(page, "cancelled.jpg, in progress")).to_be_visible()
        image_id = await cell(page, "cancelled.jpg, in progress").get_attribute("data-image")
        async with page.expect_response(lambda one: one.request.method == "DELETE"):
            await page.get_by_role("button", name="Cancel cancelled.jpg").click()
        await expect(cell(page, "cancelled.jpg, in progress")).to_have_count(0)
        held.set()
    status, problem = await library.call("GET", f"/v1/images/{image_id}")
    assert (status, problem["type"]) == (410, "/problems/image_erased")
