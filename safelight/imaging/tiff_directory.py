"""Reads the tags of a TIFF, directory by directory, and writes them to a file of one page.

The data is untrusted: each tag is read at most once, the walk visits no directory twice, and it
ends after `_MAX_TAGS` tags. TIFF and BigTIFF differ only in the widths of fields.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from types import MappingProxyType

from safelight.imaging.isomedia import Data

_SUBFILE, _OLD_SUBFILE, BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 258, 259, 262
_WIDTH, _HEIGHT, STRIPS, _ROWS_OF_A_STRIP = 256, 257, 273, 278
SAMPLES, _PLANES, _FILL_ORDER, _ORIENTATION = 277, 284, 266, 274
_PREDICTOR, _PALETTE, _JPEG_TABLES, _YCC_POSITION = 317, 320, 347, 531
_FAX_OPTIONS, _INKS = (292, 293), (332, 334)
_METADATA = frozenset({700, 33_432, 33_723, 34_377, 34_675})
"""XMP, copyright, IPTC, Photoshop's blocks, and the profile."""
_TILE_WIDTH, _TILE_HEIGHT, EXTRA_SAMPLES, _SAMPLE_FORMAT = 322, 323, 338, 339
_YCC_WEIGHTS, YCC_SUBSAMPLING, _REFERENCES, DNG_VERSION = 529, 530, 532, 50_706
TILES = 324
CHUNKS = MappingProxyType({STRIPS: 279, TILES: 325})
"""Tag of the starts of strips or tiles -> tag of their lengths (TIFF 6.0)."""
SHORT, _LONG, _RATIONAL = 3, 4, 5
_SIZES = MappingProxyType({1: "B", SHORT: "H", _LONG: "I", 16: "Q"})
_BYTES = MappingProxyType({SHORT: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
    16: 8, 17: 8, 18: 8})  # fmt: skip
"""Type -> bytes of one value, if it has more than one."""
_PICTURE_TAGS = frozenset({_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, BITS, _COMPRESSION,
    _PHOTOMETRIC, _FILL_ORDER, _ORIENTATION, SAMPLES, _ROWS_OF_A_STRIP, _PLANES, *_FAX_OPTIONS,
    _PREDICTOR, _PALETTE, *_INKS, EXTRA_SAMPLES, _SAMPLE_FORMAT, _JPEG_TABLES, _YCC_WEIGHTS,
    YCC_SUBSAMPLING, _YCC_POSITION, _REFERENCES, *_METADATA})  # fmt: skip
"""Tags that pixels, colours, orientation and rights need."""
_ORIENTATIONS = range(1, 9)
_EVEN = 2
"""Values and directories begin at multiples of it."""
_REDUCED, _OLD_REDUCED = 1, 2
"""A smaller version of another picture: a bit of NewSubfileType, and a value of SubfileType."""
_SEPARATE_PLANES = 2
_GREYS = frozenset({0, 1})
_GREY_COLOURS = 1
_MAX_UNKNOWN_OF_GREY = 1
"""The most further samples without a meaning beside grey; more may be colours."""
_COLOURS = MappingProxyType({2: 3, 5: 4, 6: 3})
"""Photometric interpretation -> its samples: RGB, inks, YCbCr. Grey and palettes have one."""
YCC = 6
_ALPHAS = frozenset({1, 2})
"""Extra samples that are opacity: premultiplied, and not. Others have no defined meaning."""
_PLAIN_WEIGHTS = (0.299, 0.587, 0.114)
_PLAIN_REFERENCES = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
JPEG = 7
_MAX_CHUNKS = 200_000
_MAX_TAGS = 65_535
"""The most tags in one directory, and in all directories that are read. BigTIFF allows 2^64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The tags of one page. Its methods raise `struct.error` if a value lies outside the file."""

    data: Data
    order: str
    offset: str
    """The format of an offset and of a count: "I", or "Q" in a BigTIFF."""
    place: int
    entries: Mapping[int, int]
    """Tag -> place of its first entry."""
    following: int
    """The place of the next directory; 0 if this is the last one."""

    def number(self, tag: int, default: int) -> int:
        """Return the first value of a tag."""
        return self.numbers(tag, default, most=1)[0]

    def numbers(self, tag: int, *default: int, most: int = _MAX_CHUNKS) -> tuple[int, ...]:
        """Return the values of a tag of whole numbers, at most so many."""
        kind, count, _ = self._entry(tag)
        if kind not in _SIZES or not 0 < count <= _MAX_CHUNKS:
            return default
        return self._values(tag, _SIZES[kind], count, most)

    @property
    def jpeg_tables(self) -> bytes:
        """The tables that the JPEGs in all strips or tiles share; empty if each has its own."""
        _, size, _ = self._entry(_JPEG_TABLES)
        place = self._place(_JPEG_TABLES, size)
        return bytes(self.data[place : place + size])

    def ratios(self, tag: int, default: tuple[float, ...]) -> tuple[float, ...]:
        """Return as many fractions as the default has."""
        kind, count, _ = self._entry(tag)
        if kind != _RATIONAL or count != len(default):
            return default
        values = self._values(tag, "I", 2 * count, 2 * count)
        pairs = zip(values[::2], values[1::2], strict=True)
        return tuple(above / below if below else 0.0 for above, below in pairs)

    def tidy_values(self, most: int) -> dict[int, tuple[int, bytes]] | None:
        """Return tag -> type and value of the tags that a picture needs.

        Impossible orientations and metadata outside the file are left out. Returns None if values
        are long, or pixels need one outside the file.
        """
        values: dict[int, tuple[int, bytes]] = {}
        for tag in self.entries.keys() & _PICTURE_TAGS:
            kind, count, _ = self._entry(tag)
            size = count * _BYTES.get(kind, 1)
            most -= size
            if most < 0:
                return None
            place = self._place(tag, size)
            value = self.data[place : place + size]
            if len(value) == size:
                values[tag] = (kind, value)
            elif tag not in _METADATA:
                return None
        if self.number(_ORIENTATION, 1) not in _ORIENTATIONS:
            del values[_ORIENTATION]
        extra = self.numbers(EXTRA_SAMPLES)
        unnamed = self.number(SAMPLES, 1) - self.colours - len(extra)
        if unnamed > 0:
            values[EXTRA_SAMPLES] = (SHORT, self.packed("H", (0,) * unnamed + extra))
        return values

    def packed(self, code: str, numbers: Sequence[int]) -> bytes:
        """Return numbers as bytes in the order of the file."""
        return struct.pack(f"{self.order}{len(numbers)}{code}", *numbers)

    def file_of(self, strips: Sequence[bytes], values: dict[int, tuple[int, bytes]]) -> bytes:
        """Return a file with these strips and values, in the byte order and width of this one."""
        width = struct.calcsize(f"={self.offset}")
        starts = list(accumulate(map(len, strips), initial=2 * width))
        values[STRIPS] = (_LONG, self.packed("I", starts[:-1]))
        values[CHUNKS[STRIPS]] = (_LONG, self.packed("I", list(map(len, strips))))
        entries, behind = bytearray(), bytearray(starts[-1] % _EVEN)
        for tag, (kind, value) in sorted(values.items()):
            inside = value
            if len(value) > width:
                inside = self.packed(self.offset, [starts[-1] + len(behind)])
                behind += value + bytes(len(value) % _EVEN)
            count = len(value) // _BYTES.get(kind, 1)
            entries += struct.pack(f"{self.order}HH{self.offset}", tag, kind, count)
            entries += inside.ljust(width, b"\0")
        directory = self.packed(self.offset, [starts[-1] + len(behind)])
        counter = self.packed("Q" if self.offset == "Q" else "H", [len(values)])
        head = self.data[:width] + directory
        return b"".join([head, *strips, behind, counter, entries, bytes(width)])

    @property
    def compression(self) -> int:
        """How the pixels are packed (TIFF 6.0, section 3)."""
        return self.number(_COMPRESSION, 1)

    @property
    def photometric(self) -> int:
        """The kind of its colours."""
        return self.number(_PHOTOMETRIC, 0)

    @property
    def colours(self) -> int:
        """The samples that its colours take; further ones follow them."""
        return _COLOURS.get(self.photometric, _GREY_COLOURS)

    @property
    def alphas(self) -> list[int]:
        """The further samples that are opacity, from 0."""
        extra = self.numbers(EXTRA_SAMPLES)
        first = self.number(SAMPLES, 1) - len(extra) - self.colours
        return [first + n for n, kind in enumerate(extra) if kind in _ALPHAS and first + n >= 0]

    @property
    def has_a_meaning(self) -> bool:
        """Whether its samples are certain to mean what its tags say."""
        if self.is_stored_as_ycc:
            return self.is_plain_ycc
        unknown = self.number(SAMPLES, 1) - self.colours - len(self.alphas)
        return self.photometric not in _GREYS or unknown <= _MAX_UNKNOWN_OF_GREY

    @property
    def is_tiled(self) -> bool:
        """Whether its pixels are in tiles, not in strips."""
        return _TILE_WIDTH in self.entries

    @property
    def pixels_of_a_tile(self) -> int:
        """The pixels of each tile, also of those at the edge."""
        return self.number(_TILE_WIDTH, 0) * self.number(_TILE_HEIGHT, 0)

    @property
    def has_planes(self) -> bool:
        """Whether each sample has strips or tiles of its own."""
        return self.number(_PLANES, 1) == _SEPARATE_PLANES

    @property
    def strip_sizes(self) -> list[int]:
        """The bytes of each uncompressed strip; none if there are too many, or unusual pixels."""
        width, height = self.number(_WIDTH, 0), self.number(_HEIGHT, 0)
        samples, planes = self.number(SAMPLES, 1), 1
        if self.has_planes:
            samples, planes = 1, samples
        row = (width * samples * self.number(BITS, 1) + 7) // 8
        rows = min(self.number(_ROWS_OF_A_STRIP, height), height)
        is_subsampled = self.photometric == YCC and not self.is_stored_as_ycc
        if not rows or is_subsampled or planes * height > _MAX_CHUNKS * rows:
            return []
        strips = [row * min(rows, height - above) for above in range(0, height, rows)]
        return strips * planes

    @property
    def places(self) -> Iterator[int]:
        """Where the directory, its values and the first strip or tile begin."""
        yield self.place
        for tag in self.entries:
            kind, count, _ = self._entry(tag)
            yield self._place(tag, count * _BYTES.get(kind, 1))
        for tag in CHUNKS:
            yield self.number(tag, 0)

    @property
    def is_full(self) -> bool:
        """Whether it is a picture in its own right."""
        reduced = self.number(_SUBFILE, 0) & _REDUCED
        return not reduced and self.number(_OLD_SUBFILE, 0) != _OLD_REDUCED

    @property
    def is_stored_as_ycc(self) -> bool:
        """Whether the loader passes YCbCr on as it is: it converts JPEG, and subsampled pixels."""
        if self.photometric != YCC:
            return False
        if self.compression == JPEG:
            return self.has_planes
        return set(self.numbers(YCC_SUBSAMPLING, 2, 2)) == {1}

    @property
    def leaves_its_subsampling_to_the_jpeg(self) -> bool:
        """Whether a tag is missing that libtiff then finds in the JPEG, and warns about."""
        coded = self.photometric == YCC and self.compression == JPEG
        return coded and YCC_SUBSAMPLING not in self.entries

    @property
    def is_plain_ycc(self) -> bool:
        """Whether it is the YCbCr of JPEG, of 8 bits (TIFF 6.0, sections 20 and 21)."""
        weights = self.ratios(_YCC_WEIGHTS, _PLAIN_WEIGHTS)
        references = self.ratios(_REFERENCES, _PLAIN_REFERENCES)
        both = zip(weights + references, _PLAIN_WEIGHTS + _PLAIN_REFERENCES, strict=True)
        return (
            self.compression != JPEG
            and set(self.numbers(BITS, 1)) == {8}
            and set(self.numbers(_SAMPLE_FORMAT, 1)) == {1}
            and self.number(SAMPLES, 1) == _COLOURS[YCC]
            and all(abs(one - other) < 1e-3 for one, other in both)
        )

    def _entry(self, tag: int) -> tuple[int, int, int]:
        """Return type, count and the place of the value or of its offset; zeros if absent."""
        at = self.entries.get(tag)
        if at is None:
            return 0, 0, 0
        kind, count = struct.unpack_from(f"{self.order}H{self.offset}", self.data, at + 2)
        return kind, count, at + 4 + struct.calcsize(f"={self.offset}")

    def _place(self, tag: int, size: int) -> int:
        """Return where the bytes of a value begin: in the entry itself if they fit."""
        _, _, place = self._entry(tag)
        if size > struct.calcsize(f"={self.offset}"):
            (place,) = struct.unpack_from(self.order + self.offset, self.data, place)
        return int(place)

    def _values(self, tag: int, code: str, count: int, most: int) -> tuple[int, ...]:
        place = self._place(tag, count * struct.calcsize(f"={code}"))
        return struct.unpack_from(f"{self.order}{min(count, most)}{code}", self.data, place)


def directories(data: Data) -> Iterator[Directory]:
    """Follow the directories until the last one, or one that was there before."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    offset, counter = ("Q", "Q") if big else ("I", "H")
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    seen: set[int] = set()
    left = _MAX_TAGS
    while at and at not in seen and left > 0:
        seen.add(at)
        (count,) = struct.unpack_from(order + counter, data, at)
        directory = _directory(data, at, count, order, offset, counter)
        yield directory
        at, left = directory.following, left - count - 1


def _directory(data: Data, at: int, count: int, order: str, offset: str, counter: str) -> Directory:
    width = struct.calcsize(f"={offset}")
    start, size = at + struct.calcsize(f"={counter}"), 4 + 2 * width
    end = start + count * size
    if end > len(data):
        raise IndexError("the directory runs beyond the file")
    entries: dict[int, int] = {}
    for entry in islice(range(start, end, size), _MAX_TAGS):
        (tag,) = struct.unpack_from(f"{order}H", data, entry)
        entries.setdefault(tag, entry)
    (following,) = struct.unpack_from(order + offset, data, end)
    return Directory(
        data=data,
        order=order,
        offset=offset,
        place=at,
        entries=entries,
        following=following,
    )
