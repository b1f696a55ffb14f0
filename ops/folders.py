"""The folders that an operator names: whether they can be used, or what to tell them."""

import tempfile
from pathlib import Path


class Unusable(Exception):
    """What was asked for cannot be used, and why."""


def make_writable(out: Path) -> None:
    """Make the folder for the variants, and make sure that it can be written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise Unusable(f"OUT: cannot write into {out}: {error.strerror}") from error
