"""The engine can be used as a library, as its guide shows."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from PIL import Image

from safelight import imaging

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "guide" / "engine.md").read_text()
SAMPLE = ROOT / "samples" / "cat-451px.jpg"


def run(folder: Path, source: Path) -> "subprocess.CompletedProcess[str]":
    """Save the guide's program beside the presets, and run it as the guide says."""
    (program,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    (folder / "render.py").write_text(program)
    (folder / "presets.toml").write_text((ROOT / "presets.toml").read_text())
    return subprocess.run(
        [sys.executable, "render.py", str(source), "out"],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_guides_program_renders_every_preset(tmp_path: Path) -> None:
    done = run(tmp_path, SAMPLE)
    assert done.returncode == 0, done.stderr
    presets = [preset.name for preset in imaging.load_presets(ROOT / "presets.toml")]
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == sorted(presets)
    assert len(done.stdout.splitlines()) == len(presets)
    with Image.open(tmp_path / "out" / "small.jpg") as small:
        assert f"{small.width}x{small.height}" in done.stdout


def test_the_guides_program_explains_a_rejection(tmp_path: Path) -> None:
    words = tmp_path / "words.jpg"
    words.write_text("no picture")
    done = run(tmp_path, words)
    assert done.returncode == 1
    assert "rejected: unsupported" in done.stderr


def test_the_guide_names_everything_that_the_engine_exports() -> None:
    named = set(re.findall(r"`(\w+)`", GUIDE))
    assert set(imaging.__all__) <= named
    for name in imaging.__all__:
        assert getattr(imaging, name).__name__ == name


def test_every_package_is_marked_as_typed() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "py.typed" in setuptools["package-data"]["*"]
    for pattern in setuptools["packages"]["find"]["include"]:
        assert (ROOT / pattern.removesuffix("*") / "py.typed").exists(), pattern
