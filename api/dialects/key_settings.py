"""Read the settings that hold the keys of dialects. No message repeats a secret."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr

from safelight.secret_length import LEAST_SECRET_LENGTH, check_length

LEAST = f"secrets of at least {LEAST_SECRET_LENGTH} characters"
_WELL_KNOWN = frozenset({"MY_SECURE_KEY", "mysecret", "736563726574", "68656C6C6F"})
"""Keys from the documentation of thumbor, imagor and imgproxy."""


def keys_in(given: SecretStr | None) -> tuple[str, ...]:
    """List the keys in a setting, which commas separate."""
    text = given.get_secret_value() if given else ""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def check_keys(given: SecretStr | None) -> SecretStr | None:
    """Refuse a setting without a key, or with a published one."""
    if given is None:
        return None
    keys = keys_in(given)
    if not keys:
        raise ValueError("names no key; leave it unset to have none")
    if any(part in _WELL_KNOWN for key in keys for part in (key, *key.split(":"))):
        raise ValueError("is a key from public documents")
    return given


def _check_secrets(given: SecretStr | None) -> SecretStr | None:
    for key in keys_in(check_keys(given)):
        check_length(key)
    return given


Secrets = Annotated[SecretStr | None, AfterValidator(_check_secrets)]
"""Secrets separated by commas."""
