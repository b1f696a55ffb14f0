"""Measures the gamut of an ICC profile. Pure; profiles are as untrusted as pictures.

ICC.1:2022, 7.2 and 10.31: a header of 128 bytes, a table of tags, and each primary's XYZ position.
"""

import struct

_TABLE = 128
_MAX_TAGS = 200
_PRIMARIES = (b"rXYZ", b"gXYZ", b"bXYZ")
_FIXED = 65_536
"""Divisor of fixed-point numbers, which are signed with 16 fractional bits."""
_SRGB_AREA = 0.1091
"""Area of the triangle between sRGB's primaries in CIE 1931 x and y, adapted to D50."""
_WIDER = 1.1
"""How many times sRGB's area counts as wider. Rounding of profiles differs; Display P3 has 1.3."""


def is_wider_than_srgb(profile: bytes) -> bool:
    """Return whether an RGB profile contains colours outside sRGB.

    Profiles based on tables, as for printers and scanners, count as no wider.
    """
    try:
        primaries = _primaries(profile)
        if len(primaries) != len(_PRIMARIES):
            return False
        (rx, ry), (gx, gy), (bx, by) = (_chromaticity(*primaries[tag]) for tag in _PRIMARIES)
    except (struct.error, ZeroDivisionError):
        return False
    area = abs((gx - rx) * (by - ry) - (bx - rx) * (gy - ry)) / 2
    return area > _WIDER * _SRGB_AREA


def _primaries(profile: bytes) -> dict[bytes, tuple[float, float, float]]:
    (count,) = struct.unpack_from(">I", profile, _TABLE)
    found = {}
    for index in range(min(count, _MAX_TAGS)):
        tag, start, _ = struct.unpack_from(">4sII", profile, _TABLE + 4 + 12 * index)
        if tag in _PRIMARIES:
            x, y, z = struct.unpack_from(">3i", profile, start + 8)
            found[tag] = (x / _FIXED, y / _FIXED, z / _FIXED)
    return found


def _chromaticity(x: float, y: float, z: float) -> tuple[float, float]:
    return x / (x + y + z), y / (x + y + z)
