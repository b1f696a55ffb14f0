"""Resolves the templates of `deploy/ecs` as CloudFormation would for given parameters."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Any

from ops.cloudformation import TEMPLATES, read_body

FOLDER = TEMPLATES
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::StackName": "stack",
    "AWS::URLSuffix": "amazonaws.com",
}
_NO_VALUE = object()
_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "Fn::ImportValue": lambda name: f"<import {name}>",
    "Fn::Equals": lambda two: str(two[0]) == str(two[1]),
    "Fn::Not": lambda one: not one[0],
    "Fn::And": all,
    "Fn::Or": any,
    "Fn::Join": lambda value: value[0].join(map(str, words(value[1]))),
}


def read(name: str) -> dict[str, Any]:
    """Read a template as plain values, with every function in its long form."""
    plain: dict[str, Any] = json.loads(_text(name))
    return plain


@cache
def _text(name: str) -> str:
    return json.dumps(read_body(FOLDER / f"{name}.yaml"))


class Resolved:
    """A template for given parameters, with conditions decided and functions evaluated.

    Values that only AWS knows have placeholders: `<Topic>` is a Ref, `<Topic.Arn>` an attribute and
    `<import data-TopicArn>` an export of another stack.
    """

    def __init__(self, name: str, **parameters: Any) -> None:
        template = read(name)
        declared = template.get("Parameters", {})
        unknown = parameters.keys() - declared.keys() - PSEUDO.keys()
        assert not unknown, f"{name}.yaml has no parameters {sorted(unknown)}"
        self._values = {
            **PSEUDO,
            **{key: one.get("Default", f"<{key}>") for key, one in declared.items()},
            **parameters,
        }
        for key, one in declared.items():
            if one["Type"] == "CommaDelimitedList" and isinstance(self._values[key], str):
                self._values[key] = self._values[key].split(",")
        self._conditions = template.get("Conditions", {})
        self._mappings = template.get("Mappings", {})
        self._rules = template.get("Rules", {})
        self.resources: dict[str, Any] = {
            key: self.value(one)
            for key, one in template["Resources"].items()
            if self._decide(one.get("Condition"))
        }
        self.outputs: dict[str, Any] = {
            key: self.value(one)
            for key, one in template.get("Outputs", {}).items()
            if self._decide(one.get("Condition"))
        }

    def properties(self, name: str) -> Any:
        """Return a resource's properties."""
        return self.resources[name]["Properties"]

    def of_type(self, kind: str) -> dict[str, Any]:
        """Return the properties of every resource of a type, by name."""
        return {
            name: one.get("Properties", {})
            for name, one in self.resources.items()
            if one["Type"] == kind
        }

    def refusals(self) -> list[str]:
        """Return the descriptions of the template's rules that these parameters break."""
        return [
            assertion["AssertDescription"]
            for rule in self._rules.values()
            for assertion in rule["Assertions"]
            if not self.value(assertion["Assert"])
        ]

    def value(self, node: Any) -> Any:
        """Evaluate a node."""
        if isinstance(node, list):
            return [one for one in map(self.value, node) if one is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((key, argument),) = node.items()
            if key in ("Ref", "Condition") or key.startswith("Fn::"):
                return self._call(key, argument)
        values = {key: self.value(one) for key, one in node.items()}
        return {key: one for key, one in values.items() if one is not _NO_VALUE}

    def _call(self, function: str, argument: Any) -> Any:
        match function:  # those whose argument is not evaluated first
            case "Ref" if argument == "AWS::NoValue":
                return _NO_VALUE
            case "Ref":
                return self._values.get(argument, f"<{argument}>")
            case "Condition":
                return self._decide(argument)
            case "Fn::If":
                condition, then, otherwise = argument
                return self.value(then if self._decide(condition) else otherwise)
            case "Fn::GetAtt":
                return f"<{'.'.join(words(argument))}>"
            case "Fn::Sub":
                return self._substituted(argument)
        value = self.value(argument)
        if function == "Fn::FindInMap":
            return self._mappings[value[0]][value[1]][value[2]]
        known = _FUNCTIONS.get(function)
        return known(value) if known else f"<{function} {json.dumps(value)}>"

    def _substituted(self, argument: Any) -> str:
        text, own = argument if isinstance(argument, list) else (argument, {})
        own = {key: self.value(one) for key, one in own.items()}
        return re.sub(
            r"\$\{([A-Za-z0-9:.]+)\}",
            lambda found: str(own.get(found[1], self._values.get(found[1], f"<{found[1]}>"))),
            text,
        )

    def _decide(self, condition: str | None) -> bool:
        return condition is None or bool(self.value(self._conditions[condition]))


def walk(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield a node and every node below it, with their paths."""
    yield path, node
    if isinstance(node, Mapping):
        for key, one in node.items():
            yield from walk(one, (*path, str(key)))
    elif isinstance(node, list):
        for number, one in enumerate(node):
            yield from walk(one, (*path, str(number)))


def statements(resources: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement of every policy in resolved resources, with the resource's name."""
    for name, resource in resources.items():
        for path, node in walk(resource):
            if path and path[-1] in ("PolicyDocument", "AssumeRolePolicyDocument"):
                for statement in node["Statement"]:
                    yield name, statement


def words(value: Any) -> list[Any]:
    """Return a list as it is, and any other value in a list."""
    return value if isinstance(value, list) else [value]


def for_emulator(name: str, unknown: Collection[str]) -> dict[str, Any]:
    """Return a template without the resources that the embedded AWS cannot create.

    These have unknown types, are alarms over metric math, or refer to such resources.
    """
    template = read(name)
    resources = template["Resources"]
    gone = {
        key
        for key, one in resources.items()
        if one["Type"] in unknown or "Metrics" in one.get("Properties", {})
    }
    while True:
        for key in gone:
            resources.pop(key, None)
        gone = {key for key, one in resources.items() if gone & set(_mentioned(one))}
        if not gone:
            return template


def _mentioned(resource: Mapping[str, Any]) -> Iterator[str]:
    for _, node in walk(resource):
        if isinstance(node, dict) and "Ref" in node:
            yield node["Ref"]
        if isinstance(node, dict) and "Fn::GetAtt" in node:
            yield words(node["Fn::GetAtt"])[0]
