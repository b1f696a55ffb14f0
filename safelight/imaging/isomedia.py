"""Walks the boxes of ISO media files such as AVIF and HEIC (ISO/IEC 14496-12 and 23008-12).

The data is untrusted: every walk moves forward and stays inside the file. A read beyond its end
raises `IndexError` or `struct.error`.
"""

import mmap
import struct
from collections.abc import Iterator, Sequence
from itertools import chain, islice

Data = bytes | mmap.mmap
Coding = tuple[int, int]
"""The numbers of primaries and transfer in a file (ITU-T H.273, 8.1 and 8.2)."""
Box = tuple[bytes, int, int]
"""The kind of a box, and the start and end of its content."""

_MAX_BOXES = 100_000
_MAX_ITEMS = 10_000
"""More items than any real picture has; a file of 64 MiB could name millions."""
_FULL_RANGE = 0x80
"""A flag in the last byte of a `colr` box of type `nclx`."""
_IN_IDAT = 1
"""The construction method of items whose bytes are in the `idat` box."""
_LONG_INDICES = 1
"""A flag in the associations: indices have two bytes."""


def is_cut_short(data: Data) -> bool:
    """Return whether the last top-level box runs beyond the file (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at < len(data):
        size, header = struct.unpack_from(">I", data, at)[0], 8
        if size == 1:
            size, header = struct.unpack_from(">Q", data, at + 8)[0], 16
        if size == 0:
            return False  # this box extends to the file's end
        if size < header:
            return False  # damaged
        at += size
    return at > len(data)


def largest_size(data: Data) -> tuple[int, int]:
    """Return the largest image spatial extent (ISO/IEC 23008-12, 6.5.3); (0, 0) if none."""
    sizes = (
        struct.unpack_from(">II", data, at + 4)
        for kind, at, _ in _boxes(data, *_inside(data, b"meta", b"iprp", b"ipco"))
        if kind == b"ispe"
    )
    width, height = max(sizes, key=lambda size: int(size[0]) * int(size[1]), default=(0, 0))
    return width, height


def primary_coding(data: Data) -> Coding | None:
    """Return the primaries and transfer of the primary picture.

    They are in its own `colr` box (ISO/IEC 23008-12, 6.5.5) or its first tile's. Other pictures in
    the file, such as gain maps and pictures derived with them, have different ones.
    """
    every = list(_boxes(data, *_inside(data, b"meta", b"iprp", b"ipco")))
    item = primary(data)
    return _coding_of(data, item, every) or _coding_of(data, coded_item(data, item), every)


def names_limited_range(data: Data) -> bool | None:
    """Return whether black is 16 of 255, by the numbers of the primary picture; None without."""
    item = primary(data)
    boxes = chain(properties(data, item), properties(data, coded_item(data, item)))
    for kind, at, end in boxes:
        if kind == b"colr" and data[at : at + 4] == b"nclx" and at + 11 <= end:
            return not data[at + 10] & _FULL_RANGE
    return None


def _coding_of(data: Data, item: int, properties: Sequence[Box]) -> Coding | None:
    for kind, at, end in _properties_of(data, item, properties):
        if kind == b"colr" and data[at : at + 4] == b"nclx" and at + 8 <= end:
            primaries, transfer = struct.unpack_from(">HH", data, at + 4)
            return primaries, transfer
    return None


def properties(data: Data, item: int) -> Iterator[Box]:
    """Yield the boxes of an item's properties."""
    every = list(_boxes(data, *_inside(data, b"meta", b"iprp", b"ipco")))
    return _properties_of(data, item, every)


def _properties_of(data: Data, item: int, properties: Sequence[Box]) -> Iterator[Box]:
    for index in _associated(data, item):
        if 0 < index <= len(properties):
            yield properties[index - 1]


def primary(data: Data) -> int:
    """Return the id of the primary item (ISO/IEC 14496-12, 8.11.4); 0 if there is none."""
    at, end = _inside(data, b"meta", b"pitm")
    if at == end:
        return 0
    (item,) = struct.unpack_from(">I" if data[at] else ">H", data, at + 4)
    return int(item)


def coded_item(data: Data, item: int) -> int:
    """Return the item that holds coded pixels: the first tile of a grid, or else the item."""
    return next(_first_tile(data, item), item)


def _first_tile(data: Data, item: int) -> Iterator[int]:
    """Yield the first tile if the picture is a grid (ISO/IEC 23008-12, 6.6.2.3.1)."""
    if _type_of(data, item) == b"grid":
        yield from (to for kind, start, to in references(data) if (kind, start) == (b"dimg", item))


def references(data: Data) -> Iterator[tuple[bytes, int, int]]:
    """Yield every reference: its kind, its item and the first item that it points to.

    See ISO/IEC 14496-12, 8.11.12.
    """
    start, end = _inside(data, b"meta", b"iref")
    if start == end:
        return
    form = ">I" if data[start] else ">H"
    width = struct.calcsize(form)
    for kind, at, _ in _boxes(data, start + 4, end):
        (item,) = struct.unpack_from(form, data, at)
        (first,) = struct.unpack_from(form, data, at + width + 2)  # after the number of targets
        yield kind, item, first


def content(data: Data, item: int, length: int) -> bytes:
    """Return at most `length` bytes from the start of an item (ISO/IEC 14496-12, 8.11.3)."""
    at, end = _inside(data, b"meta", b"iloc")
    if at == end:
        return b""
    version, (packed,) = data[at], struct.unpack_from(">H", data, at + 4)
    offset, size, base, index = (packed >> shift & 15 for shift in (12, 8, 4, 0))
    form, has_method = ">I" if version == 2 else ">H", version in (1, 2)
    (items,) = struct.unpack_from(form, data, at + 6)
    width = struct.calcsize(form)
    at += 6 + width
    index = index if has_method else 0
    for _ in range(min(items, _MAX_ITEMS)):
        (named,) = struct.unpack_from(form, data, at)
        at += width
        in_idat = has_method and data[at + 1] & 15 == _IN_IDAT
        at += 4 if has_method else 2  # construction method, data reference
        place = _number(data, at, base)
        (extents,) = struct.unpack_from(">H", data, at + base)
        at += base + 2
        if named == item:
            place += _number(data, at + index, offset)
            place += _inside(data, b"meta", b"idat")[0] if in_idat else 0
            return bytes(data[place : place + length])
        at += extents * (index + offset + size)
    return b""


def _number(data: Data, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "big")


def _type_of(data: Data, item: int) -> bytes:
    """Return the type of an item (ISO/IEC 14496-12, 8.11.6); empty if not found."""
    start, end = _inside(data, b"meta", b"iinf")
    if start == end:
        return b""
    entries = start + (
        8 if data[start] else 6
    )  # after version, flags and a count of two or four bytes
    for kind, at, _ in _boxes(data, entries, end):
        long = data[at] > 2
        if kind == b"infe" and struct.unpack_from(">I" if long else ">H", data, at + 4) == (item,):
            place = at + (10 if long else 8)  # after the id and the protection index
            return bytes(data[place : place + 4])
    return b""


def _associated(data: Data, item: int) -> Iterator[int]:
    """List the properties of an item, by their index from 1 (ISO/IEC 23008-12, 9.3.1)."""
    for kind, start, end in _boxes(data, *_inside(data, b"meta", b"iprp")):
        if kind == b"ipma":
            for named, indices in _associations(data, start, end):
                yield from indices if named == item else ()


def _associations(data: Data, start: int, end: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    version, long = data[start], data[start + 3] & _LONG_INDICES
    (entries,) = struct.unpack_from(">I", data, start + 4)
    id_form, form, low_bits = ">I" if version else ">H", "H" if long else "B", 15 if long else 7
    at = start + 8
    for _ in range(min(entries, _MAX_ITEMS)):
        if at >= end:
            return
        (item,) = struct.unpack_from(id_form, data, at)
        at += struct.calcsize(id_form)
        count, first = data[at], at + 1
        found = struct.unpack_from(f">{count}{form}", data, first)
        # The highest bit marks properties that a reader must support.
        yield item, tuple(index & (1 << low_bits) - 1 for index in found)
        at = first + count * struct.calcsize(form)


def _inside(data: Data, *path: bytes) -> tuple[int, int]:
    """Return the start and end of a box's content, found by its path; (0, 0) if missing."""
    start, end = 0, len(data)
    for kind in path:
        found = next((box for box in _boxes(data, start, end) if box[0] == kind), None)
        if found is None:
            return 0, 0
        _, start, end = found
        start += 4 if kind == b"meta" else 0  # skips its version and flags
    return start, end


def _boxes(data: Data, start: int, end: int) -> Iterator[Box]:
    """List the boxes of one level."""
    return islice(_all_boxes(data, start, end), _MAX_BOXES)


def _all_boxes(data: Data, start: int, end: int) -> Iterator[Box]:
    while start + 8 <= end:
        (size,), header = struct.unpack_from(">I", data, start), 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", data, start + 8), 16
        size = size or end - start
        if size < header or start + size > end:
            return
        yield bytes(data[start + 4 : start + 8]), start + header, start + size
        start += size
