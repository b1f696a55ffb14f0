"""Finds files in the folders that an operator names, and explains why a folder cannot be used."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


class Unusable(Exception):
    """A file or folder named by the operator cannot be used; the message says why."""


class NotWritten(Exception):
    """A result could not be written, for example because the disk is full."""


def make_writable(out: Path) -> None:
    """Create the output folder if needed. Raises `Unusable` unless it is writable."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise Unusable(f"OUT: cannot write into {out}: {error.strerror}") from error


def files_below(folder: Path, *, but: Path | None = None) -> list[Path]:
    """List the visible files of a folder and of all folders below it, those of one folder sorted.

    Leaves out what is below `but`, hidden files and folders, and links to folders. Raises
    `Unusable` for a folder that cannot be read.
    """
    files: list[Path] = []
    for name, folders, names in os.walk(folder, onerror=_unreadable):
        here = Path(name)
        folders[:] = sorted(one for one in folders if one[0] != "." and not _same(here / one, but))
        files += [here / one for one in sorted(names) if one[0] != "." and (here / one).is_file()]
    return files


def refuse_to_overwrite(paths: Iterable[Path], *, by: str = "--overwrite") -> None:
    """Raise `Unusable` if any of these paths exists; `by` is what would replace it."""
    existing = [path for path in paths if os.path.lexists(path)]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise Unusable(f"OUT: {existing[0]}{more} exists already; {by} replaces it")


def require_presets(path: Path | None) -> None:
    """Raise `Unusable` if a file of presets was named and does not exist."""
    if path is not None and not path.exists():
        raise Unusable(f"PRESETS: {path} does not exist")


def _same(folder: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and folder.samefile(other)


def _unreadable(error: OSError) -> None:
    raise Unusable(f"{error.filename}: cannot be read: {error.strerror}") from error
