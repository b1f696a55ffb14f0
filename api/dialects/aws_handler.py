"""The grammars of AWS's image handler: v7's base64 JSON and thumbor paths, v8's query."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar, Self
from urllib.parse import unquote

from pydantic import Field

from api.dialects.aws_handler_edits import EDITS, read_edits
from api.dialects.dialect import Dialect, OneDialect
from api.dialects.errors import BadSignature, UnknownPath
from api.dialects.image_url import ImageUrl, SourceName, source_of
from api.dialects.key_settings import LEAST, Secrets, keys_in
from api.dialects.rows import Rows
from api.dialects.signatures import Signed, digest, with_other_brackets
from api.dialects.thumbor import read_path
from api.dialects.values import query_words
from safelight.wish.arguments import read_base64
from safelight.wish.errors import InvalidOption

_EXPIRES = "%Y%m%dT%H%M%SZ"
_MAX_JSON = 8192
_SHORT: Mapping[str, str] = MappingProxyType(
    {
        "width": "resize.width",
        "height": "resize.height",
        "fit": "resize.fit",
        "format": "toFormat",
    }
)
"""Short names of a query -> the edit."""
_REQUEST = ("bucket", "key", "edits", "outputFormat", "expires", "effort", "headers")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsHandler:
    """URLs of AWS's Serverless Image Handler (v7) and Dynamic Image Transformation (v8).

        /aws/{base64 of {"bucket": ..., "key": ..., "edits": {...}}}?signature=...
        /aws/{thumbor path}?signature=...
        /aws/{key}?resize.width=300&format=webp&signature=...

    All three forms carry v7's signature: hexadecimal HMAC-SHA256 of the path, followed by `?` and
    the sorted query, if there is one. v8 itself has no signature. `outputFormat` may accompany
    `edits`, and `expires=YYYYMMDDTHHmmssZ` belongs in the query. Presets replace v8's policies.

    Edits run in the order given, after resizing. A thumbor path means what it means to thumbor:
    a crop comes before resizing, and a watermark's picture is one word.
    """

    NAME: ClassVar[str] = "aws"
    TITLE: ClassVar[str] = "AWS's image handler"
    PREFIX: ClassVar[str] = "/aws/"
    KEYS: ClassVar[str] = "aws_handler_keys"
    ROWS: ClassVar[Rows[Any] | None] = EDITS
    keys: tuple[str, ...]

    @classmethod
    def from_settings(cls, settings: "AwsHandlerSettings") -> Self:
        """Take the keys from the settings."""
        return cls(keys=keys_in(settings.aws_handler_keys))

    def split(self, path: str, query: str) -> Signed:
        """Split a URL. Raises `UnknownPath` or, if it is unsigned, `BadSignature`."""
        if len(path) < 2 or not path.startswith("/"):
            raise UnknownPath("expected /REQUEST?signature=...")
        pairs = query.split("&") if query else []
        given = [pair.partition("=")[2] for pair in pairs if pair.startswith("signature=")]
        rest = [pair for pair in pairs if not pair.startswith("signature=")]
        if len(given) != 1:
            raise BadSignature("needs one ?signature=; unsigned requests are refused")
        ordered = "&".join(sorted(rest))
        messages = with_other_brackets({f"{path}?{ordered}" if ordered else path: ""})
        # The sorted query is what was signed, so it is also what is read: order can matter.
        return Signed(
            given=given[0],
            messages=tuple(messages),
            notes=tuple(messages.values()),
            target=path,
            query=ordered,
        )

    def signature(self, key: str, message: str) -> str:
        """Sign a message."""
        return digest(key.encode(), message.encode(), "sha256").hex()

    def join(self, signature: str, target: str, query: str) -> str:
        """Build a URL."""
        return f"{target}?{f'{query}&' if query else ''}signature={signature}"

    def unsigned(self, text: str) -> Signed:
        """Prepare a path and its query for signing."""
        path, _, query = text.partition("?")
        return self.split(f"/{path.lstrip('/')}", f"{query}{'&' if query else ''}signature=_")

    def knows(self, parameter: str) -> bool:
        """Return whether AWS's handler has an edit or a parameter of this name."""
        return (
            parameter == "expires"
            or parameter in _SHORT
            or EDITS.knows(parameter.partition(".")[0])
        )

    def read(self, signed: Signed) -> ImageUrl:
        """Read a verified URL."""
        words = query_words(signed.query)
        expires = _expires(words)
        path = unquote(signed.target).lstrip("/")
        asked = _json(path)
        if asked is not None:
            edits = _edits_of(asked)
            source = _source(asked)
        else:
            image_url = read_path(signed.target.lstrip("/"), dialect=self.NAME)
            if image_url.source.key != path:
                return _as_thumbor(image_url, words, expires)
            edits, source = {}, image_url.source
        options = read_edits(_merged(edits, words))
        return ImageUrl(dialect=self.NAME, source=source, options=options, expires=expires)


class AwsHandlerSettings(OneDialect):
    """Keys of the URLs of AWS's image handler."""

    DIALECT: ClassVar[type[Dialect]] = AwsHandler

    aws_handler_keys: Secrets = Field(
        default=None,
        description="Secrets of AWS's image handler's URLs, `/aws/...`, separated by commas, "
        f"{LEAST}. Off without any.",
    )


def _as_thumbor(
    image_url: ImageUrl, words: Mapping[str, str], expires: datetime | None
) -> ImageUrl:
    if words:
        raise InvalidOption(next(iter(words)), "is not supported beside a thumbor path")
    return replace(image_url, expires=expires or image_url.expires)


def _expires(words: dict[str, str]) -> datetime | None:
    text = words.pop("expires", None)
    if text is None:
        return None
    try:
        return datetime.strptime(text, _EXPIRES).replace(tzinfo=UTC)
    except ValueError as error:
        message = f"expected YYYYMMDDTHHmmssZ; found {text[:40]!r}"
        raise InvalidOption("expires", message) from error


def _json(path: str) -> Mapping[str, Any] | None:
    """Decode a path that is base64 of a JSON object; None for any other path."""
    try:
        text = read_base64(path.replace("/", "_"))
        if len(text) > _MAX_JSON or not text.lstrip().startswith(b"{"):
            return None
        asked = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return asked if isinstance(asked, dict) else None


def _source(asked: Mapping[str, Any]) -> SourceName:
    bucket, key = asked.get("bucket"), asked.get("key")
    if not isinstance(key, str) or not (bucket is None or isinstance(bucket, str)):
        raise InvalidOption("key", "must be a string, and so must a bucket")
    return source_of(f"s3://{bucket}/{key}" if bucket else key)


def _edits_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    for name in asked:
        if name not in _REQUEST:
            raise InvalidOption(name[:40], f"is none of {', '.join(_REQUEST)}")
    for name in ("headers", "effort", "expires"):
        if asked.get(name):
            raise InvalidOption(name, "is refused: it cannot be set in the JSON of a request")
    edits = asked.get("edits") or {}
    if not isinstance(edits, dict):
        raise InvalidOption("edits", "expected an object")
    wanted = asked.get("outputFormat")
    return {**edits, **({"toFormat": wanted} if wanted else {})}


def _merged(edits: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Merge the query's options into the edits; the query overrides, as in AWS's handler."""
    merged = {**edits}
    for name, value in _named(words):
        outer, _, inner = name.partition(".")
        if not inner:
            merged[outer] = value
            continue
        group = merged.get(outer)
        merged[outer] = {**(group if isinstance(group, dict) else {}), inner: value}
    return merged


def _named(words: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Give short names their long form, and texts their JSON types."""
    for name, text in words.items():
        value: Any
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = {"True": True, "False": False}.get(text, text)
        yield _SHORT.get(name, name), value
