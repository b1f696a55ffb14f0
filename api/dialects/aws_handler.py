"""The grammars of AWS's image handler: v7's base64 JSON and thumbor paths, v8's query."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar, Self
from urllib.parse import unquote

from pydantic import Field

from api.dialects.aws_handler_edits import EDITS, SWITCHES
from api.dialects.aws_handler_order import read_edits
from api.dialects.aws_handler_paths import named_by_filter, read_path
from api.dialects.aws_handler_writer import EXPIRES, write
from api.dialects.dialect import Dialect, OneDialect
from api.dialects.errors import BadSignature, UnknownPath
from api.dialects.image_url import ImageUrl, SourceName, source_of
from api.dialects.key_settings import LEAST, Secrets, keys_in
from api.dialects.rows import Rows
from api.dialects.signatures import Signed, digest, with_other_brackets
from api.dialects.values import query_words, whole
from safelight.wish.arguments import read_base64
from safelight.wish.errors import InvalidOption

_MAX_JSON = 8192
_CACHED = re.compile(r"(?:public, ?)?max-age=(\d{1,15})(?:, ?public)?", re.IGNORECASE)
"""The header Cache-Control that the JSON of a request may set."""
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

    Edits run in the order given, after resizing. A crop that is listed before `resize`, or before
    a rotation by a right angle, is made first, in pixels of the source. A parameter of the query
    replaces the whole edit of its name. `headers` may set `Cache-Control: max-age=SECONDS,public`.

    A thumbor path is mapped to edits as v7's handler maps it, not as thumbor means it: sizes,
    crops, `fit-in`, `filters:...` and `s3:BUCKET` in any order and in any folder, filters in the
    order of the alphabet. So `rotate` turns clockwise, and `fit-in` enlarges. The handler takes
    these parts out of an image's name, wherever they are; escape a slash of a folder that is
    named like one. What it would ignore, or take for a folder, is refused by name.
    """

    NAME: ClassVar[str] = "aws"
    TITLE: ClassVar[str] = "AWS's image handler"
    PREFIX: ClassVar[str] = "/aws/"
    KEYS: ClassVar[str] = "aws_handler_keys"
    FACES: ClassVar[str] = "smartCrop"
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
        if asked is None:
            source, edits = read_path(signed.target.lstrip("/"))
        else:
            source, edits = _source(asked), _edits_of(asked)
        changed = _edits_in(words)
        try:
            options, differs = read_edits({**edits, **changed})
        except InvalidOption as error:
            from_path = asked is None and error.option.partition(".")[0] not in changed
            raise (named_by_filter(error) if from_path else error) from error
        return ImageUrl(
            dialect=self.NAME,
            source=source,
            options=options,
            expires=expires,
            max_age_seconds=_max_age(asked or {}),
            differs=differs,
        )

    def write(self, url: ImageUrl) -> str:
        """Write a URL as `unsigned` takes it, without what has no edit."""
        return write(url)


class AwsHandlerSettings(OneDialect):
    """Keys of the URLs of AWS's image handler."""

    DIALECT: ClassVar[type[Dialect]] = AwsHandler

    aws_handler_keys: Secrets = Field(
        default=None,
        description="Secrets of AWS's image handler's URLs, `/aws/...`, separated by commas, "
        f"{LEAST}. Off without any.",
    )


def _expires(words: dict[str, str]) -> datetime | None:
    text = words.pop("expires", None)
    if text is None:
        return None
    try:
        return datetime.strptime(text, EXPIRES).replace(tzinfo=UTC)
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
    for name in ("effort", "expires"):
        if asked.get(name):
            raise InvalidOption(name, "is refused: it cannot be set in the JSON of a request")
    edits = _object("edits", asked)
    wanted = asked.get("outputFormat")
    return {**({"toFormat": wanted} if wanted else {}), **edits}


def _object(name: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    value = asked.get(name) or {}
    if not isinstance(value, dict):
        raise InvalidOption(name, "expected an object")
    return value


def _max_age(asked: Mapping[str, Any]) -> int | None:
    """Read the headers that a request sets: only for how long its answer may be cached."""
    seconds = None
    for name, value in _object("headers", asked).items():
        found = _CACHED.fullmatch(str(value)) if name.lower() == "cache-control" else None
        if found is None:
            shown = f"{name}: {value}"[:60]
            message = f"expected Cache-Control: max-age=SECONDS,public; found {shown!r}"
            raise InvalidOption("headers", message)
        seconds = whole("headers", found[1])
    return seconds


def _edits_in(words: Mapping[str, str]) -> dict[str, Any]:
    """Read a query into edits. Each replaces the whole edit of that name, as in AWS's handler."""
    edits: dict[str, Any] = {}
    for given, text in words.items():
        name = _SHORT.get(given, given)
        outer, _, inner = name.partition(".")
        group = edits.get(outer)
        inside = {**(group if isinstance(group, dict) else {}), inner: _value(name, text)}
        edits[outer] = inside if inner else _value(name, text)
    return edits


def _value(name: str, text: str) -> Any:
    """Give a text of a query its JSON type. A switch is off for 0, false and nothing."""
    if name in SWITCHES:
        return text.lower() not in ("0", "false", "")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"True": True, "False": False}.get(text, text)
