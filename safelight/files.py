"""Opens files in places where a render child writes too, and where it may have put traps."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from safelight.errors import Reason, Rejection

_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW


def open_result(path: Path) -> BinaryIO:
    """Open a file that a child has left, for reading. The path must be absolute and resolved.

    Nothing on the way may be a symbolic link, and the file must be a regular one without a second
    name, or bytes from elsewhere would be stored as the picture's. Raises a `Rejection` for a file
    that is not, and `OSError`.
    """
    folder = os.open(path.anchor, _DIRECTORY)
    try:
        for part in path.parts[1:-1]:
            inner = os.open(part, _DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        known = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(known.st_mode):
            # Another may stand there by now: a pipe must not be waited for.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            file = open(os.open(path.name, flags, dir_fd=folder), "rb")  # noqa: PTH123, SIM115
            known = os.fstat(file.fileno())
            if stat.S_ISREG(known.st_mode) and known.st_nlink == 1:
                return file
            file.close()
    except NotADirectoryError:  # so it is said of a link, too
        pass
    finally:
        os.close(folder)
    raise Rejection(Reason.DECODER_CRASH, f"{path.name} is not a file that a child of ours writes")
