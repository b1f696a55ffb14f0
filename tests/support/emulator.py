"""Fixtures: the embedded AWS and a stack on it, once for all tests of a process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ops.local.emulator import Emulator
from ops.local.stack import Stack, deploy


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def emulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Emulator]:
    directory: Path = tmp_path_factory.mktemp("emulator")
    async with Emulator(directory=directory) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(emulator: Emulator) -> Stack:
    """Deploy the stack shared by all tests: each must use names of its own in it."""
    return await deploy(emulator.account, name="safelight-tests")
