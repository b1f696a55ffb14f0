"""User ids, which say who owns an image. All are made and checked here, so kinds cannot clash.

    key:NAME         the user of an API key called NAME
    key:NAME/USER    a user that this API key names in a request
    oidc:SUB         the user of a token whose subject is SUB
    anonymous        every client, if no authentication is configured
    (adopted)        objects that were not uploaded through the API

An API key's name never contains `/`, so the name ends at the first one.
"""

import re

FORM = "key:NAME, key:NAME/USER, oidc:SUB, anonymous or (adopted)"
ANONYMOUS = "anonymous"
ADOPTED = "(adopted)"
ERASED = "(erased)"
"""What a tombstone has in place of its user and its key. No user can have this id."""

MAX_NAME_LENGTH = 64
"""The longest name of an API key, in characters. With it, `key:NAME/USER` with the longest USER,
percent-encoded, still fits into an object key of 1,024 bytes."""
MAX_SUBJECT_LENGTH = 255
"""The longest subject of a token, in characters, as OpenID Connect limits `sub`. The same holds for
a USER that an API key names."""

NAME_FORM = f"1 to {MAX_NAME_LENGTH} visible ASCII characters without commas and slashes"
SUBJECT_FORM = f"1 to {MAX_SUBJECT_LENGTH} printable ASCII characters"

_NAME = rf"[!-+\-.0-~]{{1,{MAX_NAME_LENGTH}}}"  # visible ASCII without a comma and a slash
_SUBJECT = rf"[ -~]{{1,{MAX_SUBJECT_LENGTH}}}"
_USER_ID = re.compile(
    rf"key:{_NAME}(?:/{_SUBJECT})?|oidc:{_SUBJECT}|{ANONYMOUS}|{re.escape(ADOPTED)}"
)


def of_key(name: str) -> str:
    """Return the user id of an API key of this name. Raises a `ValueError` for an invalid name."""
    if not is_key_name(name):
        raise ValueError(f"an API key's name has {NAME_FORM}")
    return f"key:{name}"


def of_named(key_user: str, name: str) -> str:
    """Return the id of a user whom an API key names. Raises a `ValueError` for an invalid name."""
    if not is_subject(name):
        raise ValueError(f"the name of a user has {SUBJECT_FORM}")
    return f"{key_user}/{name}"


def of_token(subject: str) -> str:
    """Return the user id for a token's subject. Raises a `ValueError` for an invalid subject."""
    if not is_subject(subject):
        raise ValueError(f"a subject has {SUBJECT_FORM}")
    return f"oidc:{subject}"


def is_person(user_id: str) -> bool:
    """Return whether a user id is of a token's subject, or of a user whom an API key names."""
    return user_id.startswith("oidc:") or naming_key(user_id) is not None


def naming_key(user_id: str) -> str | None:
    """Return the user id of the API key that named this user; None for any other user."""
    key, slash, _ = user_id.partition("/")
    return key if slash and key.startswith("key:") else None


def is_key_name(text: str) -> bool:
    """Return whether an API key may have this name."""
    return re.fullmatch(_NAME, text) is not None


def is_subject(text: str) -> bool:
    """Return whether a token with this subject can have a user id."""
    return re.fullmatch(_SUBJECT, text) is not None


def is_user_id(text: str) -> bool:
    """Return whether the text is a user id."""
    return _USER_ID.fullmatch(text) is not None
