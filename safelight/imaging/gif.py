"""Cuts from a GIF the blocks that a render uses (GIF89a, appendix A). Pure.

The data is untrusted: the walk moves forward, stays inside the file, and is bounded.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress

from safelight.imaging.isomedia import Data

Block = tuple[int, int, int]
"""The kind of a block, and where it starts and ends."""

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_END = bytes((_TRAILER,))
_IMAGE_START, _CONTROL_START = b",", b"!\xf9"
"""How a frame and its graphic control begin."""
_LEAST_FRAME_BYTES = 10
"""The bytes of a frame's descriptor. Fewer bytes hold no frame, whatever they are."""
_MAX_PARTS = 1_000_000
"""The most parts of blocks that are followed: 255 MB, as programs write them."""
_TRANSPARENT_FRAME = b"!\xf9\4\1\0\0\0\0" + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
"""A frame of one transparent pixel, which is never shown. For its sake libvips decodes opacity."""


def still(data: Data) -> bytes:
    """Return a GIF of the first frame, transparent outside it if it does not fill the canvas.

    Without such a frame, libvips would paint that black. Raises `IndexError` if the first frame is
    incomplete.
    """
    for kind, start, end in _blocks(data):
        if kind == _IMAGE:
            further = b"" if _fills_the_canvas(data, start) else _TRANSPARENT_FRAME
            return _joined(data, end, further)
    raise IndexError("no frame is complete")


def animation(data: Data) -> bytes | None:
    """Return the whole GIF, transparent outside its frames; None if the first fills the canvas.

    The trailer may be missing. Raises `IndexError` if a frame is incomplete.
    """
    first, end = None, 0
    with suppress(IndexError):
        for kind, start, end in _blocks(data):  # noqa: B007 - the last end is used below
            if kind == _IMAGE and first is None:
                first = start
    if first is None or _fills_the_canvas(data, first):
        return None
    if len(data) - end >= _LEAST_FRAME_BYTES and data[end] != _TRAILER:
        raise IndexError("a frame is damaged")
    return _joined(data, end, _TRANSPARENT_FRAME)


def lacks_a_frame(data: Data) -> bool:
    """Return whether the file ends inside a frame, or behind a control without its frame."""
    last = end = 0
    try:
        for _, last, end in _blocks(data):  # noqa: B007 - they are used below
            pass
    except IndexError:
        rest = bytes(data[end : end + 2])
        control = _CONTROL_START in (bytes(data[last : last + 2]), rest)
        return control or rest.startswith(_IMAGE_START)
    return False


def is_cut_short(data: Data) -> bool:
    """Return False if the blocks reach the trailer or damage; raise `IndexError` if neither."""
    for _ in _blocks(data):
        pass
    return False


def _joined(data: Data, end: int, further: bytes) -> bytes:
    """Return a GIF of these bytes. Adding them up would copy the file once more."""
    with memoryview(data) as view:
        return b"".join((view[:end], further, _END))


def _blocks(data: Data) -> Iterator[Block]:
    """Yield the complete blocks up to the trailer or damage."""
    at, parts = 13 + _colours(data[10]), 0
    while (kind := data[at]) in {_IMAGE, _EXTENSION} and parts < _MAX_PARTS:
        start = at
        at += 11 + _colours(data[at + 9]) if kind == _IMAGE else 2
        while (length := data[at]) and parts < _MAX_PARTS:
            at += length + 1
            parts += 1
        if length:
            return
        at += 1
        parts += 1
        yield kind, start, at


def _colours(flags: int) -> int:
    """Return how many bytes a table of colours has."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _fills_the_canvas(data: Data, frame: int) -> bool:
    canvas = struct.unpack_from("<HH", data, 6)
    left, top, width, height = struct.unpack_from("<HHHH", data, frame + 1)
    return bool(left == top == 0 and width >= canvas[0] and height >= canvas[1])
