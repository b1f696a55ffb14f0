"""What the documents say is found, and found true."""

import re
import tomllib
from pathlib import Path

import pytest

from safelight.errors import Reason
from safelight.formats import WRITABLE
from safelight.presets import load_presets
from tools.reference import PAGES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
    )
)


def reason_meanings() -> dict[str, str]:
    """Read each reason's docstring from the source: they are not kept at run time."""
    source = (ROOT / "safelight" / "errors.py").read_text()
    return dict(re.findall(r'^    [A-Z_]+ = "([a-z_]+)"\n    """(.+?)"""', source, re.MULTILINE))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_reference_pages_are_as_the_code_declares(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name](), "run `make docs`"


@pytest.mark.parametrize("reason", list(Reason))
def test_the_readme_tells_every_rejection_reason(reason: Reason) -> None:
    assert f"| `{reason}` | {reason_meanings()[reason]} |" in README


def test_the_readme_tells_no_reason_that_is_not_there() -> None:
    section = README.partition("## Why a picture is rejected")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z_]+)`", section, re.MULTILINE)) == {
        str(reason) for reason in Reason
    }


def test_every_make_target_that_is_told_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        told = set(re.findall(r"(?:^    |`)make ([a-z-]+)", path.read_text(), re.MULTILINE))
        assert told <= targets, path


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_readmes_presets_are_those_of_the_file() -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    declared = tomllib.loads((ROOT / "presets.toml").read_text())
    for name, table in tomllib.loads(shown).items():
        assert declared[name] == table


def test_the_default_presets_are_the_promised_ones() -> None:
    presets = {preset.name: preset for preset in load_presets(ROOT / "presets.toml")}
    assert {
        name: (preset.box, preset.fit, preset.format, preset.quality)
        for name, preset in presets.items()
    } == {
        "compressed": (None, "inside", "webp", 80),
        "small": ((150, 150), "inside", "jpeg", 85),
        "medium": ((300, 300), "inside", "jpeg", 85),
        "large": ((600, 600), "inside", "jpeg", 85),
    }


def test_the_presets_page_names_every_format_that_can_be_written() -> None:
    page = (ROOT / "docs" / "guide" / "presets.md").read_text()
    for format in WRITABLE:
        assert f'`"{format.name}"`' in page


def test_every_test_that_a_guarantee_names_is_there() -> None:
    section = README.partition("## Guarantees")[2].partition("\n## ")[0]
    named = re.findall(r"`(test_[a-z0-9_]+)`", section)
    assert named
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in named:
        assert f"def {name}(" in tests, name


def test_no_document_and_no_code_names_a_path_of_one_machine() -> None:
    for path in DOCUMENTS:
        assert not re.search(r"(?<![\w.])/(?:home|root|work|Users)/", path.read_text()), path


def test_every_test_that_the_threat_model_names_is_there() -> None:
    """Named as a file below `tests/` and functions in it."""
    rows = (ROOT / "docs/security.md").read_text()
    named = re.findall(r"`([a-z_/]+\.py)`: ((?:`test_\w+`(?:, )?)+)", rows)
    assert len(named) > 10
    missing = [
        f"{file}: {test}"
        for file, tests in named
        for test in re.findall(r"test_\w+", tests)
        if f"def {test}(" not in (ROOT / "tests" / file).read_text()
    ]
    assert not missing
