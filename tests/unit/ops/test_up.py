"""`safelight up` gives each program what it needs, and prints commands that work as they are."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from api.dialects.table import DIALECTS
from ops.__main__ import app
from ops.local import system as module
from ops.local.given import Given
from ops.local.stack import Stack
from ops.local.system import LocalSystem
from ops.up import describe
from safelight.settings import variable
from tests.support.fakes import ID_SECRET

EMULATOR = SimpleNamespace(
    endpoint_url="http://aws",
    root=SimpleNamespace(environment=lambda _: {"AWS_REGION": "us-east-1"}),
)
URL = "SAFELIGHT_DELIVERY_URL"
PRINCIPAL = SimpleNamespace(environment=lambda _: {})


class Child:
    """A program that is not started."""

    def __init__(self, name: str, *_: object, environment: Mapping[str, str], **__: object) -> None:
        self.name = name
        self.environment = environment

    async def listening(self) -> str:
        return f"http://{self.name}"


async def started(
    given: Given, directory: Path, monkeypatch: pytest.MonkeyPatch, *, pages: bool = False
) -> Any:
    """A system whose programs are only recorded."""
    monkeypatch.setattr(module, "Child", Child)
    system: Any = LocalSystem(
        renders=True,
        delivers=True,
        cleans=True,
        pages=pages,
        directory=directory,
        **given.settings(),
    )
    names: dict[str, Any] = dict.fromkeys(Stack.__dataclass_fields__, "x")
    principals = {name: PRINCIPAL for name in Stack.__dataclass_fields__ if _is_principal(name)}
    system.stack = Stack(**names | principals | {"id_secret": ID_SECRET})
    system.emulator = EMULATOR
    await system._start_children()
    return system


def _is_principal(name: str) -> bool:
    return name in {"api", "delivery", "uploads_worker", "renders_worker", "cleanup", "operator"}


@pytest.fixture
async def told(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    given = Given.of(request.param)
    return describe(await started(given, tmp_path, monkeypatch), given)


async def test_api_and_delivery_have_the_same_presets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Given.of({}, presets=Path("/mine.toml"))
    system = await started(given, tmp_path, monkeypatch)
    for program in (system.api, system.delivery, *system.workers):
        assert program.environment["SAFELIGHT_PRESETS"] == "/mine.toml", program.name


async def test_the_playground_has_a_key_of_every_dialect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "a-key-of-the-operator"
    given = Given.of({"SAFELIGHT_IMGIX_KEYS": own})
    system = await started(given, tmp_path, monkeypatch, pages=True)
    names = ["SAFELIGHT_SIGNING_KEYS", *(variable(each.KEYS) for each in DIALECTS.values())]
    api, delivery = system.api.environment, system.delivery.environment
    assert [api[name] for name in names] == [delivery[name] for name in names]
    assert api["SAFELIGHT_IMGIX_KEYS"] == own


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, "http://delivery"),
        ({URL: "https://cdn.example"}, "https://cdn.example"),
        ({URL: ""}, ""),
    ],
)
async def test_the_api_has_the_address_of_delivery_unless_another_is_given(
    given: dict[str, str], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = await started(Given.of(given), tmp_path, monkeypatch)
    assert system.api.environment[URL] == system.public_url == address
    printed = describe(system, Given.of(given))
    assert URL in printed
    assert (f"thumbnails and variants begin with {address}\n" in printed) == bool(address)
    assert ("variants are presigned" in printed) != bool(address)


@pytest.mark.parametrize("told", [{}], indirect=True)
async def test_the_address_of_the_pages_is_printed_first(told: str) -> None:
    assert told.split()[:2] == ["pages", "http://api/ui/"]


@pytest.mark.parametrize(
    ("given", "address", "way"),
    [
        ({}, "http://api/ui/", "(in a browser: upload pictures)"),
        ({"SAFELIGHT_API_KEYS": "a:b"}, "http://api/ui/", "; sign in with an API key)"),
        (
            {
                "SAFELIGHT_OIDC_ISSUER": "https://issuer.example",
                "SAFELIGHT_OIDC_CLIENT_ID": "pages",
                "SAFELIGHT_PAGES_URL": "http://localhost:8080",
            },
            "http://localhost:8080/ui/",
            "; sign in at https://issuer.example)",
        ),
    ],
)
async def test_the_line_of_the_pages_says_how_to_sign_in(
    given: dict[str, str], address: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = describe(await started(Given.of(given), tmp_path, monkeypatch), Given.of(given))
    line = told.splitlines()[1]
    assert line.split()[:2] == ["pages", address]
    assert line.endswith(way)


@pytest.mark.parametrize("pages", [True, False])
async def test_only_an_api_with_pages_has_their_role(
    pages: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = await started(Given.of({}), tmp_path, monkeypatch, pages=pages)
    environment = system.api.environment
    assert ("SAFELIGHT_API_ROLES" in environment) is pages
    assert ("SAFELIGHT_SESSION_KEYS" in environment) is pages


async def test_session_keys_that_were_given_are_those_of_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Given.of({"SAFELIGHT_SESSION_KEYS": "5e" * 32})
    system = await started(given, tmp_path, monkeypatch, pages=True)
    assert system.api.environment["SAFELIGHT_SESSION_KEYS"] == "5e" * 32


@pytest.mark.parametrize("told", [{"SAFELIGHT_PRESETS": "/mine.toml"}], indirect=True)
async def test_presets_that_were_given_are_among_the_lines_to_paste(told: str) -> None:
    assert "    export SAFELIGHT_PRESETS=/mine.toml\n" in told


@pytest.mark.parametrize("told", [{}], indirect=True)
async def test_nothing_that_was_not_set_is_among_the_lines_to_paste(told: str) -> None:
    assert "SAFELIGHT_PRESETS" not in told
    assert "$KEY" not in told


@pytest.mark.parametrize("told", [{}], indirect=True)
async def test_the_doctor_of_each_role_has_the_secret_that_it_needs(told: str) -> None:
    assert f"    export SAFELIGHT_ID_SECRET={ID_SECRET}\n" in told


@pytest.mark.parametrize(
    "told",
    [{"SAFELIGHT_API_KEYS": "a:b"}, {"SAFELIGHT_OIDC_ISSUER": "https://issuer.example"}],
    indirect=True,
)
async def test_every_request_to_an_api_with_authentication_has_a_key(told: str) -> None:
    requests = [line for line in told.splitlines() if "--api $API" in line or "$API/v1" in line]
    assert len(requests) == 3
    for line in requests:
        assert "--key $KEY" in line or '-H "Authorization: Bearer $KEY"' in line


@pytest.mark.parametrize("command", ["up", "demo"])
def test_presets_that_do_not_exist_are_refused_before_anything_starts(
    command: str, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.toml"
    result = CliRunner().invoke(app, [command, "--presets", str(missing)])
    assert result.exit_code == 2
    assert result.stderr == f"PRESETS: {missing} does not exist\n"
    assert result.stdout == ""


@pytest.mark.parametrize("first", ["808o", "0", "-1", "65532", "80.5", ""])
def test_a_first_port_that_cannot_be_is_explained(first: str) -> None:
    result = CliRunner().invoke(app, ["up", "--ports", first], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    wanted = "PORTS: must be a whole number up to 65531 (five ports are used)"
    assert wanted in " ".join(result.stderr.split())
