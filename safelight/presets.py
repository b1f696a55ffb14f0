"""Presets: the variants that are made of every upload, declared in a TOML file.

Every fault of the file is reported together, each with its table and key, what was expected and
what was found. A preset that loads can be rendered.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializationInfo,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from safelight.errors import InvalidConfiguration
from safelight.formats import AUTO, BY_NAME, BY_SIZE, WRITABLE_NAMES
from safelight.wish.validation import CONTRADICTION, OneOf, as_tuple, quoted, shown, validated
from safelight.wish.wish import Wish

_NAME = "^[a-z][a-z0-9_-]{0,39}$"
_NAME_IN_WORDS = "a lower-case letter, then up to 39 of a-z, 0-9, _ and -"


class InvalidPresets(InvalidConfiguration):
    """The faults of a preset file: one text each, with file, table, key, expected and found."""


class Policy(BaseModel):
    """How delivery hands a variant out: to whom, in which formats, for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    access: Literal["public", "signed", "private"] = Field(
        default="signed", description='"public", "signed" or "private"'
    )
    """`public` needs no signature. `signed` and `private` need a signed URL; responses for
    `private` must also not be stored by shared caches."""
    formats: Annotated[
        tuple[Annotated[str, OneOf(WRITABLE_NAMES)], ...], BeforeValidator(as_tuple)
    ] = Field(default=(), description=f"a list of {quoted(WRITABLE_NAMES)}")
    """The formats that delivery may use besides the wish's own, for clients that accept them."""
    hints: bool = Field(default=False, description="true or false")
    """Whether delivery scales the box by the client hints for pixel ratio and width."""
    max_age: int = Field(
        default=3600,
        ge=0,
        le=31_536_000,
        description="a whole number of seconds from 0 to 31536000",
    )
    """How long caches may keep a response without revalidation, in seconds."""
    pending: Literal["wait", "default"] = Field(default="wait", description='"wait" or "default"')
    """The response while the image is not processed yet: 202 in JSON, or the default picture."""
    default: str | None = Field(
        default=None, min_length=1, description="the name of a picture file beside this one"
    )
    """The picture that delivery shows where there is none: a file beside the preset file."""

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(given, dict):
            return handler(given)
        contradictions = []
        if given.get("pending") == "default" and given.get("default") is None:
            contradictions.append(("pending", '"wait", because there is no default picture'))
        return validated(given, handler, contradictions)


class Preset(BaseModel):
    """A named variant: what is asked of its pixels, and how delivery hands it out.

    In TOML and in messages it is one flat table of the keys of both parts, and it may be built from
    such a table: `Preset.model_validate({"name": "a", "format": "webp", "max_age": 60})`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=_NAME)
    wish: Wish
    policy: Policy = Policy()

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(given, dict):
            return handler(given)
        if isinstance(given.get("wish"), Wish):
            given = _flat(given.get("name"), given["wish"], given.get("policy", Policy()))
        return validated(given, lambda table: handler(_composed(table)), _contradictions(given))

    @model_serializer
    def _table(self, info: SerializationInfo) -> dict[str, Any]:
        return _flat(
            self.name,
            self.wish,
            self.policy,
            mode=info.mode,
            exclude_none=bool(info.exclude_none),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the flat table."""
        made = handler(schema)
        table = handler.resolve_ref_schema(made)
        parts = [table["properties"].pop(part) for part in ("wish", "policy")]
        for part in map(handler.resolve_ref_schema, parts):
            table["properties"] |= part["properties"]
            table["required"] += part.get("required", [])
        table["required"].remove("wish")
        return made

    @property
    def deliverable(self) -> tuple[str, ...]:
        """The formats that delivery may respond with, the one with the smallest files first."""
        allowed = {*self.wish.formats, *self.policy.formats}
        return tuple(format for format in BY_SIZE if format in allowed)


_FIELDS = {**Wish.model_fields, **Policy.model_fields}
KEYS = tuple(_FIELDS)
"""The keys of a preset's table."""


def _flat(name: object, *parts: BaseModel, **how: Any) -> dict[str, Any]:
    """Return one table of the name and the keys of the parts."""
    table: dict[str, Any] = {"name": name}
    for part in parts:
        table |= part.model_dump(**how)
    return table


def _composed(table: Mapping[str, Any]) -> dict[str, Any]:
    """Sort the keys of a flat table into parts. Unknown keys, which are faults, are dropped."""
    parts = {"wish": Wish.model_fields, "policy": Policy.model_fields}
    composed: dict[str, Any] = {
        part: {key: value for key, value in table.items() if key in fields}
        for part, fields in parts.items()
    }
    return composed | ({"name": table["name"]} if "name" in table else {})


def _contradictions(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find unknown keys, and keys of the policy that contradict the wish."""
    for key in table:
        if key not in ("name", *KEYS):
            yield key, f"one of the keys {', '.join(KEYS)}"
    formats, box = table.get("formats", ()), table.get("box")
    if formats and table.get("format") == AUTO:
        yield "formats", f'no formats, because format is "{AUTO}"'
    elif isinstance(formats, list | tuple) and isinstance(box, list | tuple):
        sides = [side for side in box if isinstance(side, int)]
        for format in filter(None, (BY_NAME.get(str(name)) for name in formats)):
            if any(side > format.max_side for side in sides):
                yield "formats", f"no {format.name}: it has sides up to {format.max_side}"
    if table.get("hints") is True and box is None:
        yield "hints", "no hints, because there is no box to scale"


def load_presets(path: Path) -> tuple[Preset, ...]:
    """Read the presets of a file. Raises `InvalidPresets` with every fault in it."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidPresets([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise InvalidPresets([f"{path}: expected UTF-8 text"]) from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidPresets([f"{path}: not TOML: {error}"]) from error
    if not tables:
        raise InvalidPresets([f"{path}: expected at least one preset, [name]; found none"])
    presets: list[Preset] = []
    faults: list[str] = []
    for name, table in tables.items():
        try:
            presets.append(_read(name, table))
        except InvalidPresets as error:
            faults += [f"{path}: [{name}]{fault}" for fault in error.faults]
    if faults:
        raise InvalidPresets(faults)
    return tuple(presets)


def _read(name: str, table: Any) -> Preset:
    """Read one table. Raises `InvalidPresets` with one fault a key, in the table's order."""
    if not isinstance(table, dict):
        raise InvalidPresets([f": expected a table, [{name}]; found {shown(table)}"])
    try:
        preset = Preset.model_validate({**table, "name": name})
    except ValidationError as error:
        expected = _expected(error)
    else:
        expected = {}
    places = {key: place for place, key in enumerate(table)}
    in_order = sorted(expected, key=lambda key: places.get(key, -1))
    faults = [_fault(key, expected[key], table, name) for key in in_order]
    if "name" in table:
        faults.append(f" name: {_unknown('name')}")
    if faults:
        raise InvalidPresets(faults)
    return preset


def _expected(error: ValidationError) -> dict[str, str]:
    """Return the expected value of each faulty key. Contradictions are more precise than forms."""
    forms: dict[str, str] = {}
    contradictions: dict[str, str] = {}
    for fault in error.errors():
        part, *rest = map(str, fault["loc"])
        key = rest[0] if rest and part in Preset.model_fields else part
        if fault["type"] == CONTRADICTION:
            contradictions[key] = fault["ctx"]["expected"]
        else:
            forms[key] = str(_FIELDS[key].description) if key in _FIELDS else ""
    return forms | contradictions


def _fault(key: str, expected: str, table: Mapping[str, Any], name: str) -> str:
    if key == "name":
        return f": expected a name that is {_NAME_IN_WORDS}; found {shown(name)}"
    if key not in KEYS:
        return f" {key}: {_unknown(key)}"
    found = shown(table[key]) if key in table else "nothing"
    return f" {key}: expected {expected}; found {found}"


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, n=1)
    guess = f"; did you mean {near[0]}?" if near else ""
    return f"expected one of the keys {', '.join(KEYS)}; found {shown(key)}{guess}"
