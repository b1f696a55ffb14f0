"""docker-compose.yml as compose would read it with .env.example for .env."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


class Unset(Exception):
    """A variable that must be there is not: the message is what compose would say."""


def example() -> dict[str, str]:
    """Read .env.example."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def interpolated(variables: Mapping[str, str]) -> str:
    """Put the variables into the file's text, by compose's rules."""

    def value(found: re.Match[str]) -> str:
        given = variables.get(found["name"])
        if given or found["kind"] is None:
            return given or ""
        if found["kind"] == "-":
            return found["rest"]
        raise Unset(f"{found['name']}: {found['rest']}")

    return _VARIABLE.sub(value, FILE.read_text())


def services(variables: Mapping[str, str]) -> dict[str, Any]:
    """Read every service, variables put in and anchors followed."""
    read: dict[str, Any] = yaml.safe_load(interpolated(variables))["services"]
    return read
