"""The embedded AWS: ministack behind its guard, in a separate process, on loopback."""

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
"""The emulator's own interpreter: ministack pins a different version of botocore."""
COMMAND = (str(PYTHON), "-I", str(ROOT / "ops" / "local" / "guard.py"))
HEALTHY_SECONDS = 30
STOP_SECONDS = 2
PORTS_TRIED = 5


class Emulator:
    """A running ministack, while its `async with` block lasts. All its data is in memory.

    No policy limits its root credentials, so api and worker must never get them.
    """

    endpoint_url: str
    child: Child

    def __init__(self, *, directory: Path, port: int | None = None) -> None:
        """Prepare an emulator that writes its log and temporary files to `directory`.

        It listens on `port`, or on a free one.
        """
        self._port = port
        self.root = Principal(
            access_key_id=f"AKIA{secrets.token_hex(8).upper()}",
            secret_access_key=secrets.token_urlsafe(30),
        )
        self._directory = directory

    async def __aenter__(self) -> Self:
        """Start it; try another port if the chosen one was taken in the meantime."""
        if not PYTHON.exists():
            raise ChildDied(f"no emulator at {PYTHON}; `make demo` installs it")
        if self._port is not None:
            return await self._start(self._port)
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
        """The account, with root credentials."""
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
                "STATE_DIR": str(self._directory / "emulator"),  # the signing keys of Cognito
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
                        return self._check()  # was the answer from our process?
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
    """Another program took the port."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
