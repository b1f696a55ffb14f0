"""Splits the paths of thumbor and imagor into the parts before the image, and the image.

A part that is in the wrong place would otherwise become a folder of the image's name.
"""

import re
from typing import Literal
from urllib.parse import unquote

from safelight.wish.errors import InvalidOption

System = Literal["thumbor", "imagor"]
"""The system for which URLs of this grammar were written."""
ESCAPED_SLASH = "\0"
"""A slash that was escaped: it belongs to a name and separates nothing."""

_SIZE = r"(?P<flop>-)?(?P<width>{side})x(?P<flip>-)?(?P<height>{side})/"
_GRAMMAR = r"""
    (?:(?P<debug>debug|meta|params)/)?
    (?:(?P<trim>trim)(?::(?P<corner>top-left|bottom-right))?(?::(?P<tolerance>\d+))?/)?
    (?:(?P<crop>\d*\.?\d+x\d*\.?\d+:\d*\.?\d+x\d*\.?\d+)/)?
    (?:(?P<fit>(?:adaptive-)?(?:full-)?fit-in)/)?
    {stretch}
    (?:{size})?
    {padding}
    (?:(?P<across>left|center|right)/)?
    (?:(?P<down>top|middle|bottom)/)?
    (?:(?P<smart>smart)/)?
    (?:filters:(?P<filters>.*?\))/)?
    (?P<image>.+)
    """
_FLAGS = re.VERBOSE | re.DOTALL
_PARTS = {
    "thumbor": re.compile(
        _GRAMMAR.format(
            stretch="(?P<stretch>(?!))?",
            size=_SIZE.format(side=r"orig|\d*"),
            padding="(?P<padding>(?!))?",
        ),
        _FLAGS,
    ),
    "imagor": re.compile(
        _GRAMMAR.format(
            stretch="(?:(?P<stretch>stretch)/)?",
            size=_SIZE.format(side=r"\d*"),
            padding=r"(?:(?P<padding>\d+x\d+(?::\d+x\d+)?)/)?",
        ),
        _FLAGS,
    ),
}
_WORD = re.compile(
    r"""
    unsafe | debug | meta | params | trim (?: :.* )? | (?:adaptive-)? (?:full-)? fit-in | stretch
    | left | center | right | top | middle | bottom | smart | filters:.*
    | -? (?:orig | \d*) x -? (?:orig | \d*)
    | [\d.]+ x [\d.]+ : [\d.]+ x [\d.]+
    """,
    _FLAGS,
)
"""A part of either system's grammar, as the first folder of an image's name."""
_ONLY_IMAGORS = re.compile(r"stretch|\d+x\d+(?::\d+x\d+)?")
_ORDER = "trim, crop, fit-in, size, align, smart, filters, image"
_IMAGORS = "stretch, padding, b64: and color: are imagor's; SAFELIGHT_THUMBOR_SYSTEM=imagor"


def decoded(path: str) -> str:
    """Decode the escapes of a path, and those of slashes to `ESCAPED_SLASH`."""
    if "%00" in path:
        raise InvalidOption("path", "must have no control characters; found %00")
    return unquote(re.sub("%2f", ESCAPED_SLASH, path, flags=re.IGNORECASE))


def with_slashes(text: str) -> str:
    """Return a part of a decoded path with its escaped slashes as slashes."""
    return text.replace(ESCAPED_SLASH, "/")


def parts_of(path: str, *, system: System) -> re.Match[str] | None:
    """Split a decoded path, or return None if it names no image.

    Raises an `InvalidOption` for an image whose name begins with a part of the grammar.
    """
    parts = _PARTS[system].fullmatch(path)
    if parts is not None:
        _refuse_words(parts["image"], system=system)
    return parts


def filters_in(text: str) -> list[str]:
    """Split `a(1):b(2)` into filters; a parenthesis and a colon end each."""
    return [f"{each})" for each in text.removesuffix(")").split("):")] if text else []


def call_of(text: str) -> tuple[str, list[str]]:
    """Read a filter as its name and its arguments. Raises an `InvalidOption`."""
    name, parenthesis, rest = text.partition("(")
    if not parenthesis:
        raise InvalidOption(name.rstrip(")")[:40] or "filters", "expected name(arguments)")
    arguments = [part.strip() for part in rest.removesuffix(")").split(",")]
    return name, [] if arguments == [""] else arguments


def word_in(name: str) -> str | None:
    """Return the first folder of a name if it is a part of the grammar; None if it is none.

    The name is decoded, but its escaped slashes end no folder.
    """
    first, slash, _ = name.lstrip("/").partition("/")
    ends = slash or first.startswith("filters:")
    return first if ends and ESCAPED_SLASH not in first and _WORD.fullmatch(first) else None


def _refuse_words(image: str, *, system: System) -> None:
    imagors = image.partition(":")[0] + ":"
    if system == "thumbor" and imagors in ("b64:", "color:"):
        raise InvalidOption(imagors, f"is not a part of thumbor's URLs; {_IMAGORS} reads them")
    if system == "imagor" and imagors == "color:":
        raise InvalidOption(imagors, "is not supported: every picture has a source")
    word = word_in(image)
    if word is None:
        return
    message = f"is not in its place; the order is {_ORDER}"
    if system == "thumbor" and _ONLY_IMAGORS.fullmatch(word):
        message = f"{message}; {_IMAGORS} reads them"
    raise InvalidOption(word[:40], f"{message}. In a name, escape its slash: {word[:40]}%2F")
