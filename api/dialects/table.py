"""The one table of dialects, and the one way in: from a path and a query to what is asked for.

Every dialect has its own prefix, `/thumbor/...`, and one of them may answer at the root as well,
so that URLs that clients already send keep working. What is signed never has the prefix in it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Protocol

from api.dialects.aws_handler import AwsHandler
from api.dialects.errors import Expired, UnknownPath
from api.dialects.image_url import ImageUrl
from api.dialects.imgix import Imgix
from api.dialects.imgproxy import Imgproxy
from api.dialects.own import PREFIX, Own, holder_of
from api.dialects.signatures import Signed, verify
from api.dialects.thumbor import Thumbor

MAX_URL = 8192
"""The longest path and query, in characters."""
_URL = re.compile(r"[!-~]*")
"""What a request line may hold: printable ASCII; the rest comes escaped."""


class Dialect(Protocol):
    """One grammar with its keys."""

    NAME: ClassVar[str]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are accepted; the first one signs."""

    def split(self, path: str, query: str) -> Signed:
        """Take a URL apart, unread and unverified."""

    def signature(self, key: str, message: str) -> str:
        """Sign a message."""

    def join(self, signature: str, target: str, query: str) -> str:
        """Put a URL together again."""

    def unsigned(self, text: str) -> Signed:
        """Take what somebody wants to have signed."""

    def read(self, signed: Signed) -> ImageUrl:
        """Read what was signed."""


DIALECTS: Mapping[str, type[Dialect]] = MappingProxyType(
    {dialect.NAME: dialect for dialect in (Own, Thumbor, Imgproxy, AwsHandler, Imgix)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialects:
    """The dialects that are switched on."""

    known: tuple[Dialect, ...] = ()
    root: str | None = None
    """The name of the one that answers without its prefix."""

    def find(self, path: str) -> tuple[Dialect, str]:
        """Find whose path this is, and what of it is after the prefix. Raises `UnknownPath`."""
        for dialect in self.known:
            prefix = prefix_of(dialect)
            if path.startswith(prefix):
                return dialect, path if dialect.NAME == Own.NAME else path[len(prefix) - 1 :]
        for dialect in self.known:
            if self.root == dialect.NAME:
                return dialect, path
        on = ", ".join(self.prefixes)
        raise UnknownPath(
            f"the path belongs to none of {on}"
            if on
            else "no dialect reads the path: none is switched on, by keys in its setting"
        )

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What paths that are answered begin with; `/` last, if one answers at the root."""
        root = ("/",) if self.root else ()
        return (*map(prefix_of, self.known), *root)


def prefix_of(dialect: Dialect | type[Dialect]) -> str:
    """What a dialect's paths begin with."""
    return PREFIX if dialect.NAME == Own.NAME else f"/{dialect.NAME}/"


def read(path: str, query: str, dialects: Dialects, *, now: datetime) -> ImageUrl:
    """Read a URL: path and query as they were sent, still escaped, the query without its `?`.

    Raises `UnknownPath`, `BadSignature`, `Expired` or `InvalidOption`. Nothing of a URL is read
    before its signature holds. The wish that comes back is in its normal form.
    """
    if len(path) + len(query) > MAX_URL or not _URL.fullmatch(path + query):
        raise UnknownPath(f"expected at most {MAX_URL} characters, escaped where they must be")
    dialect, rest = dialects.find(path)
    signed = dialect.split(rest, query)
    number = verify(dialect, signed)
    image_url = dialect.read(signed)
    if image_url.expires and image_url.expires <= now:
        raise Expired(image_url.expires)
    key_id, user_id = _holder(dialect, number)
    return replace(image_url, options=image_url.options.normal(), key_id=key_id, user_id=user_id)


def _holder(dialect: Dialect, number: int) -> tuple[str, str | None]:
    """Name a key without telling it, and the user whose images alone it opens."""
    if dialect.NAME != Own.NAME:
        return f"{dialect.NAME}-{number + 1}", None
    return holder_of(dialect.keys[number])
