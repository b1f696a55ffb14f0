"""A small `aws` for tests that walk documents: the commands of the guides, against an emulator.

    python -m tests.support.aws_cli SERVICE OPERATION --name value ... [--query Q] [--output text]

Arguments are read by botocore's models, so an unknown operation or argument fails as with the real
command. `cloudformation deploy` keeps the values of parameters that are not named, checks the rules
of the template, and leaves out resources that the emulator cannot create. AWS_CLI_STATE names a
folder for what it remembers.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import botocore.session
import jmespath
from botocore import xform_name
from botocore.model import ListShape, OperationModel, Shape, StructureShape

UNKNOWN = frozenset(
    {
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::EC2::EIP",
        "AWS::EC2::NatGateway",
        "AWS::EC2::SecurityGroupIngress",
    }
)
"""Types of resources that the embedded AWS cannot create."""
OF_EMULATOR = {"data": {"Target": "emulator"}, "workers": {"WorkerSpot": "false"}}
"""Values of parameters that the emulator needs."""


class Wrong(Exception):
    """The real command would refuse this."""


def main(words: Sequence[str]) -> int:
    """Run a command; return its exit code."""
    service, operation, *rest = words
    try:
        given = dict(_given(rest))
        query, _ = given.pop("query", [None]), given.pop("output", None)
        answer = _run(service, operation, given)
    except Wrong as wrong:
        sys.stderr.write(f"aws {service} {operation}: {wrong}\n")
        return 252
    if answer is not None:
        sys.stdout.write(_text(jmespath.search(query[0], answer) if query[0] else answer) + "\n")
    return 0


def _run(service: str, operation: str, given: dict[str, list[str]]) -> Any:
    if (service, operation) == ("cloudformation", "deploy"):
        return _deploy(given)
    client = _client(service)
    if operation == "get-login-password":
        return "password"
    if operation == "wait":
        waiter = client.get_waiter(given.pop("")[0].replace("-", "_"))
        model = client.meta.service_model.operation_model(waiter.config.operation)
        waiter.config.delay = 0.1
        waiter.wait(**_parameters(model, given))
        return None
    names = {xform_name(name): name for name in client.meta.service_model.operation_names}
    if operation.replace("-", "_") not in names:
        raise Wrong("there is no such operation")
    model = client.meta.service_model.operation_model(names[operation.replace("-", "_")])
    answer = getattr(client, operation.replace("-", "_"))(**_parameters(model, given))
    answer.pop("ResponseMetadata")
    return answer


def _client(service: str) -> Any:
    return botocore.session.get_session().create_client(service)


def _given(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Read `--name value...` into names and their values; values before any name have no name."""
    name, values = "", list[str]()
    for word in words:
        if word.startswith("--"):
            if name or values:
                yield name, values
            name, values = word.removeprefix("--"), []
        else:
            values.append(word)
    if name or values:
        yield name, values


def _parameters(model: OperationModel, given: dict[str, list[str]]) -> dict[str, Any]:
    members = model.input_shape.members if model.input_shape else {}
    known = {xform_name(name, "-"): (name, shape) for name, shape in members.items()}
    made: dict[str, Any] = {}
    for name, values in given.items():
        positive = name.removeprefix("no-")
        if name not in known and positive not in known:
            raise Wrong(f"there is no argument --{name}")
        member, shape = known.get(name) or known[positive]
        made[member] = name in known if not values else _value(shape, values)
    required = model.input_shape.required_members if model.input_shape else []
    missing = [name for name in required if name not in made]
    if missing:
        raise Wrong(f"needs {missing}")
    return made


def _value(shape: Shape, values: list[str]) -> Any:
    if values[0][:1] in "{[" and not isinstance(shape, StructureShape | ListShape):
        return values[0]
    if values[0][:1] in "{[":
        return json.loads(values[0])
    if isinstance(shape, ListShape):
        return [_value(shape.member, [value]) for value in values]
    if isinstance(shape, StructureShape):
        return _typed(shape, _shorthand(values[0])[0])
    return _typed(shape, values[0])


def _typed(shape: Shape, value: Any) -> Any:
    """Give the texts of a shorthand the types that botocore wants."""
    if isinstance(shape, StructureShape):
        if unknown := value.keys() - shape.members.keys():
            raise Wrong(f"{shape.name} has no members {sorted(unknown)}")
        return {name: _typed(shape.members[name], one) for name, one in value.items()}
    if isinstance(shape, ListShape):
        return [_typed(shape.member, one) for one in value]
    if shape.type_name == "boolean":
        return value == "true"
    return int(value) if shape.type_name in ("integer", "long") else value


def _shorthand(text: str) -> tuple[dict[str, Any], str]:
    """Read `name=value,name={...},name=[a,b]`; return it and the rest of the text."""
    made: dict[str, Any] = {}
    while text and text[0] != "}":
        name, _, text = text.partition("=")
        if text.startswith("{"):
            made[name], text = _shorthand(text[1:])
            text = text.removeprefix("}")
        elif text.startswith("["):
            inside, _, text = text[1:].partition("]")
            made[name] = inside.split(",")
        else:
            end = min(i for i in (text.find(","), text.find("}"), len(text)) if i >= 0)
            value, text = text[:end], text[end:]
            # `Name=a,Values=b` names a list by its plural.
            made[name] = [value] if name == "Values" else value
        text = text.removeprefix(",")
    return made, text


def _text(value: Any) -> str:
    """Write a value as `--output text` does."""
    if isinstance(value, list):
        return "\t".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _deploy(given: dict[str, list[str]]) -> None:
    """Create or update a stack from a template, as `aws cloudformation deploy` does."""
    (stack,), (path,) = given.pop("stack-name"), given.pop("template-file")
    overrides = dict(one.split("=", 1) for one in given.pop("parameter-overrides", []))
    if given.keys() != {"capabilities", "no-fail-on-empty-changeset"}:
        raise Wrong(f"unexpected arguments: {sorted(given)}")
    from tests.support.templates import Resolved, read  # noqa: PLC0415 - takes a second

    name = Path(path).stem
    if Path(path).read_text() != (Path("deploy/ecs") / f"{name}.yaml").read_text():
        raise Wrong(f"{path} is not a template of this repository")
    declared = read(name)["Parameters"]
    if unknown := overrides.keys() - declared.keys():
        raise Wrong(f"{name}.yaml has no parameters {sorted(unknown)}")
    state = Path(os.environ["AWS_CLI_STATE"]) / f"{stack}.json"
    before = json.loads(state.read_text()) if state.exists() else None
    values = (before or {}) | overrides
    missing = [key for key, one in declared.items() if "Default" not in one and key not in values]
    if missing:
        raise Wrong(f"parameters need values: {missing}")
    if refusals := Resolved(name, **values).refusals():
        raise Wrong("; ".join(refusals))
    if values != before:  # --no-fail-on-empty-changeset
        _create(stack, name, values, update=before is not None)
    state.write_text(json.dumps(values))


def _create(stack: str, template: str, values: dict[str, str], *, update: bool) -> None:
    from tests.support.templates import for_emulator  # noqa: PLC0415 - as above

    cloudformation = _client("cloudformation")
    body = for_emulator(template, UNKNOWN)
    sent = values | {k: v for k, v in OF_EMULATOR.get(template, {}).items() if k not in values}
    act = cloudformation.update_stack if update else cloudformation.create_stack
    act(
        StackName=stack,
        TemplateBody=json.dumps(body),
        Parameters=[{"ParameterKey": key, "ParameterValue": one} for key, one in sent.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    done = f"stack_{'update' if update else 'create'}_complete"
    waiter = cloudformation.get_waiter(done)
    waiter.wait(StackName=stack, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
