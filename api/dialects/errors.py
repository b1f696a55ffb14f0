"""Why a free-form URL is refused, sorted by what its sender has to change.

UrlError
├── UnknownPath     the path: no active dialect reads it
├── BadSignature    the signature, or the text that was signed
└── Expired         nothing: the URL was valid until then
InvalidOption       the option in the message: unknown, refused or out of bounds
"""

from datetime import datetime

from safelight.wish.errors import InvalidOption


class UrlError(Exception):
    """A URL that is refused. The message is for the author of the URL."""


class UnknownPath(UrlError):
    """No active dialect reads this path."""


class BadSignature(UrlError):
    """The signature is missing, or matches no accepted key."""


class Expired(UrlError):
    """The URL contains a signed end of validity, which has passed."""

    def __init__(self, expires: datetime) -> None:
        super().__init__(f"expired at {expires.isoformat()}")
        self.expires = expires


URL_ERRORS = (UrlError, InvalidOption)
"""All errors for which a free-form URL is refused."""
