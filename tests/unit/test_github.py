"""The forms and the workflow of .github are valid and say what is true."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
FORMS = sorted(path for path in GITHUB.glob("ISSUE_TEMPLATE/*.yml") if path.name != "config.yml")
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_there_is_a_form_for_bugs_features_and_questions() -> None:
    assert {path.stem for path in FORMS} == {"bug", "feature", "question"}


@pytest.mark.parametrize("path", sorted(GITHUB.rglob("*.yml")), ids=lambda path: path.name)
def test_every_file_is_yaml(path: Path) -> None:
    assert isinstance(read(path), dict)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_what_github_requires(path: Path) -> None:
    form = read(path)
    assert form.keys() <= {"name", "description", "title", "labels", "assignees", "body"}
    assert form["name"]
    assert form["description"]
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in form["body"]} <= KINDS
    assert all(part["attributes"]["label"] for part in fields)
    ids = [part["id"] for part in fields]
    assert len(ids) == len(set(ids))
    assert any(part.get("validations", {}).get("required") for part in fields)
    for part in fields:
        assert ("options" in part["attributes"]) == (part["type"] in {"dropdown", "checkboxes"})


def test_the_workflow_runs_what_any_integration_runs() -> None:
    workflow = read(GITHUB / "workflows" / "test.yml")
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert workflow["permissions"] == {"contents": "read"}


def test_the_workflow_tries_every_python_that_is_supported() -> None:
    (job,) = read(GITHUB / "workflows" / "test.yml")["jobs"].values()
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = re.findall(r"Python :: (3\.\d+)", " ".join(classifiers))
    assert job["strategy"]["matrix"]["python"] == supported


def test_documents_and_forms_name_commands_and_files_that_exist() -> None:
    text = "\n".join(path.read_text() for path in GITHUB.rglob("*.*"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets
    for name in re.findall(r"\b[A-Z]{5,}\.md\b", text):
        assert (ROOT / name).exists(), name
