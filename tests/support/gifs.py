"""Writes GIFs whose frames do not fill the canvas."""

import struct

from PIL import Image

from tests.support import pictures


def gif_of_small_frames(*frames: tuple[int, int]) -> bytes:
    """Make a GIF of 40 x 20 with frames of 10 x 10 pixels in red, green and so on at these places.

    No frame is transparent.
    """
    whole = b"GIF89a" + struct.pack("<HHBBB", 40, 20, 0x80, 0, 0)
    whole += bytes((*pictures.RED, *pictures.GREEN))
    for colour, place in enumerate(frames):
        plain = pictures.encoded(Image.new("P", (10, 10), colour), "GIF")
        descriptor = plain.index(b",", 13)
        pixels = plain[descriptor + 10 + (6 if plain[descriptor + 9] else 0) : -1]
        whole += b"," + struct.pack("<HHHHB", *place, 10, 10, 0) + pixels
    return whole + b";"
