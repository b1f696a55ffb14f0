"""API keys: long random words that stand for a user. Only their hashes are ever kept."""

import hmac
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from safelight.keys import ADOPTED_USER, MAX_USER_ID_LENGTH

PREFIX = "sl_"
"""What every key begins with, so that people and secret scanners know one when they see it."""
KEY_BYTES = 32

_USER_ID = re.compile(rf"[\x20-\x7e]{{1,{MAX_USER_ID_LENGTH}}}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def is_user_id(text: object) -> bool:
    """Tell whether it can be a user id: 1 to 255 printable ASCII characters, as OIDC's `sub`.

    More would not fit an object key, percent-encoded.
    """
    allowed = isinstance(text, str) and _USER_ID.fullmatch(text) is not None
    return allowed and text != ADOPTED_USER


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The keys that are accepted: pairs of a hash and the user it stands for."""

    hashes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `user:sha256` pairs separated by commas. A user may have several, for rotation."""
        pairs = [pair.strip().rpartition(":") for pair in text.split(",") if pair.strip()]
        for number, (user_id, _, digest) in enumerate(pairs, start=1):
            if not is_user_id(user_id) or not _DIGEST.fullmatch(digest):
                raise ValueError(f"key {number} is not of the form user:sha256 (64 hex digits)")
        if len({digest for _, _, digest in pairs}) < len(pairs):
            raise ValueError("the same key is given twice")
        return cls(tuple((digest, user_id) for user_id, _, digest in pairs))

    def user_of(self, key: str) -> str | None:
        """Name the user a key stands for. Takes the same time whichever key it is, or none."""
        given = digest_of(key)
        found = None
        for digest, user_id in self.hashes:
            if hmac.compare_digest(given, digest):
                found = user_id
        return found


def new_key() -> str:
    """Make a fresh key."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    """Hash a key. It is long and random, so a fast hash without salt keeps it."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
