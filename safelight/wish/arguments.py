"""Types of option arguments: how each is read, bounded and written. Pure.

A written argument reads back as the same value, and equal values are written alike.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from safelight.keys import is_object_name

Value = float | str
"""A number; or a word, colour, place or key."""

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
"""The colour names of CSS 2.1 (section 4.3.6), and `grey`."""


class Argument(Protocol):
    """One argument of an option.

    `read` and `check` raise a `ValueError` whose message says what was expected.
    """

    @property
    def name(self) -> str:
        """The name used in errors and documents."""

    @property
    def default(self) -> Value | None:
        """The value if the argument is left out; None if it is required."""

    @property
    def expected(self) -> str:
        """The permitted values, in words."""

    def read(self, text: str) -> Value:
        """Read the argument from a decoded URL."""

    def check(self, value: Value) -> Value:
        """Normalise a value, or raise."""

    def write(self, value: Value) -> str:
        """Write a checked value with characters that need no escaping in a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number with bounds, precise to four decimal places."""

    name: str
    least: float
    most: float
    default: Value | None = None
    whole: bool = False

    @property
    def expected(self) -> str:
        """The permitted values, in words."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {number_text(self.least)} to {number_text(self.most)}"

    def read(self, text: str) -> Value:
        """Read a decimal number with an optional sign and point."""
        return self.check(read_number(text, self.expected))

    def check(self, value: Value) -> Value:
        """Check the bounds and round to four places."""
        if isinstance(value, str) or not self.least <= value <= self.most:
            raise ValueError(self.expected)
        if self.whole and value != int(value):
            raise ValueError(self.expected)
        return int(value) if self.whole else round(float(value), 4) + 0.0

    def write(self, value: Value) -> str:
        """Write the number with as few digits as possible."""
        return number_text(float(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """A colour: six or three hexadecimal digits, a CSS 2.1 name, or `transparent`."""

    name: str = "colour"
    default: Value | None = None
    may_be_transparent: bool = False

    @property
    def expected(self) -> str:
        """The permitted values, in words."""
        also = f' or "{TRANSPARENT}"' if self.may_be_transparent else ""
        return f"a colour as rrggbb, rgb, one of {', '.join(COLOURS)}{also}"

    def read(self, text: str) -> Value:
        """Read digits or a name in any case."""
        return self.check(text)

    def check(self, value: Value) -> Value:
        """Convert it to six digits, or `transparent`."""
        word = str(value).lower().removeprefix("#")
        if word == TRANSPARENT and self.may_be_transparent:
            return word
        digits = COLOURS.get(word, word)
        if not _HEX.fullmatch(digits):
            raise ValueError(self.expected)
        return digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)

    def write(self, value: Value) -> str:
        """Write it unchanged."""
        return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One word from a list."""

    name: str
    choices: tuple[str, ...]
    default: Value | None = None

    @property
    def expected(self) -> str:
        """The permitted values, in words."""
        return f"one of {', '.join(self.choices)}"

    def read(self, text: str) -> Value:
        """Read the word."""
        return self.check(text)

    def check(self, value: Value) -> Value:
        """Accept it if it is one of the choices."""
        if value not in self.choices:
            raise ValueError(self.expected)
        return value

    def write(self, value: Value) -> str:
        """Write it unchanged."""
        return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A position along one side: pixels, per cent such as `10p`, `centre` or `repeat`.

    Negative positions count from the far end, so that `-0` is flush with it.
    """

    name: str
    default: Value | None = "0"

    @property
    def expected(self) -> str:
        """The permitted values, in words."""
        return "pixels such as 10 or -10, per cent such as 5p, centre or repeat"

    def read(self, text: str) -> Value:
        """Read the position."""
        return self.check(text)

    def check(self, value: Value) -> Value:
        """Accept it if it is well-formed."""
        if not _PLACE.fullmatch(str(value)):
            raise ValueError(self.expected)
        return str(value)

    def write(self, value: Value) -> str:
        """Write it unchanged."""
        return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """`bucket/key` of another picture, in base64 because it may hold any character."""

    name: str = "key"
    default: Value | None = None

    @property
    def expected(self) -> str:
        """The permitted values, in words."""
        return f"bucket/key, up to {_MAX_KEY} characters, as URL-safe base64"

    def read(self, text: str) -> Value:
        """Decode it from base64."""
        try:
            return self.check(read_base64(text).decode())
        except UnicodeDecodeError as error:
            raise ValueError(self.expected) from error

    def check(self, value: Value) -> Value:
        """Accept it if it has a bucket, and a key that a URL may name."""
        key = str(value)
        bucket, _, name = key.partition("/")
        if not (is_object_name(bucket) and is_object_name(name)) or len(key) > _MAX_KEY:
            raise ValueError(self.expected)
        return key

    def write(self, value: Value) -> str:
        """Encode it in base64."""
        return base64.urlsafe_b64encode(str(value).encode()).decode().rstrip("=")


def read_number(text: str, expected: str = "a number") -> float:
    """Read a plain decimal number. Raises a `ValueError` that says what was expected."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(expected)
    return float(text)


def number_text(value: float) -> str:
    """Write a number with up to four decimal places and no trailing zeros."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def read_base64(text: str) -> bytes:
    """Decode base64 in either alphabet, padded or not. Raises a `ValueError`."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        padded = plain.encode("ascii") + b"=" * (-len(plain) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("URL-safe base64") from error
