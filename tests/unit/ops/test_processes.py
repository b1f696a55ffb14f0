"""Children start with a clean environment, are recognised, and are never left behind."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops.local.processes import Child, ChildDied

pytestmark = pytest.mark.starts

LISTENING = """
import json, signal, sys
print(json.dumps({"event": "listening", "url": "http://127.0.0.1:1"}), file=sys.stderr, flush=True)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
WAITING = "import signal; signal.pause()\n"


@pytest.fixture
def start(tmp_path):
    started = []

    def _start(code: str, **environment: str) -> Child:
        child = Child(
            "the child",
            [sys.executable, "-c", code],
            environment=environment,
            log=tmp_path / "child.log",
        )
        started.append(child)
        return child

    yield _start
    for child in started:
        child.kill()


async def test_a_child_says_where_it_listens(start):
    child = start(LISTENING + WAITING)
    assert await child.listening() == "http://127.0.0.1:1"


async def test_a_child_that_ends_instead_of_listening_shows_its_last_lines(start):
    child = start("import sys; sys.exit('the table is missing')")
    with pytest.raises(ChildDied, match=r"the child ended with exit code 1(?s:.*)table is missing"):
        await child.listening()


async def test_a_child_that_never_listens_is_given_up(start):
    with pytest.raises(ChildDied, match=r"did not listen within 0\.1 s"):
        await start(WAITING).listening(seconds=0.1)


async def test_a_child_imports_nothing_from_the_current_folder(start, monkeypatch, tmp_path):
    (tmp_path / "struct.py").write_text(LISTENING)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChildDied, match="found no stranger"):
        await start(
            "import struct, sys; struct.calcsize('I'); sys.exit('found no stranger')"
        ).listening()


async def test_a_line_that_only_mentions_listening_is_not_taken_for_it(start):
    child = start('print(\'{"listening"\'); print(\'{"event": "not listening"}\')\n' + LISTENING)
    assert await child.listening() == "http://127.0.0.1:1"


async def test_a_child_sees_nothing_of_this_machines_environment(start, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    child = start("import os; print(sorted(os.environ))", SAFELIGHT_TABLE="t")
    await child.wait()
    seen = child.last_lines()
    assert "SAFELIGHT_TABLE" in seen
    assert "AWS_PROFILE" not in seen
    assert "PROXY" not in seen


async def test_stopping_asks_first(start):
    child = start(
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        + LISTENING
        + WAITING
    )
    await child.listening()
    assert await child.stop() == 7


async def test_stopping_ends_a_child_that_does_not_listen_to_reason(start):
    child = start(DEAF + LISTENING + WAITING + WAITING)
    await child.listening()
    await child.stop(seconds=0.1)
    assert child.exit_code == -signal.SIGKILL


@pytest.mark.needs("ps")
async def test_killing_a_child_takes_what_it_started_with_it(start):
    child = start(
        "import subprocess, sys\n"
        f"inner = subprocess.Popen([sys.executable, '-c', {WAITING!r}])\n"
        "print('inner', inner.pid, flush=True)\n" + LISTENING + WAITING
    )
    await child.listening()
    inner = int(child.last_lines().split()[1])
    child.kill()
    await gone(inner)


@pytest.mark.needs("ps")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills orphans")
async def test_a_child_does_not_outlive_whoever_started_it(tmp_path: Path):
    """The starter is killed so that it cannot clean up."""
    await gone(child_of_a_killed_starter(tmp_path / "log"))


def child_of_a_killed_starter(log: Path) -> int:
    command = [sys.executable, "-c", STARTER, log]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        pid = int(starter.stdout.readline())
        starter.kill()
    return pid


STARTER = f"""
import sys
from pathlib import Path
from ops.local.processes import Child
command = [sys.executable, "-c", {LISTENING + WAITING!r}]
child = Child("c", command, environment={{}}, log=Path(sys.argv[1]))
import asyncio
asyncio.run(child.listening())
print(child.pid, flush=True)
{WAITING}
"""


async def gone(pid: int) -> None:
    """Wait until no such process runs any more; a zombie does not run."""
    async with asyncio.timeout(10):
        while _runs(pid):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True)
    return shown.stdout.strip() not in (b"", b"Z", b"Zs")
