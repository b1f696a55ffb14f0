"""Writes an ICC profile of a colour space (ICC.1:2022: matrix and curves, or grey). Pure."""

import struct
from collections.abc import Sequence

from safelight.imaging.spaces import Points, Space

Vector = Sequence[float]
Matrix = Sequence[Vector]

_D50 = (0.9642, 1.0, 0.8249)
"""The white of profiles (ICC.1:2022, 7.2.16)."""
_CONES = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)
"""Bradford's matrix, by which whites are adapted (ICC.1:2022, annex E)."""
_FIXED = 65_536
_VERSION = 0x0430_0000
_HEADER_BYTES = 128
_FUNCTION_WITH_TOE = 3


def matrix_profile(space: Space, *, grey: bool) -> bytes:
    """Return a profile for the colours or greys of a space.

    Raises `ZeroDivisionError` or `struct.error` if no light has the chromaticities of the space.
    """
    curve = b"para" + struct.pack(">IHH", 0, _FUNCTION_WITH_TOE, 0) + _fixed(*space.curve)
    tags = {b"wtpt": _xyz(_D50)}
    if grey:
        return _file(b"GRAY", tags | {b"kTRC": curve})
    columns = zip(*_primaries(space.points), strict=True)
    for letter, column in zip((b"r", b"g", b"b"), columns, strict=True):
        tags |= {letter + b"XYZ": _xyz(column), letter + b"TRC": curve}
    return _file(b"RGB ", tags)


def _file(colours: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag.ljust(-(-len(tag) // 4) * 4, b"\0")
    header = struct.pack(">I4xI4s4s4s", start + len(body), _VERSION, b"mntr", colours, b"XYZ ")
    header = header.ljust(36, b"\0") + b"acsp"
    return (header.ljust(68, b"\0") + _fixed(*_D50)).ljust(_HEADER_BYTES, b"\0") + table + body


def _xyz(values: Vector) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * _FIXED) for value in values))


def _primaries(points: Points) -> Matrix:
    """Return the matrix from light in red, green and blue to XYZ under the white of profiles."""
    white = _light(points[0], points[1])
    lights = [_light(*points[at : at + 2]) for at in (2, 4, 6)]
    columns = [list(row) for row in zip(*lights, strict=True)]
    shares = _applied(_inverse(columns), white)
    matrix = [[value * share for value, share in zip(row, shares, strict=True)] for row in columns]
    before, after = _applied(_CONES, white), _applied(_CONES, _D50)
    scaled = [
        [value * new / old for value in row]
        for row, old, new in zip(_CONES, before, after, strict=True)
    ]
    return _product(_product(_inverse(_CONES), scaled), matrix)


def _light(x: float, y: float) -> Vector:
    return x / y, 1.0, (1 - x - y) / y


def _applied(matrix: Matrix, vector: Vector) -> Vector:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _product(one: Matrix, two: Matrix) -> Matrix:
    return list(zip(*(_applied(one, column) for column in zip(*two, strict=True)), strict=True))


def _inverse(matrix: Matrix) -> Matrix:
    """Invert by cofactors."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    whole = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    return [[value / whole for value in row] for row in cofactors]
