"""docker-compose.yml's own commands, environments and health checks, as processes on loopback.

There is no container engine here: hosts, ports and mounted folders are replaced; everything else
is as in the file. The image is tested in tests/image.
"""

import asyncio
import contextlib
import random
import re
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from ops.local import containers
from ops.local.emulator import COMMAND
from ops.local.processes import Child
from tests.support.compose import ENV_FILE, ENVIRONMENT, FILE, ROOT, services

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = ENVIRONMENT["API_KEY"]
PROGRAMS = {
    "python": sys.executable,
    "healthy": str(ROOT / "deploy" / "healthy.py"),
    "prometheus": "prometheus",
    "alertmanager": "prometheus-alertmanager",
}


def free_ports(number: int) -> list[str]:
    """Choose ports that are free and stay so until a program binds them.

    They are below the ephemeral ports (from 32,768 on Linux), which a connection of another test
    could take meanwhile.
    """
    ports: list[str] = []
    for port in random.sample(range(20_000, 32_000), 1000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(str(port))
        if len(ports) == number:
            break
    return ports


class Project:
    """The services of the file, with addresses and folders of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._containers_ports = {
            "emulator": "4566",
            "api": "8080",
            "delivery": "8080",
            "worker": "9464",
            "renders": "9464",
        }
        names = self._containers_ports
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.services = services(ENVIRONMENT)
        (folder / "stack").mkdir()

    def mounted(self, service: str) -> Path:
        """Return the folder of the volume that a service has as /stack."""
        volumes = self.services[service].get("volumes", [])
        folders = [volume["volume"]["subpath"] for volume in volumes if "target" in volume]
        return self.folder.joinpath("stack", *folders)

    def moved(self, service: str, text: str) -> str:
        """Replace the containers' addresses and folders by those of this machine."""
        own = self._containers_ports.get(service)
        for old, new in (
            ("emulator:4566", f"127.0.0.1:{self.ports['emulator']}"),
            ("localhost:4566", f"127.0.0.1:{self.ports['emulator']}"),
            ("localhost:8081", f"127.0.0.1:{self.ports['delivery']}"),
            ("/templates", str(ROOT / "deploy" / "ecs")),
            ("/stack/", f"{self.mounted(service)}/"),
            ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - taken away
            ("exec python", f"exec {sys.executable}"),
            ("exec safelight", f"exec {Path(sys.executable).with_name('safelight')}"),
        ):
            text = text.replace(old, new)
        if service == "stack":
            text = text.replace("/var/spool/safelight", str(self.folder / "stack"))
        return self.ports[service] if text == own else text

    def words(self, service: str, words: Sequence[str]) -> list[str]:
        moved = [self.moved(service, word) for word in words]
        return [PROGRAMS.get(moved[0], moved[0]), *moved[1:]]

    def start(self, service: str, *, folder: Path, command: Sequence[str] = ()) -> Child:
        own: Sequence[str] = self.services[service].get("command", [])
        entrypoint: Sequence[str] = self.services[service].get("entrypoint", [])
        told: Mapping[str, Any] = self.services[service].get("environment", {})
        environment = {name: self.moved(service, str(value)) for name, value in told.items()}
        folder.mkdir(parents=True, exist_ok=True)
        return Child(
            service,
            self.words(service, [*entrypoint, *(command or own)]),
            # As in the image: presets.toml and where to spool.
            environment={
                "SAFELIGHT_PRESETS": str(ROOT / "presets.toml"),
                "SAFELIGHT_SPOOL": str(folder),
                "TMPDIR": str(folder),
                **environment,
            },
            log=folder / "log",
            directory=ROOT,
        )

    async def healthy(self, service: str, child: Child) -> None:
        """Run the file's health check until it succeeds."""
        _, *words = self.services[service]["healthcheck"]["test"]
        command = [sys.executable, "-I", *self.words(service, words)]
        async with asyncio.timeout(60):
            while True:
                child.check()
                asked = await asyncio.create_subprocess_exec(
                    *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
                )
                if await asked.wait() == 0:
                    return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def project(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Project]:
    folder = tmp_path_factory.mktemp("compose")
    planned = Project(folder)
    async with AsyncExitStack() as running:

        def start(service: str, **how: Any) -> Child:
            child = planned.start(service, folder=folder / service, **how)
            running.push_async_callback(child.stop, seconds=2)
            return child

        await planned.healthy("emulator", start("emulator", command=COMMAND))
        for _ in range(2):  # the second time everything exists already
            assert await start("stack").wait() == 0
        started = {name: start(name) for name in ("api", "delivery", "worker", "renders")}
        for service, child in started.items():
            await planned.healthy(service, child)
        yield planned


def page_line() -> str:
    """Find the line of docs/operate/containers.md that uploads a picture to the project."""
    (line,) = re.findall(
        r"^    (python3 deploy/upload\.py .*)$",
        (ROOT / "docs" / "operate" / "containers.md").read_text(),
        re.MULTILINE,
    )
    return str(line)


async def settled(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            async with http.get(url, headers={"Authorization": f"Bearer {KEY}"}) as answer:
                told: dict[str, Any] = await answer.json()
            if told.get("status") != "pending":
                return told
            await asyncio.sleep(0.1)


async def test_the_line_of_the_page_completes_a_picture(project: Project) -> None:
    api = f"http://127.0.0.1:{project.ports['api']}"
    (project.folder / ".env").write_text(ENV_FILE)
    line = page_line().replace("python3", sys.executable)
    shell = await asyncio.create_subprocess_exec(
        *line.split(), "--api", api, "--env", str(project.folder / ".env"), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, said = await shell.communicate()
    assert shell.returncode == 0, said.decode()
    (url,) = re.findall(rf"^{api}/v1/images/\w+$", told.decode(), re.MULTILINE)
    async with aiohttp.ClientSession() as http:
        image = await settled(http, url)
        assert image["status"] == "completed"
        small = image["variants"]["small"]["url"]
        assert small.startswith(f"http://127.0.0.1:{project.ports['delivery']}/")
        async with http.get(small) as answer:
            assert (answer.status, answer.content_type) == (200, "image/jpeg")


async def test_the_key_of_env_signs_in_on_the_pages(project: Project) -> None:
    api = f"http://127.0.0.1:{project.ports['api']}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.get(f"{api}/ui/") as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
        own = {"Sec-Fetch-Site": "same-origin"}
        async with http.post(f"{api}/ui/key", data={"key": KEY}, headers=own) as answer:
            assert str(answer.url) == f"{api}/ui/"
        async with http.get(f"{api}/v1/session") as answer:
            assert (await answer.json())["userId"] == "key:local"


async def test_every_program_is_somebody_else(project: Project) -> None:
    keys = set()
    for program in containers.PROGRAMS:
        folder = project.folder / "stack" / program
        assert folder.stat().st_mode & 0o777 == 0o700
        assert [path.name for path in folder.iterdir()] == ["env"]
        path = folder / "env"
        assert path.stat().st_mode & 0o777 == 0o600
        keys |= set(re.findall(r"^AWS_ACCESS_KEY_ID=(\w+)$", path.read_text(), re.MULTILINE))
    assert len(keys) == len(containers.PROGRAMS)
    assert ENVIRONMENT["EMULATOR_ACCESS_KEY_ID"] not in keys


async def test_the_operators_command_of_the_file_finds_no_dead_letter(project: Project) -> None:
    ((service, command),) = re.findall(
        r"docker compose run --rm (\w+) (.*)$", FILE.read_text(), re.MULTILINE
    )
    folder = project.folder / "operator"
    child = project.start(service, folder=folder, command=command.split())
    assert await child.wait() == 0
    assert "No dead letters." in (folder / "log").read_text()


@pytest.mark.parametrize(
    ("service", "port"),
    [
        pytest.param("prometheus", "9090", marks=pytest.mark.needs("prometheus")),
        pytest.param("alertmanager", "9093", marks=pytest.mark.needs("prometheus-alertmanager")),
    ],
)
async def test_what_watches_starts_with_its_configuration(
    tmp_path: Path, service: str, port: str
) -> None:
    told = services(ENVIRONMENT)[service]
    (own,) = free_ports(1)
    command = [
        word.replace("/etc/prometheus", str(ROOT / "deploy/prometheus"))
        .replace("/etc/alertmanager", str(ROOT / "deploy/prometheus"))
        .replace("=/prometheus", f"={tmp_path}/data")
        .replace("=/alertmanager", f"={tmp_path}/data")
        for word in told["command"]
    ]
    quiet = ["--cluster.listen-address="] if service == "alertmanager" else []
    child = Child(
        service,
        [PROGRAMS[service], *command, f"--web.listen-address=127.0.0.1:{own}", *quiet],
        environment={},
        log=tmp_path / "log",
    )
    path = told["healthcheck"]["test"][-1].partition(f":{port}")[2]
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(60):
            while True:
                child.check()
                try:
                    async with http.get(f"http://127.0.0.1:{own}{path}") as answer:
                        assert answer.status == 200
                        return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.1)
    finally:
        await child.stop()
