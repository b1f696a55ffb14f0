"""A local system gets the operator's settings, or says by name which it cannot take."""

from pathlib import Path

import pytest

from api.settings import ApiSettings
from ops.local.given import MADE_HERE, Given
from ops.local.stack import Stack
from safelight.settings import InvalidSettings
from tests.support.fakes import ID_SECRET
from worker.cleanup.settings import CleanupSettings
from worker.settings import WorkerSettings


def test_a_setting_reaches_every_program_that_declares_it() -> None:
    given = Given.of(
        {
            "SAFELIGHT_SLOTS": "1",
            "SAFELIGHT_PREFETCH": "3",
            "SAFELIGHT_URL_SECONDS": "60",
            "safelight_log_level": "debug",
            "SAFELIGHT_API_KEY": "of a client",
            "HOME": "/somewhere",
        }
    )
    assert given.worker == {
        "SAFELIGHT_SLOTS": "1",
        "SAFELIGHT_PREFETCH": "3",
        "SAFELIGHT_LOG_LEVEL": "debug",
    }
    assert given.api == {
        "SAFELIGHT_SLOTS": "1",
        "SAFELIGHT_URL_SECONDS": "60",
        "SAFELIGHT_LOG_LEVEL": "debug",
    }
    assert given.settings() == {
        "api_settings": given.api,
        "worker_settings": given.worker,
        "delivery_settings": given.api,
        "cleanup_settings": given.cleanup,
    }
    assert given.cleanup == {"SAFELIGHT_LOG_LEVEL": "debug"}


@pytest.mark.parametrize("name", sorted(MADE_HERE))
def test_a_setting_that_the_local_system_makes_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^{name}: the local system makes this setting"):
        Given.of({name: "mine"})


def test_misspelt_names_are_refused_together_with_the_others() -> None:
    with pytest.raises(InvalidSettings) as refused:
        Given.of({"SAFELIGHT_SLOT": "1", "SAFELIGHT_TABLE": "mine"})
    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "SAFELIGHT_SLOT",
        "SAFELIGHT_TABLE",
    ]


def test_paths_are_absolute_because_the_programs_run_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = Given.of({"SAFELIGHT_ALIASES": "aliases.toml", "SAFELIGHT_PRESETS": "mine.toml"})
    assert given.api == {"SAFELIGHT_ALIASES": str(tmp_path / "aliases.toml")}
    assert given.settings()["presets"] == tmp_path / "mine.toml"
    given = Given.of({"SAFELIGHT_PRESETS": "mine.toml"}, presets=Path("other.toml"))
    assert given.presets == tmp_path / "other.toml"


def test_every_setting_that_a_stack_gives_its_programs_is_refused() -> None:
    names = dict.fromkeys(Stack.__dataclass_fields__, "x") | {"id_secret": ID_SECRET}
    stack = Stack(**names)
    made = stack.settings() | stack.delivery_settings() | stack.worker_settings("uploads")
    assert (made | stack.cleanup_settings()).keys() <= MADE_HERE
    known = ApiSettings.model_fields.keys() | WorkerSettings.model_fields.keys()
    known |= CleanupSettings.model_fields.keys()
    assert {name.removeprefix("SAFELIGHT_").lower() for name in MADE_HERE} <= known
