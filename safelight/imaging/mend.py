"""Mends copies of JPEGs that failed, so that a strict decode can judge them (docs/decisions/0057).

Runs in a render child.
"""

import errno
import os
import shutil
from pathlib import Path

import pyvips

from safelight.errors import Reason
from safelight.formats import BY_NAME, Format
from safelight.imaging.libvips import open_image
from safelight.imaging.limits import Limits
from safelight.imaging.structure import lacks_only_its_end, rows_of_intervals, without_oddities

_JPEG_END = b"\xff\xd9"
_OTHER_DATA = b"\xaa" * 64
"""Data whose first bit is 1. In its absence the decoder assumes zeros."""
_NO_SPACE = frozenset({errno.ENOSPC, errno.EFBIG})


def is_mended(source: Path, format: str, copy: Path, limits: Limits, reason: Reason) -> bool:
    """Write the copy, and return whether a strict decode of it proves that no pixel is missing."""
    if format != "jpeg":
        return False
    try:
        if reason is Reason.TRUNCATED and lacks_only_its_end(source):
            return _with_its_end(source, BY_NAME[format], copy)
        if reason is not Reason.CORRUPT or limits.accept_damaged:
            return False
        whole = _whole_intervals(source, BY_NAME[format], copy)
        return without_oddities(source, copy, whole)
    except pyvips.Error:
        return False
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        return False


def _with_its_end(source: Path, format: Format, copy: Path) -> bool:
    """Write a copy with an end marker; return whether other data before the marker changes none."""
    shutil.copyfile(source, copy)
    sums = []
    for more in (_OTHER_DATA, b""):
        with copy.open("r+b") as file:
            file.truncate(source.stat().st_size)
            file.seek(0, os.SEEK_END)
            file.write(more + _JPEG_END)
        sums.append(_sums(copy, format))
    return sums[0] == sums[1]


def _whole_intervals(source: Path, format: Format, copy: Path) -> frozenset[int]:
    """Return the numbers of the padded intervals to whose pixels one more byte makes a difference.

    Each is a row of the copy. Only the middle of a row is compared, because rows blend at edges.
    """
    sums: list[bytes] = []
    count = 0
    for last in (b"\0", _OTHER_DATA[:1]):
        if (count := rows_of_intervals(source, copy, last)) == 0:
            return frozenset()
        sums.append(_sums(copy, format)[1])
    size = len(sums[0]) // count
    middles = (slice(at + size // 4, at + size * 3 // 4) for at in range(0, size * count, size))
    return frozenset(
        number for number, middle in enumerate(middles) if sums[0][middle] != sums[1][middle]
    )


def _sums(path: Path, format: Format) -> tuple[bytes, bytes]:
    """Return the sums of all columns and rows. They differ if any data after the end matters."""
    columns, rows = open_image(path, format, accept_damaged=True).project()
    return columns.write_to_memory(), rows.write_to_memory()
