"""Reads docker-compose.yml as compose would, beside a new .env."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.local import dotenv

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$(?:\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}|(?P<dollar>\$))")


class Unset(Exception):
    """A required variable is missing. The message is that of compose."""


def variables(text: str) -> dict[str, str]:
    """Read the variables of a .env."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


ENV_FILE = dotenv.written()
"""A .env with random keys, made once per process."""
ENVIRONMENT = variables(ENV_FILE)


def interpolated(environment: Mapping[str, str]) -> str:
    """Substitute the variables in the file's text, by compose's rules."""

    def value(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        given = environment.get(found["name"])
        if given or found["kind"] is None:
            return given or ""
        if found["kind"] == "-":
            return found["rest"]
        raise Unset(f"{found['name']}: {found['rest']}")

    return _VARIABLE.sub(value, FILE.read_text())


def services(environment: Mapping[str, str]) -> dict[str, Any]:
    """Read every service, with variables substituted and anchors resolved."""
    read: dict[str, Any] = yaml.safe_load(interpolated(environment))["services"]
    return read
