"""Builds and starts the image without a container engine.

buildah builds it in a chroot, on a base that mmdebstrap makes from Debian packages. It starts as in
an engine: as the image's user, with the image's environment, on a read-only root with one volume,
in mount and process namespaces of its own. Only the network is that of the machine.
"""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.local.emulator import ROOT

BASE, IMAGE = "localhost/safelight-base", "localhost/safelight-test"
SUITE = "trixie"
"""The Debian release that python:3.13-slim is based on."""
PACKAGES = "python3,python3-venv,ca-certificates"
PIP_SETTINGS = (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf")


def run(*command: str | Path, **how: Any) -> str:
    """Run a program that must succeed; return its output."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True, **how
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout.strip()


def build(directory: Path, *, target: str = "") -> "Image":
    """Build the Dockerfile, or one stage of it. The base is made once and kept in `directory`."""
    if not run("buildah", "images", "--quiet", "--filter", f"reference={BASE}"):
        _make_base(directory / f"{SUITE}.tar")
    mounts = [f"--volume={Path('/etc/ssl/certs')}:/etc/ssl/certs:ro"]
    mounts += [f"--volume={path}:/etc/pip.conf:ro" for path in PIP_SETTINGS if path.exists()]
    name = f"{IMAGE}-{target}" if target else IMAGE
    run(
        *("buildah", "bud", "--isolation", "chroot", *mounts),
        *(("--target", target) if target else ()),
        *("--build-arg", f"BASE={BASE}", "--tag", name, ROOT),
    )
    return Image.opened(name)


def _make_base(archive: Path) -> None:
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        unfinished = archive.with_suffix(".new.tar")
        run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, unfinished)
        unfinished.rename(archive)
    container = run("buildah", "from", "scratch")
    run("buildah", "add", "--quiet", container, archive, "/")
    link = "ln -sf /usr/bin/python3 /usr/local/bin/python"  # its name in python:3.13-slim
    run("buildah", "run", "--isolation", "chroot", container, "--", "sh", "-c", link)
    run("buildah", "commit", "--quiet", "--rm", container, BASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A built image with its files unpacked."""

    container: str
    root: Path
    config: Mapping[str, Any]
    """OCI's configuration: User, Env, Cmd, Volumes, WorkingDir."""

    @classmethod
    def opened(cls, name: str) -> "Image":
        """Unpack the last image built under this name."""
        inspected = json.loads(run("buildah", "inspect", "--type", "image", name))
        container = run("buildah", "from", "--pull-never", name)
        root = Path(run("buildah", "mount", container))
        return cls(container=container, root=root, config=inspected["OCIv1"]["config"])

    def close(self) -> None:
        """Remove the unpacked files; the image stays."""
        run("buildah", "rm", self.container)

    def command(
        self, words: Sequence[str], *, spool: Path, environment: Mapping[str, str]
    ) -> list[str]:
        """Make the command that starts a program in the image, with `spool` as its volume."""
        volume = next(iter(self.config.get("Volumes", {"/tmp": {}})))  # noqa: S108 - in the image
        variables = [*self.config["Env"], *(f"{name}={one}" for name, one in environment.items())]
        root = shlex.quote(str(self.root))
        script = f"""set -e
            mount --make-rprivate /
            mount --bind {root} {root}
            mount --bind {shlex.quote(str(spool))} {root}{volume}
            mount --rbind /dev {root}/dev
            mount -t proc proc {root}/proc
            mount -o remount,ro,bind {root}
            exec chroot --userspec={self.config["User"]} {root} /usr/bin/env -i \
                --chdir={self.config["WorkingDir"]} {shlex.join(variables)} {shlex.join(words)}"""
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]


def terminate(unshare_pid: int) -> None:
    """Send SIGTERM to the program, as an engine does to a container's first process."""
    children = Path(f"/proc/{unshare_pid}/task/{unshare_pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGTERM)
