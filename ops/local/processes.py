"""Child processes: started with a clean environment, watched, and always stopped."""

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
    """A process ended, or never came up; the message holds its last log lines."""


class Child:
    """A program running in a process group of its own, its output kept in a file.

    It inherits no more of the environment than a path, a home and a language, so that nothing set
    on this machine (profiles, endpoints, proxies) reaches it. Python imports nothing from its
    current folder, which may be any folder of the operator's.
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
        """Start it. It holds no loop: any thread may stop it."""
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
                start_new_session=True,  # Ctrl-C is ours to hand on, and children go with it
            )

    @property
    def pid(self) -> int:
        """Its process id, which is also its group's."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs; negative for the signal that killed it."""
        return self._process.poll()

    async def listening(self, *, seconds: float = 30) -> str:
        """Wait until it logs that it listens, and read where."""
        deadline = time.monotonic() + seconds
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            while True:
                for line in lines:
                    if (url := _listening_url(line)) is not None:
                        return url
                self.check()
                if time.monotonic() > deadline:
                    raise ChildDied(self._told(f"did not listen within {seconds:g} s"))
                await asyncio.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise `ChildDied` if it is no longer running."""
        if self.exit_code is not None:
            raise ChildDied(self._told(f"ended with exit code {self.exit_code}"))

    async def wait(self) -> int:
        """Wait until it has ended."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - no loop owns it, see __init__
            await asyncio.sleep(POLL_SECONDS)
        return code

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        if self.exit_code is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once, with every process it started, as a container's end would."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()

    async def stop(self, *, seconds: float = 10) -> int:
        """Ask it to end, wait, and end it and whatever it left behind; tell its exit code."""
        self.terminate()
        try:
            async with asyncio.timeout(seconds):
                return await self.wait()
        except TimeoutError:
            return -signal.SIGKILL
        finally:
            self.kill()

    def last_lines(self) -> str:
        """Read the end of its log."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return "".join(deque(lines, LAST_LINES))

    def _told(self, what: str) -> str:
        return f"{self.name} {what}. The end of {self.log}:\n{self.last_lines()}".rstrip()


def _listening_url(line: str) -> str | None:
    if '"listening"' not in line:
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return str(event["url"]) if event.get("event") == "listening" else None
