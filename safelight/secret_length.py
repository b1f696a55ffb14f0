"""The minimum length of secrets in settings, and its error message. Pure."""

LEAST_SECRET_LENGTH = 16
"""In characters for a secret given as text, in bytes for one given in hexadecimal."""


def check_length(secret: str | bytes, *, least: int = LEAST_SECRET_LENGTH) -> None:
    """Raise a `ValueError` if a secret is too short. The message does not contain the secret."""
    if len(secret) < least:
        unit = "bytes" if isinstance(secret, bytes) else "characters"
        raise ValueError(f"a secret must have at least {least} {unit}")
