"""What is refused is explained in our words; pydantic's never reach a person."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from api.bodies import parse
from api.delivery.aliases import Alias
from api.problems import Refusal
from api.settings import ApiSettings
from api.upload_documents import UploadRequest
from ops.capacity.scenario import Scenario
from ops.doctor.places import DoctorSettings
from ops.redrive import RedriveSettings
from safelight.presets import Policy
from safelight.refused_values import IN_WORDS, KINDS, why_refused
from safelight.setting_names import NAMES
from safelight.settings import InvalidSettings, Settings, variable
from safelight.wish.validation import CONTRADICTION
from safelight.wish.wish import Wish
from worker.cleanup.settings import CleanupSettings
from worker.settings import WorkerSettings

PROGRAMS = (ApiSettings, WorkerSettings, CleanupSettings, DoctorSettings, RedriveSettings)
MODELS = (*PROGRAMS, UploadRequest, Alias, Scenario, Policy, Wish)
WRONG: tuple[Any, ...] = (
    "", "x", "x" * 2000, "\x00", "-1", "0", "1e99", "9" * 5000, "nan", "inf", -1, 0, 10**30, 1.5,
    float("inf"), float("nan"), True, None, [], ["", 5], ["x" * 99] * 99, {}, {"a": 1}, b"\xff",
)  # fmt: skip
FOREIGN = re.compile(r"Input should|should (?:be|have|match)|Value error|Field required|pydantic")


def faults(model: type[BaseModel], name: str) -> Iterator[Any]:
    for value in WRONG:
        try:
            model.model_validate({name: value})
        except ValidationError as error:
            yield from (fault for fault in error.errors() if fault["loc"][:1] == (name,))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_wrong_value_of_every_field_is_refused_in_our_words(model: type[BaseModel]) -> None:
    found = 0
    for field, declared in model.model_fields.items():
        for fault in faults(model, declared.alias or field):
            found += 1
            if fault["type"] != CONTRADICTION:  # its message is ours
                assert fault["type"] in KINDS, (field, fault)
                assert not FOREIGN.search(why_refused(fault)), (field, fault)
    assert found > len(model.model_fields)


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("filename", '""', "must not be empty."),
        ("filename", '"a\\u0007"', "must have no control characters."),
        ("filename", "7", "must be text."),
        ("size", '"7"', "must be a whole number."),
        ("sha256", '"beef"', "must be 64 hexadecimal digits."),
        ("tags", "7", "must be a list."),
        ("method", '"GET"', "must be 'POST' or 'PUT'."),
    ],
)
def test_a_member_of_a_request_is_refused_in_plain_words(
    member: str, value: str, words: str
) -> None:
    good = {"filename": '"a"', "contentType": '"image/png"', "size": "5"}
    body = ", ".join(f'"{name}": {text}' for name, text in (good | {member: value}).items())
    with pytest.raises(Refusal) as refused:
        parse(f"{{{body}}}".encode(), UploadRequest, context={})
    (fault,) = refused.value.errors
    assert (fault.pointer, fault.detail) == (f"#/{member}", words)


def test_a_pattern_is_still_in_the_schema_of_a_request() -> None:
    properties = UploadRequest.model_json_schema()["properties"]
    filename = properties["filename"]["anyOf"][0]
    assert "pattern" in filename
    assert filename["maxLength"] == 255
    assert "pattern" in properties["sha256"]["anyOf"][0]


def test_an_unforeseen_kind_has_words_too() -> None:
    assert why_refused({"type": "date_parsing"}) == "is not of the expected form"
    assert why_refused({"type": IN_WORDS, "ctx": {"words": "must rhyme"}}) == "must rhyme"


@pytest.fixture
def needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UPLOADS_BUCKET", "ASSETS_BUCKET", "TABLE", "RENDERS_QUEUE_URL"):
        monkeypatch.setenv(f"SAFELIGHT_{name}", "name")
    monkeypatch.setenv("SAFELIGHT_DEAD_LETTER_QUEUE_URL", "letters")


@pytest.mark.usefixtures("needed")
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("SAFELIGHT_SLOT", "did you mean SAFELIGHT_SLOTS?"),
        ("SAFELIGHT_UPLOAD_BUCKET", "did you mean SAFELIGHT_UPLOADS_BUCKET?"),
        ("safelight_log_levle", "did you mean SAFELIGHT_LOG_LEVEL?"),
        ("SAFELIGHT_ZEBRA", "docs/operate/settings.md lists all"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_nearest_known_one(
    monkeypatch: pytest.MonkeyPatch, name: str, advice: str
) -> None:
    monkeypatch.setenv(name, "2")
    with pytest.raises(InvalidSettings) as refused:
        RedriveSettings.load()
    assert refused.value.faults == [f"{name}: there is no such setting; {advice}"]


@pytest.mark.usefixtures("needed")
def test_a_misspelt_setting_is_reported_together_with_the_other_faults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAFELIGHT_LOGLEVEL", "debug")
    monkeypatch.setenv("SAFELIGHT_TABLE", "")
    with pytest.raises(InvalidSettings) as refused:
        RedriveSettings.load()
    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "SAFELIGHT_LOGLEVEL",
        "SAFELIGHT_TABLE",
    ]


@pytest.mark.usefixtures("needed")
def test_a_setting_of_another_program_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_CORS_ORIGINS", "https://app.example.com")
    monkeypatch.setenv("SAFELIGHT_PREFETCH", "2")
    RedriveSettings.load()


def test_every_setting_that_a_program_declares_is_known() -> None:
    classes = [Settings]
    for one in classes:
        classes += one.__subclasses__()
    declared = {variable(name) for one in classes for name in one.model_fields}
    assert declared <= NAMES
