"""Every command of the documents is run as it is written: here, or by the test that is named."""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_demo import read_until, safelight
from tests.support.commands import ROOT, commands_of, pages

KEY = "sl_" + "k" * 43
SECRET = "a-secret-for-this-test-alone"
BY_PAGE = {
    "README.md": "test_every_command_of_the_readme_is_run_by_a_test",
    "docs/measured.md": "test_every_make_target_that_is_told_is_there",
    "docs/operate/data.md": "test_restoring",
    "docs/operate/containers.md": "test_the_line_of_the_page_completes_a_picture",
    "docs/guide/completions.md": "test_ecs_guide",
    "docs/guide/erasing.md": "test_erasing_by_clients",
    "docs/guide/moving/": "test_moving_pages",
    "docs/guide/pages.md": "test_cognito",
    "examples/gallery/README.md": "test_example",
}
"""Pages whose commands another test runs: a test, or the file of tests about the page."""
BY_COMMAND = {
    "make ": "test_every_make_target_that_is_told_is_there",
    "promtool test": "test_every_alert_fires_when_it_should_and_is_silent_when_it_should",
    "safelight doctor worker": "test_a_role_with_its_policy_is_well",
    "safelight doctor api": "test_a_role_with_its_policy_is_well",
    "safelight doctor cleanup": "test_a_role_with_its_policy_is_well",
}
"""Commands that need long, or a role of their own."""
CODES = {"safelight redrive REASON": 1}
"""Exit codes other than 0 that a command should have beside a healthy system."""
IMAGE = "01M7YB1NC8XE9XQ3H3PCRZFKK6"
"""The image id in the documents."""


def walked() -> list[tuple[str, str]]:
    """List the commands that are run here, with their pages."""
    found = []
    for page in pages():
        name = str(page.relative_to(ROOT))
        if not any(name.startswith(other) for other in BY_PAGE):
            commands = [one for one in commands_of(page) if not one.startswith((*BY_COMMAND,))]
            found += [(name, command) for command in commands]
    return found


def test_the_commands_of_the_documents_are_found() -> None:
    names = [name for name, _ in walked()]
    assert names.count("docs/operate/operating.md") >= 6
    assert names.count("docs/guide/api.md") >= 2
    assert any("safelight sign" in command for _, command in walked())


@pytest.mark.parametrize("name", sorted({*BY_PAGE.values(), *BY_COMMAND.values()}))
def test_the_test_that_is_named_for_other_commands_exists(name: str) -> None:
    tests = [*(ROOT / "tests").rglob("test_*.py")]
    assert any(path.stem == name or f"def {name}(" in path.read_text() for path in tests), name


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "samples").symlink_to(ROOT / "samples")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "monday.csv").write_text("seconds,pictures\n0,500\n60,0\n")
    return folder


@pytest.fixture(scope="module")
def shell(desk: Path) -> Iterator[dict[str, str]]:
    """The variables of a terminal beside `safelight up`, with a key and a picture."""
    keys = f"me:{hashlib.sha256(KEY.encode()).hexdigest()}:users"
    with tempfile.TemporaryDirectory(prefix="docs-") as temporary:
        started = safelight(
            "up", temporary=Path(temporary), PYTHONUNBUFFERED="1", SAFELIGHT_API_KEYS=keys
        )
        with started as command:
            printed = read_until("Ctrl-C", command)
            exports = [line.removeprefix("export ") for line in printed if "export " in line[:7]]
            variables = dict(line.split("=", 1) for line in exports) | {
                "KEY": KEY,
                "SAFELIGHT_API_KEY": KEY,
                "SAFELIGHT_SIGNING_KEYS": f"web:{SECRET}",
                "SAFELIGHT_OPTIONS_KEYS": f"web:{SECRET}",
                "PATH": f"{desk / '.venv' / 'bin'}:{os.environ['PATH']}",
            }
            upload = f"safelight upload samples/cat-451px.jpg --api {variables['API']}"
            told = run(upload, desk, variables)
            (variables["ID"],) = re.findall(r"uploaded as (\w{26})", told)
            yield variables
            command.terminate()


def run(command: str, desk: Path, variables: dict[str, str], *, code: int = 0) -> str:
    done = subprocess.run(
        ["bash", "-ec", command], cwd=desk, env=variables, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, command + "\n" + done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.needs("curl")
@pytest.mark.parametrize(
    ("page", "command"), walked(), ids=[f"{name}: {command[:60]}" for name, command in walked()]
)
def test_a_command_of_the_documents_runs_as_it_is_written(
    page: str, command: str, desk: Path, shell: dict[str, str]
) -> None:
    told = run(command.replace(IMAGE, shell["ID"]), desk, shell, code=CODES.get(command, 0))
    assert "/problems/" not in told
