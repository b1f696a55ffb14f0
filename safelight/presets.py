"""Presets: the variants that are made of every upload, declared in a TOML file.

Every fault of the file is reported together, each with its line, table and key, with what is
expected and what was found. A preset that loads can be rendered.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from safelight.formats import (
    AUTO,
    AUTO_FORMATS,
    AUTO_SCALE,
    BY_NAME,
    WRITABLE,
    equivalent_quality,
)

ENGINE_VERSION = 3
"""Raise it when the same preset gives other pixels than before: every asset gets a new key."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_KEY = re.compile(r"""\s*(["']?)(?P<key>[A-Za-z0-9_-]+)\1\s*[.=]""")
_TOML_PLACE = re.compile(r" \(at line (\d+), column \d+\)$")
_FORMATS = ", ".join(f'"{format.name}"' for format in WRITABLE)
_MISSING = object()

GRAVITIES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "centre": (0.5, 0.5),
        "north": (0.5, 0),
        "north-east": (1, 0),
        "east": (1, 0.5),
        "south-east": (1, 1),
        "south": (0.5, 1),
        "south-west": (0, 1),
        "west": (0, 0.5),
        "north-west": (0, 0),
    }
)
"""Name -> how much of the room that is left over lies left of and above what counts."""
ATTENTION = "attention"
"""The gravity that is found in the pixels."""
_LATER = (
    "gravity", "focal", "enlarge", "colour", "keep", "hdr", "animated", "budget", "target",
    "quality_range",
)  # fmt: skip
"""Keys that were added once there were assets: at its default, none changes a fingerprint."""
_DELIVERED = ("access", "formats", "hints", "max_age", "pending", "default")
"""Keys that say who gets a variant and how: they change no pixel, and no fingerprint."""
_PREFERENCE = ("avif", "webp", "jpeg", "png")
"""What delivery would rather answer with: the fewest bytes first."""
_AUTO_DEFAULTS = {"quality": 80, "budget": 4.0}
_GRAVITIES = ", ".join(f'"{name}"' for name in GRAVITIES)
DEFAULT_TARGET = 70
"""High quality, in points of SSIMULACRA 2."""
_SEARCHED = ("target", "quality_range")
"""Keys that go with `quality = "auto"` alone."""

_EXPECTED = {
    "name": "a lower-case letter, then up to 39 of a-z, 0-9, _ and -",
    "box": "[width, height], two whole numbers of pixels from 1 up",
    "fit": '"inside", "cover" or "contain"',
    "gravity": f'one of {_GRAVITIES}, or "{ATTENTION}"',
    "focal": "[x, y], two numbers from 0 to 1",
    "enlarge": "true or false",
    "colour": '"srgb" or "p3"',
    "hdr": "true or false",
    "animated": "true or false",
    "keep": 'a list that is empty or holds "copyright"',
    "format": f'one of {_FORMATS}, or "{AUTO}"',
    "budget": "a number of million pixels from 0 up",
    "quality": 'a whole number from 1 to 100, or "auto"',
    "target": "a whole number of points from 30 to 95",
    "quality_range": "[least, most], two whole numbers from 1 to 100",
    "effort": "a whole number",
    "background": 'a colour as "#rrggbb"',
    "access": '"public", "signed" or "private"',
    "formats": f"a list of {_FORMATS}",
    "hints": "true or false",
    "max_age": "a whole number of seconds from 0 to 31536000",
    "pending": '"wait" or "default"',
    "default": "the name of a picture file beside this one",
}


class InvalidPresets(Exception):
    """The file's faults, one a line: file, line, table, key, what is expected, what was found."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _pair(value: object) -> object:
    """Take TOML's array as the pair that it should be."""
    return tuple(value) if isinstance(value, list) else value


Side = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Gravity = Literal[
    "centre", "north", "north-east", "east", "south-east", "south", "south-west", "west",
    "north-west", "attention",
]  # fmt: skip
Quality = Annotated[int, Field(ge=1, le=100)]


class Preset(BaseModel):
    """The wish for one variant. `box` in pixels; None means the source's own size."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=f"^{_NAME.pattern}$")
    box: Annotated[tuple[Side, Side] | None, BeforeValidator(_pair)] = None
    fit: Literal["inside", "cover", "contain"] = "inside"
    gravity: Gravity = "centre"
    """Which part `cover` leaves, and where in the box `contain` lays the picture."""
    focal: Annotated[tuple[Share, Share] | None, BeforeValidator(_pair)] = None
    """What `cover` keeps nearest to the middle, as shares of the displayed width and height."""
    enlarge: bool = False
    """Whether a picture smaller than the box is made larger."""
    format: Literal["webp", "jpeg", "png", "avif", "auto"]
    quality: int | Literal["auto"] | None = None
    target: int | None = Field(default=None, ge=30, le=95)
    """What `quality = "auto"` looks for, in points of SSIMULACRA 2."""
    quality_range: Annotated[tuple[Quality, Quality] | None, BeforeValidator(_pair)] = None
    """What it may answer."""
    effort: int | None = None
    budget: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """With `auto`: the most million pixels that are tried as AVIF, which costs the most CPU."""
    background: str = Field(default="#ffffff", pattern=r"^#[0-9a-fA-F]{6}$")
    colour: Literal["srgb", "p3"] = "srgb"
    """`p3` keeps the colours of a source that has more than sRGB can show."""
    keep: Annotated[tuple[Literal["copyright"], ...], BeforeValidator(_pair)] = ()
    """Metadata that stays: who made the picture and whose it is."""
    hdr: bool = False
    """Whether a JPEG keeps the gain map of an Ultra HDR source."""
    animated: bool = False
    """Whether a WebP keeps all frames of an animation; else it is the first."""

    access: Literal["public", "signed", "private"] = "signed"
    """Who gets it from delivery: anybody; whoever has a signed URL; the same, and no shared cache
    keeps it."""
    formats: Annotated[
        tuple[Literal["webp", "jpeg", "png", "avif"], ...], BeforeValidator(_pair)
    ] = ()
    """What delivery may answer with instead of `format`, to clients that accept it."""
    hints: bool = False
    """Whether delivery scales the box as the client hints for pixel ratio and width say."""
    max_age: int = Field(default=3600, ge=0, le=31_536_000)
    """Seconds for which caches may keep it without asking."""
    pending: Literal["wait", "default"] = "wait"
    """What delivery answers before the picture is there: 202 in words, or the default picture."""
    default: str | None = Field(default=None, min_length=1)
    """The picture that delivery shows where there is none: a file beside the presets' own."""

    @model_validator(mode="before")
    @classmethod
    def _with_the_formats_defaults(cls, given: Any) -> Any:
        """Write the encoder's defaults out, so that the fingerprint covers them."""
        if not isinstance(given, dict):
            return given
        searched: dict[str, object] = (
            {"target": DEFAULT_TARGET} if given.get("quality") == AUTO else {}
        )
        if given.get("format") == AUTO:
            return _AUTO_DEFAULTS | searched | given
        format = BY_NAME.get(str(given.get("format")))
        if format is None:
            return given
        scales = {"quality": format.quality, "effort": format.effort}
        if searched and format.searched_quality:
            searched["quality_range"] = format.searched_quality
        return {key: scale.default for key, scale in scales.items() if scale} | searched | given

    @model_validator(mode="after")
    def _makes_sense_together(self) -> Self:
        for key, expected in _contradictions(self.model_dump()):
            raise PydanticCustomError("preset", "{expected}", {"key": key, "expected": expected})
        return self

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        """The background as red, green and blue of 0 to 255."""
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue

    @property
    def deliverable(self) -> tuple[str, ...]:
        """The formats that delivery may answer with, the one with the fewest bytes first."""
        allowed = AUTO_FORMATS if self.format == AUTO else (self.format, *self.formats)
        return tuple(format for format in _PREFERENCE if format in allowed)

    def in_format(self, format: str) -> "Preset":
        """Wish for the same in another format, its quality moved as the formats' defaults differ.

        What only the one format can have (frames, a gain map, an effort) is left behind.
        """
        if format == self.format:
            return self
        other = BY_NAME[format]
        given = self.model_dump(exclude={"effort", "budget", "quality_range"})
        quality: object = given.pop("quality")
        if isinstance(quality, int):
            scale = BY_NAME[AUTO_SCALE if self.format == AUTO else self.format]
            quality = equivalent_quality(quality, scale, other)
        if other.quality is None or quality is None:
            del given["target"]
        else:
            given["quality"] = quality
        return Preset.model_validate(
            given
            | {
                "format": format,
                "formats": (),
                "animated": self.animated and other.name == "webp",
                "hdr": self.hdr and other.name == "jpeg",
            }
        )

    def scaled(self, factor: float) -> "Preset":
        """Wish for the same in a box so many times as large, as far as its formats can be."""
        if self.box is None or factor == 1:
            return self
        most = min(BY_NAME[format].max_side for format in self.deliverable)
        factor = min(factor, most / max(self.box))
        width, height = (max(1, round(side * factor)) for side in self.box)
        return self.model_copy(update={"box": (width, height)})

    @property
    def fingerprint(self) -> str:
        """Hash the definition, the name left out, and the engine's version: part of asset keys."""
        definition = self.model_dump(mode="json", exclude={"name", *_DELIVERED})
        definition["background"] = self.background.lower()
        for key in _LATER:
            if getattr(self, key) == Preset.model_fields[key].default:
                del definition[key]
        text = json.dumps([ENGINE_VERSION, definition], sort_keys=True, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()[:12]


def _contradictions(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find the keys that are well-formed alone but not together: (key, what is expected)."""
    yield from _contradictions_of_the_place(given)
    yield from _contradictions_of_the_format(given)
    yield from _contradictions_of_delivery(given)
    auto = given.get("format") == AUTO
    format = BY_NAME.get(AUTO_SCALE if auto else str(given.get("format")))
    if format is None or not format.writable:
        return
    box = given.get("box")
    for key, scale in (("quality", format.quality), ("effort", format.effort)):
        value = given.get(key)
        if scale is None and value is not None:
            yield key, f"no {key}, because {format.name} has none"
        elif scale and isinstance(value, int) and not scale.least <= value <= scale.most:
            yield key, f"a whole number from {scale.least} to {scale.most} for {format.name}"
    yield from _contradictions_of_a_search(given)
    sides = box if isinstance(box, list | tuple) else ()
    if any(isinstance(side, int) and side > format.max_side for side in sides):
        yield "box", f"sides up to {format.max_side}, the most that {format.name} can have"


def _contradictions_of_the_place(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    box, fit = given.get("box"), given.get("fit", "inside")
    gravity, focal = given.get("gravity", "centre"), given.get("focal")
    if fit in ("cover", "contain") and box is None:
        yield "box", f"{_EXPECTED['box']}, because fit is {_shown(fit)}"
    if given.get("enlarge") is True and box is None:
        yield "enlarge", "no enlarge, because there is no box to enlarge to"
    if focal is not None and fit != "cover":
        yield "focal", f"no focal, because fit is {_shown(fit)}"
    elif focal is not None and "gravity" in given and gravity != "centre":
        yield "gravity", "no gravity, because focal says where"
    if gravity == ATTENTION and given.get("animated") is True:
        yield "gravity", f'another than "{ATTENTION}", because it would leap from frame to frame'
    elif gravity == ATTENTION and fit != "cover":
        yield "gravity", f'another than "{ATTENTION}", because fit is {_shown(fit)}'
    elif fit == "inside" and gravity != "centre" and gravity in tuple(GRAVITIES):
        yield "gravity", f"no gravity, because fit is {_shown(fit)}"


def _contradictions_of_the_format(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    format = given.get("format")
    if format == AUTO and given.get("effort") is not None:
        yield "effort", f'no effort, because format is "{AUTO}"'
    if format in tuple(BY_NAME) and given.get("budget") is not None:
        yield "budget", f'no budget, because format is not "{AUTO}"'
    if given.get("hdr") is True and (why := _why_no_hdr(given)):
        yield "hdr", f"no hdr, because {why}"
    if given.get("animated") is True and format != "webp":
        yield "animated", "no animated, because only WebP is written animated"


def _contradictions_of_delivery(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    formats, box = given.get("formats", ()), given.get("box")
    if formats and given.get("format") == AUTO:
        yield "formats", f'no formats, because format is "{AUTO}"'
    elif isinstance(formats, list | tuple) and isinstance(box, list | tuple):
        sides = [side for side in box if isinstance(side, int)]
        known = [BY_NAME[format] for format in formats if format in tuple(BY_NAME)]
        for format in known:
            if any(side > format.max_side for side in sides):
                yield "formats", f"no {format.name}: it has sides up to {format.max_side}"
    if given.get("hints") is True and box is None:
        yield "hints", "no hints, because there is no box to scale"
    if given.get("pending") == "default" and given.get("default") is None:
        yield "pending", '"wait", because there is no default picture'


def _why_no_hdr(given: Mapping[str, Any]) -> str | None:
    """Say what keeps a variant from having a gain map."""
    if given.get("format") != "jpeg":
        return "only JPEG carries a gain map"
    if given.get("fit") == "contain":
        return "a gain map cannot be padded"
    return f'gravity is "{ATTENTION}"' if given.get("gravity") == ATTENTION else None


def _contradictions_of_a_search(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if given.get("quality") != AUTO:
        for key in _SEARCHED:
            if given.get(key) is not None:
                yield key, f'no {key}, because quality is not "auto"'
        return
    match given.get("quality_range"):
        case [int(least), int(most)] if least > most:
            yield "quality_range", f"{_EXPECTED['quality_range']}, the least first"


def load_presets(path: Path) -> tuple[Preset, ...]:
    """Read the presets of a file, or raise `InvalidPresets` with every fault in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidPresets([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise InvalidPresets([f"{path}: expected UTF-8 text"]) from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidPresets([_syntax_fault(path, text, str(error))]) from error
    if not tables:
        raise InvalidPresets([f"{path}:1: expected at least one preset, [name]; found none"])
    return _read(path, text, tables)


def _read(path: Path, text: str, tables: Mapping[str, Any]) -> tuple[Preset, ...]:
    lines = _lines(text)
    presets: list[Preset] = []
    faults: list[tuple[int, str]] = []
    for name, table in tables.items():
        found = tuple(_faults(name, table))
        for key, message in found:
            line = lines.get((name, key)) or lines.get((name, None)) or lines.get((None, name), 1)
            faults.append((line, f"{path}:{line}: [{name}]{f' {key}' if key else ''}: {message}"))
        if not found:
            presets.append(Preset(name=name, **table))
    if faults:
        raise InvalidPresets([fault for _, fault in sorted(faults)])
    return tuple(presets)


def _faults(name: str, table: Any) -> Iterator[tuple[str | None, str]]:
    """Find what is wrong with one table, in the file's words: (key, message), once a key."""
    if not isinstance(table, dict):
        yield None, f"expected a table, [{name}]; found {_shown(table)}"
        return
    if "name" in table:
        yield "name", _unknown("name")
    faults: dict[str, str] = {}
    try:
        Preset.model_validate({**table, "name": name})
    except ValidationError as error:
        for fault in error.errors():
            key = str(fault["loc"][0]) if fault["loc"] else str(fault["ctx"]["key"])
            faults.setdefault(key, fault["type"])
    together = dict(_contradictions(table))
    for key in dict.fromkeys([*faults, *together]):
        if faults.get(key) == "extra_forbidden":
            yield key, _unknown(key)
        elif key == "name":
            yield None, f"expected a name that is {_EXPECTED['name']}; found {_shown(name)}"
        else:
            expected = together.get(key) or _EXPECTED[key]
            yield key, f"expected {expected}; found {_shown(table.get(key, _MISSING))}"


def _unknown(key: str) -> str:
    known = [name for name in Preset.model_fields if name != "name"]
    near = difflib.get_close_matches(key, known, n=1)
    guess = f"; did you mean {near[0]}?" if near else ""
    return f"expected one of the keys {', '.join(known)}; found {_shown(key)}{guess}"


def _shown(value: object) -> str:
    return "nothing" if value is _MISSING else json.dumps(value, default=str)[:80]


def _syntax_fault(path: Path, text: str, message: str) -> str:
    place = _TOML_PLACE.search(message)
    line = int(place[1]) if place else len(text.splitlines())
    return f"{path}:{line}: not TOML: {_TOML_PLACE.sub('', message)}"


def _lines(text: str) -> Mapping[tuple[str | None, str | None], int]:
    """Find the line of every (table, key) and of every table's header, (table, None).

    tomllib tells no places. This reads line by line, so a key inside a string of several lines
    may be taken for one; only a message's line number hangs on it.
    """
    places: dict[tuple[str | None, str | None], int] = {}
    table: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("["):
            table = _header(line) or table
            places.setdefault((table, None), number)
        elif key := _KEY.match(line):
            places.setdefault((table, key["key"]), number)
    return places


def _header(line: str) -> str | None:
    """Read a header's first name; None if the line only looks like one (an array's next line)."""
    try:
        return next(iter(tomllib.loads(line)), None)
    except tomllib.TOMLDecodeError:
        return None
