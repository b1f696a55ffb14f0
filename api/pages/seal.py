"""Seals small documents, so that a browser can keep them but neither read nor change them.

AES-256-GCM encrypts and authenticates. The purpose is authenticated too: a document that was sealed
for one purpose does not open for another.
"""

import base64
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_DIGITS = 64
"""The length of a key, in hexadecimal digits."""
FORM = (
    f"{KEY_DIGITS} hexadecimal digits, several keys with commas between them; make one with "
    "python3 -c 'import secrets; print(secrets.token_hex(32))'"
)

_NONCE_BYTES = 12
_KEY = re.compile(rf"[0-9a-fA-F]{{{KEY_DIGITS}}}")


class Seal:
    """Seals with the first key, and opens what any key sealed."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take keys of 32 bytes each."""
        self._keys = tuple(AESGCM(key) for key in keys)

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse keys as the setting has them. Raises a `ValueError` that repeats no part of one."""
        words = [word.strip().lower() for word in text.split(",") if word.strip()]
        for number, word in enumerate(words, start=1):
            if not _KEY.fullmatch(word):
                raise ValueError(f"key {number} is not of the form: {FORM}")
        if not words:
            raise ValueError(f"names no key; a key has {FORM}")
        if len(set(words)) < len(words):
            raise ValueError("the same key is given twice")
        return cls([bytes.fromhex(word) for word in words])

    def seal(self, document: Mapping[str, Any], *, purpose: str) -> str:
        """Return the sealed document, in letters that a cookie may have."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = json.dumps(document, separators=(",", ":")).encode()
        sealed = nonce + self._keys[0].encrypt(nonce, text, _bound(purpose))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, sealed: str, *, purpose: str) -> Mapping[str, Any] | None:
        """Return the document; None if no key sealed it for this purpose, or if it was changed."""
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        for key in self._keys:
            try:
                text = key.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound(purpose))
            except (InvalidTag, ValueError):  # ValueError: too short for a nonce
                continue
            document: Mapping[str, Any] = json.loads(text)
            return document
        return None


def _bound(purpose: str) -> bytes:
    """Return what is authenticated beside the document: who made it, its form and its purpose."""
    return f"safelight 1 {purpose}".encode()
