"""Settings: read from the environment once, when a program starts. No other code reads it.

Each program declares its settings in a subclass of `Settings`. All faults are reported together.
"""

import difflib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from safelight.errors import InvalidConfiguration
from safelight.refused_values import why_refused
from safelight.setting_names import NAMES

PREFIX = "SAFELIGHT_"
TESTS = "SAFELIGHT_TEST_"
"""How the variables begin that only tests read."""

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
"""A tuple of words, written with commas between them in the environment."""


class InvalidSettings(InvalidConfiguration):
    """The faults of the environment. Each has the variable's name, the expected form, the value."""


class Settings(BaseSettings):
    """The settings of a program. A variable is `SAFELIGHT_` and the field's name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto` writes console lines to a terminal and JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The lowest level that is written."
    )

    tracing: bool = Field(
        default=False,
        description="Whether OpenTelemetry sends spans, as its own variables say. Needs the extra "
        "`otel`. The id of a trace is that of the image.",
    )

    @classmethod
    def load(cls) -> Self:
        """Read the environment, or raise `InvalidSettings` with all its faults."""
        unknown = unknown_settings(os.environ)
        try:
            settings = cls()
        except ValidationError as error:
            faults = [cls._fault(fault) for fault in error.errors()]
            raise InvalidSettings([*unknown, *faults]) from error
        if unknown:
            raise InvalidSettings(unknown)
        return settings

    @classmethod
    def _fault(cls, fault: Mapping[str, Any]) -> str:
        field = str(fault["loc"][0]) if fault["loc"] else None
        name = variable(field) if field else PREFIX.rstrip("_")
        message = why_refused(fault)
        if fault["type"] == "missing":
            return f"{name}: not set; {cls.model_fields[field or ''].description}"
        value = fault.get("input")
        secret = field is not None and _is_secret(cls.model_fields.get(field))
        shown = "a secret value" if secret and value is not None else repr(value)
        found = f"; found {shown}" if field else ""
        return f"{name}: {message[:1].lower()}{message[1:]}{found}"

    def printable(self) -> str:
        """Return all settings as JSON by variable name, with secrets masked."""
        values = {variable(name): value for name, value in self.model_dump(mode="json").items()}
        return json.dumps(values, indent=2)


def variable(name: str) -> str:
    """Return the name of a field's environment variable."""
    return PREFIX + name.upper()


def unknown_settings(names: Iterable[str]) -> list[str]:
    """List the faults of variables that begin like a setting of Safelight and are none.

    Each names the nearest setting. Settings of other programs are known, so that programs may share
    one environment.
    """
    given = {name.upper(): name for name in names}
    return [
        f"{given[name]}: there is no such setting{_nearest(name)}"
        for name in sorted(given)
        if name.startswith(PREFIX) and not name.startswith(TESTS) and name not in NAMES
    ]


def _nearest(name: str) -> str:
    words = {known.removeprefix(PREFIX): known for known in sorted(NAMES)}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), words, n=1)
    return f"; did you mean {words[near[0]]}?" if near else "; docs/operate/settings.md lists all"


def _is_secret(field: FieldInfo | None) -> bool:
    if field is None:
        return False
    return SecretStr in (field.annotation, *get_args(field.annotation))
