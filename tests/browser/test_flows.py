"""A user signs in, uploads a picture and erases it: the pages as `make test` uses them."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from api.apikeys import digest_of
from ops.local.system import LocalSystem
from tests.support import visitor
from tests.support.visitor import visit

pytestmark = [
    pytest.mark.starts,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

CAT = Path(__file__).parents[2] / "samples" / "cat-451px.jpg"
KEY = "sl_alices-key"
SETTINGS = {"SAFELIGHT_API_KEYS": f"alice:{digest_of(KEY)}"}
FAST = {"SAFELIGHT_ERASE_PAUSE_SECONDS": "1", "SAFELIGHT_ERASE_LAST_LOOK_SECONDS": "1"}
NO_SESSION = r"Failed to load resource: the server responded with a status of 401"
OF_THE_ERASED = r"Failed to load resource: the server responded with a status of (404|410)"


async def test_a_user_signs_in_uploads_a_picture_and_erases_it() -> None:
    async with (
        LocalSystem(
            delivers=True, pages=True, cleans=True, api_settings=SETTINGS, cleanup_settings=FAST
        ) as system,
        visitor.chromium() as browser,
        visit(browser, f"{system.api_url}/ui/", allowed=f"{NO_SESSION}|{OF_THE_ERASED}") as page,
    ):
        await expect(page.get_by_label("API key")).to_be_focused()
        await page.keyboard.type(KEY)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{system.api_url}/ui/")
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()

        await page.locator("input[type=file]").set_input_files(CAT)
        row = page.locator(".row").filter(has_text=CAT.name)
        await expect(row.locator(".word")).to_have_text(re.compile("^Completed"))
        picture = row.locator("img")
        assert await picture.evaluate("async (one) => (await one.decode(), one.naturalWidth > 0)")

        await page.get_by_role("link", name=CAT.name, exact=True).click()
        await page.get_by_role("button", name="Erase…").click()
        await page.get_by_role("button", name="Erase", exact=True).click()
        receipt = page.locator(".receipt")
        await expect(receipt).to_contain_text("Complete: a final check found nothing.")
        await expect(receipt).to_contain_text("1 version")
