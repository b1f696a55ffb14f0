"""Read one JSON value of an edit.

Any other shape is a `ValueError` or a `TypeError`, which `Rows.read` reports with the edit's form.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

from safelight.wish.arguments import Colour
from safelight.wish.errors import InvalidOption


def number(value: Any) -> float:
    """Read a number from JSON or from a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    try:
        found = float(value)
    except OverflowError as error:
        raise ValueError(value) from error
    if not math.isfinite(found):
        raise ValueError(value)
    return found


def rounded(_: str, value: Any) -> int | None:
    """Read a number, rounded; 0 means the default."""
    return round(number(value)) or None


def flag(_: str, value: Any) -> bool:
    """Read true or false. sharp takes other values for true; those that mean no are refused."""
    if isinstance(value, bool):
        return value
    if str(value).lower() not in ("1", "true"):
        raise TypeError(value)
    return True


def colour(_: str, value: Any) -> str:
    """Read a colour as sharp takes it: a text, {r, g, b, alpha}, or [r, g, b]."""
    if isinstance(value, list):
        value = dict(zip("rgb", value, strict=True))
    if not isinstance(value, dict):
        return str(Colour(may_be_transparent=True).check(value))
    if value.get("alpha", 1) == 0:
        return "transparent"
    return bytes(round(number(value[band])) for band in "rgb").hex()


def object_of(option: str, value: Any, known: Collection[str]) -> Mapping[str, Any]:
    """Read a JSON object that has only known names."""
    if not isinstance(value, dict):
        raise TypeError(value)
    for name in value:
        if name not in known:
            raise InvalidOption(f"{option}.{name}"[:60], "is not supported")
    return value
