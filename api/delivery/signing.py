"""Signed URLs: what a URL grants, to which tenant, and until when. Depends only on the time.

    /{preset}/{imageId}.webp?expires=1795262400&key=web&signature=q1Zc...

The signature is HMAC-SHA256, in base64url without padding, over the lines `safelight-1`, the
percent-decoded path, and the other query parameters sorted by name. So a signature holds however a
client or a proxy escapes the URL. Several keys may be accepted, so that one can be replaced without
downtime. A tenant's key opens only that user's images.
"""

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlencode

from api.problems import Problem, Refusal
from safelight.named_keys import NamedKey, read_keys

KEY, EXPIRES, SIGNATURE = "key", "expires", "signature"
PARAMETERS = frozenset({KEY, EXPIRES, SIGNATURE})
"""Query parameters of the signature."""
VERSION = "safelight-1"
UNESCAPED = "/:@!$&'()*+,;="
"""Characters that a path contains unescaped (RFC 3986, 3.3) beside letters, digits and `_.-~`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a URL allows its holder to see."""

    key_id: str | None = None
    """None if the URL is not signed."""
    user_id: str | None = None
    """The only user whose images may be seen; None for all users."""
    expires_at: int | None = None
    """Seconds since 1970."""


class SigningKeys:
    """The keys that sign URLs and check their signatures."""

    def __init__(
        self, keys: Mapping[str, NamedKey], *, now: Callable[[], float] = time.time
    ) -> None:
        self._keys = dict(keys)
        self._now = now

    @classmethod
    def read(cls, text: str) -> Self:
        """Read keys as `id:secret` or `id:secret:user`, separated by commas.

        Raises a `ValueError` that names the fault and contains no secret.
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
        """Sign a decoded path; return the URL's path and query, percent-encoded.

        The first key signs unless `key_id` names another. Raises a `KeyError` for an unknown key.
        """
        key_id = key_id or next(iter(self._keys))
        given = {**(query or {}), KEY: key_id}
        if expires_at is not None:
            given[EXPIRES] = str(expires_at)
        given[SIGNATURE] = _signature(self._keys[key_id].secret, canonical(path, given))
        return f"{quote(path, safe=UNESCAPED)}?{urlencode(sorted(given.items()))}"

    def key_for(self, user_id: str) -> str | None:
        """Return the id of the user's first key, or else of the first for all; None without one."""
        for holder in (user_id, None):
            for key in self._keys.values():
                if key.user_id == holder:
                    return key.key_id
        return None

    def grant(self, access: str, path: str, query: Mapping[str, str]) -> Grant:
        """Return the grant of a URL of a preset with this access. Raises a `Refusal`.

        The signature is checked if the access requires one, or if the URL has one.
        """
        if access == "public" and not PARAMETERS.intersection(query):
            return Grant()
        return self.check(path, query)

    def check(self, path: str, query: Mapping[str, str]) -> Grant:
        """Check a signed URL and return its grant.

        Raises a `Refusal`, which names no key and no secret.
        """
        given = query.get(SIGNATURE)
        if not given:
            raise _invalid("The URL must be signed, and is not.")
        key = self._keys.get(query.get(KEY, ""))
        expected = _signature(key.secret if key else "nobody's", canonical(path, query))
        if not hmac.compare_digest(expected.encode(), given.encode()) or key is None:
            raise _invalid("The signature does not match this URL, or its key is unknown.")
        expires_at = _seconds(query.get(EXPIRES))
        if expires_at is not None and expires_at <= self._now():
            raise Refusal(Problem.URL_EXPIRED, "The URL has expired.")
        return Grant(key_id=query[KEY], user_id=key.user_id, expires_at=expires_at)


def canonical(path: str, query: Mapping[str, str]) -> str:
    """Return the text that is signed for a decoded path and query."""
    others = sorted((name, value) for name, value in query.items() if name != SIGNATURE)
    return "\n".join((VERSION, path, urlencode(others, quote_via=quote)))


def _signature(secret: str, text: str) -> str:
    digest = hmac.new(
        secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256
    ).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _seconds(text: str | None) -> int | None:
    """Read `expires`. A signed URL with a malformed time is refused, not taken as endless."""
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise _invalid("`expires` must be whole seconds since 1970.")
    return int(text)


def _invalid(why: str) -> Refusal:
    return Refusal(Problem.INVALID_SIGNATURE, why)
