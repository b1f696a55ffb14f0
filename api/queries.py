"""Reads the parameters of a query into a model. Invalid ones raise a `Refusal` that names them."""

from collections.abc import Mapping
from itertools import islice
from typing import TypeVar, get_origin

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from api.bodies import MAX_FAULTS
from api.problems import Fault, Problem, Refusal
from safelight.refused_values import why_refused

Model = TypeVar("Model", bound=BaseModel)


def read_query(request: web.Request, model: type[Model]) -> Model:
    """Parse a request's query as the model, whose tuples are parameters that may be repeated."""
    repeatable = {
        field.alias or name
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) is tuple
    }
    names = tuple(dict.fromkeys(request.query))
    faults = {
        name: "may be given once"
        for name in names
        if name not in repeatable and len(request.query.getall(name)) > 1
    }
    given = {
        name: request.query.getall(name) if name in repeatable else request.query[name]
        for name in names
    }
    try:
        read = model.model_validate(given)
    except ValidationError as error:
        faults = {
            str(fault["loc"][0]): _detail(fault) for fault in error.errors(include_url=False)
        } | faults
    if faults:
        raise refused(faults)
    return read


def refused(faults: Mapping[str, str]) -> Refusal:
    """Return the refusal for parameters at fault: by name, why the value is refused."""
    count = len(faults)
    return Refusal(
        Problem.INVALID_REQUEST,
        f"{count} parameter{'s are' if count > 1 else ' is'} not valid.",
        errors=[
            Fault(pointer=f"?{name}", detail=f"{detail.rstrip('.')}.")
            for name, detail in islice(faults.items(), MAX_FAULTS)
        ],
    )


def _detail(fault: ErrorDetails) -> str:
    if fault["type"] == "extra_forbidden":
        return "There is no parameter of this name"
    return why_refused(fault)
