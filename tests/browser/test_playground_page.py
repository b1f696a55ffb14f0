"""The playground shows what options do to a picture, and gives URLs that delivery answers alike."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Request, Route, expect

from ops.client import Client
from ops.local.system import LocalSystem
from tests.support import visitor
from tests.support.visitor import accessibility_faults, texts_outside_words, visit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.starts,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

SAMPLES = Path(__file__).parents[2] / "samples"
PICTURES = ("astronaut-800px.jpg", "cat-451px.jpg")
EVERYWHERE = "box=90x60,fit=cover,gravity=attention,enlarge=yes,format=webp"
"""Options that every dialect can express."""
REFUSED = r"Failed to load resource: the server responded with a status of \d+"
CUT = r"Failed to load resource: net::ERR_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A server with a playground, and two pictures: the cat is the newest."""

    browser: Browser
    system: LocalSystem
    http: aiohttp.ClientSession
    cat: str
    astronaut: str

    def url(self, **query: str) -> str:
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return f"{self.system.api_url}/ui/playground?{words}"

    async def assets(self) -> set[str]:
        """List the keys of all objects in the bucket of assets."""
        async with self.system.account.client("s3") as s3:
            listed = await s3.list_objects_v2(Bucket=self.system.stack.assets_bucket)
            return {one["Key"] for one in listed.get("Contents", ())}

    async def delivered(self, url: str) -> bytes:
        async with self.http.get(url) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site() -> AsyncIterator[Site]:
    async with (
        LocalSystem(delivers=True, pages=True) as system,
        visitor.chromium() as browser,
        aiohttp.ClientSession() as http,
    ):
        client = Client(http, system.api_url)
        ids = [await uploaded(client, SAMPLES / name) for name in PICTURES]
        yield Site(browser=browser, system=system, http=http, astronaut=ids[0], cat=ids[1])


async def uploaded(client: Client, picture: Path) -> str:
    """Upload a picture, wait until it is completed, and return its image id."""
    ticket = await client.announce(picture)
    await client.send(ticket, picture)
    while (await client.image(ticket.image_id))["status"] == "pending":
        await asyncio.sleep(0.2)
    return ticket.image_id


def facts(page: Page) -> Locator:
    return page.locator(".facts")


def line(page: Page, name: str) -> Locator:
    """The line of a URL."""
    return page.locator(".urls > div").filter(has=page.get_by_text(name, exact=True))


def tried(page: Page) -> dict[str, str]:
    """Read what is tried from the page's address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def times(size: str) -> str:
    """Write a size, such as `90 x 60`, as pages do."""
    return size.replace("x", "\N{MULTIPLICATION SIGN}")


def problem(page: Page) -> Locator:
    return page.locator("p[role=alert]")


async def rendered(page: Page, size: str) -> None:
    """Wait until the preview has this size, and a reference beside it."""
    await expect(facts(page)).to_contain_text(times(size))
    await expect(page.get_by_text("Reference: the same options")).to_be_visible()


async def test_delivery_answers_every_copied_url_with_the_picture_of_the_preview(
    site: Site,
) -> None:
    previews: dict[str, bytes] = {}

    async def note(route: Route) -> None:
        answer = await route.fetch()
        previews[route.request.url] = await answer.body()
        await route.fulfill(response=answer)

    async with visit(
        site.browser, "about:blank", permissions=["clipboard-read", "clipboard-write"]
    ) as page:
        await page.route(re.compile("store=no"), note)
        await page.goto(site.url(image=site.cat, o=EVERYWHERE))
        await rendered(page, "90 x 60")
        copied = {}
        for name in ("Safelight", "thumbor", "imgproxy", "AWS", "imgix"):
            await page.get_by_role("button", name=f"Copy {name}").click()
            await expect(line(page, name).get_by_role("button")).to_have_text("Copied")
            copied[name] = await page.evaluate("navigator.clipboard.readText()")
    (preview,) = (body for url, body in previews.items() if "format=webp" in url)
    assert len(set(copied.values())) == 5
    for name, url in copied.items():
        assert await site.delivered(url) == preview, name


async def test_a_preview_leaves_no_object(site: Site) -> None:
    before = await site.assets()
    async with visit(site.browser, site.url(image=site.cat, o="box=91x61,fit=cover")) as page:
        await rendered(page, "91 x 61")
        await page.get_by_label("Width", exact=True).fill("92")
        await page.keyboard.press("Tab")
        await rendered(page, "92 x 61")
        own = await line(page, "Safelight").locator("code").inner_text()
        assert await site.assets() == before
    await site.delivered(own)
    assert len(await site.assets()) == len(before) + 1


async def test_the_newest_picture_is_tried_first_and_others_are_found_by_name(site: Site) -> None:
    async with visit(site.browser, site.url()) as page:
        await expect(facts(page)).to_be_visible()
        assert tried(page)["image"] == site.cat
        await page.get_by_text("cat-451px.jpg: choose another").click()
        await expect(page.locator(".strip li")).to_have_count(2)
        await page.get_by_label("File name begins with").fill("astro")
        await expect(page.locator(".strip li")).to_have_count(1)
        await page.locator(".strip a").click()
        await expect(page.get_by_text("astronaut-800px.jpg: choose another")).to_be_visible()
        await rendered(page, "800 x")
        assert tried(page)["image"] == site.astronaut
        await page.get_by_label("File name begins with").fill("Astro")
        await expect(page.get_by_text("No picture has such a name.")).to_be_visible()
        await page.go_back()
        await expect(page.get_by_text("cat-451px.jpg: choose another")).to_be_visible()


async def test_a_picture_behind_empty_pages_is_found(site: Site) -> None:
    found = await Client(site.http, site.system.api_url).image(site.cat)
    asked: list[str] = []

    async def listed(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        asked.append(query.get("cursor", [""])[0])
        urls = {name: found["variants"][name]["url"] for name in ("compressed", "small")}
        cat = {**found, "thumbnails": urls}
        if "filename" in query:
            answer: Any = {"images": [], "next": "more"}
        elif asked[-1] == "2":
            answer = {"images": [cat], "next": "3"}
        else:
            answer = {"images": [], "next": str(len(asked))}
        await route.fulfill(json=answer)

    async with visit(site.browser, "about:blank") as page:
        await page.route("**/v1/images?*", listed)
        await page.goto(site.url())
        await expect(facts(page)).to_be_visible()
        assert asked == ["", "1", "2"]
        assert tried(page)["image"] == site.cat
        asked.clear()
        await page.get_by_text("choose another").click()
        await expect(page.locator(".strip img")).to_have_attribute("src", re.compile("/small-"))
        await expect(page.get_by_text("The newest 1 are shown.")).to_be_visible()
        asked.clear()
        await page.get_by_label("File name begins with").fill("rare")
        await expect(page.get_by_text("No picture was found among the newest.")).to_be_visible()
        assert len(asked) == 10


async def test_forced_colours_show_what_is_chosen(site: Site) -> None:
    forced: Any = {"forced_colors": "active"}
    async with visit(site.browser, site.url(image=site.cat, o="box=54x54"), **forced) as page:
        await rendered(page, "54 x 36")
        chosen = page.locator(".choice label").filter(has_text="Slider")
        other = page.locator(".choice label").filter(has_text="Side by side")
        here = page.get_by_role("link", name="Playground", exact=True)
        there = page.get_by_role("link", name="Pictures", exact=True)
        background = "(one) => getComputedStyle(one).backgroundColor"
        border = "(one) => getComputedStyle(one).borderBottomColor"
        assert await chosen.evaluate(background) != await other.evaluate(background)
        assert await here.evaluate(border) != await there.evaluate(border)


async def test_the_slider_is_moved_by_keys_and_views_change(site: Site) -> None:
    async with visit(site.browser, site.url(image=site.cat, o="box=200x200")) as page:
        await rendered(page, "200 x 133")
        slider = page.get_by_role("slider", name="Comparison")
        await expect(slider).to_have_attribute("aria-valuetext", "50% result")
        await slider.press("ArrowLeft")
        await expect(slider).to_have_attribute("aria-valuetext", "49% result")
        await expect(page.locator(".top")).to_have_css("clip-path", "inset(0px 51% 0px 0px)")
        await page.get_by_label("Slider", exact=True).press("ArrowRight")
        await expect(page.get_by_role("img", name="Reference of cat-451px.jpg")).to_be_visible()
        await expect(page.locator(".top").first).to_have_css("clip-path", "inset(0px 0% 0px 0px)")
        await page.get_by_label("Side by side").press("ArrowRight")
        await expect(page.get_by_role("img", name="Reference")).to_have_count(0)
        await page.get_by_text("200%").click()
        await expect(page.locator(".stage")).to_have_css("width", "400px")


async def test_the_address_has_what_is_tried_and_back_undoes_it(site: Site) -> None:
    async with visit(site.browser, site.url(image=site.cat, o="box=200x150")) as page:
        await rendered(page, "200 x 133")
        await page.get_by_label("How to fit").select_option("cover")
        await rendered(page, "200 x 150")
        assert tried(page)["o"] == "box=200x150,fit=cover"
        await page.get_by_label("Operation", exact=True).select_option("pad")
        await page.get_by_role("button", name="Add").click()
        await expect(page).to_have_url(re.compile("pad"))
        await page.get_by_label("top", exact=True).fill("20")
        await page.keyboard.press("Tab")
        await rendered(page, "200 x 170")
        shared = page.url
        await page.go_back()
        await rendered(page, "200 x 150")
        await expect(page.get_by_label("top", exact=True)).to_have_value("0")
        await page.get_by_role("heading", name="Playground").click()  # no key acts in a field
        await page.keyboard.press("x")
        await rendered(page, "200 x 170")
        await page.get_by_role("button", name="Swap with the previous result").click()
        await rendered(page, "200 x 150")
    async with visit(site.browser, shared) as page:
        await rendered(page, "200 x 170")
        await expect(page.get_by_label("top", exact=True)).to_have_value("20")


async def test_a_preset_is_tried_and_edited_as_options(site: Site) -> None:
    async with visit(site.browser, site.url(image=site.cat)) as page:
        await page.get_by_label("Preset").select_option("small")
        await rendered(page, "AVIF, 150 x 100")
        url = await line(page, "Preset").locator("code").inner_text()
        assert url == f"{site.system.delivery_url}/small/{site.cat}"
        await expect(page.get_by_label("Width", exact=True)).to_have_count(0)
        await page.get_by_label("Format").select_option("webp")
        await rendered(page, "WebP, 150 x 100")
        await expect(line(page, "Preset").locator("code")).to_have_text(f"{url}.webp")
        await page.get_by_label("URLs expire").select_option("in an hour")
        await expect(line(page, "Preset").locator("code")).to_contain_text("signature=")
        await site.delivered(await line(page, "Preset").locator("code").inner_text())
        await page.get_by_role("button", name="Edit as options").press("Enter")
        await expect(page.get_by_label("Preset", exact=True)).to_be_focused()
        await expect(page.get_by_label("Width", exact=True)).to_have_value("150")
        await rendered(page, "JPEG, 150 x 100")
        assert tried(page) == {
            "image": site.cat,
            "o": "box=150x150,format=jpeg,quality=85",
            "expires": "3600",
        }


@pytest.mark.parametrize(
    ("options", "option", "detail"),
    [
        ("box=90x60,quality=200", "quality", "must be from 1 to 100; found 200."),
        ("box=9000x60", "width", "must be from 1 to 8192 pixels; found 9000."),
        ("box=90x60,blur=900", "blur", "sigma must be a number from 0.3 to 100; found '900'."),
        ("box=90x60,focal=2", "focal", "expected X:Y"),
        ("box=90x60,nothing=1", "nothing", "is none of trim"),
        ("box=90x60,watermark=YS9i", "watermark", "would open a picture that may not be yours"),
    ],
)
async def test_a_bad_option_is_explained(
    site: Site, options: str, option: str, detail: str
) -> None:
    async with visit(site.browser, site.url(image=site.cat, o=options), allowed=REFUSED) as page:
        await expect(problem(page)).to_contain_text(f"Not possible: {option}: {detail}")
        await expect(page.locator(".urls")).to_have_count(0)
        if option in ("quality", "width"):
            field = page.get_by_label(option.capitalize(), exact=True)
            await expect(field).to_have_attribute("aria-invalid", "true")
            await expect(field).to_have_accessible_description(detail)
            await field.fill("50")
            await page.keyboard.press("Tab")
            await expect(facts(page)).to_be_visible()
            await expect(problem(page)).to_have_count(0)
            await expect(field).to_have_attribute("aria-invalid", "false")


async def test_what_a_dialect_cannot_express_is_said(site: Site) -> None:
    async with visit(site.browser, site.url(image=site.cat, o="box=90x60,fit=outside")) as page:
        await expect(line(page, "imgproxy")).to_contain_text(
            "Cannot be expressed: a URL of imgproxy cannot express fit=outside"
        )
        await expect(line(page, "imgproxy").get_by_role("button")).to_have_count(0)


async def test_missing_keys_and_addresses_are_named(site: Site) -> None:
    async def without(route: Route) -> None:
        off = {"off": "SAFELIGHT_OPTIONS_KEYS has no key for your images"}
        answer = {"imageId": site.cat, "options": "_", "urls": {"own": off}, "preview": off}
        await route.fulfill(json=answer)

    async with visit(site.browser, "about:blank") as page:
        await page.route("**/v1/urls", without)
        await page.goto(site.url(image=site.cat, o="_"))
        expected = (
            "Off: SAFELIGHT_OPTIONS_KEYS has no key for your images. "
            "Set it for the API and for delivery, to the same value."
        )
        await expect(problem(page)).to_have_text(expected)
        await expect(line(page, "Safelight")).to_contain_text(expected)


async def test_a_delivery_that_cannot_be_reached_is_named(site: Site) -> None:
    async with visit(site.browser, "about:blank", allowed=CUT) as page:
        await page.route(re.compile("store=no"), lambda route: route.abort())
        await page.goto(site.url(image=site.cat, o="box=50x50"))
        await expect(problem(page)).to_contain_text(site.system.delivery_url)


async def test_a_limit_is_waited_for(site: Site) -> None:
    asked = 0

    async def limit(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            await route.fulfill(status=429, headers={"Retry-After": "2"}, json={"title": "slow"})
        else:
            await route.continue_()

    async with visit(site.browser, "about:blank", allowed=REFUSED) as page:
        await page.route("**/v1/urls", limit)
        await page.goto(site.url(image=site.cat, o="box=51x51"))
        await expect(page.get_by_text("The server asks to wait: continues in 2 s")).to_be_visible()
        await rendered(page, "51 x 34")


async def test_a_change_gives_up_the_preview_before_it(site: Site) -> None:
    failed: list[Request] = []
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        if "52x" in (route.request.post_data or ""):
            held.set()
        else:
            await route.continue_()

    async with visit(site.browser, "about:blank", allowed=CUT) as page:
        page.on("requestfailed", lambda one: failed.append(one))  # noqa: PLW0108 - it gets a mark
        await page.route("**/v1/urls", hold)
        await page.goto(site.url(image=site.cat, o="box=52x"))
        await held.wait()
        await page.get_by_label("Width", exact=True).fill("53")
        await page.keyboard.press("Tab")
        await rendered(page, "53 x 35")
        (given_up,) = failed
        assert "box=52x" in (given_up.post_data or "")


async def test_places_are_set_by_mouse_and_keys(site: Site) -> None:
    async with visit(
        site.browser, site.url(image=site.cat, o="box=100x100,fit=cover,format=webp")
    ) as page:
        await page.get_by_label("Focal point").check()
        await page.get_by_role("button", name="Focal point, 50%").press("ArrowLeft")
        await expect(place(page, "From the left")).to_have_value("0.49")
        await page.keyboard.press("Shift+ArrowDown")
        await expect(place(page, "From the top")).to_have_value("0.6")
        await drag(page, (0.25, 0.5), (0.25, 0.25))
        await expect(place(page, "From the top")).to_have_value(re.compile("^0.2"))
        await page.get_by_label("Focal point", exact=True).uncheck()
        await page.get_by_label("Crop", exact=True).check()
        part = page.get_by_role("button", name="Kept part")
        await part.press("ArrowLeft")
        await part.press("Shift+ArrowLeft")
        await expect(page.get_by_label("Width kept")).to_have_value("0.79")
        await expect(place(page, "From the left")).to_have_value("0.09")
        await drag(page, (0, 0), (0.5, 0.5))
        await expect(place(page, "From the left")).to_have_value("0")
        await expect(page.get_by_label("Width kept")).to_have_value(re.compile(r"^0\.(5|49)"))
        await rendered(page, "100 x 100")
        await page.get_by_label("At", exact=True).select_option("attention")
        await expect(part).to_have_count(0)
        await expect(line(page, "Options")).to_contain_text(":attention,box=100x100")


def place(page: Page, name: str) -> Locator:
    return page.get_by_role("spinbutton", name=name)


async def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw on the copy of the picture, between two points in shares of it."""
    plan = page.locator(".plan")
    await expect(page.locator("[aria-busy=false]")).to_be_visible()  # nothing moves any more
    await plan.scroll_into_view_if_needed()
    box: Any = await plan.bounding_box()

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"]

    await page.mouse.move(*at(start))
    await page.mouse.down()
    await page.mouse.move(*at(end), steps=3)
    await page.mouse.up()


EVERY_FIELD = "trim=10:ff0000,crop=0.9x0.9,box=120x90,fit=cover,focal=0.5:0.5,blur=1,pad=1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_state_is_accessible_on_a_narrow_page(site: Site, scheme: str) -> None:
    narrow: Any = {"color_scheme": scheme, "viewport": {"width": 320, "height": 700}}
    async with visit(site.browser, site.url(), allowed=REFUSED, **narrow) as page:
        await page.get_by_text("choose another").click()
        await expect(page.locator(".strip li")).to_have_count(2)
        for options in (EVERY_FIELD, "box=90x60,quality=200", "box=90x60,fit=outside"):
            await page.goto(site.url(image=site.cat, o=options))
            await expect(page.locator(".facts, p[role=alert]")).to_be_visible()
            await expect(page.get_by_label("Quality", exact=True)).to_be_visible()
            await expect(page.locator(".plan")).to_have_count(2 if options == EVERY_FIELD else 0)
            assert not await accessibility_faults(page)
            assert await page.evaluate("document.documentElement.scrollWidth") == 320
        for view in ("Side by side", "Result"):
            await page.locator(".choice label").filter(has_text=view).click()
            await page.get_by_text("200%").click()
            assert not await accessibility_faults(page)
        await page.get_by_label("Preset").select_option("small")
        await expect(facts(page)).to_contain_text(times("150 x 100"))
        assert not await accessibility_faults(page)


async def test_every_text_is_one_of_words(site: Site) -> None:
    async with visit(
        site.browser, f"{site.url(image=site.cat, o=EVERY_FIELD)}&words=pseudo", allowed=REFUSED
    ) as page:
        await expect(page.locator(".facts")).to_be_visible()
        await expect(page.locator(".plan")).to_have_count(2)
        await page.locator("summary").click()
        await expect(page.locator(".strip li")).to_have_count(2)
        assert not await texts_outside_words(page)
        await page.locator("input[type=number]").first.fill("9000")
        await page.keyboard.press("Tab")
        await expect(problem(page)).to_be_visible()
        await page.keyboard.press("?")
        assert not await texts_outside_words(page)
