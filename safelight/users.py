"""User ids: whose an image is. Every one is made and checked here, so that no two kinds meet.

    key:NAME     the user of an API key called NAME
    oidc:SUB     the user of a token whose subject is SUB
    anonymous    every client, where no authentication is set up
    (adopted)    objects that arrived without the API

An API key's name never contains `/`, so `key:NAME/USER` is free for a user that a key names.
"""

import re

FORM = "key:NAME, oidc:SUB, anonymous or (adopted)"
ANONYMOUS = "anonymous"
ADOPTED = "(adopted)"

MAX_NAME_LENGTH = 64
"""The longest name of an API key, in characters. `key:NAME/USER` with a USER as long as a subject
then still fits an object key of 1,024 bytes, percent-encoded."""
MAX_SUBJECT_LENGTH = 255
"""The longest subject of a token, in characters, as OpenID Connect limits `sub`."""

NAME_FORM = f"1 to {MAX_NAME_LENGTH} visible ASCII characters without commas and slashes"
SUBJECT_FORM = f"1 to {MAX_SUBJECT_LENGTH} printable ASCII characters"

_NAME = rf"[!-+\-.0-~]{{1,{MAX_NAME_LENGTH}}}"  # visible ASCII without a comma and a slash
_SUBJECT = rf"[ -~]{{1,{MAX_SUBJECT_LENGTH}}}"
_USER_ID = re.compile(rf"key:{_NAME}|oidc:{_SUBJECT}|{ANONYMOUS}|{re.escape(ADOPTED)}")


def of_key(name: str) -> str:
    """Make the user id of an API key from the key's name, or raise a `ValueError`."""
    if not is_key_name(name):
        raise ValueError(f"an API key's name has {NAME_FORM}")
    return f"key:{name}"


def of_token(subject: str) -> str:
    """Make the user id of a token from its subject, or raise a `ValueError`."""
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
    """Return whether a user id can be made of this subject of a token."""
    return re.fullmatch(_SUBJECT, text) is not None


def is_user_id(text: str) -> bool:
    """Return whether the text is a user id."""
    return _USER_ID.fullmatch(text) is not None
