"""The interface that every dialect of URLs implements.

A new dialect is a module with these two classes, and its settings among the bases of
`DialectSettings` in `table.py`.
"""

from typing import Any, ClassVar, Protocol, Self

from api.dialects.image_url import ImageUrl
from api.dialects.rows import Rows
from api.dialects.signatures import Signed
from safelight.settings import Settings


class Dialect(Protocol):
    """One grammar of URLs with its keys."""

    NAME: ClassVar[str]
    TITLE: ClassVar[str]
    """Heading in docs/guide/dialects.md; the text below it is the class's docstring."""
    PREFIX: ClassVar[str]
    """Start of its paths, with a slash at both ends."""
    KEYS: ClassVar[str]
    """The setting that holds its keys."""
    FACES: ClassVar[str]
    """The option that frames faces, to name it where no one looks for them."""
    ROWS: ClassVar[Rows[Any] | None]
    """Its options. None: the words of `safelight/wish/canonical.py`."""

    @classmethod
    def from_settings(cls, settings: Any) -> Self:
        """Make the dialect from its own settings, possibly without a key."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are accepted; the first one signs."""

    def split(self, path: str, query: str) -> Signed:
        """Split a URL without its prefix, before it is verified."""

    def signature(self, key: str, message: str) -> str:
        """Sign a message."""

    def join(self, signature: str, target: str, query: str) -> str:
        """Build a path and its query, without the prefix."""

    def unsigned(self, text: str) -> Signed:
        """Prepare a path for signing."""

    def knows(self, parameter: str) -> bool:
        """Return whether a parameter of the query has a meaning in this grammar."""

    def read(self, signed: Signed) -> ImageUrl:
        """Read what the signature covers."""

    def write(self, url: ImageUrl) -> str:
        """Write a URL of an image id as `unsigned` takes it, its wish in the normal form.

        Leaves out what the grammar has no words for: `writers.py` reads the URL back.
        """


class OneDialect(Settings):
    """The settings of one dialect."""

    DIALECT: ClassVar[type[Dialect]]
