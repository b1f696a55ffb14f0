"""Reads which colours the numbers of a PNG mean (PNG, third edition, 11.3.2). Pure.

The data is untrusted: the walk moves forward, stays inside the file, and ends at the pixels.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from safelight.imaging.isomedia import Coding, Data

Points = tuple[float, float, float, float, float, float, float, float]
"""The chromaticities x and y of white, red, green and blue."""
Curve = tuple[float, float, float, float, float]
"""g, a, b, c and d of the curve from numbers to light (ICC.1:2022, 10.18): (a x + b)^g from d on,
and c x below."""

_MAX_CHUNKS = 1_000
"""More chunks than any real picture has before its pixels."""
_SIZES = MappingProxyType({b"cICP": 4, b"sRGB": 1, b"cHRM": 32, b"gAMA": 4})
"""The chunks about colours, and their lengths in bytes."""
_FIXED = 100_000
"""The divisor of fixed-point numbers."""
_SAME = 0.001
"""The difference within which chromaticities are equal: files round them to 3 or 4 digits."""
_SRGB_GAMMA, _ROUNDING = 45_455, 455
"""The gamma that means sRGB's curve, and the difference that programs' rounding makes."""
_GAMMAS = range(10_000, 1_000_001)
"""The sensible gammas: exponents from 0.1 to 10."""

_D65 = (0.3127, 0.329)
_SRGB_POINTS: Points = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE: Curve = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_NTSC_POINTS: Points = (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07)
_POINTS: Mapping[int, Points] = MappingProxyType(
    {
        1: _SRGB_POINTS,
        4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
        5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
        6: _NTSC_POINTS,
        7: _NTSC_POINTS,
        9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
        11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
        12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    }
)
"""Primaries by their numbers (ITU-T H.273, 8.1)."""
_CURVES: Mapping[int, Curve] = MappingProxyType(
    {1: _BT709_CURVE, 6: _BT709_CURVE, 14: _BT709_CURVE, 15: _BT709_CURVE, 13: _SRGB_CURVE}
    | {number: (gamma, 1, 0, 0, 0) for number, gamma in ((4, 2.2), (5, 2.8), (8, 1.0))}
)
"""Curves by their numbers (ITU-T H.273, 8.2)."""
_HDR = frozenset({16, 18})


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """An RGB colour space, or the greys of one."""

    points: Points = _SRGB_POINTS
    curve: Curve = _SRGB_CURVE

    @property
    def is_srgb(self) -> bool:
        """Whether it is sRGB, up to the rounding of files."""
        pairs = zip(self.points, _SRGB_POINTS, strict=True)
        return self.curve == _SRGB_CURVE and all(abs(a - b) <= _SAME for a, b in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """The chunks about colours in their precedence; a profile comes after the first two."""

    coding: Coding | None = None
    """The primaries and transfer of an HDR picture."""
    named: Space | None = None
    """The space that cICP names."""
    measured: Space = Space()
    """The space by sRGB, or else by cHRM and gAMA."""


def colours(data: Data) -> Colours:
    """Read the chunks before the pixels."""
    found: dict[bytes, bytes] = {}
    for kind, content in _chunks(data):
        found.setdefault(kind, content)  # of two chunks of a kind the first counts, as in libpng
    measured = Space() if b"sRGB" in found else _measured(found)
    primaries, transfer, matrix, is_full = found.get(b"cICP", bytes(4))
    if matrix or not is_full or primaries not in _POINTS:
        return Colours(measured=measured)
    if transfer in _HDR:
        return Colours(coding=(primaries, transfer))
    if transfer not in _CURVES:
        return Colours(measured=measured)
    named = Space(points=_POINTS[primaries], curve=_CURVES[transfer])
    return Colours(named=named, measured=measured)


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
    points, curve = _SRGB_POINTS, _SRGB_CURVE
    if chunk := found.get(b"cHRM"):
        x = [value / _FIXED for value in struct.unpack(">8I", chunk)]
        points = (x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7])
    (gamma,) = struct.unpack(">I", found.get(b"gAMA", bytes(4)))
    if gamma in _GAMMAS and abs(gamma - _SRGB_GAMMA) > _ROUNDING:
        curve = (_FIXED / gamma, 1, 0, 0, 0)
    return Space(points=points, curve=curve)
