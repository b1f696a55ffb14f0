"""The commands of the README and of `safelight up`, pasted into a shell as they are printed."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_demo import left_behind, read_until, safelight

ROOT = Path(__file__).parents[2]
WAIT = "until ! curl -sS $API/v1/images/$ID | grep -q '\"pending\"'; do sleep 0.1; done\n"
MARK = "--- next command ---"


def console() -> list[tuple[str, str]]:
    """Every command of the README's console blocks, with the answer that is shown below it."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)]
    found = re.compile(r"((?:[^\n]*(?:\\|\(\w?\(?)\n)*[^\n]*)\n(.*)", re.DOTALL)
    return [match.groups() for part in parts if part and (match := found.fullmatch(part))]


def names(answer: Any) -> Iterator[str]:
    """Every key of a JSON document, at any depth."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield name
            yield from names(value)


class Up:
    """A running `safelight up`, and a terminal beside it."""

    def __init__(self, printed: list[str], desk: Path) -> None:
        self.printed = printed
        """The lines that it printed for pasting."""
        self.desk = desk

    @property
    def exports(self) -> list[str]:
        return [line for line in self.printed if line.startswith("export ")]

    def run(self, *commands: str) -> list[str]:
        """Run commands in one shell, after the exports; return what each printed."""
        script = "\n".join(f"echo '{MARK}'\n{command}" for command in commands)
        done = subprocess.run(
            ["bash", "-e", "-c", "\n".join(self.exports) + "\n" + script],
            cwd=self.desk, env={"PATH": os.environ["PATH"], "COLUMNS": "200"},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return [part.removeprefix("\n") for part in done.stdout.split(MARK)[1:]]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a checkout has that the commands name."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "samples").symlink_to(ROOT / "samples")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "mine.toml").write_text(
        (ROOT / "presets.toml").read_text() + '\n[tiny]\nformat = "png"\nbox = [9, 9]\n'
    )
    return folder


@pytest.fixture(scope="module")
def up(desk: Path, unused_ports: int) -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="up-") as temporary:
        started = safelight(
            "up", "--ports", unused_ports, "--presets", desk / "mine.toml",
            temporary=Path(temporary), PYTHONUNBUFFERED="1", SAFELIGHT_URL_SECONDS="61",
        )  # fmt: skip
        with started as command:
            yield Up(read_until("Ctrl-C", command), desk)
            command.terminate()
            assert "Stopped." in command.stdout.read()
        assert command.returncode == 0
        assert left_behind(Path(temporary)) == []


@pytest.fixture(scope="module")
def unused_ports(unused_tcp_port_factory: Any) -> int:
    """The first of five ports. Others may take one meanwhile, but hardly in this range."""
    return 20_000 + unused_tcp_port_factory() % 10_000


@pytest.mark.needs("curl")
def test_the_requests_of_the_readme_are_answered_as_it_shows(up: Up) -> None:
    (upload, told), *others = console()
    (announce, _), (write, _), (send, created), (name, _), (ask, image), (fetch, _) = others
    printed = up.run(upload, announce, write, send, name, WAIT + ask, fetch)
    beginning, rest = (part.splitlines() for part in told.split("  ...\n"))
    assert not any(rest)
    assert len(printed[0].splitlines()) > len(beginning)
    for line, shown in zip(beginning, printed[0].splitlines(), strict=False):
        pattern = re.escape(line.replace(" 01KAJ...", " ...")).replace(r"\.\.\.", ".+")
        assert re.fullmatch(pattern, shown), shown
    assert printed[3] == created == "201\n"
    record = json.loads(printed[5])
    assert set(re.findall(r'"(\w[\w-]*)":', image)) <= set(names(record))
    assert f'"status": "{record["status"]}"' in image
    assert f'"width": {record["width"]}, "height": {record["height"]}' in image
    assert (up.desk / "small.avif").read_bytes()[4:12] == b"ftypavif"


@pytest.mark.needs("curl")
def test_every_command_that_up_prints_runs_as_it_is_printed(up: Up) -> None:
    commands = "\n".join(
        line for line in up.printed if re.match(r'(?:curl|python3|ID=|-d|>|"|\.venv/)', line)
    )
    shown = "".join(
        up.run(commands.replace("curl -sS $API/v1/images", WAIT + "curl -sS $API/v1/images"))
    )
    assert "cat-451px.jpg: completed" in shown
    assert "\n201\n" in shown
    assert json.loads(shown.splitlines()[-1])["status"] == "completed"
    letters, findings = up.run(
        ".venv/bin/safelight redrive --json", ".venv/bin/safelight doctor --json"
    )
    assert json.loads(letters) == []
    checks = json.loads(findings)["findings"]
    assert not [one for one in checks if one["state"] == "unknown"]


def test_up_has_fixed_ports_presets_and_settings_if_asked(up: Up, unused_ports: int) -> None:
    addresses = [f"http://127.0.0.1:{unused_ports + place}" for place in (0, 1, 3, 4, 2)]
    listed = [
        line.split()[1]
        for line in up.printed
        if re.match(r"(api|delivery|worker|renders|AWS) ", line)
    ]
    assert listed == addresses
    variables = dict(line.removeprefix("export ").split("=", 1) for line in up.exports)
    assert (variables["API"], variables["DELIVERY"]) == (addresses[0], addresses[1])
    assert variables["AWS_DEFAULT_REGION"] == variables["AWS_REGION"] == "us-east-1"
    ask = "curl -sS $API/v1/uploads -H 'Content-Type: application/json' -d "
    request = '{"filename": "a", "contentType": "image/png", "size": 1}'
    read_expiry = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"expiresAt\"])'"
    now, expires, tiny = up.run(
        "date -u +%s",
        f"date -d $({ask}'{request}' | {read_expiry}) +%s",
        "curl -sS -o /dev/null -w '%{http_code}' $DELIVERY/tiny/01KAJ0000000000000000000AB",
    )
    assert 55 <= int(expires) - int(now) <= 62
    assert tiny == "403"  # signed, as presets are by default; an unknown preset would be 404
