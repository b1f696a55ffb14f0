"""Settings come from the environment, once, in each program's `__main__`; nobody else reads it.

Each program declares its own settings as a subclass of `Settings`; what both sides of AWS need is
declared here. Every fault is reported together.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from safelight.errors import InvalidConfiguration

PREFIX = "SAFELIGHT_"

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
"""A tuple of words, written with commas between them."""


class InvalidSettings(InvalidConfiguration):
    """The faults of the environment. Each has the variable's name, the expected form, the value."""


class Settings(BaseSettings):
    """What a program is told by its environment: `SAFELIGHT_` and the field's name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto` writes console lines on a terminal and JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe level that is written."
    )

    tracing: bool = Field(
        default=False,
        description="Whether spans are sent by OpenTelemetry, as its own variables say; needs the "
        "extra `otel`. A trace's id is the image's.",
    )

    @classmethod
    def load(cls) -> Self:
        """Read the environment, or raise `InvalidSettings` with every fault in it."""
        try:
            return cls()
        except ValidationError as error:
            raise InvalidSettings([cls._fault(fault) for fault in error.errors()]) from error

    @classmethod
    def _fault(cls, fault: Mapping[str, Any]) -> str:
        field = str(fault["loc"][0]) if fault["loc"] else None
        name = variable(field, cls.model_fields.get(field)) if field else PREFIX.rstrip("_")
        message = str(fault["msg"]).removeprefix("Value error, ")
        if fault["type"] == "missing":
            return f"{name}: not set; {cls.model_fields[field or ''].description}"
        value = fault.get("input")
        secret = field is not None and _is_secret(cls.model_fields.get(field))
        shown = "a secret value" if secret else repr(value)
        found = f"; found {shown}" if field else ""
        return f"{name}: {message[:1].lower()}{message[1:]}{found}"

    def printable(self) -> str:
        """Write every setting as JSON under its variable's name, secrets masked."""
        values = {
            variable(name, field): value
            for (name, field), value in zip(
                type(self).model_fields.items(),
                self.model_dump(mode="json").values(),
                strict=True,
            )
        }
        return json.dumps(values, indent=2)


class AwsSettings(Settings):
    """Where AWS's parts are. Credentials and region come from the standard chain alone."""

    uploads_bucket: str = Field(min_length=3, description="The bucket that clients upload to.")
    assets_bucket: str = Field(min_length=3, description="The bucket that variants are put into.")
    table: str = Field(min_length=3, description="The DynamoDB table of images.")
    public_s3_endpoint_url: str | None = Field(
        default=None,
        description="S3's address as clients see it, for presigned URLs only; "
        "by default the address that Safelight itself uses.",
    )

    @field_validator("public_s3_endpoint_url")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://unset")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http:// or https:// URL")
        return url

    OWN_STANDARD: ClassVar[tuple[str, ...]] = (
        "AWS_REGION",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_ENDPOINT_URL_SNS",
        "AWS_ENDPOINT_URL_DYNAMODB",
    )
    """Standard AWS variables that botocore reads itself, honoured unchanged."""


def variable(name: str, field: FieldInfo | None = None) -> str:
    """Name the environment variable of a field."""
    alias = field.validation_alias if field else None
    return alias if isinstance(alias, str) else PREFIX + name.upper()


def _is_secret(field: FieldInfo | None) -> bool:
    if field is None:
        return False
    return SecretStr in (field.annotation, *get_args(field.annotation))
