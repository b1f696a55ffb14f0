"""Visits pages in Debian's chromium by Playwright, and notices whatever goes wrong there.

    async with chromium() as browser, visit(browser, url) as page:
        await expect(page.get_by_role("heading", name="Pictures")).to_be_visible()

At its end a visit fails if the page violated its policy, raised an exception or logged an error.
`page.wait_for_function` does not work under our policy: use locators and `expect`.
"""

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright, expect

from tests.support.browser import PROGRAM

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 60
"""How long `expect` waits, also on a machine that does many other things."""
_OF_UPPY = r'Refused to get unsafe header "x-amz-error-code"'
_OF_TRANSITIONS = re.compile(r"Transition was (aborted|skipped).*")
"""What chromium says, on a busy machine, of a fade between two pages that it left out."""
_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) => {
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
_LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_RULES = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": _LEVELS}}
_LITERAL_TEXTS = """() => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim();
        if (text && !walker.currentNode.parentElement.closest('[translate=no], noscript')) {
            found.push(text);
        }
    }
    for (const element of document.body.querySelectorAll('*')) {
        for (const name of ['aria-label', 'title', 'placeholder', 'alt']) {
            const text = element.getAttribute(name);
            if (text && !element.closest('[translate=no]')) {
                found.push(text);
            }
        }
    }
    return [document.title, ...found];
}"""


@contextlib.asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """Run a browser for the block, with more flags. Nothing is downloaded: it is Debian's."""
    expect.set_options(timeout=1000 * SECONDS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=f"/usr/bin/{PROGRAM}", args=[*FLAGS, *flags]
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def visit(
    browser: Browser, url: str, *, allowed: str = r"(?!)", **context: Any
) -> AsyncIterator[Page]:
    """Open a page in a profile of its own. `context` are options of Playwright's contexts.

    Raises an `AssertionError` at the end for errors whose text `allowed` does not match.
    """
    faults: list[str] = []
    usual = re.compile(f"{_OF_UPPY}|{allowed}")

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not usual.search(message.text):
            faults.append(message.text)

    def raised(error: Error) -> None:
        if not _OF_TRANSITIONS.fullmatch(error.message):
            faults.append(f"{error.name}: {error.message}\n{error.stack}")

    opened = await browser.new_context(**context)
    opened.set_default_timeout(1000 * SECONDS)
    try:
        await opened.add_init_script(_VIOLATIONS)
        page = await opened.new_page()
        page.on("console", note)
        page.on("pageerror", raised)
        await page.goto(url)
        yield page
    finally:
        await opened.close()
    assert not faults, "\n".join(faults)


async def accessibility_faults(page: Page) -> list[str]:
    """List the violations of WCAG 2.2, levels A and AA, that axe finds in a page as it is."""
    results = await Axe().run(page, options=_RULES)
    return [
        f"{one['id']}: {one['help']}: {node['html']}"
        for one in results.response["violations"]
        for node in one["nodes"]
    ]


async def texts_outside_words(page: Page) -> list[str]:
    """List the texts of a page with `?words=pseudo` that are not of words.js."""
    texts: list[str] = await page.evaluate(_LITERAL_TEXTS)
    return [text for text in texts if not re.fullmatch(r"(⟦[^⟧]*⟧|[\s·])*", _flat(text))]


def _flat(text: str) -> str:
    """Leave out marks within marks: a text may be a value of another."""
    while (inner := re.sub(r"(⟦[^⟦⟧]*)⟦([^⟦⟧]*)⟧", r"\1\2", text)) != text:
        text = inner
    return text
