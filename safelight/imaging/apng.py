"""Reads the frames of an animated PNG, each as a PNG of its own (PNG, third edition, 11.3.6). Pure.

The data is untrusted: the walk moves forward, stays inside the file, and is bounded.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from safelight.imaging.isomedia import Data
from safelight.imaging.png import SIGNATURE, Chunk, before_pixels, checksum_error, chunks

_HEADER, _PIXELS, _END = b"IHDR", b"IDAT", b"IEND"
_ANIMATION, _CONTROL, _FRAME_PIXELS = b"acTL", b"fcTL", b"fdAT"
_ABOUT_PIXELS = frozenset({b"PLTE", b"tRNS"})
"""The chunks without which pixels cannot be decoded: the palette, and its opacity."""
_CONTROL_FORM = ">IIIIIHHBB"
_NUMBER_BYTES = 4
"""The bytes of the sequence number in front of a frame's pixels."""
_HUNDREDTHS = 100
"""The denominator of a duration that is given as 0."""
_MAX_FRAMES = 2**31 - 1
"""The largest number that the standard allows."""
_MAX_MILLISECONDS = 2**24 - 1
"""The longest duration that a WebP can have."""
BACKGROUND, PREVIOUS = 1, 2
"""What becomes of a frame's place afterwards: transparent, or as before; as it is for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Animation:
    """The facts in the header of an animation."""

    frames: int
    plays: int
    """How often it is played; 0 for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. Sizes and places in pixels."""

    left: int
    top: int
    width: int
    height: int
    milliseconds: int
    """How long it is shown."""
    disposal: int
    """`BACKGROUND`, `PREVIOUS` or another number."""
    is_blended: bool
    """Whether the pixels below shine through where it is transparent."""
    png: bytes
    """The frame as a still PNG, without its colours and other metadata."""


def animation(data: Data) -> Animation | None:
    """Return what the header announces; None if the PNG is a still picture."""
    for kind, start, end in before_pixels(data):
        if (kind, end - start) == (_ANIMATION, 8):
            frames, plays = struct.unpack_from(">II", data, start)
            return Animation(frames=min(frames, _MAX_FRAMES), plays=plays) if frames else None
    return None


def frames(data: Data) -> Iterator[Frame]:
    """Yield the frames. Raises `IndexError` or `struct.error` where one is damaged.

    Damaged pixels keep a wrong checksum, so that a decoder finds them.
    """
    header, about_pixels = b"", []
    for kind, start, end in before_pixels(data):
        if kind == _HEADER:
            header = bytes(data[start:end])
        elif kind in _ABOUT_PIXELS:
            about_pixels.append(bytes(data[start - 8 : end + 4]))
    canvas = struct.unpack_from(">II", header)
    for control, pixels in _parts(data):
        _, width, height, left, top, over, under, disposal, blending = control
        if left + width > canvas[0] or top + height > canvas[1]:
            raise IndexError("a frame is outside the canvas")
        own_header = _chunk(_HEADER, struct.pack(">II", width, height) + header[8:])
        with memoryview(data) as view:
            coded = chain.from_iterable(_pixels(view, chunk) for chunk in pixels)
            whole = (SIGNATURE, *own_header, *about_pixels, *coded, *_chunk(_END, b""))
            png = b"".join(whole)
            del whole  # parts of the view, which cannot be closed before
        yield Frame(
            left=left,
            top=top,
            width=width,
            height=height,
            milliseconds=min(1000 * over // (under or _HUNDREDTHS), _MAX_MILLISECONDS),
            disposal=disposal,
            is_blended=blending == 1,
            png=png,
        )


def _parts(data: Data) -> Iterator[tuple[Sequence[int], list[Chunk]]]:
    """Yield the control and the chunks of pixels of each frame, in the order of the numbers."""
    control: Sequence[int] | None = None
    pixels: list[Chunk] = []
    number = 0
    for chunk in chunks(data):
        kind, start, _ = chunk
        if kind in {_CONTROL, _FRAME_PIXELS}:
            if struct.unpack_from(">I", data, start)[0] != number:
                raise IndexError("a part of the animation is missing")
            number += 1
        if kind == _CONTROL:
            if control:
                yield control, pixels
            control, pixels = struct.unpack_from(_CONTROL_FORM, data, start), []
        elif kind in {_PIXELS, _FRAME_PIXELS}:
            pixels.append(chunk)
    if control:
        yield control, pixels


def _pixels(data: memoryview, chunk: Chunk) -> tuple[memoryview | bytes, ...]:
    """Return a part of a frame's pixels as a still picture has it."""
    kind, start, end = chunk
    error = checksum_error(data, chunk)
    return _chunk(_PIXELS, data[start + _NUMBER_BYTES * (kind == _FRAME_PIXELS) : end], error)


def _chunk(
    kind: bytes, content: memoryview | bytes, error: int = 0
) -> tuple[memoryview | bytes, ...]:
    """Return the pieces of a chunk: nothing is copied."""
    check = zlib.crc32(content, zlib.crc32(kind)) ^ error
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", check)
