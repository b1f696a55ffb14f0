"""Bundles the libraries of the pages into api/pages/static/vendor, for `make vendor`.

It installs exactly what vendor/package-lock.json names, bundles each file of vendor/entries with
esbuild, and writes the bundles, their licences and `vendored.toml`. `--check` writes nothing, and
fails if the committed files differ, or if TypeScript finds a fault of types in our own modules.
Only maintainers who change a version need npm and Node.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "vendor"
BUNDLES = ROOT / "api" / "pages" / "static" / "vendor"
ESBUILD = SOURCES / "node_modules" / "esbuild" / "bin" / "esbuild"
TYPESCRIPT = SOURCES / "node_modules" / "typescript" / "bin" / "tsc"
FLAGS = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=eof")
INDEX, LICENCES = "vendored.toml", "licences.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that is part of a bundle."""

    name: str
    version: str
    licence: str
    integrity: str

    @property
    def notice(self) -> str:
        """The text of its licence: a file of its own, or a section of its README."""
        folder = SOURCES / "node_modules" / self.name
        files = sorted(folder.glob("LICEN[SC]E*"))
        if files:
            text = files[0].read_text(encoding="utf-8").strip()
        else:
            readme = (folder / "README.md").read_text(encoding="utf-8")
            found = re.search(r"^#+ Licen[sc]e.*", readme, re.MULTILINE | re.DOTALL | re.IGNORECASE)
            text = found[0].strip() if found else f"Licence: {self.licence}"
        return f"{self.name} {self.version} ({self.licence})\n\n{text}\n"


def made() -> dict[str, bytes]:
    """Install the packages, and return each file of the folder of bundles by its name."""
    _run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
    lock = json.loads((SOURCES / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    files: dict[str, bytes] = {}
    packages: dict[str, Package] = {}
    of_bundles: dict[str, list[str]] = {}
    for entry in sorted((SOURCES / "entries").glob("*.js")):
        files[entry.name], names = _bundled(entry)
        packages |= {name: _package(name, lock[f"node_modules/{name}"]) for name in names}
        of_bundles[entry.name] = names
    rule = "\n" + "-" * 72 + "\n\n"
    files[LICENCES] = rule.join(packages[name].notice for name in sorted(packages)).encode()
    files[INDEX] = _index(files, packages.values(), of_bundles).encode()
    return files


def _bundled(entry: Path) -> tuple[bytes, list[str]]:
    """Return the bundle of an entry, and the names of the packages in it."""
    with tempfile.TemporaryDirectory() as folder:
        bundle, report = Path(folder) / entry.name, Path(folder) / "report.json"
        outputs = (f"--outfile={bundle}", f"--metafile={report}")
        _run("node", str(ESBUILD), str(entry), *FLAGS, *outputs, "--log-level=warning")
        inputs = json.loads(report.read_text(encoding="utf-8"))["inputs"]
        paths = (path.partition("node_modules/")[2] for path in inputs)
        names = {"/".join(path.split("/")[: 1 + path.startswith("@")]) for path in paths if path}
        return bundle.read_bytes(), sorted(names)


def _package(name: str, locked: Mapping[str, Any]) -> Package:
    described = json.loads((SOURCES / "node_modules" / name / "package.json").read_text())
    return Package(
        name=name,
        version=locked["version"],
        licence=described["license"],
        integrity=locked["integrity"],
    )


def _index(
    files: Mapping[str, bytes],
    packages: Iterable[Package],
    of_bundles: Mapping[str, list[str]],
) -> str:
    """Write the list of bundles and packages as TOML."""
    lines = ["# Written by `make vendor`.\n"]
    for name, body in files.items():
        lines += [f'[files."{name}"]', f'sha256 = "{sha256(body).hexdigest()}"']
        if name in of_bundles:
            lines.append(f"packages = {json.dumps(of_bundles[name])}")
        lines.append("")
    for one in sorted(packages, key=lambda package: package.name):
        lines += [
            f'[packages."{one.name}"]',
            f'version = "{one.version}"',
            f'licence = "{one.licence}"',
            f'integrity = "{one.integrity}"',
            "",
        ]
    return "\n".join(lines)


def type_faults() -> list[str]:
    """List the faults that TypeScript finds in our modules; those of bundles are not ours."""
    command = ("node", str(TYPESCRIPT), "--project", str(SOURCES), "--pretty", "false")
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (checked.stdout + checked.stderr).splitlines()
    return [line for line in lines if not line.startswith((" ", "api/pages/static/vendor/"))]


def _run(*command: str) -> None:
    subprocess.run(command, cwd=SOURCES, check=True)


def main(*, check: bool) -> int:
    """Write the files, or compare them; return 1 if they differ."""
    files = made()
    if check:
        wrong = [name for name, body in files.items() if (BUNDLES / name).read_bytes() != body]
        wrong += [path.name for path in BUNDLES.iterdir() if path.name not in files]
        if wrong:
            print("Run `make vendor`; these files differ:", *wrong)
        faults = type_faults()
        print(*faults, sep="\n")
        return 1 if wrong or faults else 0
    BUNDLES.mkdir(parents=True, exist_ok=True)
    for path in BUNDLES.iterdir():
        path.unlink()
    for name, body in files.items():
        (BUNDLES / name).write_bytes(body)
    return 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
