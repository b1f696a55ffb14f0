"""Runs Prometheus on loopback, for tests and for `make dashboard-picture`."""

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from ops.local.processes import Child
from tests.support.declared import PROMETHEUS, RULES

READY_SECONDS = 60


class Prometheus:
    """A Prometheus process that scrapes once a second, with the rules of deploy/prometheus."""

    def __init__(self, directory: Path, jobs: Mapping[str, Sequence[str]]) -> None:
        """Configure one that scrapes the URLs of `jobs` and keeps its data in `directory`."""
        self._directory = directory
        self._jobs = jobs

    async def __aenter__(self) -> Self:
        """Start it and wait until it is ready."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{address}"
        config = self._directory / "prometheus.yml"
        config.write_text(json.dumps(self._config()))  # JSON is YAML
        self._child = Child(
            "prometheus",
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={self._directory / 'tsdb'}",
                f"--web.listen-address={address}",
            ],
            environment={},
            log=self._directory / "prometheus.log",
        )
        self._http = aiohttp.ClientSession()
        async with asyncio.timeout(READY_SECONDS):
            while not await self._ready():
                self._child.check()
                await asyncio.sleep(0.1)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        await self._http.close()
        await self._child.stop(seconds=10)

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression now; return its series."""
        return await self._ask("query", query=expression)

    async def query_range(
        self, expression: str, *, start: float, end: float, step: float
    ) -> list[dict[str, Any]]:
        """Evaluate an expression over a range of time; return its series."""
        return await self._ask(
            "query_range", query=expression, start=str(start), end=str(end), step=str(step)
        )

    async def _ask(self, kind: str, **parameters: str) -> list[dict[str, Any]]:
        async with self._http.post(f"{self.url}/api/v1/{kind}", data=parameters) as answer:
            body = await answer.json()
        assert body["status"] == "success", body
        result: list[dict[str, Any]] = body["data"]["result"]
        return result

    async def _ready(self) -> bool:
        try:
            async with self._http.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def _config(self) -> dict[str, Any]:
        return {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(PROMETHEUS / name) for name in RULES],
            "scrape_configs": [
                {
                    "job_name": job,
                    "static_configs": [{"targets": [urlsplit(url).netloc for url in urls]}],
                }
                for job, urls in self._jobs.items()
            ],
        }
