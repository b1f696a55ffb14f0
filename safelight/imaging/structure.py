"""Tells a file that ends too early from one that is damaged, by walking its structure.

Asked only after a decoder has failed, and read as untrusted: every walk moves forward and stays
inside the file. Decoders' messages are no source for this (libvips keeps them in one buffer per
process).
"""

import mmap
import re
import struct
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker in entropy-coded data: not a stuffed zero, not a restart (ITU-T T.81, B.1.1.5)."""
_JPEG_END = 0xD9
_TIFF_OFFSETS = MappingProxyType({273: 279, 324: 325})
"""Tags of where strips and tiles start, and the tags of how long they are (TIFF 6.0)."""
_TIFF_SIZES = MappingProxyType({3: "H", 4: "I", 16: "Q"})
_MAX_TIFF_CHUNKS = 200_000

Data = bytes | mmap.mmap


def is_cut_short(path: Path, format: str) -> bool:
    """Tell whether a file ends before its own structure says that it does."""
    ends_early = _WALKS.get(format)
    if ends_early is None or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return ends_early(data)
        except (IndexError, struct.error):
            return True  # it points beyond its own end


def _jpeg(data: Data) -> bool:
    """Follow segments by their length and scans to the next marker until the end marker."""
    at = 2
    while (marker := _JPEG_MARKER.search(data, at)) is not None:
        at = marker.end()
        kind = data[at - 1]
        if kind == _JPEG_END:
            return False
        (length,) = struct.unpack_from(">H", data, at)
        at += max(length, 2)
    return True


def _png(data: Data) -> bool:
    at = 8
    while data[at + 4 : at + 8] != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        at += length + 12
    return at + 12 > len(data)


def _webp(data: Data) -> bool:
    (size,) = struct.unpack_from("<I", data, 4)
    return int(size) + 8 > len(data)


def _gif(data: Data) -> bool:
    """Follow blocks (GIF89a, appendix A) to the trailer."""
    at = 13 + _colours(data[10])
    while (kind := data[at]) != 0x3B:
        if kind == 0x2C:
            at += 11 + _colours(data[at + 9])
        elif kind == 0x21:
            at += 2
        else:
            return False  # not where a block should start: damaged
        while length := data[at]:
            at += length + 1
        at += 1
    return False


def _colours(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _tiff(data: Data) -> bool:
    """Compare the first picture's strips or tiles with the file's end."""
    order = "<" if data[:2] == b"II" else ">"
    tags = dict(_tiff_entries(data, order))
    for starts, lengths in _TIFF_OFFSETS.items():
        for start, length in zip(tags.get(starts, ()), tags.get(lengths, ()), strict=False):
            if start + length > len(data):
                return True
    return False


def _tiff_entries(data: Data, order: str) -> list[tuple[int, tuple[int, ...]]]:
    """Read the first directory's whole-number tags; TIFF and BigTIFF differ in widths only."""
    big = data[2:4] in (b"+\0", b"\0+")
    offset, counter, width = ("Q", "Q", 8) if big else ("I", "H", 4)
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + counter, data, at)
    start, size = at + struct.calcsize(order + counter), 4 + 2 * width
    entries = []
    for entry in islice(range(start, len(data) - size + 1, size), count):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        (values,) = struct.unpack_from(order + offset, data, entry + 4)
        if (code := _TIFF_SIZES.get(kind)) and values <= _MAX_TIFF_CHUNKS:
            form = f"{order}{values}{code}"
            place = entry + 4 + width
            if struct.calcsize(form) > width:
                (place,) = struct.unpack_from(order + offset, data, place)
            entries.append((tag, struct.unpack_from(form, data, place)))
    if len(entries) < count and start + count * size > len(data):
        raise IndexError("the directory runs beyond the file")
    return entries


def _iso_media(data: Data) -> bool:
    """Follow the top-level boxes (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at < len(data):
        size, header = struct.unpack_from(">I", data, at)[0], 8
        if size == 1:
            size, header = struct.unpack_from(">Q", data, at + 8)[0], 16
        if size == 0:
            return False  # to the file's end, wherever that is
        if size < header:
            return False  # damaged
        at += size
    return at > len(data)


_WALKS: Mapping[str, Callable[[Data], bool]] = MappingProxyType(
    {
        "jpeg": _jpeg,
        "png": _png,
        "webp": _webp,
        "gif": _gif,
        "tiff": _tiff,
        "avif": _iso_media,
    }
)
