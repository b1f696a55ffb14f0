"""Checks the folders that an operator names, and explains why one cannot be used."""

import tempfile
from pathlib import Path


class Unusable(Exception):
    """A file or folder named by the operator cannot be used; the message says why."""


def make_writable(out: Path) -> None:
    """Create the output folder if needed. Raises `Unusable` unless it is writable."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise Unusable(f"OUT: cannot write into {out}: {error.strerror}") from error
