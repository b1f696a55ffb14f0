"""Writes PNGs with chunks about colours, which no library writes."""

import struct
from collections.abc import Mapping
from typing import Final

from PIL import Image

from tests.support import pictures

Chunks = Mapping[bytes, bytes]
"""Kind -> content."""
HEADER_BYTES = 33
"""Length of the signature and of `IHDR`, which is the first chunk."""


def png_of(picture: Image.Image, chunks: Chunks, **options: object) -> bytes:
    """Make a PNG with further chunks behind its header."""
    plain = pictures.encoded(picture, "PNG", **options)
    further = b"".join(pictures.chunk(*each) for each in chunks.items())
    return plain[:HEADER_BYTES] + further + plain[HEADER_BYTES:]


def gamma(value: int) -> dict[bytes, bytes]:
    """Make `gAMA` of hundred-thousandths."""
    return {b"gAMA": struct.pack(">I", value)}


def primaries(*values: int) -> dict[bytes, bytes]:
    """Make `cHRM` of x and y of white, red, green and blue, in hundred-thousandths."""
    return {b"cHRM": struct.pack(">8I", *values)}


def coding(primaries: int, transfer: int, *, matrix: int = 0, full: int = 1) -> dict[bytes, bytes]:
    """Make `cICP` of code points (ITU-T H.273)."""
    return {b"cICP": bytes((primaries, transfer, matrix, full))}


P3: Final = primaries(31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)
SRGB: Final = primaries(31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
STANDARD: Final = gamma(45_455)
IS_SRGB: Final = {b"sRGB": b"\0"}
