"""Verify signatures of URLs in constant time, and explain those that do not match."""

import base64
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, unquote

from api.dialects.errors import BadSignature
from safelight.wish.errors import InvalidOption

_TELLING = 8
"""Characters of a signature that are too many to be equal by chance."""
_RFC = "/:()!,'*=@&+$;"
_UNESCAPED = ("/", "/,=:@~", "/!'()*", "/$&+,:;=@", _RFC, f"{_RFC}[]|", f"{_RFC}[]|^")
"""Characters left unescaped in a path, beside letters, digits and `_.-~`: by Python, by
`safelight sign`, by scripts in browsers, by Go, by RFC 3986, and by browsers, new and old."""
_BRACKETS = "[]|^"
_ESCAPED_BRACKETS = re.compile("%(?:5[BDE]|7C)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A URL split into its signature and the text that the signature should cover."""

    given: str
    """The signature as it was sent, still escaped: another spelling is another URL to caches."""
    messages: tuple[str, ...]
    """Texts that may have been signed, the canonical one first: clients escape differently."""
    target: str
    """The path without its signature, still escaped; read only after verification."""
    query: str = ""
    """The query without its signature, still escaped."""
    notes: tuple[str, ...] = ()
    """For each message the change that was undone to get it from the path; empty for none."""


class Scheme(Protocol):
    """The part of a dialect that signs."""

    @property
    def keys(self) -> Sequence[str]:
        """The keys that are accepted; the first one signs."""

    def signature(self, key: str, message: str) -> str:
        """Sign a message with one key, in the form that URLs carry."""


def verify(scheme: Scheme, signed: Signed) -> int:
    """Return the number of the key that signed, or raise `BadSignature`. Always tries all keys."""
    return verified(scheme, signed)[0]


def verified(scheme: Scheme, signed: Signed) -> tuple[int, int]:
    """Return the numbers of the key and of the message that the signature fits.

    Raises `BadSignature`. Always tries all keys.
    """
    fits = [
        (number, which)
        for number, key in enumerate(scheme.keys)
        for which, message in enumerate(signed.messages)
        if same(scheme.signature(key, message), signed.given.replace("%3D", "="))
    ]
    if not fits:
        raise BadSignature("the signature does not match this path with any key in use")
    return fits[0]


def same(expected: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode())


def refuse_query(signed: Signed) -> None:
    """Refuse a query that is not signed: one signature could fill a cache with copies."""
    if signed.query:
        raise InvalidOption(signed.query.partition("=")[0][:40] or "query", "is not signed here")


def is_escaped_as_usual(text: str) -> bool:
    """Check whether a path is escaped in one of the few ways that clients use.

    Where escapes are decoded before verification, any other way would allow unlimited URLs for
    one picture.
    """
    decoded = unquote(text)
    return any(quote(decoded, safe=safe) == text for safe in _UNESCAPED)


def with_other_brackets(messages: Mapping[str, str]) -> dict[str, str]:
    """Add to escaped texts, each with its note, those whose brackets and bars browsers changed.

    Browsers leave `[`, `]`, `|` and perhaps `^` as they are; most other clients escape them. A text
    that has both forms was not made by one client, and has no other spelling.
    """
    every = dict(messages)
    for text, note in messages.items():
        raw, escaped = set(_BRACKETS) & set(text), set(_ESCAPED_BRACKETS.findall(text))
        if raw and not escaped:
            other = "".join(quote(each) if each in _BRACKETS else each for each in text)
        elif escaped and not raw and all(each.isupper() or each == "%7C" for each in escaped):
            other = _ESCAPED_BRACKETS.sub(lambda found: unquote(found[0]), text)
        else:
            continue
        every.setdefault(other, note or "brackets and bars are escaped otherwise")
    return every


def digest(key: bytes, message: bytes, algorithm: str) -> bytes:
    """Compute an HMAC (RFC 2104)."""
    return hmac.new(key, message, algorithm).digest()


def base64url(raw: bytes) -> str:
    """Encode as RFC 4648, 5, with its padding."""
    return base64.urlsafe_b64encode(raw).decode()


def differences(scheme: Scheme, signed: Signed) -> Iterator[str]:
    """Find which other text or spelling a wrong signature matches: one sentence for each."""
    given = unquote(signed.given)
    for number, key in enumerate(scheme.keys, start=1):
        which = f"key {number} of {len(scheme.keys)}"
        for what, message in _near(signed):
            expected = scheme.signature(key, message)
            if what and same(expected, given):
                yield f"it is the signature of {what} by {which}: {message}"
            elif how := _spelt_otherwise(expected, given):
                yield f"it is the signature of {what or 'this path'} by {which}, {how}"


def _near(signed: Signed) -> Iterator[tuple[str, str]]:
    """List texts that are often signed by mistake, after the canonical one."""
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
    """Say how two spellings of one signature differ; None if they are different signatures."""
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
