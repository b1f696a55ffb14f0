"""Runs all of Safelight on this machine: embedded AWS, stack, api, workers, optionally delivery.

Each program is a separate process with only its principal's policy, as on AWS.
"""

import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ops.local.account import Account, Principal
from ops.local.emulator import ROOT, Emulator
from ops.local.processes import POLL_SECONDS, Child
from ops.local.stack import Stack, deploy, serves_originals

T = TypeVar("T")

PRESETS = ROOT / "presets.toml"
PORTS = 5
"""How many ports a system with a first port uses."""
STOP_SECONDS = 10
DELIVERY_URL = "SAFELIGHT_DELIVERY_URL"
CLEANUP_QUEUE_URL = "SAFELIGHT_CLEANUP_QUEUE_URL"
LOCAL_SETTINGS = {"SAFELIGHT_LOG_FORMAT": "json"}
LOCAL_WORKER_SETTINGS = {
    "SAFELIGHT_ADMIN_PORT": "0",
    "SAFELIGHT_RECEIVE_WAIT_SECONDS": "1",  # so that a drain is short
    "SAFELIGHT_DRAIN_SECONDS": "8",
}


class LocalSystem:
    """A running Safelight, while its `async with` block lasts. Several do not affect each other.

    `api_settings` and the like are environment variables that replace the local defaults.
    """

    emulator: Emulator
    stack: Stack
    api: Child
    api_url: str
    delivery: Child
    delivery_url: str
    public_url: str = ""
    """The beginning of the URLs of thumbnails and variants; empty if variants are presigned."""

    def __init__(
        self,
        *,
        workers: int = 1,
        renders: bool = False,
        delivers: bool = False,
        pages: bool = False,
        cleans: bool = False,
        presets: Path = PRESETS,
        api_settings: Mapping[str, str] | None = None,
        worker_settings: Mapping[str, str] | None = None,
        delivery_settings: Mapping[str, str] | None = None,
        cleanup_settings: Mapping[str, str] | None = None,
        directory: Path | None = None,
        first_port: int | None = None,
    ) -> None:
        """Prepare `workers` workers for uploads, and optionally others and delivery.

        `renders` and `cleans` start a worker in the role of this name. With `pages` the API serves
        the pages for browsers; with delivery, every dialect then has a random key, so that the
        playground has URLs.

        With a first port, the `PORTS` ports from there on are used: by the API, delivery, the
        embedded AWS, the first worker and the worker of renders. Otherwise free ones.
        Logs and spool files are written to `directory`, by default a temporary one that is removed
        unless something failed.
        """
        self.workers: list[Child] = []
        self.cleanups: list[Child] = []
        self.worker_urls: dict[Child, str] = {}
        self._wanted_workers = workers
        self._renders = renders
        self._delivers = delivers
        self._pages = pages
        self._keys = _new_keys() if pages and delivers else {}
        self._cleans = cleans
        self._cleanup_settings = dict(cleanup_settings or {})
        self._others: list[Child] = []
        self._delivery_settings = dict(delivery_settings or {})
        self._presets = presets
        self._api_settings = dict(api_settings or {})
        self._worker_settings = dict(worker_settings or {})
        self._first_port = first_port
        self._temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="safelight-"))
        """The folder of logs and spool files."""
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything; if one part fails to start, stop the others."""
        async with AsyncExitStack() as exit_stack:
            exit_stack.push(self._tidy)
            self.emulator = await exit_stack.enter_async_context(self._emulator())
            exit_stack.push_async_callback(self._stop_children)
            originals = serves_originals(self._api_settings)
            self.stack = await deploy(self.emulator.account, originals=originals)
            await self._start_children()
            self._exit = exit_stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything: workers drain, then api, then the embedded AWS."""
        await self._exit.__aexit__(kind, error, trace)

    @property
    def account(self) -> Account:
        """The embedded account, as root: `async with system.account.client("s3") as s3`."""
        return self.emulator.account

    async def start_worker(self, role: str = "uploads", **settings: str) -> Child:
        """Start another worker and wait until it listens; `settings` are environment variables."""
        name = f"{'renders' if role == 'renders' else 'worker'}-{len(self.workers) + 1}"
        principals = {"uploads": self.stack.uploads_worker, "renders": self.stack.renders_worker}
        spool = self.directory / f"{name}-spool"
        spool.mkdir()
        child = self._start(
            name,
            "worker",
            principals[role],
            {
                **self.stack.worker_settings(role),
                "SAFELIGHT_PRESETS": str(self._presets),
                "SAFELIGHT_SPOOL": str(spool),
                **LOCAL_WORKER_SETTINGS,
                **self._worker_settings,
                **settings,
            },
        )
        self.workers.append(child)
        self.worker_urls[child] = await child.listening()
        return child

    async def start_cleanup(self, **settings: str) -> Child:
        """Start a worker of the role `cleanup`, the only one that may delete objects."""
        child = self._start(
            f"cleanup-{len(self.cleanups) + 1}",
            "worker.cleanup",
            self.stack.cleanup,
            {
                **self.stack.cleanup_settings(),
                **LOCAL_WORKER_SETTINGS,
                **self._cleanup_settings,
                **settings,
            },
        )
        self.cleanups.append(child)
        self.worker_urls[child] = await child.listening()
        return child

    async def while_up(self, work: Coroutine[Any, Any, T], *beside: Coroutine[Any, Any, Any]) -> T:
        """Run `work` with other coroutines beside it, and return its result.

        Raises `ChildDied` as soon as any process ends, and any error of the other coroutines.
        """
        main = asyncio.create_task(work)
        others = [asyncio.create_task(other) for other in (self._watch(), *beside)]
        try:
            await asyncio.wait([main, *others], return_when=asyncio.FIRST_COMPLETED)
            for ended in (other for other in others if other.done()):
                ended.result()
            return await main
        finally:
            for task in (main, *others):
                task.cancel()
            await asyncio.gather(main, *others, return_exceptions=True)

    def _emulator(self) -> Emulator:
        port = None if self._first_port is None else self._first_port + 2
        return Emulator(directory=self.directory, port=port)

    def _port(self, place: int) -> str:
        """Return the port of a program by its place behind the first port; 0 takes a free one."""
        return str(0 if self._first_port is None else self._first_port + place)

    def _admin_port(self, place: int) -> dict[str, str]:
        return {} if self._first_port is None else {"SAFELIGHT_ADMIN_PORT": self._port(place)}

    async def _watch(self) -> None:
        while True:
            for child in (self.emulator.child, *self._others, *self.workers, *self.cleanups):
                child.check()
            await asyncio.sleep(POLL_SECONDS)

    async def _start_children(self) -> None:
        try:
            async with asyncio.TaskGroup() as starting:
                starting.create_task(self._start_web())
                for number in range(self._wanted_workers):
                    port = self._admin_port(3) if number == 0 else {}
                    starting.create_task(self.start_worker(**port))
                if self._renders:
                    starting.create_task(self.start_worker("renders", **self._admin_port(4)))
                if self._cleans:
                    starting.create_task(self.start_cleanup())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _start_web(self) -> None:
        """Start delivery first, as the API needs its address for thumbnails and variants."""
        if self._delivers:
            await self._start_delivery()
            self.public_url = self._api_settings.get(DELIVERY_URL, self.delivery_url)
        self.api = self._start(
            "api",
            "api",
            self.stack.api,
            {
                "SAFELIGHT_PORT": self._port(0),
                "SAFELIGHT_PRESETS": str(self._presets),  # it lists the URLs of each
                **({DELIVERY_URL: self.public_url} if self.public_url else {}),
                **(_of_pages() if self._pages else {}),
                **({CLEANUP_QUEUE_URL: self.stack.cleanup_queue_url} if self._cleans else {}),
                **self._keys,
                **self._api_settings,
            },
        )
        self._others.append(self.api)
        self.api_url = await self.api.listening()

    async def _start_delivery(self) -> None:
        """Start the api in its role `delivery`, in a process with only that role's policy."""
        spool = self.directory / "delivery-spool"
        spool.mkdir()
        self.delivery = self._start(
            "delivery",
            "api",
            self.stack.delivery,
            {
                "SAFELIGHT_PORT": self._port(1),
                **self.stack.delivery_settings(),
                "SAFELIGHT_PRESETS": str(self._presets),
                "SAFELIGHT_SPOOL": str(spool),
                **self._keys,
                **self._delivery_settings,
            },
        )
        self._others.append(self.delivery)
        self.delivery_url = await self.delivery.listening()

    def _start(
        self, name: str, program: str, principal: Principal, settings: Mapping[str, str]
    ) -> Child:
        return Child(
            name,
            [sys.executable, "-m", program],
            environment={
                **principal.environment(self.emulator.endpoint_url),
                **LOCAL_SETTINGS,
                "TMPDIR": str(self.directory),  # also removes the files of killed processes
                **self.stack.settings(),
                **settings,
            },
            log=self.directory / f"{name}.log",
            directory=ROOT,
        )

    def _tidy(self, kind: type[BaseException] | None, *_: object) -> None:
        """Remove the temporary directory, unless something failed: then its logs are needed."""
        if self._temporary and not (kind and issubclass(kind, Exception)):
            shutil.rmtree(self.directory)

    async def _stop_children(self) -> None:
        children = [*self.workers, *self.cleanups, *self._others]
        await asyncio.gather(*(child.stop(seconds=STOP_SECONDS) for child in children))


def _of_pages() -> dict[str, str]:
    """Return the settings of an API with pages. A new session key ends the sessions of others."""
    return {
        "SAFELIGHT_API_ROLES": "uploads,pages",
        "SAFELIGHT_SESSION_KEYS": secrets.token_hex(32),
    }


def _new_keys() -> dict[str, str]:
    """Make random keys that sign URLs, for the API and delivery of one system."""
    key = secrets.token_hex(32)
    named, pair = f"local:{key}", f"{key}:{key}"
    return {
        "SAFELIGHT_SIGNING_KEYS": named,
        "SAFELIGHT_OPTIONS_KEYS": named,
        "SAFELIGHT_THUMBOR_KEYS": key,
        "SAFELIGHT_IMGPROXY_KEYS": pair,
        "SAFELIGHT_AWS_HANDLER_KEYS": key,
        "SAFELIGHT_IMGIX_KEYS": key,
    }
