"""`make` lists every target in one of four groups, and each group declares its own as phony."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
GROUP = re.compile(r"^##@ (\w+)\n(.*?)(?=^##@ |\Z)", re.MULTILINE | re.DOTALL)
GROUPS: dict[str, str] = dict(GROUP.findall(MAKEFILE))


def test_there_are_four_groups() -> None:
    assert list(GROUPS) == ["Use", "Test", "Measure", "Generate"]


def test_each_group_declares_its_targets_once_and_each_has_a_line_of_help() -> None:
    for group, body in GROUPS.items():
        (phony,) = re.findall(r"^\.PHONY: (.+)$", body, re.MULTILINE)
        explained = re.findall(r"^([a-z-]+):.*## [A-Z]", body, re.MULTILINE)
        assert sorted(phony.split()) == sorted(explained), group
    assert len(re.findall(r"^\.PHONY:", MAKEFILE, re.MULTILINE)) == len(GROUPS)


@pytest.mark.starts
def test_help_prints_the_groups_and_their_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert re.findall(r"^(\w+):$", done.stdout, re.MULTILINE) == list(GROUPS)
    for body in GROUPS.values():
        for target in re.findall(r"^([a-z-]+):.*## [A-Z]", body, re.MULTILINE):
            assert re.search(rf"^  {target} +[A-Z]", done.stdout, re.MULTILINE), target


@pytest.mark.starts
@pytest.mark.parametrize(
    ("target", "variables", "words"),
    [
        ("up", {}, "up"),
        (
            "up",
            {"PRESETS": "my own.toml", "PORTS": "8080"},
            "up --presets my own.toml --ports 8080",
        ),
        ("demo", {}, "demo -- samples"),
        (
            "demo",
            {"PHOTOS": "p", "OUT": "o", "PRESETS": "m.toml", "OVERWRITE": "yes"},
            "demo --out o --presets m.toml --overwrite -- p",
        ),
    ],
)
def test_variables_become_options_of_the_command(
    tmp_path: Path, target: str, variables: dict[str, str], words: str
) -> None:
    program = tmp_path / "safelight"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    ready = [word for path in (".venv/.runtime", ".venv-emulator/.ready") for word in ("-o", path)]
    done = subprocess.run(
        ["make", *ready, target, f"BIN={tmp_path}"], cwd=ROOT, check=True, capture_output=True,
        text=True, env={"PATH": os.environ["PATH"], **variables},
    )  # fmt: skip
    assert done.stdout == f"{words}\n"
