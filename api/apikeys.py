"""API keys: long random strings with a name. Only their hashes are stored."""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from safelight import users

PREFIX = "sl_"
"""The prefix of every key, by which people and secret scanners recognize it."""
KEY_BYTES = 32

_DEFINITION = re.compile(r"(?P<name>.+?):(?P<digest>[0-9a-f]{64})(:(?P<rate>[1-9][0-9]{0,6}))?")


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The accepted keys, as pairs of a hash and the key's name."""

    hashes: tuple[tuple[str, str], ...] = ()
    uploads_per_minute: Mapping[str, int] = field(default_factory=dict)
    """Limits of the keys that have one, in upload URLs a minute, by the key's name."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse `name:sha256` or `name:sha256:RATE`, separated by commas; a rate is per minute.

        A name may have several keys, for rotation; one of them is enough to set the rate. Raises a
        `ValueError` that repeats no part of a key.
        """
        hashes: list[tuple[str, str]] = []
        rates: dict[str, int] = {}
        for number, part in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
            found = _DEFINITION.fullmatch(part)
            if found is None or not users.is_key_name(found["name"]):
                raise ValueError(
                    f"key {number} is not of the form name:sha256 or name:sha256:RATE (a name: "
                    f"{users.NAME_FORM}; sha256: 64 hex digits; RATE: upload URLs a minute)"
                )
            hashes.append((found["digest"], found["name"]))
            rate = int(found["rate"] or 0)
            if rate and rates.setdefault(found["name"], rate) != rate:
                raise ValueError(f"key {number} has another rate than a key of the same name")
        if len({digest for digest, _ in hashes}) < len(hashes):
            raise ValueError("the same key is given twice")
        return cls(tuple(hashes), rates)

    def name_of(self, key: str) -> str | None:
        """Return a key's name, or None. The time does not depend on which key it is."""
        given = digest_of(key)
        found = None
        for digest, name in self.hashes:
            if hmac.compare_digest(given, digest):
                found = name
        return found


def new_key() -> str:
    """Return a new random key."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    """Return a key's hash. Keys are long and random, so a fast hash without salt is safe."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
