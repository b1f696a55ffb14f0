"""What a free-form URL turned out to ask for."""

from dataclasses import dataclass
from datetime import UTC, datetime

from safelight.formats import WRITABLE_WORDS
from safelight.wish.arguments import read_number
from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The picture that is asked for: by bucket and key, or by a key alone.

    A key alone is an image id, or a path in the bucket that answers for the dialect.
    """

    key: str
    bucket: str | None = None

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}" if self.bucket else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A URL that was read: its signature holds, its time is not over."""

    dialect: str
    source: Source
    options: Options
    """Its `format` is None where the client's Accept decides."""
    preset: str | None = None
    """The preset that is asked for instead of options."""
    expires: datetime | None = None
    key_id: str | None = None
    """Which key signed it."""
    user_id: str | None = None
    """Whose images alone that key opens; None for everybody's."""
    max_age_seconds: int | None = None
    download: str | None = None
    """The file name to save under; empty: saved, under no particular name."""


def source_of(text: str, *, option: str = "source") -> Source:
    """Read a source: a key, or `s3://bucket/key`. Nothing is ever fetched from anywhere else."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() != "s3":
        raise InvalidOption(
            option, f"{scheme[:20]}:// is not fetched; expected a key, or s3://bucket/key"
        )
    bucket, slash, key = rest.partition("/") if separator else ("", "", text.lstrip("/"))
    if not key or (separator and not (bucket and slash)):
        raise InvalidOption(option, f"expected a key, or s3://bucket/key; found {text[:80]!r}")
    if not key.isprintable() or any(part in (".", "..") for part in key.split("/")):
        raise InvalidOption(option, "must be printable and have no . or .. between slashes")
    return Source(bucket=bucket or None, key=key)


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
