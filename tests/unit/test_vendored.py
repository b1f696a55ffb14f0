"""The bundles of third-party JavaScript are as `make vendor` wrote them, with their licences."""

import json
import re
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tools.vendor import BUNDLES, INDEX

ROOT = Path(__file__).parents[2]
VENDORED: dict[str, Any] = tomllib.loads((BUNDLES / INDEX).read_text())
LOCK: dict[str, Any] = json.loads((ROOT / "vendor" / "package-lock.json").read_text())
MANIFEST: dict[str, Any] = json.loads((ROOT / "vendor" / "package.json").read_text())
MOST_RAW_BYTES = 120_000


def test_every_bundle_is_as_it_was_written() -> None:
    files = {path.name for path in BUNDLES.iterdir()} - {INDEX}
    assert files == VENDORED["files"].keys()
    for name, one in VENDORED["files"].items():
        assert sha256((BUNDLES / name).read_bytes()).hexdigest() == one["sha256"], name


def test_every_entry_has_a_bundle() -> None:
    entries = {path.name for path in (ROOT / "vendor" / "entries").glob("*.js")}
    assert entries == {path.name for path in BUNDLES.glob("*.js")}


def test_bundled_packages_are_those_of_the_lock() -> None:
    for name, one in VENDORED["packages"].items():
        locked = LOCK["packages"][f"node_modules/{name}"]
        assert (one["version"], one["integrity"]) == (locked["version"], locked["integrity"])
    bundled = {name for one in VENDORED["files"].values() for name in one.get("packages", ())}
    assert bundled == VENDORED["packages"].keys()
    assert MANIFEST["dependencies"].keys() <= bundled


def test_the_manifest_names_exact_versions() -> None:
    for name, version in (MANIFEST["dependencies"] | MANIFEST["devDependencies"]).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name


@pytest.mark.parametrize("folder", ["vendor", "tests/browser/uppy-4", "tests/browser/uppy-6"])
def test_a_lock_has_hashes_and_no_addresses(folder: str) -> None:
    packages = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]
    for name, one in packages.items():
        assert "resolved" not in one, name
        assert not name or one["integrity"].startswith("sha512-"), name


def test_notices_name_every_bundled_package_and_its_licence_is_served() -> None:
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text()
    licences = (BUNDLES / "licences.txt").read_text()
    for name, one in VENDORED["packages"].items():
        (row,) = [row for row in notices.splitlines() if f"`{name}`" in row]
        assert f"| {one['licence']} |" in row
        assert f"{name} {one['version']} ({one['licence']})" in licences


def test_bundles_stay_small() -> None:
    assert sum(path.stat().st_size for path in BUNDLES.glob("*.js")) <= MOST_RAW_BYTES
