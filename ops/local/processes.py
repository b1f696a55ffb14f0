"""Child processes that start with a clean environment, are watched, and are always stopped."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.local import tether

POLL_SECONDS = 0.02
LAST_LINES = 15
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


class ChildDied(Exception):
    """A process ended, or failed to start; the message holds its last log lines."""


class Child:
    """A program in its own process group, with its output in a file.

    It inherits only path, home, language and temporary folder from the environment, so no AWS
    profile, endpoint or proxy on this machine affects it. Python imports nothing from the current
    folder, which may be any of the operator's.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        log: Path,
        directory: Path | None = None,
    ) -> None:
        """Start the program. It is bound to no event loop: any thread may stop it."""
        self.name = name
        self.log = log
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        tied = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid())]
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs only
                [*tied, *map(str, command)],
                env={**inherited, "PYTHONSAFEPATH": "1", **environment},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C must not reach it; its children die with it
            )

    @property
    def pid(self) -> int:
        """The id of its process and of its process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs; negative after a signal."""
        return self._process.poll()

    async def listening(self, *, seconds: float = 30) -> str:
        """Wait until it logs that it listens, and return the URL."""
        deadline = time.monotonic() + seconds
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            while True:
                for line in lines:
                    if (url := _listening_url(line)) is not None:
                        return url
                self.check()
                if time.monotonic() > deadline:
                    raise ChildDied(self._with_log(f"did not listen within {seconds:g} s"))
                await asyncio.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise `ChildDied` if it is no longer running."""
        if self.exit_code is not None:
            raise ChildDied(self._with_log(f"ended with exit code {self.exit_code}"))

    async def wait(self) -> int:
        """Wait until it has ended; return the exit code."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - no loop owns it, see __init__
            await asyncio.sleep(POLL_SECONDS)
        return code

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        if self.exit_code is None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill it with every process it started, as the end of a container would."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()

    async def stop(self, *, seconds: float = 10) -> int:
        """Ask it to end, wait up to `seconds`, then kill it and its children; return the code."""
        self.terminate()
        try:
            async with asyncio.timeout(seconds):
                return await self.wait()
        except TimeoutError:
            return -signal.SIGKILL
        finally:
            self.kill()

    def last_lines(self) -> str:
        """Return the last lines of its log."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return "".join(deque(lines, LAST_LINES))

    def _with_log(self, what: str) -> str:
        return f"{self.name} {what}. The end of {self.log}:\n{self.last_lines()}".rstrip()


def _listening_url(line: str) -> str | None:
    if '"listening"' not in line:
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return str(event["url"]) if event.get("event") == "listening" else None
