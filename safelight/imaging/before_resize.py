"""Applies the operations of options before resizing: trim, turn, crop.

Runs in a render child, on an upright picture.
"""

import pyvips

from safelight.imaging.geometry import Box, bounded
from safelight.imaging.recipe import Edits
from safelight.wish.options import Trim

_TURNS = {90: "d90", 180: "d180", 270: "d270"}


def edited(image: pyvips.Image, edits: Edits, shrink: int) -> pyvips.Image:
    """Apply the edits. Their coordinates are in pixels of a picture not shrunk on loading."""
    if edits.trimmed:
        image = image.crop(*edits.trimmed)
    if edits.turn:
        image = image.rot(_TURNS[edits.turn])
    if edits.crop is None:
        return image
    left, top, width, height = (round(each / shrink) for each in edits.crop)
    box = bounded((left, top, width, height), (image.width, image.height))
    return image.smartcrop(*box[2:], interesting="attention") if edits.looks else image.crop(*box)


def what_is_left(image: pyvips.Image, trim: Trim | None) -> Box:
    """Return the part of a picture inside its border; the whole if nothing would be left."""
    whole = (0, 0, image.width, image.height)
    if trim is None:
        return whole
    at = (0, 0) if trim.corner == "top-left" else (image.width - 1, image.height - 1)
    like = image.getpoint(*at)
    if trim.colour is not None:
        like = [*bytes.fromhex(trim.colour), 255][: image.bands]
    if image.hasalpha() and not like[-1]:
        # The corner is transparent, so everything visible is inside, including black pixels.
        image, like = image.extract_band(image.bands - 1), [0]
    # libvips flattens a transparent picture onto `background`, so only visible pixels count.
    left, top, width, height = image.find_trim(
        threshold=trim.tolerance, background=like[:3], line_art=True
    )
    return (left, top, width, height) if width and height else whole
