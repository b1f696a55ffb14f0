"""`safelight render` as an operator runs it: real children, real files."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from ops.render import folders_for
from tests.support import pictures

pytestmark = pytest.mark.starts

SAFELIGHT = Path(sys.executable).with_name("safelight")
PRESETS = '[full]\nformat = "webp"\n[small]\nformat = "jpeg"\nbox = [20, 20]\n'
FIELDS = [
    "file", "status", "reason", "mediaType", "width", "height", "frames", "variants",
    "predictedBytes", "peakBytes", "seconds",
]  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder to work in: presets, two pictures of one name, one that is none."""
    (tmp_path / "presets.toml").write_text(PRESETS)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one" / "a.png").write_bytes(pictures.encoded(pictures.quarters(), "PNG"))
    (tmp_path / "two" / "a.png").write_bytes(pictures.encoded(pictures.noise(50, 30), "PNG"))
    (tmp_path / "words.jpg").write_text("not a picture")
    return tmp_path


def run(desk: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(SAFELIGHT), "render", *arguments]
    variables = {"PATH": os.environ["PATH"], "SAFELIGHT_SLOTS": "1", "COLUMNS": "300"}
    return subprocess.run(
        command, cwd=desk, env=variables | environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_tells_programs_what_became_of_each_file(desk: Path) -> None:
    result = run(desk, "one/a.png", "words.jpg", "two/a.png", "--out", "out", "--json")
    assert result.returncode == 3
    first, words, second = json.loads(result.stdout)
    assert [list(told) for told in (first, words, second)] == [FIELDS] * 3
    assert first["file"] == "one/a.png"
    assert (first["status"], first["reason"], first["mediaType"]) == (
        "completed",
        None,
        "image/png",
    )
    assert (first["width"], first["height"], first["frames"]) == (80, 48, 1)
    assert first["predictedBytes"] > 40_000_000
    assert first["peakBytes"] > 10_000_000
    assert first["seconds"] > 0
    assert (words["status"], words["reason"], words["variants"]) == ("rejected", "unsupported", {})
    assert "words.jpg: rejected unsupported: the file is not in a supported format" in result.stderr
    assert second["width"] == 50
    for told in (first, second):
        for preset, variant in told["variants"].items():
            data = Path(variant["file"]).read_bytes()
            assert (len(data), sha256(data).hexdigest()) == (variant["size"], variant["sha256"])
            with Image.open(variant["file"]) as picture:
                assert picture.size == (variant["width"], variant["height"])
                assert Image.MIME[picture.format] == variant["mediaType"]
            assert Path(variant["file"]).stem == preset
    assert files_below(desk / "out") == {
        f"{folder}/{file}" for folder in ("a.png", "a.png-2") for file in ("full.webp", "small.jpg")
    }


def test_it_tells_people_and_exits_with_0_if_all_were_rendered(desk: Path) -> None:
    result = run(desk, "one/a.png", "--out", "out")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("a.png: completed 80x48 in ")
    assert "  small  20x12  " in result.stdout
    assert result.stdout.endswith("\n1 completed\n")


def test_what_is_there_is_replaced_only_on_request(desk: Path) -> None:
    kept = desk / "out" / "a.png" / "full.webp"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    result = run(desk, "one/a.png", "--out", "out")
    assert result.returncode == 2
    assert "out/a.png exists already" in result.stderr
    assert kept.read_text() == "mine"
    assert run(desk, "one/a.png", "--out", "out", "--overwrite").returncode == 0
    assert kept.read_bytes()[:4] == b"RIFF"


def test_the_limits_are_those_of_a_worker(desk: Path) -> None:
    result = run(desk, "one/a.png", "--out", "out", "--json", SAFELIGHT_MAX_PIXELS="100")
    (told,) = json.loads(result.stdout)
    assert (result.returncode, told["reason"]) == (3, "too_many_pixels")
    assert files_below(desk / "out") == set()


def test_without_a_presets_file_those_that_ship_are_used(desk: Path) -> None:
    (desk / "presets.toml").unlink()
    (told,) = json.loads(run(desk, "one/a.png", "--out", "out", "--json").stdout)
    assert set(told["variants"]) == {"compressed", "large", "medium", "small"}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["nowhere.png", "--out", "out"], "nowhere.png"),
        (["one", "--out", "out"], "'one' is a directory"),
        (["one/a.png"], "--out"),
        (["one/a.png", "--out", "presets.toml"], "OUT: cannot write into presets.toml"),
        (["one/a.png", "--out", "out", "--presets", "absent.toml"], "absent.toml: cannot be read"),
        (["one/a.png", "--out", "out", "--presets", "words.jpg"], "words.jpg: not TOML"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_rendered(desk, arguments, fault) -> None:
    result = run(desk, *arguments)
    assert result.returncode == 2
    assert fault in result.stderr
    assert "Traceback" not in result.stderr
    assert not (desk / "out").exists()


def test_a_setting_that_cannot_work_is_told(desk: Path) -> None:
    result = run(desk, "one/a.png", "--out", "out", SAFELIGHT_MAX_SECONDS="soon")
    assert result.returncode == 2
    assert "SAFELIGHT_MAX_SECONDS" in result.stderr


def test_any_file_name_is_rendered(desk: Path) -> None:
    name = b"-[x]: \xff\n\xf0\x9f\x8c\x85.png"
    (desk / "one" / "a.png").rename(desk / "one" / os.fsdecode(name))
    result = run(desk, "--out", "out", "--json", "--", os.fsdecode(b"one/" + name))
    (told,) = json.loads(result.stdout)
    assert (result.returncode, told["status"]) == (0, "completed")
    assert Path(told["variants"]["full"]["file"]).exists()


SHADOWED = (
    "selectors", "struct", "socket", "signal", "pickle", "tempfile", "runpy", "sitecustomize",
    "usercustomize", "multiprocessing", "pyvips", "PIL", "numpy", "safelight", "ops", "typer",
)  # fmt: skip


def test_no_python_file_beside_the_pictures_is_run(desk: Path) -> None:
    mark = desk / "mark"
    for module in SHADOWED:
        (desk / f"{module}.py").write_text(f"open({str(mark)!r}, 'a').write({module!r})\n")
    result = run(desk, "one/a.png", "--out", "out")
    assert not mark.exists(), mark.read_text()
    assert result.returncode == 0, result.stderr


def test_no_two_files_share_a_folder() -> None:
    files = [Path(name) for name in ("a/x", "b/X", "c/x", "x-2", "d/x-2")]
    names = [folder.name for folder in folders_for(files, Path("out"))]
    assert names == ["x", "X-3", "x-4", "x-2", "x-2-2"]
    assert len({name.casefold() for name in names}) == len(names)
