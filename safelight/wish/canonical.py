"""Safelight's own grammar of options, and the canonical string of a wish.

    box=300x200,fit=cover,gravity=attention,blur=2.5,format=webp,quality=80

Commas separate words, and colons separate the arguments of a word. No character needs escaping in
a path. Words come in any order, except operations: they are applied in the order given. The
canonical string has a fixed order of words and omits defaults, so equal wishes have equal strings
and asset keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from safelight.formats import WRITABLE_NAMES
from safelight.wish.arguments import Colour, number_text, read_number
from safelight.wish.errors import InvalidOption
from safelight.wish.fingerprints import fingerprint_of
from safelight.wish.operations import KINDS, read_operation, write_operation
from safelight.wish.options import Crop, Options, Trim, lossless

NAME = "options"
"""The name in asset keys, in the place where presets have theirs."""
NOTHING = "_"
"""The string of the empty wish: the picture unchanged."""
MAX_LENGTH = 1500
"""The longest string of options, in characters."""
_FINGERPRINT_DIGITS = 24
"""Twice as many as for presets, because signers can ask for far more different wishes."""

Fields = Mapping[str, Any]
Texts = list[str]


def canonical(options: Options) -> str:
    """Return the canonical string of a wish."""
    wish = options.normal()
    words = [
        *(f"{name}={text}" for name, text in _before(wish) if text),
        *map(write_operation, wish.operations),
        *(f"{name}={text}" for name, text in _after(wish) if text),
    ]
    return ",".join(words) or NOTHING


def fingerprint(options: Options) -> str:
    """Hash a wish and the engine's version, for asset keys."""
    return fingerprint_of(canonical(options), digits=_FINGERPRINT_DIGITS)


def read_options(text: str) -> Options:
    """Read a string of options. Raises an `InvalidOption` that names the faulty word."""
    if len(text) > MAX_LENGTH:
        raise InvalidOption("options", f"must be at most {MAX_LENGTH} characters")
    fields: dict[str, Any] = {}
    operations = []
    ratio = 1.0
    for word in text.split(",") if text != NOTHING else ():
        name, separator, value = word.partition("=")
        texts = value.split(":") if separator else []
        if name in KINDS:
            operations.append(read_operation(name, texts))
        elif name == "dpr":
            ratio = _number("dpr", texts)
        elif reader := WORDS.get(name):
            for field, found in _read(name, reader, texts).items():
                if field in fields:
                    raise InvalidOption(name, "says again what another word has said")
                fields[field] = found
        else:
            known = ", ".join([*WORDS, "dpr", *KINDS])
            message = f"is none of {known}; found {word[:40]!r}"
            raise InvalidOption(name[:40] or "options", message)
    options = Options(operations=tuple(operations), **fields)
    return options.scaled(ratio).normal()


def _read(name: str, reader: Callable[[str, Texts], Fields], texts: Texts) -> Fields:
    try:
        return reader(name, texts)
    except (ValueError, IndexError) as error:
        found = ":".join(texts)[:80]
        raise InvalidOption(name, f"expected {FORMS[name]}; found {found!r}") from error


def _before(wish: Options) -> list[tuple[str, str]]:
    return [
        ("trim", _trim_text(wish.trim) if wish.trim else ""),
        ("turn", str(wish.turn or "")),
        ("crop", _crop_text(wish.crop) if wish.crop else ""),
        ("box", f"{wish.width or ''}x{wish.height or ''}" if wish.box else ""),
        ("fit", wish.fit if wish.fit != "inside" else ""),
        ("swap", _yes(wish.swap)),
        ("gravity", wish.gravity if wish.gravity != "centre" else ""),
        ("focal", _point_text(wish.focal) if wish.focal else ""),
        ("enlarge", _yes(wish.enlarge)),
        ("density", number_text(wish.density) if wish.density != 1 else ""),
        ("flip", wish.flip),
    ]


def _after(wish: Options) -> list[tuple[str, str]]:
    quality = None if lossless(wish.format) else wish.quality
    return [
        ("background", wish.background if wish.background != "ffffff" else ""),
        ("format", wish.format or ""),
        ("quality", str(quality or "")),
        ("max-bytes", str(wish.max_bytes or "")),
        ("keep", "copyright" if wish.keep_copyright else ""),
    ]


def _yes(said: bool) -> str:
    return "yes" if said else ""


def _point_text(point: tuple[float, float]) -> str:
    return ":".join(map(number_text, point))


def _trim_text(trim: Trim) -> str:
    return f"{trim.tolerance}:{trim.colour or trim.corner}"


def _crop_text(crop: Crop) -> str:
    size = f"{number_text(crop.width)}x{number_text(crop.height)}"
    if crop.focal:
        return f"{size}:focal:{_point_text(crop.focal)}"
    if any(crop.offset):
        return f"{size}:{crop.gravity}:{_point_text(crop.offset)}"
    return size if crop.gravity == "centre" else f"{size}:{crop.gravity}"


def _number(name: str, texts: Texts) -> float:
    try:
        (text,) = texts
        return round(read_number(text), 4)
    except ValueError as error:
        raise InvalidOption(name, f"must be a number; found {':'.join(texts)[:40]!r}") from error


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ValueError("a whole number")
    return int(text)


def _point(texts: Texts) -> tuple[float, float]:
    across, down = (round(read_number(text), 4) for text in texts)
    return across, down


def _read_box(_: str, texts: Texts) -> Fields:
    (text,) = texts
    width, separator, height = text.partition("x")
    if not separator or not (width or height):
        raise ValueError(text)
    return {"width": _whole(width) if width else None, "height": _whole(height) if height else None}


def _read_whole(name: str, texts: Texts) -> Fields:
    (text,) = texts
    return {name.replace("-", "_"): _whole(text)}


def _read_word(name: str, texts: Texts) -> Fields:
    (text,) = texts
    return {name: text}


def _read_yes(name: str, texts: Texts) -> Fields:
    (text,) = texts
    if text not in ("yes", "no"):
        raise ValueError(text)
    return {name: text == "yes"}


def _read_focal(_: str, texts: Texts) -> Fields:
    return {"focal": _point(texts)}


def _read_density(name: str, texts: Texts) -> Fields:
    return {name: _number(name, texts)}


def _read_trim(_: str, texts: Texts) -> Fields:
    tolerance, *place = texts
    (like,) = place or ["top-left"]
    corner = like in ("top-left", "bottom-right")
    colour = None if corner else str(Colour().check(like))
    return {
        "trim": Trim(
            tolerance=_whole(tolerance), corner=like if corner else "top-left", colour=colour
        )
    }


def _read_crop(_: str, texts: Texts) -> Fields:
    size, *place = texts
    width, _x, height = size.partition("x")
    crop = Crop(width=round(read_number(width), 4), height=round(read_number(height), 4))
    if not place:
        return {"crop": crop}
    gravity, *numbers = place
    if gravity == "focal":
        return {"crop": replace(crop, focal=_point(numbers))}
    offset = _point(numbers) if numbers else (0.0, 0.0)
    return {"crop": replace(crop, gravity=gravity, offset=offset)}


def _read_background(_: str, texts: Texts) -> Fields:
    (text,) = texts
    return {"background": Colour().check(text)}


def _read_keep(_: str, texts: Texts) -> Fields:
    if texts != ["copyright"]:
        raise ValueError(texts)
    return {"keep_copyright": True}


WORDS: Mapping[str, Callable[[str, Texts], Fields]] = MappingProxyType(
    {
        "trim": _read_trim,
        "turn": _read_whole,
        "crop": _read_crop,
        "box": _read_box,
        "width": _read_whole,
        "height": _read_whole,
        "fit": _read_word,
        "swap": _read_yes,
        "gravity": _read_word,
        "focal": _read_focal,
        "enlarge": _read_yes,
        "density": _read_density,
        "flip": _read_word,
        "background": _read_background,
        "format": _read_word,
        "quality": _read_whole,
        "max-bytes": _read_whole,
        "keep": _read_keep,
    }
)
"""Words that may appear once: word -> reader of its arguments into fields of `Options`."""
FORMS: Mapping[str, str] = MappingProxyType(
    {
        "trim": "TOLERANCE or TOLERANCE:CORNER or TOLERANCE:rrggbb; corners are top-left and "
        "bottom-right",
        "turn": "90, 180 or 270",
        "crop": "WIDTHxHEIGHT, then :GRAVITY, :GRAVITY:X:Y or :focal:X:Y if it is not centred",
        "box": "WIDTHxHEIGHT; one of them may be left out",
        "width": "a whole number of pixels",
        "height": "a whole number of pixels",
        "fit": "inside, cover, crop, contain, fill, outside or auto",
        "swap": "yes or no",
        "gravity": "a gravity of presets",
        "focal": "X:Y, shares from 0 to 1, or pixels of the source above that",
        "enlarge": "yes or no",
        "density": "a number from 1 to 8; like `dpr`, but only as far as the picture has pixels "
        "for it",
        "flip": "h, v or hv",
        "background": "rrggbb",
        "format": f"one of {', '.join(WRITABLE_NAMES)}",
        "quality": "a whole number from 1 to 100",
        "max-bytes": "a whole number of bytes",
        "keep": "copyright",
    }
)
