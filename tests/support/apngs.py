"""Writes animated PNGs frame by frame."""

import struct
from dataclasses import dataclass

from PIL import Image

from tests.support import pictures
from tests.support.pictures import chunk

KEEP, BACKGROUND, PREVIOUS = range(3)
"""What becomes of a frame afterwards."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame, and where it is drawn."""

    picture: Image.Image
    left: int = 0
    top: int = 0
    over: int = 1
    under: int = 10
    disposal: int = KEEP
    blending: int = 0


def _parts_of(picture: Image.Image, **options: object) -> tuple[bytes, list[bytes], bytes]:
    """Encode a picture; return its IHDR, the chunks before its pixels, and the pixels."""
    data = pictures.encoded(picture, "PNG", **options)
    found: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + 12
    others = [chunk(*each) for each in found if each[0] not in {b"IHDR", b"IDAT", b"IEND"}]
    pixels = b"".join(content for kind, content in found if kind == b"IDAT")
    return found[0][1], others, pixels


def apng(
    *frames: Frame,
    default: Image.Image | None = None,
    plays: int = 0,
    announced: int | None = None,
    more: bytes = b"",
    **options: object,
) -> bytes:
    """Make an animated PNG. Without a default picture the first frame is that."""
    header, others, first = _parts_of(default or frames[0].picture, **options)
    count = len(frames) if announced is None else announced
    body = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), more, *others]
    body.append(chunk(b"acTL", struct.pack(">II", count, plays)))
    number = 0
    if default:
        body.append(chunk(b"IDAT", first))
    for frame in frames:
        place = (*frame.picture.size, frame.left, frame.top, frame.over, frame.under)
        control = struct.pack(">IIIIIHHBB", number, *place, frame.disposal, frame.blending)
        body.append(chunk(b"fcTL", control))
        number += 1
        _, _, pixels = _parts_of(frame.picture, **options)
        if frame is frames[0] and not default:
            body.append(chunk(b"IDAT", pixels))
            continue
        for part in (pixels[:20], pixels[20:]):
            body.append(chunk(b"fdAT", struct.pack(">I", number) + part))
            number += 1
    return b"".join([*body, chunk(b"IEND", b"")])


def repeated(still: bytes) -> bytes:
    """Make an animation of the same frame twice."""
    pixels = still.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", still, pixels)
    coded = still[pixels + 8 : pixels + 8 + length]
    controls = (
        chunk(b"fcTL", struct.pack(">I", number) + still[16:24] + bytes(8) + b"\0\1\0\x0a\0\0")
        for number in (0, 1)
    )
    start = still[:pixels] + chunk(b"acTL", struct.pack(">II", 2, 0)) + next(controls)
    again = next(controls) + chunk(b"fdAT", struct.pack(">I", 2) + coded)
    return start + still[pixels:-12] + again + still[-12:]
