"""The version has one place, and what a release wrote is read by every later one."""

import re
import tomllib
from pathlib import Path

from safelight import __version__

ROOT = Path(__file__).parents[2]


def test_the_package_reads_its_version_where_the_programs_do():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "safelight.__version__"}


def test_no_other_file_of_code_or_of_deployment_writes_the_version():
    files = [
        path
        for folder in ("safelight", "api", "worker", "ops", "deploy")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".yaml", ".yml", ".toml", ".sh"}
    ]
    files += [ROOT / name for name in ("Dockerfile", "Makefile", "docker-compose.yml")]
    whole = re.compile(rf"(?<![\d.]){re.escape(__version__)}(?![\d.])")
    writers = [path for path in files if whole.search(path.read_text())]
    assert writers == [ROOT / "safelight" / "__init__.py"]


def test_security_md_supports_this_version():
    assert f"| {__version__} | yes |" in (ROOT / "SECURITY.md").read_text()
