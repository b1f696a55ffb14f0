"""The embedded AWS: ministack behind its guard, in a process of its own, on loopback."""

import asyncio
import secrets
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from ops.local.account import Account, Principal
from ops.local.processes import POLL_SECONDS, Child, ChildDied

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
"""The emulator's own interpreter: ministack pins another botocore than we do."""
COMMAND = (str(PYTHON), "-I", str(ROOT / "ops" / "local" / "guard.py"))
HEALTHY_SECONDS = 30
STOP_SECONDS = 2
PORTS_TRIED = 5


class Emulator:
    """ministack, from `async with` until its end. Everything it holds is in memory.

    Policies do not bind its root pair, so api and worker must never be given it.
    """

    endpoint_url: str
    child: Child

    def __init__(self, *, directory: Path) -> None:
        """Plan one that keeps its log and temporary files in `directory`."""
        self.root = Principal(
            access_key_id=f"AKIA{secrets.token_hex(8).upper()}",
            secret_access_key=secrets.token_urlsafe(30),
        )
        self._directory = directory

    async def __aenter__(self) -> Self:
        """Start it; another port is tried when somebody else took ours in the meantime."""
        if not PYTHON.exists():
            raise ChildDied(f"no emulator at {PYTHON}; `make demo` installs it")
        for _ in range(PORTS_TRIED - 1):
            try:
                return await self._start(_free_port())
            except _PortTaken:
                continue
        return await self._start(_free_port())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        await self.child.stop(seconds=STOP_SECONDS)

    @property
    def account(self) -> Account:
        """The account, as its root."""
        return Account(endpoint_url=self.endpoint_url, principal=self.root)

    async def _start(self, port: int) -> Self:
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.child = Child(
            "the emulator",
            COMMAND,
            environment=self.root.environment(self.endpoint_url)
            | {
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(port),
                "MINISTACK_HOST": "127.0.0.1",
                "TMPDIR": str(self._directory),
            },
            log=self._directory / "emulator.log",
            directory=self._directory,
        )
        try:
            await self._healthy()
        except BaseException:
            self.child.kill()
            raise
        return self

    async def _healthy(self) -> None:
        deadline = time.monotonic() + HEALTHY_SECONDS
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            while True:
                try:
                    async with http.get(f"{self.endpoint_url}/_ministack/health"):
                        return self._check()  # the answer must have been ours
                except aiohttp.ClientError as error:
                    self._check()
                    if time.monotonic() > deadline:
                        raise ChildDied(f"the emulator is not healthy: {error}") from error
                    await asyncio.sleep(POLL_SECONDS)

    def _check(self) -> None:
        try:
            self.child.check()
        except ChildDied as died:
            taken = "already in use" in self.child.last_lines()
            raise (_PortTaken(str(died)) if taken else died) from died


class _PortTaken(ChildDied):
    """Another program listens on the port that was free a moment ago."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
