"""The role `pages` starts with uploads, and without authentication, only."""

import tomllib
from pathlib import Path

import pytest

from safelight.settings import InvalidSettings
from tests.unit.api.test_settings import load

ROOT = Path(__file__).parents[4]


def test_pages_need_the_role_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAFELIGHT_API_KEYS", raising=False)
    with pytest.raises(InvalidSettings, match="API_ROLES: the role pages needs the role uploads"):
        load(monkeypatch, SAFELIGHT_API_ROLES="pages,delivery")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])  # noqa: S104 - it is refused
def test_pages_without_authentication_are_served_on_loopback_only(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    roles = {"SAFELIGHT_API_ROLES": "uploads,pages"}
    assert load(monkeypatch, **roles).api_roles == ("uploads", "pages")
    with pytest.raises(InvalidSettings, match="SAFELIGHT_HOST"):
        load(monkeypatch, **roles, SAFELIGHT_HOST=host)


def test_pages_have_no_sign_in_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings, match="SAFELIGHT_API_KEYS: is not supported with"):
        load(
            monkeypatch,
            SAFELIGHT_API_ROLES="uploads,pages",
            SAFELIGHT_API_KEYS=f"alice:{'0' * 64}",
        )


def test_the_files_of_the_pages_are_part_of_the_package() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "pages/static/**" in setuptools["package-data"]["api"]
