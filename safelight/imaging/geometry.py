"""Sizes and positions: how a fit scales a picture into a box, and crops or pads it. Pure."""

import math

from safelight.faces import Faces, framed
from safelight.wish.gravities import FACES, GRAVITIES, LOOKED_FOR
from safelight.wish.wish import Wish

Size = tuple[int, int]
"""Width and height, or across and down, in pixels."""
Box = tuple[int, int, int, int]
"""Left, top, width and height, in pixels."""
MOST_SCALED_PIXELS = 50_000_000
"""The most pixels that `cover` may scale to before cropping, unless source or box has more."""


def _inside(source: Size, box: Size, most: float) -> tuple[Size, Size]:
    scaled = within(source, box, most)
    return scaled, scaled


def _contain(source: Size, box: Size, most: float) -> tuple[Size, Size]:
    return within(source, box, most), box


def _cover(source: Size, box: Size, most: float) -> tuple[Size, Size]:
    """Fill the box, or a smaller box of its shape.

    A smaller one if the source may not be enlarged, or if so much would be cropped from a very long
    source that scaling it would cost too much.
    """
    size = box if most > 1 else within(box, source)
    enough = max(MOST_SCALED_PIXELS, source[0] * source[1], box[0] * box[1])
    scale = max(size[0] / source[0], size[1] / source[1])
    too_much = scale * math.sqrt(source[0] * source[1] / enough)
    if too_much > 1:
        size = within(box, box, 1 / too_much)
    scale = max(size[0] / source[0], size[1] / source[1])
    scaled = scaled_by(source, min(scale, most))
    return (max(scaled[0], size[0]), max(scaled[1], size[1])), size


FITS = {"inside": _inside, "contain": _contain, "cover": _cover}


def within(source: Size, box: Size, most: float = 1) -> Size:
    """Scale a size into a box, keeping its aspect ratio, by a factor of at most `most`."""
    width, height = scaled_by(source, min(box[0] / source[0], box[1] / source[1], most))
    return min(width, box[0]), min(height, box[1])


def scaled_by(source: Size, scale: float) -> Size:
    """Scale a size. No side becomes shorter than one pixel."""
    return max(1, round(source[0] * scale)), max(1, round(source[1] * scale))


def offset(wish: Wish, scaled: Size, size: Size, faces: Faces = ()) -> Size | None:
    """Return the position of a crop or of a padded picture; None to find it in the pixels."""
    if wish.gravity in LOOKED_FOR and scaled == size:
        return 0, 0
    if wish.gravity == FACES and faces:
        return framed(faces, crop=size, picture=scaled)
    if wish.gravity in LOOKED_FOR:
        return None
    room = (abs(scaled[0] - size[0]), abs(scaled[1] - size[1]))
    if wish.focal is None:
        return placed(room, wish.gravity)
    left, top = (
        min(max(round(focal * long - short / 2), 0), most)
        for focal, long, short, most in zip(wish.focal, scaled, size, room, strict=True)
    )
    return left, top


def placed(room: Size, gravity: str) -> Size:
    """Return how much of the leftover room goes to the left of and above the kept part."""
    across, down = GRAVITIES[gravity]
    return int(room[0] * across), int(room[1] * down)


def bounded(box: Box, size: Size) -> Box:
    """Clip a box to a picture of this size, to at least one pixel."""
    left, top = (min(max(at, 0), side - 1) for at, side in zip(box[:2], size, strict=True))
    right, bottom = (
        min(max(at + length, start + 1), side)
        for at, length, start, side in zip(box[:2], box[2:], (left, top), size, strict=True)
    )
    return left, top, right - left, bottom - top


def extended(size: Size, wanted: Size, *, to: str) -> Size:
    """Extend a size to a box, or to the box's ratio. A side of 0 stays as it is."""
    width, height = size
    if to == "ratio" and all(wanted):
        wanted = (round(height * wanted[0] / wanted[1]), round(width * wanted[1] / wanted[0]))
    return max(width, wanted[0]), max(height, wanted[1])
