"""Settings and fixtures of all tests."""

import os

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support import programs

pytest_plugins = ["tests.support.emulator"]

# No test has a deadline per example: its time depends more on the machine than on the code.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

ACCEPTANCE = "tests/acceptance/"
BROWSER = "tests/browser/"
SHARED_SYSTEM = {
    f"{ACCEPTANCE}test_{name}.py"
    for name in (
        "main_job",
        "forged_events",
        "cost",
        "upload_clients",
        "operators_images",
        "erasing",
        "erasing_by_clients",
        "restoring",
    )
}
"""Modules whose tests use the `system` of tests/acceptance/conftest.py."""


class Scheduling(LoadScopeScheduling):
    """Runs the tests of a module that starts a system in one process, and of a shared system too.

    So each system starts once. Other tests run in any process. The mark xdist_group has no effect
    with pytest 9.2 and pytest-xdist 3.8.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        if module in SHARED_SYSTEM:
            return "shared system"
        return module if module.startswith((ACCEPTANCE, BROWSER)) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Distribute tests by `Scheduling` for `--dist loadscope`."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs (`@pytest.mark.needs`) are missing; in CI, fail it."""
    needed = [name for marker in item.iter_markers("needs") for name in marker.args]
    if missing := programs.reason(*needed):
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
