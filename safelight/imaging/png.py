"""Reads which colours the numbers of a PNG mean (PNG, third edition, 11.3.2). Pure.

The data is untrusted: the walk moves forward, stays inside the file, and ends at the pixels.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from safelight.imaging.isomedia import Coding, Data
from safelight.imaging.spaces import POINTS, Space, space_of

_MAX_CHUNKS = 1_000
"""More chunks than any real picture has before its pixels."""
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
    for kind, content in _chunks(data):
        found.setdefault(kind, content)  # of two chunks of a kind the first counts, as in libpng
    measured = Space() if b"sRGB" in found else _measured(found)
    primaries, transfer, matrix, is_full = found.get(b"cICP", bytes(4))
    if matrix or not is_full:
        return Colours(measured=measured)
    if transfer in _HDR and primaries in POINTS:
        return Colours(coding=(primaries, transfer))
    return Colours(named=space_of((primaries, transfer)), measured=measured)


def _chunks(data: Data) -> Iterator[tuple[bytes, bytes]]:
    """Yield the undamaged chunks about colours."""
    at = 8
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in {b"IDAT", b"IEND"}:
            return
        if _SIZES.get(kind) == length:
            (check,) = struct.unpack_from(">I", data, at + 8 + length)
            if zlib.crc32(data[at + 4 : at + 8 + length]) == check:
                yield kind, data[at + 8 : at + 8 + length]
        at += length + 12


def _measured(found: Mapping[bytes, bytes]) -> Space:
    points, curve = Space().points, Space().curve
    if chunk := found.get(b"cHRM"):
        x = [value / _FIXED for value in struct.unpack(">8I", chunk)]
        points = (x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7])
    (gamma,) = struct.unpack(">I", found.get(b"gAMA", bytes(4)))
    if gamma in _GAMMAS and abs(gamma - _SRGB_GAMMA) > _ROUNDING:
        curve = (_FIXED / gamma, 1, 0, 0, 0)
    return Space(points=points, curve=curve)
