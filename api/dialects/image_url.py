"""What a free-form URL asks for, once a dialect has read it."""

from dataclasses import dataclass
from datetime import datetime

from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceName:
    """The picture that is asked for: by bucket and key, or by a key alone.

    A key alone is an image id, or a path in the bucket that answers for the dialect.
    """

    key: str
    bucket: str | None = None

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}" if self.bucket else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUrl:
    """A URL that was read: its signature holds, its time is not over."""

    dialect: str
    source: SourceName
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


def source_of(text: str, *, option: str = "source") -> SourceName:
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
    return SourceName(bucket=bucket or None, key=key)
