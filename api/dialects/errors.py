"""Why a free-form URL is not answered, sorted by what its sender has to change.

UrlError
├── UnknownPath     the path: no dialect that is switched on takes it
├── BadSignature    the signature, or what was signed
└── Expired         nothing: the URL was good until then
InvalidOption       the option that is named: unknown, refused, or out of bounds
"""

from datetime import datetime

from safelight.wish.errors import InvalidOption


class UrlError(Exception):
    """A URL that cannot be answered. The message is meant for whoever wrote the URL."""


class UnknownPath(UrlError):
    """No dialect that is switched on takes this path."""


class BadSignature(UrlError):
    """The signature is missing, or belongs to no key and path that are accepted."""


class Expired(UrlError):
    """The URL carried a time, signed, and that is over."""

    def __init__(self, expires: datetime) -> None:
        super().__init__(f"expired at {expires.isoformat()}")
        self.expires = expires


URL_ERRORS = (UrlError, InvalidOption)
"""Everything for which a free-form URL is not answered."""
