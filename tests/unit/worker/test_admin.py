"""Whether a worker is well, as its canary tells."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from tests.support.fakes import Fake
from worker.admin import CANARY_SECONDS, Health
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


async def test_two_failures_in_a_row_are_needed_to_be_unwell() -> None:
    canary = FakeCanary()
    canary.fail_next["canary"] = [RuntimeError("no child"), RuntimeError("no child")]
    health = Health(canary, WorkerMetrics(CollectorRegistry()), max_seconds=20)
    seen = []
    for _ in range(3):
        await health._check()
        seen.append(health.well)
    assert seen == [True, False, True]
