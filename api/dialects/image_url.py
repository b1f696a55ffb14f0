"""What a free-form URL asks for, once a dialect has read it."""

from dataclasses import dataclass
from datetime import datetime

from safelight.keys import is_object_name, read_image_id
from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceName:
    """The picture that a URL asks for: bucket and key, or a key alone.

    A key alone is an image id, or an alias and a path in its bucket.
    """

    key: str
    bucket: str | None = None

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}" if self.bucket else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUrl:
    """A URL that was read: its signature is valid and it has not expired."""

    dialect: str
    source: SourceName
    options: Options
    """The wish. Its `format` is None where the client's Accept header decides."""
    preset: str | None = None
    """The preset to use instead of options."""
    expires: datetime | None = None
    key_id: str | None = None
    """Id of the key that signed the URL."""
    user_id: str | None = None
    """The user whose images the key opens; None if it opens all images."""
    max_age_seconds: int | None = None
    download: bool = False
    """Whether browsers save the picture instead of showing it."""
    file_name: str | None = None
    """The name to save it under, perhaps without an extension."""
    differs: tuple[tuple[str, str], ...] = ()
    """Options with which the picture differs from the other system's, each with how."""


def source_of(text: str, *, option: str = "source") -> SourceName:
    """Read a source: a key, or `s3://bucket/key`. Pictures come from nowhere else."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() != "s3":
        raise InvalidOption(
            option, f"{scheme[:20]}:// is not fetched; expected a key, or s3://bucket/key"
        )
    bucket, slash, key = rest.partition("/") if separator else ("", "", text.lstrip("/"))
    if not key or (separator and not (bucket and slash)):
        raise InvalidOption(option, f"expected a key, or s3://bucket/key; found {text[:80]!r}")
    if not is_object_name(key):
        message = "must have no control characters, and no . or .. between slashes"
        raise InvalidOption(option, message)
    image_id = None if bucket else read_image_id(key)
    return SourceName(bucket=bucket or None, key=image_id or key)
