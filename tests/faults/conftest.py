"""One embedded AWS for all fault tests of a process, and a stack of its own for every test."""

import os
import random
import re
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from ops.local.emulator import Emulator
from tests.support.emulator import emulator
from tests.support.faults.cleaning import Cleaning, open_cleaning
from tests.support.faults.rig import Rig, open_rig

__all__ = ["emulator"]

_numbers = count(1)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Draw the seed of a random run, and print the command that replays it."""
    drawn = int(os.environ.get("SAFELIGHT_TEST_SEED", random.randrange(10**6)))
    print(f"\nreplay: SAFELIGHT_TEST_SEED={drawn} pytest -m '' '{request.node.nodeid}'")
    return drawn


@pytest_asyncio.fixture
async def rig(
    emulator: Emulator, tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> AsyncIterator[Rig]:
    row = re.findall(r"row_\d+", request.node.name)[0].replace("_", "-")
    async with open_rig(emulator, tmp_path, name=f"{row}-{next(_numbers)}", seed=seed) as opened:
        yield opened


@pytest_asyncio.fixture
async def cleaning(
    emulator: Emulator, tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> AsyncIterator[Cleaning]:
    """Open a rig of its own for erasures, with a distribution."""
    row = re.findall(r"row_\d+", request.node.name)[0].replace("_", "-")
    name = f"{row}-{next(_numbers)}"
    async with open_cleaning(emulator, tmp_path, name=name, seed=seed) as opened:
        yield opened
