"""The image as the Dockerfile makes it: built, started, put to work. `make image-test` runs it."""

import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import aiohttp
import pytest

from ops.local.emulator import ROOT, Emulator
from ops.local.processes import Child
from ops.local.stack import Stack, deploy
from ops.local.system import LOCAL_SETTINGS
from safelight.formats import READABLE, WRITABLE
from safelight.imaging import confinement
from tests.support import container, pictures
from tests.support.container import Image
from tests.support.person import Person

CAT = ROOT / "samples" / "cat-451px.jpg"
USER = 10001
LANDLOCK = confinement._landlock_version()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("buildah", "mmdebstrap", "unshare"),
]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    built = container.build(ROOT / "build" / "image")
    yield built
    built.close()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    shutil.chown(folder, USER, USER)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    tmp_path.chmod(0o755)
    return folder


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


def done_in(image: Image, spool: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = image.command(words, spool=spool, environment={})
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


@pytest.mark.needs("hadolint")
def test_hadolint_finds_nothing_wrong() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    run = subprocess.run([linter, ROOT / "Dockerfile"], check=False, capture_output=True)
    assert (run.returncode, run.stdout.decode()) == (0, "")


def test_it_is_nobody_special_and_starts_programs_directly(image: Image) -> None:
    assert image.config["User"] == f"{USER}:{USER}"
    assert image.config["Cmd"] == ["python", "-m", "worker"]
    assert not image.config.get("Entrypoint")
    assert list(image.config["Volumes"]) == ["/var/spool/safelight"]
    assert "MALLOC_ARENA_MAX=2" in image.config["Env"]


def test_its_user_can_write_into_the_volume_and_nowhere_else(image: Image, spool: Path) -> None:
    script = """id -u; touch /var/spool/safelight/x && echo spool
        for folder in / /etc /opt/safelight /tmp; do touch $folder/x; done"""
    done = done_in(image, spool, "sh", "-c", script)
    assert done.stdout.split() == [str(USER), "spool"]
    assert done.stderr.count("Read-only file system") == 4


def test_no_program_in_it_runs_as_another_user_than_its_caller(image: Image, spool: Path) -> None:
    done = done_in(image, spool, "find", "/", "-xdev", "-type", "f", "-perm", "/6000")
    assert done.stdout == ""
    found = done_in(image, spool, "find", "/usr/bin", "-name", "su")
    assert found.stdout.split() == ["/usr/bin/su"]  # which has the bit in the base


@pytest.mark.parametrize("tool", ["gcc", "cc", "make", "pip", "pip3", "git", "curl"])
def test_no_tool_is_left_in_it(image: Image, spool: Path, tool: str) -> None:
    assert done_in(image, spool, "sh", "-c", f"command -v {tool}").returncode != 0


def test_no_build_backend_is_left_in_it(image: Image, spool: Path) -> None:
    for module in ("pip", "setuptools", "wheel", "pkgconfig"):
        assert done_in(image, spool, "python", "-c", f"import {module}").returncode == 1, module


def test_it_renders_a_sample(image: Image, spool: Path) -> None:
    shutil.copy(CAT, spool / "cat.jpg")
    done = done_in(
        image, spool, *("safelight", "render", "/var/spool/safelight/cat.jpg"),
        *("--presets", "/etc/safelight/presets.toml", "--out", "/var/spool/safelight/out"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (spool / "out").rglob("*") if path.is_file())
    assert {"compressed.webp", "large.jpg", "medium.jpg", "small.jpg"} <= set(made), made


def test_every_format_is_read_and_written_by_confined_children(image: Image, spool: Path) -> None:
    presets = "".join(f'[{one.name}]\nformat = "{one.name}"\n' for one in WRITABLE)
    (spool / "presets.toml").write_text(presets)
    sources = [spool / f"source.{format.extension}" for format in READABLE]
    for format, source in zip(READABLE, sources, strict=True):
        source.write_bytes(
            pictures.svg().encode()
            if format.name == "svg"
            else pictures.encoded(pictures.quarters(), format.name.upper())
        )
    inside = Path("/var/spool/safelight")
    done = done_in(
        image, spool, *("env", "SAFELIGHT_ACCEPT_SVG=true", "safelight", "render"),
        *(str(inside / source.name) for source in sources),
        *("--presets", str(inside / "presets.toml"), "--out", str(inside / "out")),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = [path.stem for path in (spool / "out").rglob("*") if path.is_file()]
    assert Counter(made) == {format.name: len(READABLE) for format in WRITABLE}


CONFINED = """
import asyncio
from safelight.imaging.pool import RenderPool
async def main():
    async with RenderPool(slots=1) as pool:
        print(*(gap.partition(":")[0] for gap in pool.gaps))
if __name__ == "__main__":
    asyncio.run(main())
"""


def test_its_children_are_confined_as_far_as_the_kernel_can(image: Image, spool: Path) -> None:
    done = done_in(image, spool, "python", "-c", CONFINED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ([] if LANDLOCK >= 1 else ["Landlock"])


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[tuple[Emulator, Stack]]:
    async with Emulator(directory=tmp_path) as emulator:
        yield emulator, await deploy(emulator.account)


def started(
    image: Image, name: str, spool: Path, log: Path, environment: Mapping[str, str]
) -> Child:
    own = spool / name
    own.mkdir()
    shutil.chown(own, USER, USER)
    return Child(
        name,
        image.command(["python", "-m", name], spool=own, environment=environment),
        environment={},
        log=log / f"{name}.log",
    )


async def test_api_and_worker_complete_a_picture_are_well_and_drain(
    image: Image, spool: Path, tmp_path: Path, stack: tuple[Emulator, Stack]
) -> None:
    emulator, made = stack
    common = {**LOCAL_SETTINGS, **made.settings()}
    api = started(image, "api", spool, tmp_path, {
        **made.api.environment(emulator.endpoint_url), **common, "SAFELIGHT_PORT": "0",
        "SAFELIGHT_API_KEYS": f"alice:{sha256(b'sl_alice').hexdigest()}",
    })  # fmt: skip
    worker = started(image, "worker", spool, tmp_path, {
        **made.uploads_worker.environment(emulator.endpoint_url), **common,
        **made.worker_settings("uploads"),
        "SAFELIGHT_ADMIN_PORT": "0", "SAFELIGHT_RECEIVE_WAIT_SECONDS": "1",
    })  # fmt: skip
    try:
        urls = [await child.listening(seconds=120) for child in (api, worker)]
        async with aiohttp.ClientSession() as http:
            alice = Person(http, urls[0], "sl_alice")
            told = await alice.settled(await alice.upload(CAT.read_bytes()))
            assert told["status"] == "completed"
            media_type, _ = await alice.download(told["variants"]["small"]["url"])
            assert media_type == "image/jpeg"
        for url in urls:
            asked = done_in(image, spool, "healthy", url.rpartition(":")[2])
            assert (asked.returncode, asked.stdout) == (0, "200 ok\n"), asked.stderr
        for child in (api, worker):
            container.terminate(child.pid)
            assert await child.wait() == 0, child.last_lines()
        asked = done_in(image, spool, "healthy", urls[0].rpartition(":")[2])
        assert asked.returncode == 1
    finally:
        for child in (api, worker):
            child.kill()


def test_the_emulator_of_compose_is_well_and_guarded(spool: Path, tmp_path: Path) -> None:
    emulator = container.build(ROOT / "build" / "image", target="emulator")
    port = free_port()
    child = Child(
        "emulator",
        emulator.command(
            emulator.config["Cmd"],
            spool=spool,
            environment={
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": port,
                "MINISTACK_HOST": "emulator",
            },
        ),
        environment={},
        log=tmp_path / "emulator.log",
    )
    try:
        for _ in range(200):
            if not done_in(emulator, spool, "healthy", port, "/_ministack/health").returncode:
                asked = done_in(emulator, spool, "healthy", port, "/_ministack/ready")
                assert asked.stdout.startswith("403 ")
                return
            child.check()
        pytest.fail(child.last_lines())
    finally:
        child.kill()
        emulator.close()
