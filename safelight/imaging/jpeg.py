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
_MOST_FILL = 65_536
_PADDING = bytes(2)
"""What no scan has before a restart, because its last bits are ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    kind: int
    bits: int
    components: int
    units: int
    """The number of units that restarts count, if one scan has all components."""


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


def is_odd(data: Data) -> bool:
    """Return whether decoders warn of oddities that cost no pixel (docs/decisions/0008, 0057).

    These are bytes between segments, an unknown JFIF version or Adobe transform, odd limits of a
    sequential scan (B.2.3), and padding before restarts.
    """
    frame, interval, transform, expected = None, 0, None, 2
    for kind, start, body in _segments(data):
        version = body[5] if kind == _JFIF and body[:5] == b"JFIF\0" else 1
        if version != 1 or not _is_fill(data, expected, start):
            return True
        expected = start + 4 + len(body)
        if kind in _FRAMES:
            frame = _frame(kind, body)
        elif kind == _INTERVAL:
            (interval,) = struct.unpack(">H", body)
        elif kind == _ADOBE and body[:5] == b"Adobe" and len(body) >= _ADOBE_BYTES:
            transform = body[11]
        elif kind == _SCAN and frame:
            return _is_odd_scan(body, frame, transform) or _is_padded(
                data, expected, interval, frame if body[0] == frame.components else None
            )
    return False


def _is_odd_scan(body: bytes, frame: _Frame, transform: int | None) -> bool:
    known = _TRANSFORMS.get(frame.components)
    if known and transform is not None and transform not in known:
        return True
    return frame.kind not in _PROGRESSIVE and body[-3:] != _SEQUENTIAL_LIMITS


def _is_padded(data: Data, scan: int, interval: int, frame: _Frame | None) -> bool:
    """Return whether the only scan has all its restarts, and zeros before some of them."""
    if not frame or not interval or frame.kind not in _SEQUENTIAL:
        return False
    expected = -(-frame.units // interval) - 1
    found, padded = 0, False
    for restart in islice(_RESTART.finditer(data, scan), min(max(expected, 0), _MAX_RESTARTS)):
        at = restart.start()
        if data[at + 1] & 7 != found & 7:
            return False
        padded = padded or (data[at - 2 : at] == _PADDING and data[at - 3] != _PREFIX)
        found += 1
    return padded and found == expected


def _frame(kind: int, body: bytes) -> _Frame:
    bits, height, width, components = struct.unpack_from(">BHHB", body)
    sampling = [body[at] for at in range(7, 6 + 3 * components, 3)]
    across = down = 1
    if components > 1:
        across = max(each >> 4 for each in sampling)
        down = max(each & 15 for each in sampling)
    units = -(-width // (8 * max(across, 1))) * -(-height // (8 * max(down, 1)))
    return _Frame(kind=kind, bits=bits, components=components, units=units)


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


def _is_fill(data: Data, start: int, end: int) -> bool:
    """Return whether there is nothing but the fill bytes that may precede a marker (B.1.1.2)."""
    return not data[start : min(end, start + _MOST_FILL)].strip(b"\xff")
