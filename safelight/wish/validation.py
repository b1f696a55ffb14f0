"""Field types of declared models, and a validation that reports every fault at once."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import (
    CoreSchema,
    ErrorDetails,
    InitErrorDetails,
    PydanticCustomError,
    core_schema,
)

from safelight.refused_values import IN_WORDS, why_refused

CONTRADICTION: Final = "contradiction"
"""The type of a fault whose message says what was expected."""
Contradictions = Iterable[tuple[str, str]]
"""Keys that are well-formed alone but not together, each with the expected value in words."""
Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class OneOf:
    """Annotates a string that must be one of these words, like a `Literal` made at run time."""

    words: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Accept the words only."""
        return core_schema.literal_schema(list(self.words))


def shown(value: object) -> str:
    """Write a value as a message shows it: as JSON, at most 80 characters."""
    return json.dumps(value, default=str)[:80]


def quoted(words: Iterable[str]) -> str:
    """List words in quotation marks."""
    return ", ".join(f'"{word}"' for word in words)


def as_tuple(value: object) -> object:
    """Convert a list, which is what TOML and JSON have, to a tuple."""
    return tuple(value) if isinstance(value, list) else value


def validated(
    given: Mapping[str, Any], handler: Callable[[Any], Model], contradictions: Contradictions
) -> Model:
    """Validate the fields with the handler, and raise its faults and the contradictions together.

    `given` may hold values that are not well-formed: contradictions are found all the same.
    """
    faults = [
        InitErrorDetails(
            type=PydanticCustomError(CONTRADICTION, "{expected}", {"expected": expected}),
            loc=(key,),
            input=given.get(key),
        )
        for key, expected in contradictions
    ]
    try:
        model = handler(given)
    except ValidationError as error:
        faults += map(_again, error.errors(include_url=False))
        raise ValidationError.from_exception_data(error.title, faults) from None
    if faults:
        raise ValidationError.from_exception_data(type(model).__name__, faults)
    return model


def _again(fault: ErrorDetails) -> InitErrorDetails:
    """Copy a fault, so that it can be raised with others."""
    if fault["type"] == CONTRADICTION:
        error = PydanticCustomError(CONTRADICTION, "{expected}", fault["ctx"])
    else:
        error = PydanticCustomError(IN_WORDS, "{words}", {"words": why_refused(fault)})
    return InitErrorDetails(type=error, loc=fault["loc"], input=fault["input"])
