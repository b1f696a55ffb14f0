"""Whether a worker is well, judged by its canary."""

import asyncio

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from tests.support.fakes import Fake
from worker.admin import CANARY_SECONDS, Health, make_admin_app
from worker.metrics import WorkerMetrics


class FakeCanary(Fake):
    async def canary(self) -> None:
        self._called("canary")


async def test_a_canary_may_wait_behind_two_pictures_however_long_they_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounds = []

    def timeout(seconds: float) -> asyncio.Timeout:
        bounds.append(seconds)
        return asyncio.Timeout(None)

    monkeypatch.setattr("worker.admin.asyncio.timeout", timeout)
    for max_seconds in (20, 90):
        health = Health(FakeCanary(), WorkerMetrics(CollectorRegistry()), max_seconds=max_seconds)
        await health._check()
    assert bounds == [40 + CANARY_SECONDS, 180 + CANARY_SECONDS]


@pytest.mark.parametrize(
    ("listens_on", "host", "status"),
    [
        ("127.0.0.1", "evil.example", 421),
        ("127.0.0.1", "localhost:9464", 200),
        ("0.0.0.0", "10.0.0.7:9464", 200),  # noqa: S104 - as in a container
    ],
)
async def test_on_loopback_the_admin_port_answers_loopback_names_only(
    listens_on: str, host: str, status: int
) -> None:
    registry = CollectorRegistry()
    health = Health(FakeCanary(), WorkerMetrics(registry), max_seconds=20)
    app = make_admin_app(
        registry=registry, well=lambda: health.well, ready=lambda: True, host=listens_on
    )
    async with (
        TestClient(TestServer(app)) as client,
        client.get("/metrics", headers={"Host": host}) as answer,
    ):
        assert (answer.status, answer.headers["Server"]) == (status, "safelight")


async def test_two_failures_in_a_row_are_needed_to_be_unwell() -> None:
    canary = FakeCanary()
    canary.fail_next["canary"] = [RuntimeError("no child"), RuntimeError("no child")]
    health = Health(canary, WorkerMetrics(CollectorRegistry()), max_seconds=20)
    seen = []
    for _ in range(3):
        await health._check()
        seen.append(health.well)
    assert seen == [True, False, True]
