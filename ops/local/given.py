"""Sorts the operator's `SAFELIGHT_*` variables among the programs of a local system.

A setting is passed on to every program that declares it. One that the local system makes itself
is refused by name, and so is one that no program has: nothing is ignored without a word.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypedDict, get_args

from api.settings import ApiSettings
from safelight.settings import PREFIX, InvalidSettings, Settings, unknown_settings, variable
from worker.cleanup.settings import CleanupSettings
from worker.settings import WorkerSettings

MADE_HERE = frozenset(
    variable(name)
    for name in (
        "uploads_bucket", "assets_bucket", "table", "id_secret", "worker_role", "api_roles",
        "queue_url", "renders_queue_url", "cleanup_queue_url", "dead_letter_queue_url", "topic_arn",
        "public_s3_endpoint_url", "host", "port", "admin_host", "admin_port", "spool", "log_format",
    )
)  # fmt: skip
"""Settings that differ between the programs of a local system, so that it makes them."""


_OF_USERS = (variable("api_keys"), variable("oidc_issuer"))


class ProgramSettings(TypedDict, total=False):
    """Arguments of `LocalSystem`."""

    presets: Path
    api_settings: Mapping[str, str]
    worker_settings: Mapping[str, str]
    delivery_settings: Mapping[str, str]
    cleanup_settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The operator's settings for the programs of a local system."""

    api: Mapping[str, str]
    """Variables for the API, in both of its roles."""
    worker: Mapping[str, str]
    cleanup: Mapping[str, str]
    presets: Path | None

    @property
    def authenticates(self) -> bool:
        """Whether the API refuses requests without a key or a token."""
        return any(self.api.get(name) for name in _OF_USERS)

    @property
    def sign_in(self) -> str:
        """How users sign in on the pages."""
        ways = []
        if self.api.get(variable("oidc_client_id")):
            ways.append(f"at {self.api.get(variable('oidc_issuer'))}")
        if self.api.get(variable("api_keys")):
            ways.append("with an API key")
        return f"sign in {' or '.join(ways)}"

    @property
    def pages_url(self) -> str | None:
        """The origin of the pages, if the operator names it."""
        return self.api.get(variable("pages_url"))

    @classmethod
    def of(cls, environment: Mapping[str, str], *, presets: Path | None = None) -> Self:
        """Sort variables. `presets` replaces SAFELIGHT_PRESETS. Raises `InvalidSettings`."""
        given = {
            name.upper(): value
            for name, value in environment.items()
            if name.upper().startswith(PREFIX)
        }
        faults = unknown_settings(given)
        faults += [
            f"{name}: the local system makes this setting itself; unset it"
            for name in sorted(given.keys() & MADE_HERE)
        ]
        if faults:
            raise InvalidSettings(faults)
        of_presets = given.pop("SAFELIGHT_PRESETS", None)
        path = presets or (Path(of_presets) if of_presets else None)
        return cls(
            api=_declared(given, ApiSettings),
            worker=_declared(given, WorkerSettings),
            cleanup=_declared(given, CleanupSettings),
            presets=path.expanduser().absolute() if path else None,
        )

    def settings(self) -> ProgramSettings:
        """Return the arguments of `LocalSystem`."""
        made = ProgramSettings(
            api_settings=self.api,
            worker_settings=self.worker,
            delivery_settings=self.api,
            cleanup_settings=self.cleanup,
        )
        if self.presets is not None:
            made["presets"] = self.presets
        return made


def _declared(given: Mapping[str, str], settings: type[Settings]) -> dict[str, str]:
    """Return the variables that a program declares. Paths become absolute, as it runs elsewhere."""
    made = {}
    for name, field in settings.model_fields.items():
        value = given.get(variable(name))
        if value is not None:
            is_path = Path in (field.annotation, *get_args(field.annotation))
            made[variable(name)] = str(Path(value).absolute()) if is_path else value
    return made
