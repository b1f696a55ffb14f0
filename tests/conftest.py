"""Settings and fixtures of all tests."""

import os

import hypothesis
import pytest

from tests.support import programs

pytest_plugins = ["tests.support.emulator"]

# No test has a deadline per example: its time depends more on the machine than on the code.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs (`@pytest.mark.needs`) are missing; in CI, fail it."""
    needed = [name for marker in item.iter_markers("needs") for name in marker.args]
    if missing := programs.reason(*needed):
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
