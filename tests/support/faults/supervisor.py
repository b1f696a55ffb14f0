"""Starts, freezes, kills and inspects worker processes."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from ops.local.accounting import children_of, cpu_seconds, family_of, resident_bytes
from ops.local.emulator import ROOT
from ops.local.processes import Child
from ops.local.stack import Stack
from ops.local.system import LOCAL_SETTINGS, LOCAL_WORKER_SETTINGS

T = TypeVar("T")

VISIBILITY_SECONDS = 4
BUSY_SECONDS = 0.25
_WORKER_SETTINGS = {
    **LOCAL_SETTINGS,
    **LOCAL_WORKER_SETTINGS,
    "SAFELIGHT_PRESETS": str(ROOT / "presets.toml"),
    "SAFELIGHT_SLOTS": "1",
    "SAFELIGHT_PREFETCH": "1",
    "SAFELIGHT_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
}
_CLEANUP_SETTINGS = {
    **LOCAL_SETTINGS,
    **LOCAL_WORKER_SETTINGS,
    "SAFELIGHT_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
    "SAFELIGHT_ERASE_PAUSE_SECONDS": "1",
    "SAFELIGHT_ERASE_LAST_LOOK_SECONDS": "3",
}


async def until(condition: Callable[[], T], what: str, *, seconds: float = 30) -> T:
    """Wait for a condition and return its value; fail with `what` if it is not true in time."""
    try:
        async with asyncio.timeout(seconds):
            while not (value := condition()):
                await asyncio.sleep(0.005)
            return value
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None


class Worker:
    """One worker of any role with its render children, in one process group."""

    url: str

    def __init__(self, child: Child, spool: Path, role: str) -> None:
        self._child = child
        self.spool = spool
        self.role = role

    @classmethod
    async def start(
        cls,
        name: str,
        stack: Stack,
        endpoint_url: str,
        directory: Path,
        role: str = "uploads",
        **settings: str,
    ) -> "Worker":
        """Start one that uses AWS at this address, and wait until it listens."""
        spool = directory / f"{name}-spool"
        spool.mkdir()
        cleans = role == "cleanup"
        principals = {"uploads": stack.uploads_worker, "renders": stack.renders_worker}
        principal = stack.cleanup if cleans else principals[role]
        own = {
            **_WORKER_SETTINGS,
            **({} if cleans else stack.worker_settings(role)),
            "SAFELIGHT_SPOOL": str(spool),
        }
        child = Child(
            name,
            [sys.executable, "-m", "worker.cleanup" if cleans else "worker"],
            environment={
                **principal.environment(endpoint_url),
                "AWS_SDK_UA_APP_ID": name,  # so that a proxy knows the caller
                **stack.settings(),
                **(_CLEANUP_SETTINGS | stack.cleanup_settings() if cleans else own),
                **settings,
            },
            log=directory / f"{name}.log",
            directory=ROOT,
        )
        worker = cls(child, spool, role)
        try:
            worker.url = await child.listening(seconds=60)
        except BaseException:
            child.kill()
            raise
        return worker

    @property
    def name(self) -> str:
        return self._child.name

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        return self._child.exit_code

    def check(self) -> None:
        """Raise `ChildDied` if it is no longer running."""
        self._child.check()

    def kill(self) -> None:
        """Kill it and its children, as the end of a container does."""
        self._child.kill()

    def terminate(self) -> None:
        self._child.terminate()

    async def wait(self, *, seconds: float = 30) -> int:
        """Wait until it has ended by itself; return its exit code."""
        async with asyncio.timeout(seconds):
            return await self._child.wait()

    async def stop(self) -> None:
        await self._child.stop(seconds=15)

    def freeze(self) -> None:
        """Stop the whole group, as on a machine that hangs."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    async def get(self, path: str) -> tuple[int, str]:
        """Request a path of its admin port; return status and body."""
        async with aiohttp.ClientSession() as http, http.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def metrics(self) -> "Metrics":
        return Metrics((await self.get("/metrics"))[1])

    def events(self, name: str | None = None) -> list[Mapping[str, Any]]:
        """Read its log, one event per line; a line that is not JSON becomes an event too."""
        events = []
        for line in self._child.log.read_text().splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                events.append({"event": "not JSON", "line": line})
        return [event for event in events if name in (None, event["event"])]

    def sources(self) -> list[Path]:
        """List the sources in its spool."""
        return list(self.spool.rglob("source"))

    def variants(self) -> list[Path]:
        """List the variants in its spool, finished or not."""
        return [path for path in self.spool.rglob("*") if path.name != "source" and path.is_file()]

    def render_children(self) -> list[int]:
        """Find the processes forked by its fork server."""
        return [child for server in children_of(self.pid) for child in children_of(server)]

    async def rendering_child(self) -> int:
        """Wait until a render child is busy for longer than a probe; return its process id."""
        began = {pid: cpu_seconds(pid) for pid in self.render_children()}

        def busy() -> list[int]:
            found = self.render_children()
            return [pid for pid in found if cpu_seconds(pid) - began.get(pid, 0) > BUSY_SECONDS]

        return (await until(busy, "a child renders"))[0]

    def processes(self) -> list[int]:
        """List the process ids of itself and all its descendants."""
        return family_of(self.pid)

    def cpu_seconds(self) -> float:
        """Add up the processor time of all its processes."""
        return sum(map(cpu_seconds, self.processes()))

    def memory_bytes(self) -> int:
        """Add up the resident memory of all its processes; shared pages count in each."""
        return sum(resident_bytes(pid) for pid in self.processes())


class Metrics:
    """The values of a worker's metrics page."""

    def __init__(self, page: str) -> None:
        self._families = list(text_string_to_metric_families(page))

    @property
    def series(self) -> int:
        return sum(len(family.samples) for family in self._families)

    def names(self) -> set[str]:
        return {family.name for family in self._families}

    def value(self, name: str, **labels: str) -> float:
        """Add up the samples of a metric that have these labels."""
        return sum(
            sample.value
            for family in self._families
            for sample in family.samples
            if sample.name == f"safelight_{name}" and labels.items() <= sample.labels.items()
        )
