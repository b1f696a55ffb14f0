"""Read a query, and single values. An `InvalidOption` names the option and shows the value."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from safelight.formats import WRITABLE_WORDS
from safelight.wish.arguments import Colour, read_number
from safelight.wish.errors import InvalidOption

FORMAT_WORDS = "|".join(WRITABLE_WORDS)
"""The form of an option that names a format."""


_MOST_PAIRS = 40


def plain_text(_: str, given: str) -> str:
    """Take a text as it is."""
    return given


def number(option: str, text: str) -> float:
    """Read a number."""
    try:
        return read_number(text)
    except ValueError as error:
        raise InvalidOption(option, f"expected a number; found {text[:40]!r}") from error


def whole(option: str, text: str) -> int:
    """Read a whole number from 0 up, of at most 15 digits."""
    try:
        return _digits(text)
    except ValueError as error:
        message = f"expected a whole number; found {text[:40]!r}"
        raise InvalidOption(option, message) from error


def whole_or_none(option: str, text: str) -> int | None:
    """Read a whole number; 0 means the default."""
    return whole(option, text) or None


def moment(option: str, text: str, *, per_second: int = 1) -> datetime:
    """Read a time since 1970, in seconds or in parts of a second."""
    try:
        return datetime.fromtimestamp(_digits(text) / per_second, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidOption(option, f"expected a time since 1970; found {text[:40]!r}") from error


def format_called(option: str, text: str) -> str:
    """Read the name or the extension of a format that can be written."""
    if text not in WRITABLE_WORDS:
        known = ", ".join(WRITABLE_WORDS)
        raise InvalidOption(option, f"must be one of {known}; found {text[:40]!r}")
    return WRITABLE_WORDS[text]


def colour(_: str, text: str) -> str:
    """Read an opaque colour as rrggbb. Raises a `ValueError`."""
    return str(Colour().check(text))


def one_of(*choices: str) -> Callable[[str, str], str]:
    """Make a reader that accepts only these words."""

    def read(option: str, text: str) -> str:
        if text not in choices:
            raise InvalidOption(option, f"must be one of {', '.join(choices)}; found {text[:40]!r}")
        return text

    return read


def query_words(query: str) -> dict[str, str]:
    """Read the name=value pairs of a query. Raises an `InvalidOption`."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=_MOST_PAIRS
        )
    except ValueError as error:
        wrong = next((pair for pair in query.split("&") if "=" not in pair), query)
        message = f"expected name=value pairs, at most {_MOST_PAIRS}; found {wrong[:80]!r}"
        raise InvalidOption("query", message) from error
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidOption("query", f"repeats a name; found {twice[:40]!r}")
    return dict(pairs)


def precise_text(value: float) -> str:
    """Write a number with up to nine decimal places, which is as many as are read."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def seconds_of(expires: datetime) -> str:
    """Write a time in whole seconds since 1970."""
    return str(int(expires.timestamp()))


def _digits(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ValueError("a whole number")
    return int(text)
