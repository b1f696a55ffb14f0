"""Opens files in folders where a render child can write, and may have placed traps."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from safelight.errors import Reason, Rejection

_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
_TRAPS = (errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.EPERM)
"""Error numbers for a link in place of the file or of a folder, and for an unreadable file."""


def open_result(path: Path) -> BinaryIO:
    """Open a file written by a child, for reading. The path must be absolute and resolved.

    No part of the path may be a symbolic link, and the file must be a regular one with a single
    hard link. Otherwise bytes of other files could be stored as the picture's. Raises a
    `Rejection` for such a file, or an `OSError`.
    """
    folder = os.open(path.anchor, _DIRECTORY)
    try:
        for part in path.parts[1:-1]:
            inner = os.open(part, _DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Non-blocking, because the file may be a pipe.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(path.name, flags, dir_fd=folder)
        known = os.fstat(file)
        if stat.S_ISREG(known.st_mode) and known.st_nlink == 1:
            return os.fdopen(file, "rb")
        os.close(file)
    except OSError as error:
        if error.errno not in _TRAPS:
            raise
    finally:
        os.close(folder)
    raise Rejection(Reason.DECODER_CRASH, f"{path.name} is not a regular file of a render child")
