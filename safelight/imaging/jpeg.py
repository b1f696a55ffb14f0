"""Walks the segments of a JPEG and the markers in its scan (ITU-T T.81, annex B). Pure.

The data is untrusted: every walk moves forward, stays inside the file, and is bounded.
"""

import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from safelight.imaging.isomedia import Data

Segment = tuple[int, int, bytes]
"""The marker of a segment, where it starts, and its content."""

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker in entropy-coded data, except stuffed zeros and restarts (B.1.1.5)."""
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MAX_MARKERS = 100_000
_MAX_RESTARTS = 1_000_000
"""The most restarts that are followed: more than 50 megapixels have."""
_PREFIX = 0xFF
_END, _SCAN, _INTERVAL, _JFIF, _EXIF, _ADOBE = 0xD9, 0xDA, 0xDD, 0xE0, 0xE1, 0xEE
_ORIENTATION, _SHORT, _MOST_ORIENTATION = 0x112, 3, 8
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of frame headers. Among them are those of tables and of an extension."""
_SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC9})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_SEQUENTIAL_LIMITS = bytes((0, 63, 0))
_BITS = 8
_TRANSFORMS = {3: b"\0\1", 4: b"\0\2"}
"""Components -> the transforms that Adobe defines for them."""
_ADOBE_BYTES = 12
_PIECE_BYTES = 1024**2
"""The most bytes that are copied at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    kind: int
    bits: int
    components: int
    unit: tuple[int, int]
    """The width and height in pixels of what restarts count, if one scan has all components."""
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    frame: _Frame
    interval: int
    """The units between two restarts."""
    is_whole: bool
    """Whether it is sequential and has all components."""
    start: int
    end: int


def is_cut_short(data: Data) -> bool:
    """Follow segments by their length and scans to the next marker until the end marker."""
    at = 2
    for _ in range(_MAX_MARKERS):
        marker = _MARKER.search(data, at)
        if marker is None:
            return True
        at = marker.end()
        kind = data[at - 1]
        if kind == _END:
            return False
        (length,) = struct.unpack_from(">H", data, at)
        at += max(length, 2)
    return False  # no picture has so many markers: damaged


def lacks_only_its_end(data: Data) -> bool:
    """Return whether one scan has all components and runs to the file's end without a marker."""
    frame = None
    for kind, at, body in _segments(data):
        if kind in _FRAMES:
            frame = _frame(kind, body)
        if kind == _SCAN:
            is_whole = frame and frame.kind in _SEQUENTIAL and body[0] == frame.components
            return bool(is_whole) and _MARKER.search(data, at + 4 + len(body)) is None
    return False


def is_unread(data: Data) -> bool:
    """Return whether it is lossless, hierarchical, or of more than 8 bits."""
    for kind, _, body in _segments(data):
        if kind in _FRAMES:
            return kind not in _SEQUENTIAL | _PROGRESSIVE or _frame(kind, body).bits != _BITS
    return False


def odd_orientation(data: Data) -> int:
    """Return the EXIF orientation behind an odd signature: `Exif`, zero, and any byte but zero.

    Browsers read it, libvips does not. Returns 0 if there is none.
    """
    for kind, _, body in _segments(data):
        if kind == _EXIF and body[:5] == b"Exif\0" and body[5]:
            return _orientation(body[6:])
    return 0


def _orientation(exif: bytes) -> int:
    """Read the orientation from the first directory (EXIF 2.32, 4.6.4)."""
    order = "<" if exif[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, at)
        if (tag, kind) == (_ORIENTATION, _SHORT):
            return int(value) if 1 <= value <= _MOST_ORIENTATION else 0
    return 0


def usual(data: Data, whole: Collection[int]) -> Iterator[bytes]:
    """Yield the file without oddities that draw warnings (docs/decisions/0008, 0057).

    These are bytes between segments, an unknown JFIF version or Adobe transform, odd limits of a
    sequential scan (B.2.3), and padding before restarts. The intervals with the numbers in
    `whole` end with a zero that is no padding. Raises `IndexError` if there is no scan.
    """
    scan = _first_scan(data)
    yield from _usual_header(data, scan.frame)
    at = scan.start
    for number, restart in enumerate(_padded_restarts(data, scan)):
        yield _unpadded(data[at:restart]) + bytes(number in whole)
        at = restart
    yield from _pieces(data, at, len(data))


def rows_of_intervals(data: Data, last: bytes) -> tuple[int, Iterator[bytes]]:
    """Return a JPEG with a row of blocks for each padded interval, whose padding becomes `last`.

    Also returns the number of rows, which is 0 without padding. Raises `IndexError` without a scan,
    and `struct.error` if the rows are too long or too many for a JPEG.
    """
    scan = _first_scan(data)
    count = sum(1 for _ in _padded_restarts(data, scan))
    # Never make a larger picture: the file may have more intervals than its own picture needs.
    if not scan.is_whole or count * scan.interval >= scan.frame.units:
        return 0, iter(())
    return count, _rows(data, scan, count, last)


def _rows(data: Data, scan: _Scan, count: int, last: bytes) -> Iterator[bytes]:
    width, height = scan.frame.unit
    yield from _usual_header(data, scan.frame, (count * height, scan.interval * width))
    at = scan.start
    for restart in _padded_restarts(data, scan):
        yield _unpadded(data[at:restart]) + last
        at = restart
    yield bytes((_PREFIX, _END))


def _first_scan(data: Data) -> _Scan:
    frame, interval = None, 0
    for kind, at, body in _segments(data):
        if kind in _FRAMES:
            frame = _frame(kind, body)
        elif kind == _INTERVAL:
            (interval,) = struct.unpack(">H", body)
        elif kind == _SCAN and frame:
            start = at + 4 + len(body)
            marker = _MARKER.search(data, start)
            end = marker.start() if marker else len(data)
            is_whole = frame.kind in _SEQUENTIAL and body[0] == frame.components
            return _Scan(frame=frame, interval=interval, is_whole=is_whole, start=start, end=end)
    raise IndexError("no scan")


def _usual_header(
    data: Data, frame: _Frame, size: tuple[int, int] | None = None
) -> Iterator[bytes]:
    """Yield the segments up to the first scan; replace height and width if a size is given."""
    yield data[:2]
    for kind, start, body in _segments(data):
        yield data[start : start + 4]
        if kind in _FRAMES and size:
            yield body[:1] + struct.pack(">HH", *size) + body[5:]
        else:
            yield _usual_body(kind, body, frame)


def _usual_body(kind: int, body: bytes, frame: _Frame) -> bytes:
    if kind == _JFIF and body[:5] == b"JFIF\0":
        return body[:5] + b"\1" + body[6:]
    if kind == _ADOBE and body[:5] == b"Adobe" and len(body) >= _ADOBE_BYTES:
        known = _TRANSFORMS.get(frame.components)
        # Decoders take the last transform of these for any unknown one.
        return body[:11] + known[-1:] + body[12:] if known and body[11] not in known else body
    if kind == _SCAN and frame.kind in _SEQUENTIAL:
        return body[:-3] + _SEQUENTIAL_LIMITS
    return body


def _padded_restarts(data: Data, scan: _Scan) -> Iterator[int]:
    """Yield the places of all restarts in the scan, if any of them has zeros before it."""
    if any(data[at - 1] == 0 and data[at - 2] != _PREFIX for at in _restarts(data, scan)):
        yield from _restarts(data, scan)


def _restarts(data: Data, scan: _Scan) -> Iterator[int]:
    restarts = islice(_RESTART.finditer(data, scan.start, scan.end), _MAX_RESTARTS)
    return (restart.start() for restart in restarts)


def _unpadded(interval: bytes) -> bytes:
    """Drop the zeros at the end, except the one that is part of a stuffed byte."""
    bare = interval.rstrip(b"\0")
    return interval[: len(bare) + 1] if bare[-1:] == b"\xff" else bare


def _pieces(data: Data, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _PIECE_BYTES):
        yield data[at : min(at + _PIECE_BYTES, end)]


def _frame(kind: int, body: bytes) -> _Frame:
    bits, height, width, components = struct.unpack_from(">BHHB", body)
    across = down = 1
    if components > 1:
        sampling = [body[at] for at in range(7, 6 + 3 * components, 3)]
        across = max(1, *(each >> 4 for each in sampling))
        down = max(1, *(each & 15 for each in sampling))
    unit = 8 * across, 8 * down
    units = -(-width // unit[0]) * -(-height // unit[1])
    return _Frame(kind=kind, bits=bits, components=components, unit=unit, units=units)


def _segments(data: Data) -> Iterator[Segment]:
    """Yield the segments up to the first scan, also those behind bytes of no segment."""
    at = 2
    for _ in range(_MAX_MARKERS):
        marker = _MARKER.search(data, at)
        if marker is None:
            return
        start, kind = marker.start(), data[marker.start() + 1]
        (length,) = struct.unpack_from(">H", data, start + 2)
        yield kind, start, data[start + 4 : start + 2 + length]
        if kind == _SCAN:
            return
        at = start + 2 + max(length, 2)
