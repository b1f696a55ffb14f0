"""Writes JPEGs with oddities that cost no pixel, as webcams and old programs do."""

import struct
from collections.abc import Mapping
from typing import Final

from PIL import Image

from tests.support import pictures
from tests.support.tiffs import PIXELS

PICTURE: Final = Image.fromarray(PIXELS)


def jpeg(**options: object) -> bytes:
    """Encode the test picture."""
    return pictures.encoded(PICTURE, "JPEG", quality=90, **options)


def padded(data: bytes, padding: bytes, *, restarts: int = 8) -> bytes:
    """Put padding before restart markers, as webcams do to align them."""
    header, scan = data[:600], data[600:]
    for number in range(restarts):
        marker = bytes((0xFF, 0xD0 + number))
        scan = scan.replace(marker, padding + marker)
    return header + scan


def adobe(transform: int, *, length: int = 12) -> bytes:
    """Make an Adobe segment of so many bytes."""
    content = (b"Adobe\0\x64\0\0\0\0" + bytes((transform,)))[:length]
    return b"\xff\xee" + struct.pack(">H", 2 + length) + content


def with_orientation(data: bytes, orientation: int, order: str = "<") -> bytes:
    """Add EXIF with an orientation, behind a signature whose sixth byte is odd."""
    directory = struct.pack(order + "HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)
    start = b"II*\0" if order == "<" else b"MM\0*"
    exif = b"Exif\0\xff" + start + struct.pack(order + "I", 8) + directory
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + data[2:]


RESTARTING: Final = jpeg(restart_marker_blocks=4)
SMOOTH: Final = pictures.encoded(
    Image.radial_gradient("L").convert("RGB"), "JPEG", quality=50, restart_marker_blocks=4
)
"""A zero ends the data of 5 of its 63 intervals."""
FLAT: Final = pictures.encoded(
    Image.new("RGB", (160, 120), (90, 120, 40)), "JPEG", subsampling=0, restart_marker_blocks=5
)
"""A zero ends the data of each interval."""
GREY: Final = pictures.encoded(PICTURE.convert("L"), "JPEG", restart_marker_rows=1)
PLAIN: Final = jpeg()
ODD: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "padding behind some zeros": (padded(SMOOTH, bytes(6)), SMOOTH),
    "padding behind zeros": (padded(FLAT, bytes(6)), FLAT),
    "padding in grey": (padded(GREY, bytes(9)), GREY),
    "padding before restarts": (padded(RESTARTING, bytes(6)), RESTARTING),
    "padding before most restarts": (padded(RESTARTING, bytes(3), restarts=5), RESTARTING),
    "padding before few restarts": (padded(RESTARTING, bytes(6), restarts=1), RESTARTING),
    "FF 00 between segments": (PLAIN[:20] + b"\xff\0\xff\0" + PLAIN[20:], PLAIN),
    "fill bytes between segments": (PLAIN[:20] + b"\xff\xff" + PLAIN[20:], PLAIN),
    "Adobe transform 2 of three components": (PLAIN[:2] + adobe(2) + PLAIN[20:], PLAIN),
    "short Adobe segment": (PLAIN[:20] + adobe(0, length=7) + PLAIN[20:], PLAIN),
    "no end marker": (PLAIN[:-2], PLAIN),
    "half an end marker": (PLAIN[:-1], PLAIN),
}
"""Name -> the odd file, and the usual one with the same pixels."""
