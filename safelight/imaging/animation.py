"""Joins the frames of an animation one below the other, as libvips has them."""

from collections.abc import Iterable

import pyvips


def joined(frames: Iterable[tuple[pyvips.Image, int]], count: int, *, loop: int) -> pyvips.Image:
    """Join so many frames of one size, each with its milliseconds.

    `loop` is how often they are played, 0 for ever. Raises `pyvips.Error` if there are fewer.
    """
    pictures: list[pyvips.Image] = []
    delays: list[int] = []
    for _, (picture, milliseconds) in zip(range(count), frames, strict=False):
        pictures.append(picture)
        delays.append(milliseconds)
    if len(pictures) < count:
        raise pyvips.Error("frames are missing")
    image = pyvips.Image.arrayjoin(pictures, across=1).copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", pictures[0].height)
    image.set_type(pyvips.GValue.gint_type, "loop", loop)
    image.set_type(pyvips.GValue.array_int_type, "delay", delays)
    return image
