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

NAMES_USERS = "users"
"""The word at the end of a definition whose key may name the user of each request."""
_DEFINITION = re.compile(
    r"(?P<name>.+?):(?P<digest>[0-9a-f]{64})"
    rf"(:(?P<rate>[1-9][0-9]{{0,6}}))?(?P<users>:{NAMES_USERS})?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One accepted key."""

    digest: str
    name: str
    names_users: bool = False
    """Whether requests with it may name a user."""


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The accepted keys."""

    keys: tuple[ApiKey, ...] = ()
    uploads_per_minute: Mapping[str, int] = field(default_factory=dict)
    """Limits of the keys that have one, in upload URLs a minute, by the key's name."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse `name:sha256`, then `:RATE` and `:users` if wanted, separated by commas.

        A name may have several keys, for rotation. One of them is enough to set the rate, per
        minute; each needs its own `:users`. Raises a `ValueError` that repeats no part of a key.
        """
        keys: list[ApiKey] = []
        rates: dict[str, int] = {}
        for number, part in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
            found = _DEFINITION.fullmatch(part)
            if found is None or not users.is_key_name(found["name"]):
                raise ValueError(
                    f"key {number} is not of the form name:sha256, name:sha256:RATE, "
                    f"name:sha256:{NAMES_USERS} or name:sha256:RATE:{NAMES_USERS} (a name: "
                    f"{users.NAME_FORM}; sha256: 64 hex digits; RATE: upload URLs a minute)"
                )
            keys.append(
                ApiKey(
                    digest=found["digest"],
                    name=found["name"],
                    names_users=found["users"] is not None,
                )
            )
            rate = int(found["rate"] or 0)
            if rate and rates.setdefault(found["name"], rate) != rate:
                raise ValueError(f"key {number} has another rate than a key of the same name")
        if len({key.digest for key in keys}) < len(keys):
            raise ValueError("the same key is given twice")
        return cls(tuple(keys), rates)

    def find(self, secret: str) -> ApiKey | None:
        """Return the key with this text, or None. The time does not depend on which key it is."""
        given = digest_of(secret)
        found = None
        for key in self.keys:
            if hmac.compare_digest(given, key.digest):
                found = key
        return found


def new_key() -> str:
    """Return a new random key."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    """Return a key's hash. Keys are long and random, so a fast hash without salt is safe."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
