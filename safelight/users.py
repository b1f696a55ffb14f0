"""User ids, which say who owns an image. All are made and checked here, so kinds cannot clash.

    key:NAME     the user of an API key called NAME
    oidc:SUB     the user of a token whose subject is SUB
    anonymous    every client, if no authentication is configured
    (adopted)    objects that were not uploaded through the API

An API key's name never contains `/`, so `key:NAME/USER` is free for a user that a key names.
"""

import re

FORM = "key:NAME, oidc:SUB, anonymous or (adopted)"
ANONYMOUS = "anonymous"
ADOPTED = "(adopted)"

MAX_NAME_LENGTH = 64
"""The longest name of an API key, in characters. With it, `key:NAME/USER` with the longest USER,
percent-encoded, still fits into an object key of 1,024 bytes."""
MAX_SUBJECT_LENGTH = 255
"""The longest subject of a token, in characters, as OpenID Connect limits `sub`."""

NAME_FORM = f"1 to {MAX_NAME_LENGTH} visible ASCII characters without commas and slashes"
SUBJECT_FORM = f"1 to {MAX_SUBJECT_LENGTH} printable ASCII characters"

_NAME = rf"[!-+\-.0-~]{{1,{MAX_NAME_LENGTH}}}"  # visible ASCII without a comma and a slash
_SUBJECT = rf"[ -~]{{1,{MAX_SUBJECT_LENGTH}}}"
_USER_ID = re.compile(rf"key:{_NAME}|oidc:{_SUBJECT}|{ANONYMOUS}|{re.escape(ADOPTED)}")


def of_key(name: str) -> str:
    """Return the user id of an API key of this name. Raises a `ValueError` for an invalid name."""
    if not is_key_name(name):
        raise ValueError(f"an API key's name has {NAME_FORM}")
    return f"key:{name}"


def of_token(subject: str) -> str:
    """Return the user id for a token's subject. Raises a `ValueError` for an invalid subject."""
    if not is_subject(subject):
        raise ValueError(f"a subject has {SUBJECT_FORM}")
    return f"oidc:{subject}"


def is_of_token(user_id: str) -> bool:
    """Return whether a user id was made from a token's subject."""
    return user_id.startswith("oidc:")


def is_key_name(text: str) -> bool:
    """Return whether an API key may have this name."""
    return re.fullmatch(_NAME, text) is not None


def is_subject(text: str) -> bool:
    """Return whether a token with this subject can have a user id."""
    return re.fullmatch(_SUBJECT, text) is not None


def is_user_id(text: str) -> bool:
    """Return whether the text is a user id."""
    return _USER_ID.fullmatch(text) is not None
