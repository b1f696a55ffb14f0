"""Hashes that identify a wish in asset keys."""

import json
from hashlib import sha256

ENGINE_VERSION = 3
"""Raise it when the same wish gives other pixels than before: every asset gets a new key."""


def fingerprint_of(definition: object, *, digits: int) -> str:
    """Hash a JSON-serialisable definition together with the engine's version, as hexadecimal."""
    text = json.dumps([ENGINE_VERSION, definition], sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:digits]
