"""What the documents say is found, and found true."""

import re
import tomllib
from pathlib import Path

import pytest

from examples.gallery import rejections
from safelight.errors import Reason
from safelight.formats import WRITABLE
from safelight.presets import load_presets
from tests.support.english import files_of_code
from tools.reference import PAGES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text()
FORMATS = (ROOT / "docs" / "guide" / "formats.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
SETTINGS = (ROOT / "docs" / "operate" / "settings.md").read_text()
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
DEMO = "make demo PHOTOS=samples OUT=out"
RENDER = "safelight render FILE... --out DIR"
RUN_BY = {
    DEMO: "test_the_demo_completes_pictures_and_says_by_its_exit_code_that_some_were_rejected",
    "make up": "test_every_command_that_up_prints_runs_as_it_is_printed",
    **dict.fromkeys(
        (".venv/bin/safelight", "curl", "python3", "ID=$(python3"),
        "test_the_requests_of_the_readme_are_answered_as_it_shows",
    ),
    "PORTS=8080 make up": "test_up_has_fixed_ports_presets_and_settings_if_asked",
    RENDER: "test_it_tells_people_and_exits_with_0_if_all_were_rendered",
}
"""The commands of the README, each with the test that runs it."""
DOCUMENTS = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    )
)


def reason_meanings() -> dict[str, str]:
    """Read each reason's docstring from the source: they are not kept at run time."""
    source = (ROOT / "safelight" / "errors.py").read_text()
    return dict(re.findall(r'^    [A-Z_]+ = "([a-z_]+)"\n    """(.+?)"""', source, re.MULTILINE))


def prose(text: str) -> str:
    """Leave out fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_reference_pages_are_as_the_code_declares(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name](), "run `make docs`"


@pytest.mark.parametrize("reason", list(Reason))
def test_the_formats_page_explains_every_rejection_reason(reason: Reason) -> None:
    assert f"| `{reason}` | {reason_meanings()[reason]} |" in FORMATS


@pytest.mark.parametrize("reason", list(Reason))
def test_the_formats_page_has_a_text_and_a_way_out_for_the_user(reason: Reason) -> None:
    say, do = rejections.TEXTS[reason]
    row = f"| `{reason}` | {reason_meanings()[reason]} | {say} | {do} |"
    assert row in FORMATS
    assert rejections.explain("of the future") == rejections.explain(None)
    assert " ".join(rejections.explain(None)) in " ".join(FORMATS.split())


def test_the_formats_page_has_no_other_reason() -> None:
    section = FORMATS.partition("## Why a picture is rejected")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z_]+)`", section, re.MULTILINE)) == {
        str(reason) for reason in Reason
    }


def test_the_readme_is_short_and_opens_with_a_picture_that_loads_quickly() -> None:
    (picture,) = re.findall(r"\A# Safelight\n\n!\[[^]]+\]\((.+)\)\n", README)
    assert (ROOT / picture).stat().st_size < 200_000
    assert README.count("\n") <= 130


def test_every_command_of_the_readme_is_run_by_a_test() -> None:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    commands = set(re.findall(r"^    (\S.*)", prose(README), re.MULTILINE))
    commands |= set(re.findall(r"`((?:[A-Z]+=\S+ )?(?:safelight|make) [^`]*)`", README))
    commands |= {
        line.partition(" ")[0]
        for block in blocks
        for line in re.findall(r"^\$ (.*)", block, re.MULTILINE)
    }
    assert commands == RUN_BY.keys()
    for name in RUN_BY.values():
        assert f"def {name}(" in TESTS, name


def test_every_make_target_that_is_told_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        told = set(re.findall(r"(?:^    |`)make ([a-z-]+)", path.read_text(), re.MULTILINE))
        assert told <= targets, path


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(path: Path) -> None:
    for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", path.read_text()):
        page = path.parent / target if target else path
        assert page.exists(), target
        if heading:
            assert heading in anchors(page.read_text()), f"{target}{heading}"


def anchors(text: str) -> set[str]:
    """Make the anchor of every heading of a page, as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_every_place_where_things_are_added_exists() -> None:
    table = CONTRIBUTING.partition("## Where to add things")[2].partition("\n## ")[0]
    places = re.findall(r"`([a-z_/]+/(?:[a-z_.]+)?)`", table)
    assert len(places) > 15
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_the_readmes_presets_are_those_of_the_file() -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    declared = tomllib.loads((ROOT / "presets.toml").read_text())
    for name, table in tomllib.loads(shown).items():
        assert declared[name] == table


@pytest.mark.parametrize("path", files_of_code(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_page_that_a_program_names_exists(path: Path) -> None:
    named = re.findall(r"\b(?:docs|deploy)/[\w./-]+\.(?:md|yaml|yml)\b", path.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_operating_begins_with_watching_scaling_and_upgrading() -> None:
    page = (ROOT / "docs" / "operate" / "operating.md").read_text()
    assert re.findall(r"^## (.+)$", page, re.MULTILINE)[:3] == [
        "Watching it",
        "Scaling",
        "Upgrading",
    ]


def test_the_default_presets_are_the_promised_ones() -> None:
    presets = {preset.name: preset for preset in load_presets(ROOT / "presets.toml")}
    assert {
        name: (preset.wish.box, preset.wish.fit, preset.wish.format, preset.wish.quality)
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
    named = re.findall(r"`(test_[a-z0-9_]+)`", GUARANTEES)
    assert len(named) > 20
    for name in named:
        assert f"def {name}(" in TESTS, name
    promises = re.findall(r"^\| (?!promise|--)(.*?) \| (.*) \|$", GUARANTEES, re.MULTILINE)
    assert len(promises) == len(named)


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


def steps() -> list[tuple[str, str]]:
    """Every step of every walk of docs/architecture.md, after the walk's heading."""
    return [
        (heading, " ".join(step.split()))
        for heading, walk in re.findall(
            r"^## (.+?)\n(.*?)(?=^## |\Z)", ARCHITECTURE, re.MULTILINE | re.DOTALL
        )
        for step in re.findall(r"^\d+\. (.*?)(?=^\d+\. |^\n|\Z)", walk, re.MULTILINE | re.DOTALL)
    ]


def test_the_architecture_page_has_five_walks_of_about_ten_steps() -> None:
    walks = [heading for heading, _ in steps()]
    lengths = {heading: walks.count(heading) for heading in walks}
    assert len(lengths) == 5
    assert all(5 <= length <= 12 for length in lengths.values()), lengths


@pytest.mark.parametrize(("walk", "step"), steps())
def test_every_file_and_name_of_a_walk_exists(walk: str, step: str) -> None:
    """A name is found, whole, in a file that its step names; `A.b` as `A` and as `b`."""
    quoted = set(re.findall(r"`([^`]+)`", step))
    files = {name for name in quoted if "/" in name and name[0] != "/" and " " not in name}
    assert files, step
    for name in files:
        assert (ROOT / name).exists(), name
    sources = "\n".join((ROOT / name).read_text() for name in files if (ROOT / name).is_file())
    for name in quoted - files:
        if name.startswith("make "):
            continue  # test_every_make_target_that_is_told_is_there
        text = SETTINGS if name.startswith("SAFELIGHT_") else sources
        for word in name.removesuffix("()").split("."):
            assert re.search(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", text), name
