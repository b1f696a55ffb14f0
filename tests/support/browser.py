"""Starts Debian's chromium without a window, and evaluates JavaScript in its pages.

It speaks the DevTools protocol over two pipes: nothing listens, and chromium ends with the test
that started it. Serve pages on loopback, such as with `aiohttp.test_utils.TestServer`: a canvas
and `fetch` need an origin.

    async with browser.started() as chromium:
        page = await chromium.page(str(server.make_url("/")))
        assert await page.evaluate("document.title") == "Upload"
"""

import asyncio
import contextlib
import itertools
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = "chromium"
FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-proxy-server",
)
SECONDS = 60
"""How long a command may take: the loading of a page, or a promise of a script."""
_PIPES = 'exec "$@" 3<&0 4>&1 1>&2'
"""Passes stdin and stdout on as the descriptors of chromium's commands and answers."""
_MOST_BYTES = 256 * 1024**2
"""The longest answer."""
_SHOWN_CHARACTERS = 2000
"""How much of chromium's last words a failure shows."""


class ScriptFailed(Exception):
    """A script raised an exception, a page could not be loaded, or chromium ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """A running chromium. Its commands run one after another."""

    process: asyncio.subprocess.Process
    events: list[dict[str, Any]] = field(default_factory=list)
    """Reports of chromium that no caller has waited for yet, in their order."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def page(self, url: str = "about:blank") -> "Page":
        """Open a new page, and wait until it is loaded. Raises `ScriptFailed`."""
        target = await self.command("Target.createTarget", url="about:blank")
        attached = await self.command(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        page = Page(browser=self, session=attached["sessionId"])
        await page.command("Page.enable")
        await page.open(url)
        return page

    async def command(
        self, method: str, *, session: str | None = None, **parameters: Any
    ) -> dict[str, Any]:
        """Send a command of the DevTools protocol; return its result. Raises `ScriptFailed`."""
        async with self._turn, asyncio.timeout(SECONDS):
            number = next(self._numbers)
            message = {"id": number, "method": method, "params": parameters}
            message |= {"sessionId": session} if session else {}
            assert self.process.stdin
            self.process.stdin.write(json.dumps(message).encode() + b"\0")
            while (answer := await self._read()).get("id") != number:
                self.events.append(answer)
        if "error" in answer:
            raise ScriptFailed(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def event(self, method: str, *, session: str | None = None) -> dict[str, Any]:
        """Wait for the next event of this name; return its parameters, and forget earlier ones."""
        async with self._turn, asyncio.timeout(SECONDS):
            while True:
                event = self.events.pop(0) if self.events else await self._read()
                if event.get("method") == method and event.get("sessionId") == session:
                    parameters: dict[str, Any] = event["params"]
                    return parameters

    async def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = await self.process.stdout.readuntil(b"\0")
        message: dict[str, Any] = json.loads(line[:-1])
        return message


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A tab of a browser."""

    browser: Browser
    session: str

    async def open(self, url: str) -> None:
        """Go to a URL, and wait until it is loaded. Raises `ScriptFailed` if nothing answers."""
        self.browser.events.clear()
        answer = await self.command("Page.navigate", url=url)
        if error := answer.get("errorText"):
            raise ScriptFailed(f"{url}: {error}")
        await self.browser.event("Page.loadEventFired", session=self.session)

    async def evaluate(self, script: str) -> Any:
        """Evaluate an expression, await it if it is a promise, and return its value as of JSON.

        Raises `ScriptFailed` with the text of an exception.
        """
        answer = await self.command(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if failure := answer.get("exceptionDetails"):
            raised = failure.get("exception", {})
            raise ScriptFailed(
                str(raised.get("description") or raised.get("value") or failure["text"])
            )
        return answer["result"].get("value")

    async def call(self, function: str, *arguments: object) -> Any:
        """Call a JavaScript function with arguments that JSON can express; see `evaluate`."""
        return await self.evaluate(f"({function})(...{json.dumps(arguments)})")

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol for this page. Raises `ScriptFailed`."""
        return await self.browser.command(method, session=self.session, **parameters)


@contextlib.asynccontextmanager
async def started(*flags: str) -> AsyncIterator[Browser]:
    """Run a chromium with an empty profile for the block, with these further flags."""
    prefix = "safelight-browser-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as profile:
        # root cannot have chromium's own sandbox. Only the tests' own pages are opened.
        sandbox = ("--no-sandbox",) if os.getuid() == 0 else ()
        words = (PROGRAM, *FLAGS, *sandbox, f"--user-data-dir={profile}", *flags)
        last_words = Path(profile) / "stderr"
        with last_words.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *("sh", "-c", _PIPES, "sh", *words),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=_MOST_BYTES,
                env={**os.environ, "HOME": profile},
            )
        try:
            yield Browser(process=process)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            said = last_words.read_text(errors="replace")[-_SHOWN_CHARACTERS:]
            raise ScriptFailed(f"chromium ended: {said}") from error
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
