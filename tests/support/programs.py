"""Lists the programs besides Python that tests run, and what installs each.

`.ci/run` runs this file before anything is installed: it may import the standard library alone.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEBIAN = {
    "amtool": "prometheus-alertmanager",
    "chromium": "chromium",
    "curl": "curl",
    "node": "nodejs",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "promtool": "prometheus",
    "ps": "procps",
}
"""The Debian package of each program that the tests run. `.ci/run` installs what is missing."""
OTHER = {
    "buildah": "apt-get install buildah",
    "hadolint": "make .venv/.image",
    "mmdebstrap": "apt-get install mmdebstrap",
    "npm": "apt-get install npm",
    "thumbor": "make .venv-bench/.ready",
    "unshare": "apt-get install util-linux",
}
"""The command that installs each program of `make image-test`, `make browser-test` and
`make compare-thumbor`."""
FOLDERS = (Path(sys.executable).parent, ROOT / ".venv-bench" / "bin")
"""Folders that are searched besides PATH."""


def installed(program: str) -> bool:
    """Whether a program of the tables is on this machine."""
    return any(shutil.which(program, path=path) for path in (None, *map(str, FOLDERS)))


def reason(*programs: str) -> str:
    """Say which of these programs are missing and what installs them; empty if none is."""
    commands = OTHER | {name: f"apt-get install {package}" for name, package in DEBIAN.items()}
    missing = [f"no {name}: {commands[name]}" for name in programs if not installed(name)]
    return "; ".join(missing)


if __name__ == "__main__":
    missing = {package for name, package in DEBIAN.items() if not installed(name)}
    sys.stdout.write(" ".join(sorted(missing)))
