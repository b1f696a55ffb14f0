"""Temporary directories for the files of one picture: its source and its variants."""

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
    """A process's own directory, locked while the process lives.

    Directories of dead processes are removed: any that can be locked has no owner. Unlike process
    ids, locks also work if several containers share a volume.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        root = root.resolve()  # results are opened without following a link
        with _locked(root):  # or a directory could be removed before its owner has locked it
            for leftover in root.glob(f"{_PREFIX}*"):
                with contextlib.suppress(OSError), _locked(leftover, wait=False):
                    shutil.rmtree(leftover, ignore_errors=True)
            self._own = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
            self._lock = os.open(self._own, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    @contextlib.contextmanager
    def directory(self) -> Iterator[Path]:
        """Create a directory for one picture; remove it with its files after the block.

        Raises `Misconfigured` for a full or broken disk, which is never the picture's fault.
        """
        path = None
        try:
            self._own.mkdir(exist_ok=True)  # a cleanup may have removed it
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
    """Hold a directory's lock during the block; without `wait`, `OSError` if it is taken."""
    lock = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
