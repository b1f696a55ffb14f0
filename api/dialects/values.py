"""Read one value of an option. An `InvalidOption` names the option and shows what was found."""

from datetime import UTC, datetime

from safelight.formats import WRITABLE_WORDS
from safelight.wish.arguments import read_number
from safelight.wish.errors import InvalidOption


def moment(option: str, text: str, *, per_second: int = 1) -> datetime:
    """Read a time since 1970, in seconds or parts of them."""
    try:
        return datetime.fromtimestamp(int(read_digits(text)) / per_second, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidOption(option, f"expected a time since 1970; found {text[:40]!r}") from error


def read_digits(text: str) -> int:
    """Read a whole number from 0 up, of up to 15 digits, or raise a `ValueError`."""
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ValueError("a whole number")
    return int(text)


def whole(option: str, text: str) -> int:
    """Read an option that is a whole number from 0 up."""
    try:
        return read_digits(text)
    except ValueError as error:
        message = f"expected a whole number; found {text[:40]!r}"
        raise InvalidOption(option, message) from error


def format_called(option: str, text: str) -> str:
    """Read an option that is the name of a format that can be written, or its extension."""
    if text not in WRITABLE_WORDS:
        known = ", ".join(WRITABLE_WORDS)
        raise InvalidOption(option, f"must be one of {known}; found {text[:40]!r}")
    return WRITABLE_WORDS[text]


def number(option: str, text: str) -> float:
    """Read an option that is a number."""
    try:
        return read_number(text)
    except ValueError as error:
        raise InvalidOption(option, f"expected a number; found {text[:40]!r}") from error
