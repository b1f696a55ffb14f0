"""`safelight demo`, `up` and `upload` as people run them: real processes, real photographs."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from ops.local.processes import ChildDied
from ops.local.system import LocalSystem

ROOT = Path(__file__).parents[2]
SAFELIGHT = Path(sys.executable).with_name("safelight")
SAMPLES = ROOT / "samples"
CAT = SAMPLES / "cat-451px.jpg"
ODD = "a b+ü(1)&=#%.jpg"


def safelight(*arguments: object, temporary: Path, **changes: str) -> subprocess.Popen:
    """Start the command with a TMPDIR by which its processes can be found."""
    return subprocess.Popen(
        [SAFELIGHT, *map(str, arguments)],
        env={**os.environ, "TMPDIR": str(temporary), **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(beginning: str, command: subprocess.Popen) -> list[str]:
    """Read lines up to the first with this beginning."""
    lines = []
    for line in command.stdout:
        lines.append(line.strip())
        if line.startswith(beginning):
            return lines
    pytest.fail("\n".join(lines))


def left_behind(temporary: Path) -> list[str]:
    """List the command lines of processes that still have this TMPDIR."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(temporary).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:  # it has ended, or belongs to another user
            continue
    return found


@pytest.fixture(scope="module")
def temporary():
    """Make a folder with a short path: paths of its sockets are limited to about 100 characters."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory, temporary):
    """Run one demo of a mixed folder, with OUT inside it, for all tests that check its results."""
    photos = tmp_path_factory.mktemp("photos")
    shutil.copy(CAT, photos)
    shutil.copy(CAT, photos / ODD)
    shutil.copy(SAMPLES / "flower-7mp-1.6mb.jpg", photos)
    Image.new("RGBA", (300, 200), (255, 0, 0, 128)).save(photos / "alpha.png")
    (photos / "text.jpg").write_text("no picture")
    (photos / "empty.jpg").touch()
    (photos / "truncated.jpg").write_bytes(CAT.read_bytes()[:20_000])
    (photos / ".hidden.jpg").write_bytes(CAT.read_bytes())
    (photos / "folder").mkdir()
    shutil.copy(CAT, photos / "folder" / ODD)
    (photos / "to-folder").symlink_to(photos / "folder")
    out = photos / "out"
    with safelight("demo", photos, "--out", out, temporary=temporary) as demo:
        output = demo.communicate()[0]
    return photos, out, demo.returncode, output


def report_of(out: Path) -> dict[str, dict]:
    return {one["file"]: one for one in json.loads((out / "report.json").read_text("utf-8"))}


def test_the_demo_completes_pictures_and_says_by_its_exit_code_that_some_were_rejected(run):
    _, out, code, output = run
    assert code == 3, output
    assert "Exit code 3: a picture was rejected." in output
    found = {name: (one["status"], one["reason"]) for name, one in report_of(out).items()}
    assert found == {
        "cat-451px.jpg": ("completed", None),
        ODD: ("completed", None),
        f"folder/{ODD}": ("completed", None),
        "flower-7mp-1.6mb.jpg": ("completed", None),
        "alpha.png": ("completed", None),
        "text.jpg": ("rejected", "unsupported"),
        "empty.jpg": ("rejected", "empty"),
        "truncated.jpg": ("rejected", "truncated"),
    }
    for name in found:
        assert name in output or name.rpartition("/")[2] in output


def test_every_saved_variant_is_what_the_report_says(run):
    _, out, *_ = run
    for one in report_of(out).values():
        if one["status"] == "completed":
            assert set(one["variants"]) == {"compressed", "small", "medium", "large"}
        for preset, variant in one["variants"].items():
            path = out / variant["file"]
            assert path.parent == out / one["file"]
            assert path.stem == preset
            content = path.read_bytes()
            assert len(content) == variant["size"]
            assert sha256(content).hexdigest() == variant["sha256"]
            with Image.open(path) as picture:
                picture.load()
                assert picture.size == (variant["width"], variant["height"])
                assert Image.MIME[picture.format] == variant["mediaType"]


def test_nothing_but_what_the_report_names_is_saved(run):
    _, out, *_ = run
    named = {v["file"] for one in report_of(out).values() for v in one["variants"].values()}
    saved = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert saved == named | {"report.json", "index.html"}


def test_every_link_of_the_contact_sheet_leads_to_a_file(run):
    _, out, *_ = run
    links = re.findall(r'(?:href|src)="([^"]*)"', (out / "index.html").read_text("utf-8"))
    assert len(links) > 20
    for link in links:
        assert (out / unquote(link)).is_file(), link


@pytest.mark.usefixtures("run")
def test_the_demo_leaves_no_process_and_no_file_behind(temporary):
    assert left_behind(temporary) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("photos", "out", "complaint"),
    [
        ("missing", None, "is not a folder"),
        ("file", None, "is not a folder"),
        ("empty", None, "holds a file"),
        ("pictures", "taken", "(or --overwrite) replaces it"),
        ("pictures", "pictures", "another folder than PHOTOS"),
        ("pictures", "file", "cannot write into"),
        ("pictures", "file/below", "cannot write into"),
    ],
)
def test_folders_that_cannot_be_used_are_refused_before_anything_starts(
    tmp_path, temporary, photos, out, complaint
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").touch()
    (tmp_path / "file").touch()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "index.html").touch()
    arguments = ["demo", tmp_path / photos, *(["--out", tmp_path / out] if out else [])]
    with safelight(*arguments, temporary=temporary, COLUMNS="300") as demo:
        output = demo.communicate()[0]
    assert demo.returncode == 2
    assert complaint in output
    assert "Starting" not in output


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("Starting", signal.SIGINT),
        ("Up after", signal.SIGTERM),
        pytest.param("Starting", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("Up after", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_demo_stops_everything(temporary, moment, number):
    with safelight("demo", SAMPLES, temporary=temporary, PYTHONUNBUFFERED="1") as demo:
        read_until(moment, demo)
        demo.send_signal(number)
        assert "Stopped." in demo.stdout.read()
    assert demo.returncode == 130
    assert left_behind(temporary) == []
    assert list(temporary.iterdir()) == []


async def test_a_program_that_dies_ends_the_work_and_shows_its_last_words(tmp_path):
    async with LocalSystem(directory=tmp_path) as system:
        system.workers[0].kill()
        with pytest.raises(ChildDied, match="worker-1 ended with exit code -9"):
            await system.while_up(asyncio.Event().wait())


async def test_a_program_that_does_not_start_takes_the_others_down_with_it(tmp_path):
    with pytest.raises(ChildDied, match=r"worker-1 ended with exit code 2(?s:.*)SAFELIGHT_SLOTS"):
        async with LocalSystem(directory=tmp_path, worker_settings={"SAFELIGHT_SLOTS": "none"}):
            pytest.fail("it must not start")
    assert left_behind(tmp_path) == []


def test_the_commands_explain_themselves():
    shown = subprocess.run([SAFELIGHT, "--help"], capture_output=True, text=True, check=True)
    assert all(command in shown.stdout for command in ("demo", "up", "upload"))
    version = subprocess.run([SAFELIGHT, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"safelight \d+\.\d+\.\d+\n", version.stdout)
