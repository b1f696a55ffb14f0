"""Signatures of URLs: made, compared in constant time, and explained when they do not match."""

import base64
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, unquote

from api.dialects.errors import BadSignature
from safelight.wish.errors import InvalidOption

_TELLING = 8
"""Characters of a signature that cannot be alike by chance."""
_LEFT_AS_THEY_ARE = ("/", "/,=:@~", "/!'()*", "/:()!,'*=@&+$;")
"""What may stand in a path unescaped beside letters, digits and `_.-~`: as Python does it, as
`safelight sign`, as a browser's scripts, and as RFC 3986 has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A URL taken apart: what its signature says, and what it should be the signature of."""

    given: str
    """As it was sent, still escaped: in another spelling it would be one more URL to keep."""
    messages: tuple[str, ...]
    """What may have been signed, the canonical string first: clients differ in what they escape."""
    target: str
    """What is read once the signature holds, still escaped: a path without its signature."""
    query: str = ""
    """The query without its signature, still escaped."""


class Scheme(Protocol):
    """How one dialect signs."""

    @property
    def keys(self) -> Sequence[str]:
        """The keys that are accepted; the first one signs."""

    def signature(self, key: str, message: str) -> str:
        """Sign a message with one key, as it stands in a URL."""


def verify(scheme: Scheme, signed: Signed) -> int:
    """Tell which of the keys made it, or raise `BadSignature`. Tries all, whichever fits."""
    fits = [
        number
        for number, key in enumerate(scheme.keys)
        for message in signed.messages
        if same(scheme.signature(key, message), signed.given.replace("%3D", "="))
    ]
    if not fits:
        raise BadSignature("the signature does not belong to this path and any key in use")
    return fits[0]


def same(expected: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode())


def refuse_query(signed: Signed) -> None:
    """Refuse a query where none is signed, lest one signature fill a cache with copies."""
    if signed.query:
        raise InvalidOption(signed.query.partition("=")[0][:40] or "query", "is not signed here")


def is_escaped_as_usual(text: str) -> bool:
    """Tell whether a path is escaped in one of the few ways in which clients do it.

    Where escapes are decoded before the signature is checked, any others would be as many URLs of
    one picture as a sender likes.
    """
    decoded = unquote(text)
    return any(quote(decoded, safe=safe) == text for safe in _LEFT_AS_THEY_ARE)


def digest(key: bytes, message: bytes, algorithm: str) -> bytes:
    """Compute an HMAC (RFC 2104)."""
    return hmac.new(key, message, algorithm).digest()


def base64url(raw: bytes) -> str:
    """Encode as RFC 4648, 5, with its padding."""
    return base64.urlsafe_b64encode(raw).decode()


def differences(scheme: Scheme, signed: Signed) -> Iterator[str]:
    """Find what a signature that does not hold was made of instead: one sentence for each find."""
    given = unquote(signed.given)
    for number, key in enumerate(scheme.keys, start=1):
        which = f"key {number} of {len(scheme.keys)}"
        for what, message in _near(signed):
            expected = scheme.signature(key, message)
            if what and same(expected, given):
                yield f"it is {which}'s signature of {what}: {message}"
            elif how := _spelt_otherwise(expected, given):
                yield f"it is {which}'s signature{f' of {what}' if what else ''}, {how}"


def _near(signed: Signed) -> Iterator[tuple[str, str]]:
    """List what people sign instead of the canonical string, beginning with that itself."""
    message = signed.messages[0]
    yield "", message
    yield "the path with a leading slash", f"/{message}"
    if message.startswith("/"):
        yield "the path without its leading slash", message[1:]
    if unquote(message) != message:
        yield "the path with its escapes decoded", unquote(message)
    yield "the path escaped", quote(message, safe="/")
    yield "the path escaped once more", quote(message, safe="/:?=&,()@")
    path, _, query = message.partition("?")
    if query:
        yield "the path without its query", path


def _spelt_otherwise(expected: str, given: str) -> str | None:
    """Say how two spellings of one signature differ, if that is all."""
    plain = expected.rstrip("=")
    if given == expected or len(given) < _TELLING:
        return None
    bare = given.rstrip("=")
    found = {
        "with padding (=) that does not belong there": bare == expected,
        "without its padding (=)": given == plain,
        "in base64's plain alphabet, not the URL-safe one": (
            bare != plain and bare.replace("+", "-").replace("/", "_") == plain
        ),
        f"cut off after {len(bare)} of {len(expected)} characters": (
            bare != plain and plain.startswith(bare)
        ),
        f"longer than the {len(expected)} characters that are expected": (
            bare != plain and bare.startswith(plain)
        ),
        "in letters of another case": bare != plain and bare.lower() == plain.lower(),
    }
    return next((how for how, so in found.items() if so), None)
