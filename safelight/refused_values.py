"""Explains in plain words why a value is refused.

Settings, requests, options and alias files are validated by pydantic. Its own words never reach a
person: every kind of its errors has a row here, and a kind without a row has `OTHER`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

OTHER: Final = "is not of the expected form"
IN_WORDS: Final = "in_words"
"""The type of an error whose message is in our words."""
_OWN_WORDS = frozenset({"value_error", "assertion_error"})
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a known name",
    "none_required": "must be empty",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "iterable_type": "must be a list",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_type": "must be text",
    "string_sub_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "path_type": "must be a path",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
}
KINDS: Final = _WORDS.keys() | _OWN_WORDS | {IN_WORDS}
"""The kinds of errors that have words of their own."""


def why_refused(fault: Mapping[str, Any]) -> str:
    """Return the reason of one pydantic error as a clause, such as "must be at least 1"."""
    kind, context = str(fault["type"]), fault.get("ctx", {})
    if kind in _OWN_WORDS:
        return str(context["error"])
    if kind == IN_WORDS:
        return str(context["words"])
    if context.get("min_length") == 1:
        return "must not be empty"
    return _WORDS.get(kind, OTHER).format_map(context)


@dataclass(frozen=True, slots=True)
class Matches:
    """Annotates a text that must match a pattern, with the words in which it is refused."""

    pattern: str
    words: str
    """A clause, such as "must be 64 hexadecimal digits"."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate by the pattern; replace the error that quotes it."""
        return core_schema.chain_schema(
            [
                handler(source),
                core_schema.custom_error_schema(
                    core_schema.str_schema(pattern=self.pattern),
                    custom_error_type=IN_WORDS,
                    custom_error_message="{words}",
                    custom_error_context={"words": self.words},
                ),
            ]
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the text with its pattern."""
        described = handler(schema)
        described["pattern"] = self.pattern
        return described
