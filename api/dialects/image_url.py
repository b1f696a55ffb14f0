"""What a free-form URL asks for, once a dialect has read it."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import unquote

from safelight.keys import is_object_name, read_image_id
from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options

_ONE_SLASH = re.compile(r"/?(https?|s3|gs|abs|local|file|swift):/(?!/)", re.IGNORECASE)
"""A scheme behind which a proxy merged two slashes; otherwise it would become a folder's name."""
_ENDPOINT = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*)\.)?s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?"
)
"""A host of S3, with the bucket before it or in the path: of a region, dual-stack, accelerated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceName:
    """The picture that a URL asks for: bucket and key, or a key alone.

    A key alone is an image id, or an alias and a path in its bucket.
    """

    key: str
    bucket: str | None = None
    by_address: bool = False
    """Whether the bucket is named by its address, so that an alias of that name is not meant."""

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
    stored: bool = True
    """Whether a result that is rendered for it is kept."""
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
    """Read a source: a key, `s3://bucket/key`, or the address of an object in S3.

    Nothing is fetched by HTTP: an address names a bucket and a key, and an alias must have that
    bucket. Raises an `InvalidOption`.
    """
    if merged := _ONE_SLASH.match(text):
        raise InvalidOption(option, f"has one slash after {merged[1]}: where two belong")
    text = text if "://" not in text else text.lstrip("/")
    scheme, separator, rest = text.partition("://")
    if not separator:
        name = SourceName(key=text.lstrip("/"))
    elif scheme.lower() == "s3":
        bucket, _, key = rest.partition("/")
        name = SourceName(bucket=bucket, key=key)
    else:
        name = _at_address(scheme, rest, option)
    if not name.key or name.bucket == "":
        raise InvalidOption(option, f"expected a key, or s3://bucket/key; found {text[:80]!r}")
    if not is_object_name(name.key):
        message = (
            "must have no control characters, and no . or .. between slashes; found "
            f"{name.key[:80]!r}"
        )
        raise InvalidOption(option, message)
    image_id = None if name.bucket else read_image_id(name.key)
    return replace(name, key=image_id or name.key)


def _at_address(scheme: str, rest: str, option: str) -> SourceName:
    """Read the rest of an HTTP address as bucket and key, both styles of S3's endpoints.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    host, _, path = rest.partition("/")
    at = _ENDPOINT.fullmatch(host.lower())
    if scheme.lower() not in ("http", "https") or at is None:
        message = (
            "is not fetched; expected a key, s3://bucket/key, or the address of a bucket of S3"
        )
        raise InvalidOption(option, f"{scheme[:20]}://{host[:60]} {message}")
    if "?" in path or "#" in path:
        message = f"has a query or a fragment, which is not supported; found {path[:80]!r}"
        raise InvalidOption(option, message)
    path = unquote(path)
    bucket, key = (at["bucket"], path) if at["bucket"] else path.partition("/")[::2]
    return SourceName(bucket=bucket, key=key, by_address=True)
