"""Walks the segments of a JPEG and the markers in its scan (ITU-T T.81, annex B). Pure.

The data is untrusted: every walk moves forward, stays inside the file, and is bounded.
"""

import re
import struct
from collections.abc import Iterator
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
_END, _SCAN, _JFIF, _EXIF, _ADOBE = 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
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


def usual(data: Data) -> Iterator[bytes]:
    """Yield the file without oddities that draw warnings (docs/decisions/0008, 0057).

    These are bytes between segments, an unknown JFIF version or Adobe transform, odd limits of a
    sequential scan (B.2.3), and padding before most restarts.
    """
    frame = next((_frame(kind, body) for kind, _, body in _segments(data) if kind in _FRAMES), None)
    yield data[:2]
    end = 2
    for kind, start, body in _segments(data):
        yield data[start : start + 4]
        yield _usual_body(kind, body, frame)
        end = start + 4 + len(body)
    scan = _MARKER.search(data, end)
    rest = scan.start() if scan else len(data)
    yield from _usual_scan(data, end, rest)
    yield from _pieces(data, rest, len(data))


def _usual_body(kind: int, body: bytes, frame: _Frame | None) -> bytes:
    if kind == _JFIF and body[:5] == b"JFIF\0":
        return body[:5] + b"\1" + body[6:]
    if frame and kind == _ADOBE and body[:5] == b"Adobe" and len(body) >= _ADOBE_BYTES:
        known = _TRANSFORMS.get(frame.components)
        # Decoders take the last transform of these for any unknown one.
        return body[:11] + known[-1:] + body[12:] if known and body[11] not in known else body
    if frame and kind == _SCAN and frame.kind in _SEQUENTIAL:
        return body[:-3] + _SEQUENTIAL_LIMITS
    return body


def _usual_scan(data: Data, start: int, end: int) -> Iterator[bytes]:
    """Yield the entropy-coded data of a scan; drop zeros before restarts if most have some."""
    padded = [data[at - 1] == 0 and data[at - 2] != _PREFIX for at in _restarts(data, start, end)]
    for restart in _restarts(data, start, end) if 2 * sum(padded) > len(padded) else ():
        yield _unpadded(data[start:restart])
        start = restart
    yield from _pieces(data, start, end)


def _restarts(data: Data, start: int, end: int) -> Iterator[int]:
    restarts = islice(_RESTART.finditer(data, start, end), _MAX_RESTARTS)
    return (restart.start() for restart in restarts)


def _unpadded(interval: bytes) -> bytes:
    """Drop the zeros at the end, except the one that is part of a stuffed byte."""
    bare = interval.rstrip(b"\0")
    return interval[: len(bare) + 1] if bare[-1:] == b"\xff" else bare


def _pieces(data: Data, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _PIECE_BYTES):
        yield data[at : min(at + _PIECE_BYTES, end)]


def _frame(kind: int, body: bytes) -> _Frame:
    bits, _, _, components = struct.unpack_from(">BHHB", body)
    return _Frame(kind=kind, bits=bits, components=components)


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
