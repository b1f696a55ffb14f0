"""Fixtures that every kind of test may ask for."""

import os

import hypothesis
import pytest

from tests.support import programs

pytest_plugins = ["tests.support.emulator"]

# Nothing is timed in a test: how long an example takes says more of the machine than of the code.
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
