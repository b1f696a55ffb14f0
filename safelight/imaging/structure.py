"""Examines the structure of a file: is it truncated, unsupported, odd, or has it huge parts?

The sizes of parts are read before decoding, the other facts only after a decoder has failed. The
data is untrusted: every walk moves forward and stays inside the file. Messages of decoders are not
used (libvips keeps them in one buffer per process).
"""

import mmap
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from safelight.imaging import avif, gif, isomedia, png, tiff
from safelight.imaging.isomedia import Coding, Data

T = TypeVar("T")

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker in entropy-coded data, except stuffed zeros and restarts (ITU-T T.81, B.1.1.5)."""
_MAX_JPEG_MARKERS = 100_000
_JPEG_END = 0xD9
_JPEG_PREFIX = 0xFF
_JPEG_SCAN = 0xDA
_SEQUENTIAL_LIMITS = bytes((0, 63, 0))
_MOST_ADOBE_TRANSFORM = 2
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
"""Markers of progressive frames, whose scans have other limits."""
_GAIN_MAP_HEADER_BYTES = 256 * 1024
_GAIN_MAP_NAMES = (b"urn:iso:std:iso:ts:21496:-1", b"http://ns.adobe.com/hdr-gain-map/1.0/")
_BMP_CORE_HEADER = 12
_BMP_UNCOMPRESSED = frozenset({0, 3, 6})


def is_cut_short(path: Path, format: str) -> bool:
    """Return whether a file ends before its own structure says so."""
    # A walk fails if an offset points beyond the file's end.
    return _answer(_WALKS.get(format), path, otherwise=False, if_it_fails=True)


def is_of_an_unread_kind(path: Path, format: str) -> bool:
    """Return whether a file is complete, but its pixels are coded in an unsupported way."""
    return _answer(_UNREAD_KINDS.get(format), path, otherwise=False, if_it_fails=False)


def has_an_odd_header(path: Path, format: str) -> bool:
    """Return whether a header has oddities that decoders only warn about."""
    return _answer(_ODD_HEADERS.get(format), path, otherwise=False, if_it_fails=False)


def largest_part(path: Path, format: str) -> tuple[int, int]:
    """Return the largest width and height of a part, such as a tile or an alpha plane.

    A decoder allocates memory by these sizes, however small the whole picture claims to be. Returns
    (0, 0) if the format has no parts.
    """
    ask = isomedia.largest_size if format in _OF_PARTS else None
    return _answer(ask, path, otherwise=(0, 0), if_it_fails=(0, 0))


def named_coding(path: Path, format: str) -> Coding | None:
    """Return the numbers of primaries and transfer in an AVIF or HEIC; None if it has none."""
    ask = isomedia.primary_coding if format in _OF_PARTS else None
    return _answer(ask, path, otherwise=None, if_it_fails=None)


def picture_of_a_tiff(path: Path) -> tiff.Page | None:
    """Return the page to show; None if the file has no page that is read, or is damaged."""
    return _answer(tiff.picture, path, otherwise=None, if_it_fails=None)


def colours_of_a_png(path: Path) -> png.Colours | None:
    """Return what the chunks before the pixels say about colours; None if they are damaged."""
    return _answer(png.colours, path, otherwise=None, if_it_fails=None)


def first_frame_of_a_gif(path: Path) -> bytes | None:
    """Return a GIF of the first frame only; None if that frame is damaged."""
    return _answer(gif.still, path, otherwise=None, if_it_fails=None)


def animation_of_a_gif(path: Path) -> bytes | None:
    """Return a GIF that is transparent outside its frames; None if it is so already, or damaged."""
    return _answer(gif.animation, path, otherwise=None, if_it_fails=None)


def storage_of_an_avif(path: Path) -> avif.Storage:
    """Return how an AVIF stores its grey and its alpha."""
    usual = avif.Storage()
    return _answer(avif.storage, path, otherwise=usual, if_it_fails=usual)


def names_limited_range(path: Path) -> bool:
    """Return whether black is 16 of 255 in an AVIF or HEIC, by the numbers of its colours."""
    return bool(_answer(isomedia.names_limited_range, path, otherwise=None, if_it_fails=None))


def announces_a_gain_map(path: Path, format: str) -> bool:
    """Return whether a JPEG's header announces a gain map, by ISO 21496-1 or Adobe's namespace."""
    if format != "jpeg":
        return False
    with path.open("rb") as file:
        head = file.read(_GAIN_MAP_HEADER_BYTES)
    return any(name in head for name in _GAIN_MAP_NAMES)


def _answer(ask: Callable[[Data], T] | None, path: Path, *, otherwise: T, if_it_fails: T) -> T:
    if ask is None or path.stat().st_size == 0:
        return otherwise
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return ask(data)
        except (IndexError, OverflowError, struct.error):
            return if_it_fails


def _jpeg(data: Data) -> bool:
    """Follow segments by their length and scans to the next marker until the end marker."""
    at = 2
    for _ in range(_MAX_JPEG_MARKERS):
        marker = _JPEG_MARKER.search(data, at)
        if marker is None:
            return True
        at = marker.end()
        kind = data[at - 1]
        if kind == _JPEG_END:
            return False
        (length,) = struct.unpack_from(">H", data, at)
        at += max(length, 2)
    return False  # no picture has so many markers: damaged


def _odd_jpeg(data: Data) -> bool:
    """Find an unknown JFIF version or Adobe transform, padding between segments, odd scan limits.

    The limits of a sequential scan are 0, 63, 0, 0 (ITU-T T.81, B.2.3); some phones write others.
    """
    at, sequential = 2, True
    for _ in range(_MAX_JPEG_MARKERS):
        if data[at] != _JPEG_PREFIX:
            return True
        kind = data[at + 1]
        if kind == _JPEG_PREFIX:  # padding with this value may precede any marker
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if kind == _JPEG_SCAN:
            return sequential and body[-3:] != _SEQUENTIAL_LIMITS
        if kind == 0xE0 and body[:5] == b"JFIF\0" and body[5] != 1:
            return True
        if kind == 0xEE and body[:5] == b"Adobe" and body[11] > _MOST_ADOBE_TRANSFORM:
            return True
        sequential = sequential and kind not in _PROGRESSIVE
        at += 2 + max(length, 2)
    return False


def _png(data: Data) -> bool:
    at = 8
    while data[at + 4 : at + 8] != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        at += length + 12
    return at + 12 > len(data)


def _webp(data: Data) -> bool:
    (size,) = struct.unpack_from("<I", data, 4)
    return int(size) + 8 > len(data)


def _bmp(data: Data) -> bool:
    """Compare an uncompressed bitmap's rows with the file's end."""
    (place,) = struct.unpack_from("<I", data, 10)
    (header,) = struct.unpack_from("<I", data, 14)
    if header == _BMP_CORE_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        coding = 0
    else:
        width, height, _, bits, coding = struct.unpack_from("<iiHHI", data, 18)
    row = (width * bits + 31) // 32 * 4
    return coding in _BMP_UNCOMPRESSED and int(place + row * abs(height)) > len(data)


_OF_PARTS = frozenset({"avif", "heic"})
_WALKS: Mapping[str, Callable[[Data], bool]] = MappingProxyType(
    {
        "jpeg": _jpeg,
        "png": _png,
        "webp": _webp,
        "gif": gif.is_cut_short,
        "tiff": tiff.is_cut_short,
        "avif": isomedia.is_cut_short,
        "heic": isomedia.is_cut_short,
        "bmp": _bmp,
    }
)
_UNREAD_KINDS: Mapping[str, Callable[[Data], bool]] = MappingProxyType(
    {"tiff": tiff.is_of_an_unread_kind}
)
_ODD_HEADERS: Mapping[str, Callable[[Data], bool]] = MappingProxyType({"jpeg": _odd_jpeg})
