"""What the tests of the worker share."""

from pathlib import Path

import pytest

from tests.unit.worker.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "spool")
