"""Keys for signing URLs, in the form of settings: `id:secret` or `id:secret:user`. Pure."""

import re
from dataclasses import dataclass, field

from safelight import users
from safelight.secret_length import check_length

FORM = "id:secret or id:secret:user, separated by commas"

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """One key for signing URLs."""

    key_id: str
    secret: str = field(repr=False)
    user_id: str | None
    """The only user whose images the key gives access to; None for the images of all users."""


def read_key(text: str) -> NamedKey:
    """Read one key. Raises a `ValueError` that contains no secret."""
    key_id, _, rest = text.partition(":")
    secret, colon, user_id = rest.partition(":")
    if not _KEY_ID.fullmatch(key_id) or not secret:
        raise ValueError(f"must be {FORM}")
    if colon and not user_id:
        # Without a user the key would give access to all images.
        raise ValueError(f"key {key_id}: names no user after its last colon")
    if colon and not users.is_user_id(user_id):
        raise ValueError(
            f"key {key_id}: its user must be a user id, {users.FORM}, as in id:secret:key:alice"
        )
    try:
        check_length(secret)
    except ValueError as error:
        raise ValueError(f"key {key_id}: {error}") from error
    return NamedKey(key_id=key_id, secret=secret, user_id=user_id or None)


def read_keys(text: str) -> dict[str, NamedKey]:
    """Return keys by their ids, in order. Raises a `ValueError` that contains no secret."""
    keys: dict[str, NamedKey] = {}
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        key = read_key(entry)
        if key.key_id in keys:
            raise ValueError(f"key {key.key_id} is there twice")
        keys[key.key_id] = key
    return keys
