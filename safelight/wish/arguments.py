"""Kinds of arguments that options take: how each is read, bounded and written. Pure.

What is written is read back the same, and two ways to say one thing are written alike.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

Value = float | str
"""A number, or a word, colour, place or key."""

TRANSPARENT = "transparent"
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?|-?\.\d{1,9}")
_HEX = re.compile(r"[0-9a-f]{3}|[0-9a-f]{6}")
_PLACE = re.compile(r"-?\d{1,4}p?|centre|repeat")
_MAX_KEY = 256
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "aqua": "00ffff", "black": "000000", "blue": "0000ff", "fuchsia": "ff00ff",
        "gray": "808080", "green": "008000", "grey": "808080", "lime": "00ff00",
        "maroon": "800000", "navy": "000080", "olive": "808000", "orange": "ffa500",
        "purple": "800080", "red": "ff0000", "silver": "c0c0c0", "teal": "008080",
        "white": "ffffff", "yellow": "ffff00",
    }
)  # fmt: skip
"""The names of CSS 2.1, 4.3.6, and grey as people spell it."""


class Argument(Protocol):
    """One argument of an option.

    `read` and `check` raise a `ValueError` that tells what is expected.
    """

    @property
    def name(self) -> str:
        """What it is called in errors and documents."""

    @property
    def default(self) -> Value | None:
        """What it is if nothing is said; None if something must be."""

    @property
    def expected(self) -> str:
        """What it may be, in words."""

    def read(self, text: str) -> Value:
        """Read it from a URL that is decoded."""

    def check(self, value: Value) -> Value:
        """Bring a value to its one form, or raise."""

    def write(self, value: Value) -> str:
        """Write a checked value so that it needs no escaping in a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number with bounds; four places behind the point count."""

    name: str
    least: float
    most: float
    default: Value | None = None
    whole: bool = False

    @property
    def expected(self) -> str:
        """What it may be, in words."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {number_text(self.least)} to {number_text(self.most)}"

    def read(self, text: str) -> Value:
        """Read digits, with a sign and a point if there are any."""
        return self.check(read_number(text, self.expected))

    def check(self, value: Value) -> Value:
        """Round to what counts, and hold the bounds."""
        if isinstance(value, str) or not self.least <= value <= self.most:
            raise ValueError(self.expected)
        if self.whole and value != int(value):
            raise ValueError(self.expected)
        return int(value) if self.whole else round(float(value), 4) + 0.0

    def write(self, value: Value) -> str:
        """Write the fewest digits that say it."""
        return number_text(float(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """Six hexadecimal digits, three that are doubled, a name of CSS 2.1, or `transparent`."""

    name: str = "colour"
    default: Value | None = None
    may_be_transparent: bool = False

    @property
    def expected(self) -> str:
        """What it may be, in words."""
        also = f' or "{TRANSPARENT}"' if self.may_be_transparent else ""
        return f"a colour as rrggbb, rgb, one of {', '.join(COLOURS)}{also}"

    def read(self, text: str) -> Value:
        """Read digits or a name, in whatever case."""
        return self.check(text)

    def check(self, value: Value) -> Value:
        """Spell it as six digits, or as `transparent`."""
        word = str(value).lower().removeprefix("#")
        if word == TRANSPARENT and self.may_be_transparent:
            return word
        digits = COLOURS.get(word, word)
        if not _HEX.fullmatch(digits):
            raise ValueError(self.expected)
        return digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)

    def write(self, value: Value) -> str:
        """Write it as it is."""
        return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of some words."""

    name: str
    choices: tuple[str, ...]
    default: Value | None = None

    @property
    def expected(self) -> str:
        """What it may be, in words."""
        return f"one of {', '.join(self.choices)}"

    def read(self, text: str) -> Value:
        """Read the word."""
        return self.check(text)

    def check(self, value: Value) -> Value:
        """Take it if it is one of them."""
        if value not in self.choices:
            raise ValueError(self.expected)
        return value

    def write(self, value: Value) -> str:
        """Write it as it is."""
        return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where along one side: pixels, per cent as `10p`, `centre` or `repeat`.

    Negative ones count from the far end, so that `-0` is flush with it.
    """

    name: str
    default: Value | None = "0"

    @property
    def expected(self) -> str:
        """What it may be, in words."""
        return "pixels such as 10 or -10, per cent such as 5p, centre or repeat"

    def read(self, text: str) -> Value:
        """Read the place."""
        return self.check(text)

    def check(self, value: Value) -> Value:
        """Take it if it has the form of one."""
        if not _PLACE.fullmatch(str(value)):
            raise ValueError(self.expected)
        return str(value)

    def write(self, value: Value) -> str:
        """Write it as it is."""
        return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """`bucket/key` of another picture; base64 in a path, where it may hold anything."""

    name: str = "key"
    default: Value | None = None

    @property
    def expected(self) -> str:
        """What it may be, in words."""
        return f"bucket/key, up to {_MAX_KEY} characters, as URL-safe base64"

    def read(self, text: str) -> Value:
        """Decode it."""
        try:
            return self.check(read_base64(text).decode())
        except UnicodeDecodeError as error:
            raise ValueError(self.expected) from error

    def check(self, value: Value) -> Value:
        """Take it if it has a bucket and a key and nothing that cannot be printed."""
        key = str(value)
        bucket, _, rest = key.partition("/")
        if not bucket or not rest or len(key) > _MAX_KEY or not key.isprintable():
            raise ValueError(self.expected)
        return key

    def write(self, value: Value) -> str:
        """Encode it."""
        return base64.urlsafe_b64encode(str(value).encode()).decode().rstrip("=")


def read_number(text: str, expected: str = "a number") -> float:
    """Read a plain decimal number, or raise a `ValueError` with what is expected."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(expected)
    return float(text)


def number_text(value: float) -> str:
    """Write a number with up to four places, no zero too many."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def read_base64(text: str) -> bytes:
    """Decode base64 of either alphabet, padded or not, or raise a `ValueError`."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        padded = plain.encode("ascii") + b"=" * (-len(plain) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("URL-safe base64") from error
