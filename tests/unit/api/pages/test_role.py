"""The role `pages` starts with uploads only, and with a way to sign in where one is needed."""

import tomllib
from pathlib import Path

import pytest

from safelight.settings import InvalidSettings
from tests.unit.api.test_settings import ISSUER, load

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


KEYS = {"SAFELIGHT_API_KEYS": f"alice:{'0' * 64}"}
SESSION_KEYS = {"SAFELIGHT_SESSION_KEYS": "5e" * 32}
SHOP = {"SAFELIGHT_API_KEYS": f"shop:{'1' * 64}:users"}
PAGES_URL = {"SAFELIGHT_PAGES_URL": "https://pictures.example"}
CLIENT = {"SAFELIGHT_OIDC_CLIENT_ID": "pages"}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (KEYS, "API_KEYS: needs SAFELIGHT_SESSION_KEYS too"),
        (ISSUER | CLIENT | PAGES_URL, "OIDC_ISSUER: needs SAFELIGHT_SESSION_KEYS too"),
        (ISSUER | SESSION_KEYS, "API_KEYS: the role pages needs a way to sign in"),
        (SHOP | SESSION_KEYS, "API_KEYS: the role pages needs a way to sign in"),
        (ISSUER | SHOP | SESSION_KEYS, "API_KEYS: the role pages needs a way to sign in"),
        (ISSUER | SESSION_KEYS | CLIENT, "OIDC_CLIENT_ID: needs SAFELIGHT_PAGES_URL too"),
        (KEYS | SESSION_KEYS | CLIENT | PAGES_URL, "CLIENT_ID: needs SAFELIGHT_OIDC_ISSUER too"),
        (
            KEYS | SESSION_KEYS | {"SAFELIGHT_HOST": "192.0.2.1"},
            "HOST: beyond loopback the role pages needs SAFELIGHT_PAGES_URL too",
        ),
    ],
)
def test_pages_with_authentication_need_a_way_to_sign_in(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], fault: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(monkeypatch, SAFELIGHT_API_ROLES="uploads,pages", **given)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        KEYS | SESSION_KEYS,
        ISSUER | SESSION_KEYS | CLIENT | PAGES_URL,
        ISSUER | SESSION_KEYS | KEYS,
        ISSUER | SESSION_KEYS | SHOP | CLIENT | PAGES_URL,
        SESSION_KEYS | {"SAFELIGHT_API_KEYS": ",".join([*SHOP.values(), *KEYS.values()])},
        KEYS | SESSION_KEYS | PAGES_URL | {"SAFELIGHT_HOST": "192.0.2.1"},
    ],
)
def test_pages_with_authentication_start_with_a_way_to_sign_in(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    assert load(monkeypatch, SAFELIGHT_API_ROLES="uploads,pages", **given).serves_pages


@pytest.mark.parametrize("given", [KEYS, ISSUER, KEYS | {"SAFELIGHT_HOST": "192.0.2.1"}])
def test_a_server_without_pages_needs_no_sign_in(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    assert not load(monkeypatch, **given).serves_pages


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://pictures.example", "https://pictures.example"),
        ("https://pictures.example:8443/", "https://pictures.example:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("", None),
    ],
)
def test_the_pages_have_an_origin(
    monkeypatch: pytest.MonkeyPatch, url: str, origin: str | None
) -> None:
    assert load(monkeypatch, SAFELIGHT_PAGES_URL=url).pages_url == origin


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://pictures.example", "must be an https:// origin"),
        ("https://pictures.example/ui", "without a path"),
        ("https://Pictures.example", "upper case"),
        ("https://me@pictures.example", "is not scheme://host"),
        ("javascript:alert(1)", "is not scheme://host"),
    ],
)
def test_an_address_that_is_no_safe_origin_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str, fault: str
) -> None:
    with pytest.raises(InvalidSettings, match="SAFELIGHT_PAGES_URL") as caught:
        load(monkeypatch, SAFELIGHT_PAGES_URL=url)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("", "names no key"),
        ("a-secret-that-is-no-hex", "key 1 is not of the form: 64 hexadecimal digits"),
        (f"{'5e' * 32},{'5e' * 31}", "key 2 is not of the form"),
        (f"{'5e' * 32},{'5E' * 32}", "the same key is given twice"),
    ],
)
def test_session_keys_at_fault_are_reported_without_their_text(
    monkeypatch: pytest.MonkeyPatch, keys: str, fault: str
) -> None:
    with pytest.raises(InvalidSettings, match="SAFELIGHT_SESSION_KEYS") as caught:
        load(monkeypatch, SAFELIGHT_SESSION_KEYS=keys)
    assert fault in str(caught.value)
    assert "5e5e" not in str(caught.value)
    assert "a-secret" not in str(caught.value)


def test_the_files_of_the_pages_are_part_of_the_package() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "pages/static/**" in setuptools["package-data"]["api"]
