"""The one list of dialects, and the one way in: from a path and a query to what a URL asks for.

Every dialect has its own prefix, such as `/thumbor/`. One of them may answer at the root as well,
so that URLs that clients already send keep working. A signature never covers the prefix.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal
from urllib.parse import unquote_plus

from pydantic import Field, ValidationInfo, field_validator

from api.dialects.aws_handler import AwsHandlerSettings
from api.dialects.dialect import Dialect, OneDialect
from api.dialects.errors import Expired, UnknownPath
from api.dialects.image_url import ImageUrl
from api.dialects.imgix import ImgixSettings
from api.dialects.imgproxy import ImgproxySettings
from api.dialects.own import Own, OwnSettings
from api.dialects.signatures import Signed, verify
from api.dialects.thumbor import ThumborSettings
from safelight.face_settings import NO_FACES, FaceSettings
from safelight.settings import variable
from safelight.wish.errors import InvalidOption

MAX_URL = 8192
"""The longest path and query, in characters."""
_URL = re.compile(r"[!-~]*")
"""Printable ASCII, which is all that a request line may hold; everything else is escaped."""


class DialectSettings(
    OwnSettings,
    ThumborSettings,
    ImgproxySettings,
    AwsHandlerSettings,
    ImgixSettings,
    FaceSettings,
):
    """Settings of the free-form URLs. Its base classes are the one list of dialects.

    A dialect is off unless it has keys. The first one signs, all are accepted.
    """

    root_dialect: str | None = Field(
        default=None,
        description="The dialect that also answers without its prefix, so that URLs that clients "
        "already send keep working.",
    )

    unknown_query: Literal["refuse", "ignore"] = Field(
        default="refuse",
        description="What is done with a parameter of a query that means nothing in a dialect, "
        "such as `utm_source` or `v`. `ignore` answers the URL as if it were not there.",
    )

    @field_validator("root_dialect")
    @classmethod
    def _has_keys(cls, name: str | None, info: ValidationInfo) -> str | None:
        known = [each for each in DIALECTS if each != Own.NAME]
        if name is not None and name not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        if name and not info.data.get(DIALECTS[name].KEYS, True):
            raise ValueError(f"needs {variable(DIALECTS[name].KEYS)} too")
        return name

    @property
    def dialects(self) -> "Dialects":
        """The dialects that have keys."""
        made = [dialect.from_settings(self) for dialect in DIALECTS.values()]
        return Dialects(
            known=tuple(each for each in made if each.keys),
            root=self.root_dialect,
            ignores_unknown_query=self.unknown_query == "ignore",
            faces=self.looks_for_faces,
        )


DIALECTS: Mapping[str, type[Dialect]] = MappingProxyType(
    {
        base.DIALECT.NAME: base.DIALECT
        for base in DialectSettings.__bases__
        if issubclass(base, OneDialect)
    }
)
"""Name -> dialect, in the order of the base classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialects:
    """The dialects that are switched on."""

    known: tuple[Dialect, ...] = ()
    root: str | None = None
    """The name of the dialect that also answers without its prefix."""
    ignores_unknown_query: bool = False
    """Whether parameters of a query that a dialect has no meaning for are left out."""
    faces: bool = False
    """Whether faces are looked for. If not, wishes that need them are refused."""

    def find(self, path: str) -> tuple[Dialect, str]:
        """Find the dialect of a path, and the path without its prefix. Raises `UnknownPath`."""
        for dialect in self.known:
            if path.startswith(dialect.PREFIX):
                return dialect, path[len(dialect.PREFIX) - 1 :]
        for dialect in self.known:
            if self.root == dialect.NAME:
                return dialect, path
        on = ", ".join(self.prefixes)
        raise UnknownPath(
            f"the path belongs to none of {on}"
            if on
            else "no dialect reads the path: none is switched on, by keys in its setting"
        )

    def read(self, dialect: Dialect, signed: Signed) -> ImageUrl:
        """Read what a signature covers, in its normal form. Raises an `InvalidOption`."""
        if self.ignores_unknown_query:
            pairs = [
                pair
                for pair in signed.query.split("&")
                if dialect.knows(unquote_plus(pair.partition("=")[0]))
            ]
            signed = replace(signed, query="&".join(pairs))
        image_url = dialect.read(signed)
        options = image_url.options.normal()
        if options.needs_faces and not self.faces:
            raise InvalidOption(dialect.FACES, NO_FACES)
        return replace(image_url, options=options)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """List how answered paths begin; `/` comes last, if a dialect answers at the root."""
        root = ("/",) if self.root else ()
        return (*(dialect.PREFIX for dialect in self.known), *root)


def read(path: str, query: str, dialects: Dialects, *, now: datetime) -> ImageUrl:
    """Read a URL: path and query as they were sent, still escaped, the query without its `?`.

    Raises `UnknownPath`, `BadSignature`, `Expired` or `InvalidOption`. Nothing of a URL is read
    before its signature holds. The wish that comes back is in its normal form.
    """
    check_spelling(path, query)
    dialect, rest = dialects.find(path)
    signed = dialect.split(rest, query)
    number = verify(dialect, signed)
    image_url = dialects.read(dialect, signed)
    if image_url.expires and image_url.expires <= now:
        raise Expired(image_url.expires)
    key_id, user_id = _holder(dialect, number)
    return replace(image_url, key_id=key_id, user_id=user_id)


def check_spelling(path: str, query: str) -> None:
    """Raise `UnknownPath` for a URL that is too long or has characters that must be escaped."""
    if len(path) + len(query) > MAX_URL or not _URL.fullmatch(path + query):
        raise UnknownPath(f"expected at most {MAX_URL} characters, escaped where they must be")


def _holder(dialect: Dialect, number: int) -> tuple[str, str | None]:
    """Name a key without revealing it, and the user whose images alone it opens."""
    if isinstance(dialect, Own):
        return dialect.holder(number)
    return f"{dialect.NAME}-{number + 1}", None
