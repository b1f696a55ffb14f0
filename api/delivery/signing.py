"""Signed URLs: who may have what, and until when. Pure but for the time of day.

    /{preset}/{imageId}.webp?expires=1795262400&key=web&signature=q1Zc...

The signature is HMAC-SHA256, in base64url without padding, over the lines `safelight-1`, the
path with its percent-encoding taken off, and the other query parameters sorted by name. So it does
not matter how a client or a proxy escapes. Several keys may be known, so that one can be replaced
without a gap; a key may be a tenant's, and then opens that user's images only.
"""

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlencode

from safelight.named_keys import NamedKey, read_keys

KEY, EXPIRES, SIGNATURE = "key", "expires", "signature"
PARAMETERS = frozenset({KEY, EXPIRES, SIGNATURE})
"""Query parameters that are the signature's own."""
VERSION = "safelight-1"
LEFT_AS_THEY_ARE = "/:@!$&'()*+,;="
"""What stands in a path unescaped (RFC 3986, 3.3) beside letters, digits and `_.-~`."""


class InvalidSignature(Exception):
    """The signature is missing, wrong or of an unknown key; the words name no key and no secret."""


class Expired(Exception):
    """The signature was right until a while ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a URL entitles to."""

    key_id: str | None = None
    """None where nothing was signed."""
    user_id: str | None = None
    """Whose images alone; None for everybody's."""
    expires_at: int | None = None
    """Seconds since 1970."""


class SigningKeys:
    """The keys that signatures are made with and checked against."""

    def __init__(
        self, keys: Mapping[str, NamedKey], *, now: Callable[[], float] = time.time
    ) -> None:
        self._keys = dict(keys)
        self._now = now

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `id:secret` or `id:secret:user`, separated by commas; `ValueError` tells a fault.

        No fault repeats a secret.
        """
        return cls(read_keys(text))

    def __len__(self) -> int:
        return len(self._keys)

    def sign(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        key_id: str | None = None,
        expires_at: int | None = None,
    ) -> str:
        """Sign a path, percent-encoding taken off, and write it as the URL's path and query.

        The first key signs unless another is named; an unknown one is a `KeyError`.
        """
        key_id = key_id or next(iter(self._keys))
        given = {**(query or {}), KEY: key_id}
        if expires_at is not None:
            given[EXPIRES] = str(expires_at)
        given[SIGNATURE] = _signature(self._keys[key_id].secret, canonical(path, given))
        return f"{quote(path, safe=LEFT_AS_THEY_ARE)}?{urlencode(sorted(given.items()))}"

    def check(self, path: str, query: Mapping[str, str]) -> Grant:
        """Tell what a signed URL entitles to. Raises `InvalidSignature` or `Expired`."""
        given = query.get(SIGNATURE)
        if not given:
            raise InvalidSignature("The URL must be signed, and is not.")
        key = self._keys.get(query.get(KEY, ""))
        expected = _signature(key.secret if key else "nobody's", canonical(path, query))
        if not hmac.compare_digest(expected.encode(), given.encode()) or key is None:
            raise InvalidSignature(
                "The signature does not belong to this URL, or is by a key that is not known here."
            )
        expires_at = _seconds(query.get(EXPIRES))
        if expires_at is not None and expires_at <= self._now():
            raise Expired("The URL has expired.")
        return Grant(key_id=query[KEY], user_id=key.user_id, expires_at=expires_at)


def canonical(path: str, query: Mapping[str, str]) -> str:
    """Write what is signed of a decoded path and query."""
    others = sorted((name, value) for name, value in query.items() if name != SIGNATURE)
    return "\n".join((VERSION, path, urlencode(others, quote_via=quote)))


def _signature(secret: str, text: str) -> str:
    digest = hmac.new(
        secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256
    ).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _seconds(text: str | None) -> int | None:
    """Read a moment; what is signed but makes no sense has never been valid."""
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise InvalidSignature("`expires` must be whole seconds since 1970.")
    return int(text)
