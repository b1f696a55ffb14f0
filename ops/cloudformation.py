"""Reads the templates in deploy/ecs as values, so that no program repeats their numbers.

Implements the functions that those templates use, and calls no service. Values that exist only in
a deployed stack (`GetAtt`, `ImportValue`, a `Ref` to a resource) stay unresolved.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TEMPLATES = Path(__file__).resolve().parents[1] / "deploy" / "ecs"
_ABSENT = object()


class InvalidTemplate(Exception):
    """A template cannot be read, or a parameter is unknown or has an invalid value."""


class _Loader(yaml.CSafeLoader):
    """Reads `!Ref x` as {"Ref": x} and `!Sub x` as {"Fn::Sub": x}, as CloudFormation does."""


def _function(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # all that is left
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)


def read_body(path: Path) -> dict[str, Any]:
    """Read a template as plain values, with every function in its long form."""
    body: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader
    return body


def _check(name: str, value: str, declared: Mapping[str, Any]) -> None:
    """Raise `InvalidTemplate` for a value that CloudFormation would refuse."""
    allowed = [str(one) for one in declared.get("AllowedValues", [value])]
    if value not in allowed:
        raise InvalidTemplate(f"{name} must be one of {', '.join(allowed)}; found {value!r}")
    if declared["Type"] != "Number":
        return
    least, most = declared.get("MinValue", -math.inf), declared.get("MaxValue", math.inf)
    try:
        fits = least <= float(value) <= most and math.isfinite(float(value))
    except ValueError:
        fits = False
    if not fits:
        bounds = f" from {least} to {most}" if most < math.inf else f" of {least} or more"
        raise InvalidTemplate(
            f"{name} must be a number{bounds if least > -math.inf else ''}; found {value!r}"
        )


@dataclass(frozen=True, slots=True)
class Template:
    """A template with the values of its parameters."""

    body: Mapping[str, Any]
    parameters: Mapping[str, str]

    @classmethod
    def read(cls, name: str, *, parameters: Mapping[str, str] | None = None) -> "Template":
        """Read a template in deploy/ecs; parameters that are not given have their defaults.

        Raises `InvalidTemplate` for an unknown parameter or an invalid value.
        """
        given, path = dict(parameters or {}), TEMPLATES / name
        try:
            body = read_body(path)
        except OSError as error:
            raise InvalidTemplate(f"{path}: cannot be read: {error.strerror}") from error
        known = body["Parameters"]
        if unknown := given.keys() - known.keys():
            raise InvalidTemplate(
                f"{name} has no parameter {', '.join(sorted(unknown))}; it has {', '.join(known)}"
            )
        for key, value in given.items():
            _check(key, value, known[key])
        defaults = {key: str(one["Default"]) for key, one in known.items() if "Default" in one}
        return cls(body, defaults | given)

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of all resources of a type that would be created, by name."""
        return {
            name: self.resolve(resource.get("Properties", {}))
            for name, resource in self.body["Resources"].items()
            if resource["Type"] == kind and self.holds(resource.get("Condition"))
        }

    def holds(self, condition: str | None) -> bool:
        """Return whether a named condition is true; None counts as true."""
        return condition is None or self._true(self.body["Conditions"][condition])

    def resolve(self, value: Any) -> Any:  # noqa: PLR0911 - a table, one return a function
        """Evaluate every function that depends on parameters only."""
        match value:
            case {"Ref": "AWS::NoValue"}:
                return _ABSENT
            case {"Ref": str(name)}:
                return self.parameters.get(name, value)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{(\w+)\}", self._substituted, text)
            case {"Fn::If": [name, yes, no]}:
                return self.resolve(yes if self.holds(name) else no)
            case dict():
                resolved = {key: self.resolve(one) for key, one in value.items()}
                return {key: one for key, one in resolved.items() if one is not _ABSENT}
            case list():
                return [one for one in map(self.resolve, value) if one is not _ABSENT]
        return value

    def _substituted(self, found: re.Match[str]) -> str:
        return self.parameters.get(found[1], found[0])

    def _true(self, value: Any) -> bool:
        match value:
            case {"Fn::Equals": [one, other]}:
                return str(self.resolve(one)) == str(self.resolve(other))
            case {"Fn::Not": [one]}:
                return not self._true(one)
            case {"Fn::And": parts}:
                return all(map(self._true, parts))
            case {"Fn::Or": parts}:
                return any(map(self._true, parts))
            case {"Condition": name}:
                return self.holds(name)
        raise InvalidTemplate(f"unknown function in a condition: {value}")
