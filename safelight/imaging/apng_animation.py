"""Draws the frames of an animated PNG: libvips decodes each alone, and reads no animations itself.

A frame is decoded as strictly as a still picture. Pillow would pass over damage of a frame.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import pyvips

from safelight.imaging import apng
from safelight.imaging.animation import joined
from safelight.imaging.structure import mapped

_OPAQUE = 255
_MAX_PLAYS = 2**16 - 1
"""The most often that a WebP can be played."""
_DAMAGED = (IndexError, OverflowError, struct.error)


def decode_frames(path: Path, still: pyvips.Image, frames: int, *, fail_on: str) -> pyvips.Image:
    """Decode the first frames, one below the other, with alpha. Raises `pyvips.Error`.

    `still` is the default picture: its size and colours are those of every frame.
    """
    bands = still.bands + (0 if still.hasalpha() else 1)
    canvas = pyvips.Image.black(still.width, still.height, bands=bands)
    canvas = canvas.copy(interpretation=_interpretation(bands))
    with mapped(path) as data:
        try:
            found = apng.animation(data)
            drawn = _drawn(canvas, apng.frames(data), fail_on)
            return joined(drawn, frames, loop=min(found.plays, _MAX_PLAYS) if found else 0)
        except _DAMAGED as error:
            raise pyvips.Error("a frame is damaged") from error


def _drawn(
    canvas: pyvips.Image, frames: Iterator[apng.Frame], fail_on: str
) -> Iterator[tuple[pyvips.Image, int]]:
    """Yield the canvas as each frame shows it, and the milliseconds."""
    for frame in frames:
        before = canvas
        canvas = _with(canvas, frame, _decoded(frame, fail_on))
        yield canvas, frame.milliseconds
        if frame.disposal == apng.PREVIOUS:
            canvas = before
        elif frame.disposal == apng.BACKGROUND:
            nothing = pyvips.Image.black(frame.width, frame.height, bands=canvas.bands)
            canvas = canvas.insert(nothing, frame.left, frame.top).copy_memory()


def _with(canvas: pyvips.Image, frame: apng.Frame, pixels: pyvips.Image) -> pyvips.Image:
    if frame.is_blended:
        below = canvas.crop(frame.left, frame.top, frame.width, frame.height)
        shines_through = 1 - pixels[pixels.bands - 1] / _OPAQUE
        blended = pixels.premultiply() + below.premultiply() * shines_through
        pixels = (blended.unpremultiply() + 0.5).cast("uchar")
    return canvas.insert(pixels, frame.left, frame.top).copy_memory()


def _decoded(frame: apng.Frame, fail_on: str) -> pyvips.Image:
    """Decode a frame to 8 bits with alpha, in memory."""
    image = pyvips.Image.pngload_buffer(frame.png, access="sequential", fail_on=fail_on)
    if image.format == "ushort":
        image = image.cast("uchar", shift=True)
    if not image.hasalpha():
        image = image.bandjoin(_OPAQUE)
    return image.copy(interpretation=_interpretation(image.bands)).copy_memory()


def _interpretation(bands: int) -> str:
    return "b-w" if bands < 3 else "srgb"
