"""Settings: read from the environment once, when a program starts. No other code reads it.

Each program declares its settings in a subclass of `Settings`. All faults are reported together.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from safelight.errors import InvalidConfiguration

PREFIX = "SAFELIGHT_"

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
        try:
            return cls()
        except ValidationError as error:
            raise InvalidSettings([cls._fault(fault) for fault in error.errors()]) from error

    @classmethod
    def _fault(cls, fault: Mapping[str, Any]) -> str:
        field = str(fault["loc"][0]) if fault["loc"] else None
        name = variable(field) if field else PREFIX.rstrip("_")
        message = str(fault["msg"]).removeprefix("Value error, ")
        if fault["type"] == "missing":
            return f"{name}: not set; {cls.model_fields[field or ''].description}"
        value = fault.get("input")
        secret = field is not None and _is_secret(cls.model_fields.get(field))
        shown = "a secret value" if secret else repr(value)
        found = f"; found {shown}" if field else ""
        return f"{name}: {message[:1].lower()}{message[1:]}{found}"

    def printable(self) -> str:
        """Return all settings as JSON by variable name, with secrets masked."""
        values = {variable(name): value for name, value in self.model_dump(mode="json").items()}
        return json.dumps(values, indent=2)


def variable(name: str) -> str:
    """Return the name of a field's environment variable."""
    return PREFIX + name.upper()


def _is_secret(field: FieldInfo | None) -> bool:
    if field is None:
        return False
    return SecretStr in (field.annotation, *get_args(field.annotation))
