"""Aliases: URL names for pictures in other buckets, declared in a TOML file.

    [avatars]
    bucket = "acme-profile-pictures"
    prefix = "public/"
    presets = ["small", "large"]

`/avatars/anna.jpg` is then `public/anna.jpg` of that bucket in the preset `small`, and
`/avatars/anna.jpg?preset=large` in the other. All faults of the file are reported together.
"""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.dialects.table import DIALECTS
from safelight.errors import InvalidConfiguration
from safelight.refused_values import Matches, why_refused

NAME = r"[a-z][a-z0-9_-]{0,39}"
NAME_FORM = "a lower-case letter, then up to 39 of a-z, 0-9, _ and -"
_ROLE = Matches(r"^arn:[^:]+:iam::\d{12}:role/.+$", "must be the ARN of an IAM role")
RESERVED = frozenset(
    {"v1", "images", "healthz", "readyz", "metrics", "openapi", "problems", "ui", "unsafe"}
    | {dialect.PREFIX.strip("/") for dialect in DIALECTS.values()}
)
"""First parts of paths that the API uses or reserves."""


class InvalidAliases(InvalidConfiguration):
    """The faults of the file, one per line."""


class Alias(BaseModel):
    """A URL name for the objects below a prefix of a bucket."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Matches(f"^{NAME}$", f"must be {NAME_FORM}")]
    bucket: str = Field(min_length=3, max_length=63)
    prefix: str = ""
    """The prefix of every key: empty for the whole bucket, or a folder with its slash."""
    presets: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
        Field(min_length=1),
    ]
    """The presets that may be asked for. The first is used when a URL names none."""
    role_arn: Annotated[str, _ROLE] | None = None
    """The role that reads the bucket, for buckets of other accounts; None: our own role."""
    external_id: str | None = Field(default=None, min_length=2, max_length=1224)
    """The external id that the role's trust policy requires."""


def load_aliases(path: Path | None, *, presets: Collection[str]) -> Mapping[str, Alias]:
    """Read the file, or raise `InvalidAliases` with every fault in it. No file means no aliases."""
    if path is None:
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidAliases([f"{path}: cannot be read: {error.strerror}"]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidAliases([f"{path}: not TOML: {error}"]) from error
    aliases: dict[str, Alias] = {}
    faults: list[str] = []
    for name, table in tables.items():
        found, alias = _read(name, table, presets)
        faults += [f"{path}: [{name}] {fault}" for fault in found]
        if alias is not None:
            aliases[name] = alias
    if faults:
        raise InvalidAliases(faults)
    return aliases


def faults_of_names(names: Collection[str]) -> list[str]:
    """List the names that cannot be the first part of a delivery URL."""
    return [f"[{name}] the name is reserved by the API" for name in sorted(RESERVED & set(names))]


def _read(name: str, table: Any, presets: Collection[str]) -> tuple[list[str], Alias | None]:
    if not isinstance(table, dict):
        return [f"expected a table, [{name}]"], None
    try:
        alias = Alias.model_validate({**table, "name": name})
    except ValidationError as error:
        return [
            f"{'.'.join(str(part) for part in fault['loc'])}: {why_refused(fault)}"
            for fault in error.errors()
        ], None
    unknown = [preset for preset in alias.presets if preset not in presets]
    faults = [f"presets: there is no preset {preset!r}" for preset in unknown]
    if name in RESERVED:
        faults.append("the name is reserved by the API")
    if name in presets:
        faults.append("a preset has this name")
    if alias.prefix and not alias.prefix.endswith("/"):
        faults.append(
            f'prefix: write "{alias.prefix}/": without the slash it would also open '
            f'"{alias.prefix}-2/"'
        )
    if alias.external_id is not None and alias.role_arn is None:
        faults.append("external_id: needs a role_arn")
    return faults, alias
