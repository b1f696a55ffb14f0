"""Examines a TIFF: which page is the picture, the meaning of its bands, and its oddities.

The data is untrusted; `tiff_directory` bounds how much of it is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from safelight.imaging.isomedia import Data
from safelight.imaging.tiff_directory import (
    BITS,
    CHUNKS,
    DNG_VERSION,
    JPEG,
    SAMPLES,
    SHORT,
    STRIPS,
    TILES,
    YCC,
    YCC_SUBSAMPLING,
    Directory,
    directories,
)

_HEADER_BYTES = 8
_MAX_COPY_BYTES = 4 * 1024 * 1024
"""The most bytes of values, and of strips, in a copy: more than any fax of a page has."""
_MAX_JPEG_HEADER_BYTES = 256 * 1024
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_UNCOMPRESSED = 1
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Markers of the header of a JPEG frame: baseline, extended, progressive."""
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, JPEG, 8, 32_773, 32_946})
"""Compressions that every libtiff reads: none, fax, LZW, JPEG, deflate, PackBits. Others need
libraries that the wheel lacks (old-style JPEG, LZMA, Zstandard, WebP, JPEG 2000)."""
_WARNS_ABOUT_PIXELS = frozenset({2, 3, 4, JPEG, 32_773})
"""Compressions whose decoders only warn about lost pixels: fax, JPEG, PackBits."""
_WHOLE_BYTES = frozenset({8, 16, 32})
_PARTS_OF_BYTES = frozenset({1, 2, 4})
_UNREAD_COLOURS = frozenset({8, 9, 10, 32_803, 32_844, 32_845, 34_892})
"""CIELab, ICCLab and ITULab, of which the loader reads only some; sensor data; LogL and LogLuv."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page that is the picture."""

    number: int
    """Its place in the file; the first page is 0."""
    further_bands: int
    """Bands that follow those of its colours."""
    alpha: int | None
    """The further band that is its opacity, from 0."""
    is_ycc: bool
    """Whether its bands are YCbCr, which the loader takes for RGB."""
    warns_about_pixels: bool
    """Whether a warning from its decoder may mean lost pixels."""


def picture(data: Data) -> Page | None:
    """Return the page to show; None if no page is a picture that is read here."""
    number, directory = _picture(data)
    if directory is None or not directory.has_a_meaning:
        return None
    samples, colours = directory.number(SAMPLES, 1), directory.colours
    # The loader adds opacity to what it cannot pass on as it is stored.
    expanded = directory.photometric == YCC and directory.compression != JPEG
    expanded = expanded and not directory.is_stored_as_ycc
    return Page(
        number=number,
        further_bands=1 if expanded else max(0, samples - colours),
        alpha=next(iter(directory.alphas), None),
        is_ycc=directory.is_stored_as_ycc,
        warns_about_pixels=directory.is_tiled or _strips_may_lack_pixels(data, directory),
    )


def tidy_copy(data: Data) -> bytes | None:
    """Return a TIFF of the picture alone, without any oddities of its header.

    Every warning about the copy is about pixels. Returns None if the decoder reports lost pixels as
    errors, or if the copy would be large.
    """
    _, directory = _picture(data)
    if directory is None or directory.is_tiled or directory.compression not in _WARNS_ABOUT_PIXELS:
        return None
    starts, lengths = directory.numbers(STRIPS), directory.numbers(CHUNKS[STRIPS])
    if len(starts) == 1 and not any(lengths):
        lengths = (len(data) - starts[0],)
    values = directory.tidy_values(_MAX_COPY_BYTES)
    if values is None or len(starts) != len(lengths) or sum(lengths) > _MAX_COPY_BYTES:
        return None
    strips = [data[at : at + size] for at, size in zip(starts, lengths, strict=True)]
    if directory.leaves_its_subsampling_to_the_jpeg:
        sampling = _sampling(strips[0][:_MAX_JPEG_HEADER_BYTES])
        values[YCC_SUBSAMPLING] = (SHORT, directory.packed("H", sampling))
    return directory.file_of(strips, values)


def jpegs_of_tiles(data: Data) -> Iterator[tuple[bytes, int]]:
    """Yield every tile in JPEG as a file of its own, and how many pixels it may have.

    libvips passes over warnings about them.
    """
    _, directory = _picture(data)
    if directory is None or not directory.is_tiled or directory.compression != JPEG:
        return
    tables = directory.jpeg_tables
    places = zip(directory.numbers(TILES), directory.numbers(CHUNKS[TILES]), strict=False)
    for at, size in places:
        tile = data[at : at + size]
        if tile:  # one without data is empty
            whole = tables.removesuffix(_JPEG_END) + tile.removeprefix(_JPEG_START * bool(tables))
            yield whole, directory.pixels_of_a_tile


def is_cut_short(data: Data) -> bool:
    """Return whether a strip or tile of the picture, or a directory, is beyond the file's end."""
    _, directory = _picture(data)
    for last in directories(data):
        directory = directory or last
    if directory is None:
        return False
    for starts, lengths in CHUNKS.items():
        pairs = zip(directory.numbers(starts), directory.numbers(lengths), strict=False)
        if any(start + length > len(data) for start, length in pairs):
            return True
    return False


def is_of_an_unread_kind(data: Data) -> bool:
    """Return whether the loader does not read such a picture, even if it is complete."""
    _, directory = _picture(data)
    if directory is None:
        return True
    bits = set(directory.numbers(BITS, 1))
    read = _WHOLE_BYTES if directory.number(SAMPLES, 1) > 1 else _WHOLE_BYTES | _PARTS_OF_BYTES
    return (
        directory.compression not in _COMPRESSIONS
        or len(bits) > 1
        or not bits <= read
        or directory.photometric in _UNREAD_COLOURS
        or (directory.is_tiled and directory.has_planes)
        or not directory.has_a_meaning
    )


def _picture(data: Data) -> tuple[int, Directory | None]:
    """Return the first full page and its number; None if there is none, as in camera raw files."""
    for number, directory in enumerate(directories(data)):
        if DNG_VERSION in directory.entries:
            break
        if directory.is_full:
            return number, directory
    return 0, None


def _strips_may_lack_pixels(data: Data, directory: Directory) -> bool:
    """Return whether libtiff may only warn when it finds no data, or wrong data, for a row."""
    if directory.compression == _UNCOMPRESSED:
        return not _has_room_for_its_rows(data, directory)
    return directory.compression in _WARNS_ABOUT_PIXELS


def _has_room_for_its_rows(data: Data, directory: Directory) -> bool:
    """Return whether all uncompressed strips lie in the file before anything else begins."""
    starts, sizes = directory.numbers(STRIPS), directory.strip_sizes
    distinct = {*starts}
    if not sizes or len(starts) != len(sizes) or len(distinct) != len(starts):
        return False
    others = chain.from_iterable(other.places for other in directories(data))
    ends = dict(pairwise(sorted(distinct.union(others, [len(data)]))))
    return all(
        start >= _HEADER_BYTES and start + size <= ends.get(start, 0)
        for start, size in zip(starts, sizes, strict=True)
    )


def _sampling(jpeg: bytes) -> tuple[int, int]:
    """Return the pixels per sample of colour, across and down."""
    at = 2
    while jpeg[at + 1] not in _FRAMES:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return divmod(jpeg[at + 11], 16)
