"""API keys: long random words that have a name. Only their hashes are ever kept."""

import hmac
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from safelight import users

PREFIX = "sl_"
"""What every key begins with, so that people and secret scanners know one when they see it."""
KEY_BYTES = 32

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The keys that are accepted: pairs of a hash and the key's name."""

    hashes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `name:sha256` pairs separated by commas. A name may have several, for rotation.

        Raises a `ValueError` that repeats neither.
        """
        pairs = [pair.strip().rpartition(":") for pair in text.split(",") if pair.strip()]
        for number, (name, _, digest) in enumerate(pairs, start=1):
            if not users.is_key_name(name) or not _DIGEST.fullmatch(digest):
                raise ValueError(
                    f"key {number} is not of the form name:sha256 (a name: {users.NAME_FORM}; "
                    "sha256: 64 hex digits)"
                )
        if len({digest for _, _, digest in pairs}) < len(pairs):
            raise ValueError("the same key is given twice")
        return cls(tuple((digest, name) for name, _, digest in pairs))

    def name_of(self, key: str) -> str | None:
        """Return a key's name. Takes the same time whichever key it is, or none."""
        given = digest_of(key)
        found = None
        for digest, name in self.hashes:
            if hmac.compare_digest(given, digest):
                found = name
        return found


def new_key() -> str:
    """Make a fresh key."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    """Hash a key. It is long and random, so a fast hash without salt keeps it."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
