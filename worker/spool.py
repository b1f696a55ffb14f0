"""Files that live as long as one picture's work: its source and its variants on their way."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

_PREFIX = "worker-"


class Spool:
    """A worker's own directory. What dead workers left beside it is removed."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for leftover in root.glob(f"{_PREFIX}*"):
            if not _alive(leftover.name.removeprefix(_PREFIX)):
                shutil.rmtree(leftover, ignore_errors=True)
        self._own = root / f"{_PREFIX}{os.getpid()}"
        self._own.mkdir(exist_ok=True)

    @contextlib.contextmanager
    def directory(self) -> Iterator[Path]:
        """Give one picture a directory, and remove it with all that is in it."""
        path = Path(tempfile.mkdtemp(dir=self._own))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the worker's own directory."""
        shutil.rmtree(self._own, ignore_errors=True)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True
