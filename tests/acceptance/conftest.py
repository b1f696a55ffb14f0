"""One running Safelight for the acceptance tests of a module: real processes, policies enforced."""

from collections.abc import AsyncIterator
from hashlib import sha256

import aiohttp
import pytest
import pytest_asyncio

from ops.local.completions import Completions, subscribe
from ops.local.system import LocalSystem
from tests.support.person import Person

VISIBILITY_SECONDS = 6
KEYS = {"alice": "sl_alice", "bob": "sl_bob"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system() -> AsyncIterator[LocalSystem]:
    hashes = ",".join(f"{user}:{sha256(key.encode()).hexdigest()}" for user, key in KEYS.items())
    async with LocalSystem(
        api_settings={"SAFELIGHT_API_KEYS": hashes},
        worker_settings={"SAFELIGHT_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS)},
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def completions(system: LocalSystem) -> AsyncIterator[Completions]:
    async with subscribe(system.account, system.stack.topic_arn) as subscribed:
        yield subscribed


@pytest.fixture(scope="module")
def alice(system: LocalSystem, http: aiohttp.ClientSession) -> Person:
    return Person(http, system.api_url, KEYS["alice"])


@pytest.fixture(scope="module")
def bob(system: LocalSystem, http: aiohttp.ClientSession) -> Person:
    return Person(http, system.api_url, KEYS["bob"])
