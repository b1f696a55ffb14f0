"""How long the secrets that settings take must be: one rule, and the words for it. Pure."""

LEAST_SECRET_LENGTH = 16
"""Characters of a secret that is written as text; bytes of one that is written in hexadecimal."""


def check_length(secret: str | bytes, *, least: int = LEAST_SECRET_LENGTH) -> None:
    """Raise a `ValueError`, which shows nothing of the secret, for one that is too short."""
    if len(secret) < least:
        unit = "bytes" if isinstance(secret, bytes) else "characters"
        raise ValueError(f"a secret must have at least {least} {unit}")
