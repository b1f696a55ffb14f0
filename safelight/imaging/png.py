"""Reads the chunks of a PNG, and which colours its numbers mean (PNG, third edition, 11.3.2). Pure.

The data is untrusted: the walk moves forward, stays inside the file, and is bounded.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, takewhile
from types import MappingProxyType

from safelight.imaging.isomedia import Coding, Data
from safelight.imaging.spaces import POINTS, Space, space_of

Chunk = tuple[bytes, int, int]
"""The kind of a chunk, and where its content starts and ends."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 1_000_000
"""More chunks than any real picture has: 64 MB of them hold 64 bytes each."""
_MAX_CHUNKS_BEFORE_PIXELS = 1_000
"""The same for the chunks before the pixels."""
_CHECK_BYTES = 4
_PIXELS = frozenset({b"IDAT", b"IEND"})
_SIZES = MappingProxyType({b"cICP": 4, b"sRGB": 1, b"cHRM": 32, b"gAMA": 4})
"""The chunks about colours, and their lengths in bytes."""
_FIXED = 100_000
"""The divisor of fixed-point numbers."""
_SRGB_GAMMA, _ROUNDING = 45_455, 455
"""The gamma that means sRGB's curve, and the difference that programs' rounding makes."""
_GAMMAS = range(10_000, 1_000_001)
"""The sensible gammas: exponents from 0.1 to 10."""

_HDR = frozenset({16, 18})


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """The chunks about colours in their precedence; a profile comes after the first two."""

    coding: Coding | None = None
    """The primaries and transfer of an HDR picture."""
    named: Space | None = None
    """The space that cICP names."""
    measured: Space = field(default_factory=Space)
    """The space by sRGB, or else by cHRM and gAMA."""


def colours(data: Data) -> Colours:
    """Read the chunks before the pixels."""
    found: dict[bytes, bytes] = {}
    for kind, start, end in before_pixels(data):
        if _SIZES.get(kind) == end - start and not checksum_error(data, (kind, start, end)):
            # Of two chunks of a kind the first counts, as in libpng.
            found.setdefault(kind, bytes(data[start:end]))
    measured = Space() if b"sRGB" in found else _measured(found)
    primaries, transfer, matrix, is_full = found.get(b"cICP", bytes(4))
    if matrix or not is_full:
        return Colours(measured=measured)
    if transfer in _HDR and primaries in POINTS:
        return Colours(coding=(primaries, transfer))
    return Colours(named=space_of((primaries, transfer)), measured=measured)


def chunks(data: Data) -> Iterator[Chunk]:
    """Yield the chunks up to the end of the picture, or of the file, which may be inside the last.

    Raises `struct.error` if the file ends inside the header of a chunk.
    """
    at = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if at >= len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        start, end = at + 8, at + 8 + length
        yield kind, start, end
        if kind == b"IEND":
            return
        at = end + _CHECK_BYTES


def checksum_error(data: Data | memoryview, chunk: Chunk) -> int:
    """Return the difference, bit by bit, between the checksum of a chunk and the right one."""
    _, start, end = chunk
    stored = int.from_bytes(data[end : end + _CHECK_BYTES], "big")
    return stored ^ zlib.crc32(data[start - 4 : end])


def before_pixels(data: Data) -> Iterator[Chunk]:
    """Yield the chunks before the pixels, or the first thousand of them."""
    first = islice(chunks(data), _MAX_CHUNKS_BEFORE_PIXELS)
    return takewhile(lambda chunk: chunk[0] not in _PIXELS, first)


def _measured(found: Mapping[bytes, bytes]) -> Space:
    points, curve = Space().points, Space().curve
    if chunk := found.get(b"cHRM"):
        x = [value / _FIXED for value in struct.unpack(">8I", chunk)]
        points = (x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7])
    (gamma,) = struct.unpack(">I", found.get(b"gAMA", bytes(4)))
    if gamma in _GAMMAS and abs(gamma - _SRGB_GAMMA) > _ROUNDING:
        curve = (_FIXED / gamma, 1, 0, 0, 0)
    return Space(points=points, curve=curve)
