"""Compares JSON schemas of a stored model: can the new one read what the old one wrote?"""

from collections.abc import Iterator
from typing import Any

_WORDS = {"title", "description", "default"}
"""Keys of a schema that do not matter to readers of data."""


def breaches(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield each change by which the new schema may no longer read what the old one wrote.

    Objects may gain fields that are not required; a choice may gain values.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        if "properties" in old or "required" in old:
            for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
                yield f"{where}/{name} is required"
        grown = where.endswith(("/properties", "/$defs"))
        words = set() if grown else _WORDS | {"required"}
        for name in sorted(old.keys() - new.keys() - words):
            yield f"{where}/{name} is gone"
        if not grown:
            for name in sorted(new.keys() - old.keys() - words):
                yield f"{where}/{name} is new"
        for name in sorted((old.keys() & new.keys()) - words):
            yield from breaches(old[name], new[name], f"{where}/{name}")
    elif where.endswith(("/enum", "/anyOf")) and isinstance(new, list):
        yield from (f"{where} lacks {value!r}" for value in old if value not in new)
    elif old != new:
        yield f"{where} is {new!r}, was {old!r}"
