"""Walks the boxes of ISO media files such as AVIF and HEIC (ISO/IEC 14496-12 and 23008-12).

The data is untrusted: every walk moves forward and stays inside the file. A read beyond its end
raises `IndexError` or `struct.error`.
"""

import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice

Data = bytes | mmap.mmap
Coding = tuple[int, int]
"""The numbers of primaries and transfer in a file (ITU-T H.273, 8.1 and 8.2)."""
Box = tuple[bytes, int, int]
"""The kind of a box, and the start and end of its content."""

_MAX_BOXES = 100_000
_MAX_ITEMS = 10_000
"""More items than any picture has. They are counted in all boxes; 64 MiB could hold millions."""
_FULL_RANGE = 0x80
"""A flag in the last byte of a `colr` box of type `nclx`."""
_UNSPECIFIED = b"\0\2\0\2\0\2"
"""Primaries, transfer and matrix that a file does not name."""
_USUAL_MATRIX = b"\0\6"
"""The number that decoders assume (BT.601)."""
_UNREAD_CODINGS = frozenset({b"avc1", b"vvc1", b"evc1", b"lhv1", b"jpeg", b"j2k1", b"unci"})
"""Types of items in other codings than HEVC and AV1."""
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
    """Return the primaries and transfer of the primary picture."""
    return Items(data).primary_coding()


def names_limited_range(data: Data) -> bool | None:
    """Return whether black is 16 of 255, by the numbers of the primary picture; None without."""
    return Items(data).names_limited_range()


def with_a_named_matrix(data: Data) -> bytes | None:
    """Return a copy that names the usual matrix; None if the file's numbers need none.

    libheif ignores the full range beside numbers that are all unspecified (ITU-T H.273).
    """
    for at, end in Items(data).numbers_of_colours():
        if bytes(data[at + 4 : min(at + 11, end)]) == _UNSPECIFIED + bytes((_FULL_RANGE,)):
            return b"".join((data[: at + 8], _USUAL_MATRIX, data[at + 10 :]))
    return None


def is_unread(data: Data) -> bool:
    """Return whether a file has frames and no still picture, or one in another coding."""
    items = Items(data)
    if not items.primary:
        return _inside(data, b"moov") != (0, 0)
    return items.types.get(items.coded(items.primary)) in _UNREAD_CODINGS


def names_too_many_items(data: Data) -> bool:
    """Return whether more items have properties than in any picture."""
    return Items(data).are_too_many


class Items:
    """The items of a file, such as pictures and tiles, as its `meta` box describes them.

    Each box is read once, when it is first used, however many questions follow.
    """

    def __init__(self, data: Data) -> None:
        self.data = data

    @cached_property
    def primary(self) -> int:
        """The id of the primary item (ISO/IEC 14496-12, 8.11.4); 0 if there is none."""
        at, end = self._place(b"pitm")
        if at == end:
            return 0
        (item,) = struct.unpack_from(">I" if self.data[at] else ">H", self.data, at + 4)
        return int(item)

    @cached_property
    def references(self) -> Sequence[tuple[bytes, int, int]]:
        """Every reference: its kind, its item and the first item that it points to.

        See ISO/IEC 14496-12, 8.11.12.
        """
        start, end = self._place(b"iref")
        return list(_references(self.data, start, end)) if start < end else []

    def properties(self, item: int) -> Iterator[Box]:
        """Yield the boxes of an item's properties."""
        for index in self._indices(item):
            if 0 < index <= len(self._properties):
                yield self._properties[index - 1]

    def coded(self, item: int) -> int:
        """Return the item that holds coded pixels: the first tile of a grid, or else the item.

        See ISO/IEC 23008-12, 6.6.2.3.1.
        """
        if self.types.get(item) != b"grid":
            return item
        tiles = (to for kind, start, to in self.references if (kind, start) == (b"dimg", item))
        return next(tiles, item)

    def primary_coding(self) -> Coding | None:
        """Return the primaries and transfer of the primary picture.

        They are in its own `colr` box (ISO/IEC 23008-12, 6.5.5) or its first tile's. Other pictures
        in the file, such as gain maps and pictures derived with them, have different ones.
        """
        for at, end in self.numbers_of_colours():
            if at + 8 <= end:
                primaries, transfer = struct.unpack_from(">HH", self.data, at + 4)
                return primaries, transfer
        return None

    def names_limited_range(self) -> bool | None:
        """Return whether black is 16 of 255, by the primary picture's numbers; None without."""
        for at, end in self.numbers_of_colours():
            if at + 11 <= end:
                return not self.data[at + 10] & _FULL_RANGE
        return None

    def numbers_of_colours(self) -> Iterator[tuple[int, int]]:
        """Yield the start and end of each `nclx` box of the primary picture and its first tile."""
        for item in (self.primary, self.coded(self.primary)):
            for kind, at, end in self.properties(item):
                if kind == b"colr" and self.data[at : at + 4] == b"nclx":
                    yield at, end

    def content(self, item: int, length: int) -> bytes:
        """Return at most `length` bytes from the start of an item (ISO/IEC 14496-12, 8.11.3)."""
        data, (at, end) = self.data, self._place(b"iloc")
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
                place += self._place(b"idat")[0] if in_idat else 0
                return bytes(data[place : place + length])
            at += extents * (index + offset + size)
        return b""

    def _place(self, kind: bytes) -> tuple[int, int]:
        """Return where the content of a box starts and ends; (0, 0) if it is missing."""
        return self._places.get(kind, (0, 0))

    @cached_property
    def _places(self) -> Mapping[bytes, tuple[int, int]]:
        return _first_of_each(self.data, *_inside(self.data, b"meta"))

    @cached_property
    def _properties(self) -> Sequence[Box]:
        inside = _first_of_each(self.data, *self._place(b"iprp"))
        return list(_boxes(self.data, *inside.get(b"ipco", (0, 0))))

    @cached_property
    def types(self) -> Mapping[int, bytes]:
        """The types of all items (ISO/IEC 14496-12, 8.11.6)."""
        start, end = self._place(b"iinf")
        return _types(self.data, start, end) if start < end else {}

    def _indices(self, item: int) -> Iterator[int]:
        """List the properties of an item, by their index from 1 (ISO/IEC 23008-12, 9.3.1)."""
        if item not in self._associations:
            return
        at, form = self._associations[item]
        low_bits = 8 * struct.calcsize(form) - 1
        for index in struct.unpack_from(f">{self.data[at]}{form}", self.data, at + 1):
            # The highest bit marks properties that a reader must support.
            yield index & (1 << low_bits) - 1

    @property
    def are_too_many(self) -> bool:
        """Whether more than `_MAX_ITEMS` have properties."""
        return next(islice(self._all_associations(), _MAX_ITEMS, None), None) is not None

    @cached_property
    def _associations(self) -> Mapping[int, tuple[int, str]]:
        """The place of each item's indices and their form. An item has one list of them."""
        found: dict[int, tuple[int, str]] = {}
        for item, at, form in islice(self._all_associations(), _MAX_ITEMS):
            found.setdefault(item, (at, form))
        return found

    def _all_associations(self) -> Iterator[tuple[int, int, str]]:
        for kind, start, end in _boxes(self.data, *self._place(b"iprp")):
            if kind == b"ipma":
                yield from _associations(self.data, start, end)


def _references(data: Data, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    form = ">I" if data[start] else ">H"
    width = struct.calcsize(form)
    for kind, at, _ in _boxes(data, start + 4, end):
        (item,) = struct.unpack_from(form, data, at)
        (first,) = struct.unpack_from(form, data, at + width + 2)  # after the number of targets
        yield kind, item, first


def _types(data: Data, start: int, end: int) -> Mapping[int, bytes]:
    found: dict[int, bytes] = {}
    entries = start + (8 if data[start] else 6)  # after version, flags and a count
    for kind, at, _ in _boxes(data, entries, end):
        if kind == b"infe":
            long = data[at] > 2
            (item,) = struct.unpack_from(">I" if long else ">H", data, at + 4)
            place = at + (10 if long else 8)  # after the id and the protection index
            found.setdefault(item, bytes(data[place : place + 4]))
    return found


def _associations(data: Data, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield each item, where its number of indices is, and the form of an index."""
    version, long = data[start], data[start + 3] & _LONG_INDICES
    (entries,) = struct.unpack_from(">I", data, start + 4)
    id_form, form = ">I" if version else ">H", "H" if long else "B"
    at = start + 8
    for _ in range(entries):
        if at >= end:
            return
        (item,) = struct.unpack_from(id_form, data, at)
        at += struct.calcsize(id_form)
        yield item, at, form
        at += 1 + data[at] * struct.calcsize(form)


def _number(data: Data, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "big")


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


def _first_of_each(data: Data, start: int, end: int) -> Mapping[bytes, tuple[int, int]]:
    """Return where the content of the first box of each kind starts and ends."""
    found: dict[bytes, tuple[int, int]] = {}
    for kind, at, until in _boxes(data, start, end):
        found.setdefault(kind, (at, until))
    return found


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
