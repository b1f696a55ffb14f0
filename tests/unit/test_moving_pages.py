"""The pages for those who move from another system: settings, commands and URLs are tried.

`make docs` writes their lists of differences; test_docs.py holds these.
"""

import os
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.dialects.dialect import Dialect
from api.dialects.table import DIALECTS, DialectSettings
from ops.__main__ import app
from ops.exit_codes import ExitCode
from safelight.setting_names import NAMES
from safelight.wish.canonical import canonical
from safelight.wish.errors import InvalidOption
from tools.moving_pages import TABLES

FOLDER = Path(__file__).parents[2] / "docs" / "guide" / "moving"
PAGES = {path.stem: path.read_text() for path in FOLDER.glob("*.md") if path.stem != "README"}
SYSTEMS = {"imagor": "thumbor"}
"""Page -> dialect, where the names differ."""


def section(page: str, heading: str) -> str:
    return PAGES[page].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(page: str, heading: str) -> list[tuple[str, str]]:
    """The first two cells of each row, which are code."""
    return re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", section(page, heading), re.MULTILINE)


def dialect_of(page: str, monkeypatch: pytest.MonkeyPatch) -> Dialect:
    """The dialect as the settings of the page make it."""
    (block,) = re.findall(r"```sh\n(.*?)```", section(page, "What to configure"), re.DOTALL)
    for name in NAMES & set(os.environ):
        monkeypatch.delenv(name)
    for line in block.splitlines():
        export, assignment = shlex.split(line)
        assert export == "export"
        name, _, value = assignment.partition("=")
        assert name in NAMES, name
        monkeypatch.setenv(name, value)
    settings = DialectSettings.load()
    name = SYSTEMS.get(page, page)
    assert settings.root_dialect == name
    (found,) = [each for each in settings.dialects.known if name == each.NAME]
    return found


def signed(dialect: Dialect, wanted: str) -> str:
    """The URL at the root."""
    prepared = dialect.unsigned(wanted)
    signature = dialect.signature(dialect.keys[0], prepared.messages[0])
    return dialect.join(signature, prepared.target, prepared.query)


def test_there_is_a_page_for_each_system_and_the_first_page_has_them_all() -> None:
    assert {SYSTEMS.get(page, page) for page in PAGES} == set(DIALECTS) - {"own"}
    assert set(PAGES) == set(TABLES)
    assert set(re.findall(r"\]\((\w+)\.md\)", (FOLDER / "README.md").read_text())) == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_url_that_stays_the_same_gives_the_options_of_its_row(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = dialect_of(page, monkeypatch)
    assert len(rows(page, "What stays the same")) >= 3
    for wanted, options in rows(page, "What stays the same"):
        image_url = dialect.read(dialect.unsigned(wanted))
        assert canonical(image_url.options) == options, wanted
        assert image_url.differs == (), wanted


@pytest.mark.parametrize("page", PAGES)
def test_a_url_that_is_refused_names_the_option_of_its_row(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = dialect_of(page, monkeypatch)
    assert len(rows(page, "What is refused")) >= 3
    for wanted, option in rows(page, "What is refused"):
        with pytest.raises(InvalidOption) as refused:
            dialect.read(dialect.unsigned(wanted))
        assert refused.value.option == option, wanted


@pytest.mark.parametrize("page", PAGES)
def test_the_command_of_the_page_reports_on_the_urls_of_the_page(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = dialect_of(page, monkeypatch)
    (block,) = re.findall(r"```console\n\$ (.*)\n```", section(page, "Try your log"))
    assignments, command = re.fullmatch(r"((?:\w+=\w+ )*)safelight (.*)", block).groups()
    for assignment in assignments.split():
        monkeypatch.setenv(*assignment.split("="))
    monkeypatch.chdir(tmp_path)
    for heading, code in (
        ("What stays the same", ExitCode.DONE),
        ("What is refused", ExitCode.REFUSED),
    ):
        urls = [signed(dialect, wanted) for wanted, _ in rows(page, heading)]
        Path("access.log").write_text("\n".join(urls))
        answer = CliRunner().invoke(app, shlex.split(command))
        assert answer.exit_code == code, answer.output


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_differs_is_on_the_page(page: str) -> None:
    listed = set(re.findall(r"^- `([\w-]+)`: ", section(page, "What differs"), re.MULTILINE))
    differ = {name for table in TABLES[page] for name, row in table.rows.items() if row.differs}
    assert differ <= listed
