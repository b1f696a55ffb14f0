"""Every command ends with a code of one table."""

import ast
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.__main__ import app
from ops.exit_codes import INCOMPLETE, ExitCode, code_of, listed

ROOT = Path(__file__).parents[3]
PICTURE = str(ROOT / "samples" / "cat-451px.jpg")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("SAFELIGHT_OPTIONS_KEYS", "web:a-secret-of-the-web")


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], ExitCode.DONE),
        (["completed"], ExitCode.DONE),
        (["completed", "rejected"], ExitCode.REFUSED),
        ([INCOMPLETE], ExitCode.REFUSED),
        (["rejected", "failed"], ExitCode.FAILED),
        (["completed", "pending"], ExitCode.FAILED),
    ],
)
def test_a_failure_outranks_a_rejection(statuses: list[str], code: ExitCode) -> None:
    assert code_of(statuses) is code


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--version"], ExitCode.DONE, "safelight"),
        (["nothing"], ExitCode.UNUSABLE, "nothing"),
        (["demo", "no-such-folder"], ExitCode.UNUSABLE, "is not a folder"),
        (["upload", PICTURE, "--api", "localhost:8080"], ExitCode.UNUSABLE, "http://"),
        (["upload", PICTURE, "--api", "http://127.0.0.1:9"], ExitCode.FAILED, "cannot connect"),
        (["render", PICTURE, "--out", "x", "--presets", "none"], ExitCode.UNUSABLE, "none:"),
        (["redrive"], ExitCode.UNUSABLE, "SAFELIGHT_TABLE: not set"),
        (["redrive", "--delete", "1", "--dry-run"], ExitCode.UNUSABLE, "--dry-run"),
        (["export", "--user", "alice", "out"], ExitCode.UNUSABLE, "--user: must be one user id"),
        (["export", "--user", "key:alice", "x"], ExitCode.UNUSABLE, "SAFELIGHT_TABLE: not set"),
        (["capacity", "--per-day", "-1"], ExitCode.UNUSABLE, "--per-day: must be greater than 0"),
        (["sign", "nope=1/a.jpg"], ExitCode.REFUSED, "nope"),
        (["explain", "/s/x/_/a.jpg"], ExitCode.REFUSED, "signature"),
        (["doctor"], ExitCode.FAILED, "SAFELIGHT_TABLE"),
    ],
)
def test_a_command_ends_with_the_code_of_its_kind(
    words: list[str], code: ExitCode, said: str
) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    assert said in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["capacity", "--per-day", "many"], "'--per-day': must be a number (found 'many')"),
        (["sign", "x", "--expires-in", "0"], "'--expires-in': must be at least 1 (found '0')"),
        (["sign", "x", "--expires-in", "1h"], "'--expires-in': must be a whole number"),
        (["doctor", "renders"], "'role': 'renders' is not one of 'worker', 'api', 'delivery'"),
    ],
)
def test_an_argument_is_refused_in_our_words(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert done.exit_code == ExitCode.UNUSABLE
    assert said in re.sub(r"[\s│]+", " ", done.output)


def test_a_misspelt_setting_stops_a_command_that_reads_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAFELIGHT_APIKEY", "sl_x")
    for words in (["upload", PICTURE, "--api", "http://127.0.0.1:9"], ["demo"], ["up"]):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == ExitCode.UNUSABLE, words
        assert "SAFELIGHT_APIKEY: there is no such setting; did you mean" in done.output


def test_no_command_has_a_code_of_its_own() -> None:
    """A number in `typer.Exit`, or returned by a coroutine, would be outside the table."""
    commands = [*(ROOT / "ops").glob("*.py"), ROOT / "ops" / "doctor" / "command.py"]
    for path in commands:
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        exits = [node for node in calls if ast.unparse(node.func) == "typer.Exit"]
        assert not [one for node in exits for one in node.args if isinstance(one, ast.Constant)]
        for command in (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)):
            returned = [node.value for node in ast.walk(command) if isinstance(node, ast.Return)]
            numbers = [one for one in returned if isinstance(one, ast.Constant)]
            assert not [one for one in numbers if type(one.value) is int], (path, command.name)


def test_the_table_is_in_the_help_and_in_the_documents() -> None:
    shown = re.sub(r"[\s│]+", " ", CliRunner().invoke(app, ["--help"]).output)
    assert re.sub(r"\s+", " ", listed()) in shown
    page = (ROOT / "docs" / "operate" / "operating.md").read_text()
    for code in ExitCode:
        assert f"| {code.value} | {code.meaning} |" in page


def test_the_help_of_a_command_contradicts_nothing() -> None:
    named = {
        int(number)
        for command in app.registered_commands
        for number in re.findall(r"[Ee]xits with (\d+)", command.callback.__doc__ or "")
    }
    assert named <= {code.value for code in ExitCode}
