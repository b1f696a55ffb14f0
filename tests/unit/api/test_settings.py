import pytest

from api.settings import ApiSettings
from safelight.settings import InvalidSettings
from tests.support.fakes import ID_SECRET

NEEDED = {
    "SAFELIGHT_UPLOADS_BUCKET": "uploads",
    "SAFELIGHT_ASSETS_BUCKET": "assets",
    "SAFELIGHT_TABLE": "images",
    "SAFELIGHT_ID_SECRET": ID_SECRET,
}
KEYS = {"SAFELIGHT_API_KEYS": f"alice:{'a' * 64}"}
ISSUER = {
    "SAFELIGHT_OIDC_ISSUER": "https://issuer.example",
    "SAFELIGHT_OIDC_AUDIENCE": "web, mobile",
}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ApiSettings.model_fields:
        monkeypatch.delenv(f"SAFELIGHT_{name.upper()}", raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> ApiSettings:
    for name, value in (NEEDED | environment).items():
        monkeypatch.setenv(name, value)
    return ApiSettings.load()


def test_the_usual_settings_are_for_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert (settings.host, settings.port, settings.anonymous) == ("127.0.0.1", 8080, True)
    assert settings.max_upload_bytes == 64 * 1024**2
    assert settings.url_seconds == 15 * 60


@pytest.mark.parametrize("authentication", [KEYS, ISSUER])
def test_with_authentication_it_may_listen_anywhere(
    monkeypatch: pytest.MonkeyPatch, authentication: dict[str, str]
) -> None:
    settings = load(monkeypatch, SAFELIGHT_HOST="0.0.0.0", **authentication)  # noqa: S104 - meant
    assert not settings.anonymous


def test_several_audiences_and_origins_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(
        monkeypatch, SAFELIGHT_CORS_ORIGINS="https://a.example,http://localhost:3000", **ISSUER
    )
    assert settings.oidc_audience == ("web", "mobile")
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")


@pytest.mark.parametrize(
    "origin",
    [
        "capacitor://localhost",
        "ionic://localhost",
        "app://myapp",
        "tauri://localhost",
        "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
        "http://localhost:3000",
        "http://[::1]:8080",
        "https://xn--bcher-kva.example:8443",
        "http://a.example:443",
    ],
)
def test_every_origin_that_a_browser_sends_can_be_named(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    assert load(monkeypatch, SAFELIGHT_CORS_ORIGINS=origin).cors_origins == (origin,)


def test_admins_are_user_ids_and_none_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, SAFELIGHT_ADMINS="").admins == ()
    admins = load(monkeypatch, SAFELIGHT_ADMINS="key:support, oidc:5f7c").admins
    assert admins == ("key:support", "oidc:5f7c")


def test_a_delivery_url_needs_no_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, SAFELIGHT_DELIVERY_URL="https://cdn.example/pictures/")
    assert settings.delivery_url == "https://cdn.example/pictures"


def test_an_empty_delivery_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, SAFELIGHT_DELIVERY_URL="").delivery_url is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SAFELIGHT_PORT", "65536", "65536"),
        ("SAFELIGHT_PORT", "http", "whole number"),
        ("SAFELIGHT_HOST", "0.0.0.0", "SAFELIGHT_API_KEYS"),  # noqa: S104 - refused
        ("SAFELIGHT_HOST", "", "loopback"),
        ("SAFELIGHT_HOST", "::", "loopback"),
        ("SAFELIGHT_OIDC_ISSUER", "https://issuer.example", "SAFELIGHT_OIDC_AUDIENCE"),
        ("SAFELIGHT_OIDC_ISSUER", "http://issuer.example", "https://"),
        ("SAFELIGHT_OIDC_ISSUER", "issuer.example", "https://"),
        ("SAFELIGHT_OIDC_ISSUER", "", "https://"),
        ("SAFELIGHT_OIDC_JWKS_URL", "https://issuer.example/keys", "SAFELIGHT_OIDC_ISSUER"),
        ("SAFELIGHT_API_KEYS", "", "names no key"),
        ("SAFELIGHT_API_KEYS", "alice:short", "name:sha256"),
        ("SAFELIGHT_MAX_UPLOAD_BYTES", "0", "1"),
        ("SAFELIGHT_MAX_UPLOAD_BYTES", str(5 * 1024**3 + 1), "5368709120"),
        ("SAFELIGHT_URL_SECONDS", "5", "60"),
        ("SAFELIGHT_DELIVERY_URL", "cdn.example", "http"),
        ("SAFELIGHT_DELIVERY_URL", "https://cdn.example?x", "without a query"),
        ("SAFELIGHT_ADMINS", "support", "key:NAME"),
        ("SAFELIGHT_ADMINS", "key:support,anonymous", "key:NAME"),
        ("SAFELIGHT_ADMINS", "(adopted)", "key:NAME"),
        ("SAFELIGHT_CORS_ORIGINS", "*", "has a wildcard"),
        ("SAFELIGHT_CORS_ORIGINS", "https://*.a.example", "has a wildcard"),
        ("SAFELIGHT_CORS_ORIGINS", "https://A.example", "https://A.example has upper case"),
        ("SAFELIGHT_CORS_ORIGINS", "https://a.example/", "a slash at the end"),
        ("SAFELIGHT_CORS_ORIGINS", "https://a.example/app", "is not scheme://host"),
        ("SAFELIGHT_CORS_ORIGINS", "https://me@a.example", "is not scheme://host"),
        ("SAFELIGHT_CORS_ORIGINS", "https://a.example:443", "names the default port"),
        ("SAFELIGHT_CORS_ORIGINS", "http://a.example:80", "names the default port"),
        ("SAFELIGHT_CORS_ORIGINS", "https://a.example:", "is not scheme://host"),
        ("SAFELIGHT_CORS_ORIGINS", "https://bücher.example", "xn--"),
        ("SAFELIGHT_CORS_ORIGINS", "file://", "is not scheme://host"),
        ("SAFELIGHT_CORS_ORIGINS", "null", "an origin of its own"),
        ("SAFELIGHT_CORS_ORIGINS", "a.example", "is not scheme://host"),
    ],
)
def test_a_setting_at_fault_is_named_with_what_is_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(monkeypatch, **{name: value})
    (fault,) = caught.value.faults
    assert fault.startswith(f"{name}: ")
    assert told in fault


def test_a_wrong_key_setting_is_not_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(monkeypatch, SAFELIGHT_HOST="0.0.0.0", SAFELIGHT_API_KEYS="alice:oops")  # noqa: S104 - meant
    (fault,) = caught.value.faults
    assert fault.startswith("SAFELIGHT_API_KEYS: ")


@pytest.mark.parametrize(
    ("settings", "only_loopback"),
    [
        ({}, True),
        ({"SAFELIGHT_API_ROLES": "uploads,delivery"}, True),
        ({"SAFELIGHT_API_ROLES": "delivery"}, False),
        ({"SAFELIGHT_API_KEYS": f"alice:{'0' * 64}"}, False),
    ],
)
def test_only_loopback_names_are_answered_where_anyone_may_upload(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], only_loopback: bool
) -> None:
    assert load(monkeypatch, **settings).loopback_names_only is only_loopback


def test_a_process_serves_uploads_unless_it_is_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load(monkeypatch).api_roles == ("uploads",)
    assert load(monkeypatch, SAFELIGHT_API_ROLES="delivery, uploads").api_roles == (
        "delivery",
        "uploads",
    )
    for wrong in ("", "images", "uploads,images"):
        with pytest.raises(
            InvalidSettings, match=r"SAFELIGHT_API_ROLES: must be uploads, delivery"
        ):
            load(monkeypatch, SAFELIGHT_API_ROLES=wrong)


def test_a_process_that_only_delivers_needs_no_authentication(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    anywhere = {"SAFELIGHT_HOST": "0.0.0.0"}  # noqa: S104 - meant
    load(monkeypatch, SAFELIGHT_API_ROLES="delivery", **anywhere)
    with pytest.raises(InvalidSettings, match="without authentication"):
        load(monkeypatch, SAFELIGHT_API_ROLES="delivery,uploads", **anywhere)


def test_a_tenants_signing_key_names_a_user_id(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "a-secret-of-alice"
    for user_id in ("key:alice", "key:shop/4711", "oidc:auth0|12:3", "anonymous", "(adopted)"):
        load(monkeypatch, SAFELIGHT_SIGNING_KEYS=f"web:{secret}:{user_id}")
    with pytest.raises(InvalidSettings) as caught:
        load(monkeypatch, SAFELIGHT_SIGNING_KEYS=f"web:{secret}:alice")
    (fault,) = caught.value.faults
    assert "SAFELIGHT_SIGNING_KEYS: key web: its user must be a user id, key:NAME" in fault
    assert secret not in fault


def test_signing_keys_at_fault_are_told_without_their_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(monkeypatch, SAFELIGHT_SIGNING_KEYS="web:too-short")
    assert "SAFELIGHT_SIGNING_KEYS: key web: a secret must have at least 16" in str(caught.value)
    assert "too-short" not in str(caught.value)
    shown = load(monkeypatch, SAFELIGHT_SIGNING_KEYS="web:a-secret-of-the-web").printable()
    assert "a-secret-of-the-web" not in shown
