"""A test whose programs are missing is skipped with one reason, and fails in CI."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import programs

pytestmark = pytest.mark.starts

ROOT = Path(__file__).parents[2]
TESTS = [
    path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name != "test_needs.py"
]


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a test that needs promtool where PATH has no program at all."""
    name = "tests/unit/test_alerts.py::test_prometheus_takes_its_configuration"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-rs", name],
        cwd=ROOT, check=False, capture_output=True, text=True,
        env={"PATH": str(folder), "HOME": str(folder), **environment},
    )  # fmt: skip


def test_without_its_program_a_test_is_skipped_and_says_what_installs_it(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "no promtool: apt-get install prometheus" in done.stdout


def test_in_ci_a_missing_program_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, CI="true")
    assert done.returncode == 1, done.stdout
    assert "no promtool: apt-get install prometheus" in done.stdout


def test_no_test_skips_itself_for_want_of_a_program() -> None:
    """But for the kernel, the processor and the user, which nothing installs."""
    words = r"pytest\.skip\(|mark\.skip\b|importorskip|skipif\((.*)"
    skips = [found for text in TESTS for found in re.finditer(words, text)]
    assert sorted(found[0] for found in skips) == [
        "pytest.skip(",  # the hook in tests/conftest.py
        "pytest.skip(",  # a kernel without Landlock
        'skipif(os.getuid() != 0, reason="root only")',
        'skipif(platform.machine() != "x86_64", reason="x32 is of x86_64")',
        'skipif(sys.platform != "linux", reason="mechanisms of Linux")',
        'skipif(sys.platform != "linux", reason="only Linux kills orphans")',
    ]


def test_every_program_that_a_test_needs_has_what_installs_it() -> None:
    needed = {
        name
        for text in TESTS
        for listed in re.findall(r"mark\.needs\((.*?)\)", text)
        for name in re.findall(r'"([^"]+)"', listed)
    }
    assert needed <= programs.DEBIAN.keys() | programs.OTHER.keys()
    assert "promtool" in needed


@pytest.mark.parametrize("missing", [True, False])
def test_ci_is_told_the_packages_of_missing_programs(tmp_path: Path, missing: bool) -> None:
    if not missing:
        for name in programs.DEBIAN:
            (tmp_path / name).touch(mode=0o755)
    said = subprocess.run(
        [sys.executable, "-S", programs.__file__], check=True, capture_output=True, text=True,
        env={"PATH": str(tmp_path)},
    ).stdout.split()  # fmt: skip
    assert said == (sorted(set(programs.DEBIAN.values())) if missing else [])
