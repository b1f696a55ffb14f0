"""Running systems and their users for acceptance tests: real processes, policies enforced.

Modules whose tests need no settings of their own share `system`, and leave its queues empty and a
worker of each role up. tests/conftest.py lists these modules, so that one process runs them.
"""

from collections.abc import AsyncIterator
from hashlib import sha256

import aiohttp
import pytest
import pytest_asyncio

from ops.local.completions import Completions, subscribe
from ops.local.processes import Child
from ops.local.system import LocalSystem
from tests.support.person import Person

VISIBILITY_SECONDS = 6
ERASING = {
    "SAFELIGHT_ERASE_PAUSE_SECONDS": "0.0001",
    "SAFELIGHT_ERASE_LAST_LOOK_SECONDS": "0.0001",
    "SAFELIGHT_ERASE_INDEX_LAG_SECONDS": "1",
}
"""Settings of the role cleanup with which an erasure makes no pause: they are rounded to ms."""
KEYS = {"alice": "sl_alice", "bob": "sl_bob", "carol": "sl_carol"}
API_KEYS = ",".join(f"{user}:{sha256(key.encode()).hexdigest()}" for user, key in KEYS.items())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system() -> AsyncIterator[LocalSystem]:
    """Start the system that modules share, with a worker of each role."""
    async with LocalSystem(
        renders=True,
        cleans=True,
        api_settings={"SAFELIGHT_API_KEYS": API_KEYS},
        worker_settings={"SAFELIGHT_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS)},
        cleanup_settings=ERASING,
    ) as running:
        yield running


def uploads_worker(system: LocalSystem) -> Child:
    """Find the worker of uploads that was started last."""
    return [worker for worker in system.workers if worker.name.startswith("worker-")][-1]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def completions(system: LocalSystem) -> AsyncIterator[Completions]:
    async with subscribe(system.account, system.stack.topic_arn) as subscribed:
        yield subscribed


@pytest.fixture(scope="module")
def alice(system: LocalSystem, http: aiohttp.ClientSession) -> Person:
    return Person(http, system.api_url, KEYS["alice"])


@pytest.fixture(scope="module")
def bob(system: LocalSystem, http: aiohttp.ClientSession) -> Person:
    return Person(http, system.api_url, KEYS["bob"])
