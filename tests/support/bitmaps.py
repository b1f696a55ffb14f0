"""Writes BMPs of kinds that no library writes."""

import struct
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from tests.support.tiffs import PIXELS

MASKS = 3
"""The compression of pixels whose colours have masks."""


def bitmap_of_version_5(alpha: int, pixels: np.ndarray = PIXELS) -> bytes:
    """Make a BMP of 32 bits with a mask for opacity."""
    height, width, _ = pixels.shape
    rows = np.dstack([pixels[::-1, :, ::-1], np.full((height, width), alpha, np.uint8)]).tobytes()
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack(
        "<IiiHHIIiiII4I", 124, width, height, 1, 32, 3, len(rows), 0, 0, 0, 0, *masks
    )
    header = header.ljust(124, b"\0")
    return struct.pack("<2sIII", b"BM", 138 + len(rows), 0, 138) + header + rows


def bitmap(
    bits: int,
    coding: int,
    *masks: int,
    size: tuple[int, int] = (8, 8),
    palette: bytes = b"",
    rows: bytes = b"",
) -> bytes:
    """Make a BMP, whose pixels are zeros if no rows are given. A negative height is top-down."""
    width, height = size
    rows = rows or bytes((width * bits + 31) // 32 * 4 * abs(height))
    palette = palette or (bytes(4 << bits) if bits < 16 else b"")
    more = struct.pack(f"<{len(masks)}I", *masks) + palette
    start = 14 + 40 + len(more)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, coding, len(rows), *4 * [0])
    return struct.pack("<2sIII", b"BM", start + len(rows), 0, start) + header + more + rows


def os2(
    header: int,
    bits: int,
    coding: int = 0,
    *,
    palette: bytes = b"",
    rows: bytes = b"",
    pixels: np.ndarray = PIXELS,
) -> bytes:
    """Make a BMP of OS/2 with a header of this length: 12 of version 1, 16 to 64 of version 2.

    Without rows it has the pixels if it is of 24 bits, or else zeros.
    """
    height, width, _ = pixels.shape
    if not rows and bits == 24:
        rows = pixels[::-1, :, ::-1].tobytes()
    rows = rows or bytes((width * bits + 31) // 32 * 4 * height)
    if header == 12:
        fields = struct.pack("<IHHHH", header, width, height, 1, bits)
    else:
        fields = struct.pack("<IiiHHII", header, width, height, 1, bits, coding, len(rows))
    start = 14 + header + len(palette)
    file = struct.pack("<2sIII", b"BM", start + len(rows), 0, start)
    return file + fields[:header].ljust(header, b"\0") + palette + rows


def os2_kinds(pixels: np.ndarray) -> Mapping[str, bytes]:
    """Make the same picture, in colours or 16 greys, in the kinds of OS/2 that are read, by name.

    Its width is a multiple of 4.
    """
    grey = (pixels[::-1].mean(axis=2) / 17).round().astype(np.uint8)
    triples = b"".join(bytes((17 * level,) * 3) for level in range(16))
    quads = b"".join(bytes((17 * level,) * 3 + (0,)) for level in range(16))
    of_4, of_8 = (grey[:, ::2] << 4 | grey[:, 1::2]).tobytes(), grey.tobytes()
    runs_of_8, wide = _runs(grey, bits=8), quads.ljust(4 * 256, b"\0")
    options = (
        ("version 1, 24 bits", 12, 24, {}),
        ("version 1, 8 bits", 12, 8, {"palette": triples.ljust(3 * 256, b"\0"), "rows": of_8}),
        ("version 1, 8 bits, short palette", 12, 8, {"palette": triples, "rows": of_8}),
        ("version 1, 4 bits", 12, 4, {"palette": triples, "rows": of_4}),
        ("version 2, 24 bits", 64, 24, {}),
        ("version 2, 8 bits", 64, 8, {"palette": wide, "rows": of_8}),
        ("version 2, 4 bits", 64, 4, {"palette": quads, "rows": of_4}),
        ("runs of 8 bits", 64, 8, {"coding": 1, "palette": wide, "rows": runs_of_8}),
        ("runs of 4 bits", 64, 4, {"coding": 2, "palette": quads, "rows": _runs(grey, bits=4)}),
        *((f"a header of {size} bytes", size, 24, {}) for size in (16, 20, 36, 42, 44, 60)),
        ("a header of 48 bytes, runs", 48, 8, {"coding": 1, "palette": wide, "rows": runs_of_8}),
    )
    return {name: os2(*sizes, pixels=pixels, **more) for name, *sizes, more in options}


def kinds(pixels: np.ndarray) -> Mapping[str, bytes]:
    """Make the same picture in kinds that are read, by name. Its width is a multiple of 4."""
    height, width, _ = pixels.shape
    size, bottom_up = (width, height), pixels[::-1].astype(np.uint16)
    red, green, blue = (bottom_up[..., band] for band in range(3))
    # A palette of 16 greys: one pixel per byte, two per byte, and runs of both.
    grey = (pixels[::-1].mean(axis=2) / 17).round().astype(np.uint8)
    greys = b"".join(bytes((17 * level,) * 3 + (0,)) for level in range(16))
    wide = greys.ljust(4 * 256, b"\0")
    of_4 = (grey[:, ::2] << 4 | grey[:, 1::2]).tobytes()
    top_down = np.ascontiguousarray(pixels[:, :, ::-1])
    return {
        "5-5-5": bitmap(16, 0, size=size, rows=_packed(red >> 3 << 10, green >> 3 << 5, blue >> 3)),
        "5-6-5": bitmap(
            *(16, MASKS, 0xF800, 0x7E0, 0x1F),
            size=size,
            rows=_packed(red >> 3 << 11, green >> 2 << 5, blue >> 3),
        ),
        "4 bits": bitmap(4, 0, size=size, palette=greys, rows=of_4),
        "runs of 4 bits": bitmap(4, 2, size=size, palette=greys, rows=_runs(grey, bits=4)),
        "runs of 8 bits": bitmap(8, 1, size=size, palette=wide, rows=_runs(grey, bits=8)),
        "from the top": bitmap(24, 0, size=(width, -height), rows=top_down.tobytes()),
        "without any opacity": bitmap_of_version_5(0, pixels),
        "with opacity": bitmap_of_version_5(100, pixels),
    }


def _packed(*fields: np.ndarray) -> bytes:
    return bytes((fields[0] | fields[1] | fields[2]).astype("<u2"))


def _runs(levels: np.ndarray, *, bits: int) -> bytes:
    """Write each row as runs of one level."""
    data = bytearray()
    for row in levels:
        starts = [0, *(np.flatnonzero(np.diff(row)) + 1), len(row)]
        for start, end in pairwise(starts):
            level = int(row[start]) * (17 if bits == 4 else 1)
            for at in range(start, end, 255):
                data += bytes((min(255, end - at), level))
        data += b"\0\0"
    return bytes(data) + b"\0\1"
