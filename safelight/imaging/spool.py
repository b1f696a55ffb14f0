"""Files that live as long as one picture's work: its source and its variants on their way."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from safelight.errors import Misconfigured

_PREFIX = "spool-"


class Spool:
    """A process's own directory, locked as long as it lives.

    What dead processes left beside it is removed: whatever can be locked belongs to nobody. A lock
    tells that also where several containers share a volume; process ids would not.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        root = root.resolve()  # results are opened without following a link
        with _locked(root):  # or a directory could be swept before its owner has locked it
            for leftover in root.glob(f"{_PREFIX}*"):
                with contextlib.suppress(OSError), _locked(leftover, wait=False):
                    shutil.rmtree(leftover, ignore_errors=True)
            self._own = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
            self._lock = os.open(self._own, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    @contextlib.contextmanager
    def directory(self) -> Iterator[Path]:
        """Give one picture a directory, and remove it with all that is in it.

        A disk that is full or broken is never the picture's fault: `Misconfigured`.
        """
        path = None
        try:
            self._own.mkdir(exist_ok=True)  # somebody may have tidied up
            path = Path(tempfile.mkdtemp(dir=self._own))
            yield path
        except (ConnectionError, TimeoutError):
            raise
        except OSError as error:
            raise Misconfigured("spool", str(error)) from error
        finally:
            if path is not None:
                shutil.rmtree(path, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the process's own directory."""
        shutil.rmtree(self._own, ignore_errors=True)
        os.close(self._lock)


@contextlib.contextmanager
def _locked(directory: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a directory's lock for the block; without waiting, `OSError` if somebody has it."""
    lock = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
