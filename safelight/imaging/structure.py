"""Examines the structure of a file: is it truncated, unsupported, odd, or has it huge parts?

The sizes of parts are read before decoding, the other facts only after a decoder has failed. The
data is untrusted: every walk moves forward and stays inside the file. Messages of decoders are not
used (libvips keeps them in one buffer per process).
"""

import filecmp
import mmap
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from safelight.imaging import apng, avif, bmp, gif, isomedia, jpeg, png, tiff
from safelight.imaging.isomedia import Coding, Data

T = TypeVar("T")

_GAIN_MAP_HEADER_BYTES = 256 * 1024
_GAIN_MAP_NAMES = (b"urn:iso:std:iso:ts:21496:-1", b"http://ns.adobe.com/hdr-gain-map/1.0/")


def is_cut_short(path: Path, format: str) -> bool:
    """Return whether a file ends before its own structure says so."""
    # A walk fails if an offset points beyond the file's end.
    return _answer(_WALKS.get(format), path, otherwise=False, if_it_fails=True)


def is_a_cut_media_file(path: Path) -> bool:
    """Return the same for an ISO media file, whatever is coded in it."""
    return _answer(isomedia.is_cut_short, path, otherwise=False, if_it_fails=True)


def is_of_an_unread_kind(path: Path, format: str) -> bool:
    """Return whether a file is complete, but its pixels are coded in an unsupported way."""
    return _answer(_UNREAD_KINDS.get(format), path, otherwise=False, if_it_fails=False)


def without_oddities(path: Path, copy: Path, whole: Collection[int] = ()) -> bool:
    """Write a copy of a JPEG without oddities that draw warnings; return whether it had any.

    `whole` are the numbers of padded intervals that end with a zero of their own. Raises `OSError`
    if the copy cannot be written.
    """

    def written(data: Data) -> bool:
        with copy.open("wb") as file:
            file.writelines(jpeg.usual(data, whole))
        return not filecmp.cmp(path, copy, shallow=False)

    return _answer(written, path, otherwise=False, if_it_fails=False)


def rows_of_intervals(path: Path, copy: Path, last: bytes) -> int:
    """Write a JPEG with a row for each padded interval; return the number of rows.

    `last` replaces the padding. Raises `OSError` if the copy cannot be written.
    """

    def written(data: Data) -> int:
        count, pieces = jpeg.rows_of_intervals(data, last)
        with copy.open("wb") as file:
            file.writelines(pieces)
        return count

    return _answer(written, path, otherwise=0, if_it_fails=0)


def odd_orientation(path: Path) -> int:
    """Return the orientation of a JPEG whose EXIF has an odd signature; 0 if it has none."""
    return _answer(jpeg.odd_orientation, path, otherwise=0, if_it_fails=0)


def lacks_only_its_end(path: Path) -> bool:
    """Return whether a JPEG that is cut short may have all its pixels."""
    return _answer(jpeg.lacks_only_its_end, path, otherwise=False, if_it_fails=False)


def largest_part(path: Path, format: str) -> tuple[int, int]:
    """Return the largest width and height of a part, such as a tile or an alpha plane.

    A decoder allocates memory by these sizes, however small the whole picture claims to be. Returns
    (0, 0) if the format has no parts.
    """
    ask = isomedia.largest_size if format in _OF_PARTS else None
    return _answer(ask, path, otherwise=(0, 0), if_it_fails=(0, 0))


def named_coding(path: Path, format: str) -> Coding | None:
    """Return the numbers of primaries and transfer in an AVIF or HEIC; None if it has none."""
    ask = isomedia.primary_coding if format in _OF_PARTS else None
    return _answer(ask, path, otherwise=None, if_it_fails=None)


def picture_of_a_tiff(path: Path) -> tiff.Page | None:
    """Return the page to show; None if the file has no page that is read, or is damaged."""
    return _answer(tiff.picture, path, otherwise=None, if_it_fails=None)


def tidy_copy_of_a_tiff(path: Path) -> bytes | None:
    """Return a copy without any oddities of its header; None if it needs none, or is large."""
    return _answer(tiff.tidy_copy, path, otherwise=None, if_it_fails=None)


def colours_of_a_png(path: Path) -> png.Colours | None:
    """Return what the chunks before the pixels say about colours; None if they are damaged."""
    return _answer(png.colours, path, otherwise=None, if_it_fails=None)


def frames_of_a_png(path: Path) -> int:
    """Return the number of frames that the header announces; 1 for a still picture."""
    found = _answer(apng.animation, path, otherwise=None, if_it_fails=None)
    return found.frames if found else 1


def first_frame_of_a_gif(path: Path) -> bytes | None:
    """Return a GIF of the first frame only; None if that frame is damaged."""
    return _answer(gif.still, path, otherwise=None, if_it_fails=None)


def animation_of_a_gif(path: Path) -> bytes | None:
    """Return a GIF that is transparent outside its frames; None if it is so already, or damaged."""
    return _answer(gif.animation, path, otherwise=None, if_it_fails=None)


def lacks_a_frame_of_a_gif(path: Path) -> bool:
    """Return whether a GIF is cut inside a frame, the first or a later one."""
    return _answer(gif.lacks_a_frame, path, otherwise=False, if_it_fails=False)


def storage_of_an_avif(path: Path) -> avif.Storage:
    """Return how an AVIF stores its grey and its alpha."""
    usual = avif.Storage()
    return _answer(avif.storage, path, otherwise=usual, if_it_fails=usual)


def names_limited_range(path: Path) -> bool:
    """Return whether black is 16 of 255 in an AVIF or HEIC, by the numbers of its colours."""
    return bool(_answer(isomedia.names_limited_range, path, otherwise=None, if_it_fails=None))


def with_a_named_matrix(path: Path) -> bytes | None:
    """Return a copy of an AVIF or HEIC whose full range libheif obeys; None if it needs none."""
    return _answer(isomedia.with_a_named_matrix, path, otherwise=None, if_it_fails=None)


def names_too_many_items(path: Path) -> bool:
    """Return whether an AVIF or HEIC names more items than any picture has."""
    ask = isomedia.names_too_many_items
    return _answer(ask, path, otherwise=False, if_it_fails=False)


def announces_a_gain_map(path: Path, format: str) -> bool:
    """Return whether a JPEG's header announces a gain map, by ISO 21496-1 or Adobe's namespace."""
    if format != "jpeg":
        return False
    with path.open("rb") as file:
        head = file.read(_GAIN_MAP_HEADER_BYTES)
    return any(name in head for name in _GAIN_MAP_NAMES)


@contextmanager
def mapped(path: Path) -> Iterator[Data]:
    """Give the bytes of a file that is not empty, without reading it into memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _answer(ask: Callable[[Data], T] | None, path: Path, *, otherwise: T, if_it_fails: T) -> T:
    if ask is None or path.stat().st_size == 0:
        return otherwise
    with mapped(path) as data:
        try:
            return ask(data)
        except (IndexError, OverflowError, struct.error):
            return if_it_fails


def _png(data: Data) -> bool:
    at = 8
    while data[at + 4 : at + 8] != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        at += length + 12
    return at + 12 > len(data)


def _webp(data: Data) -> bool:
    (size,) = struct.unpack_from("<I", data, 4)
    return int(size) + 8 > len(data)


_OF_PARTS = frozenset({"avif", "heic"})
_WALKS: Mapping[str, Callable[[Data], bool]] = MappingProxyType(
    {
        "jpeg": jpeg.is_cut_short,
        "png": _png,
        "webp": _webp,
        "gif": gif.is_cut_short,
        "tiff": tiff.is_cut_short,
        "avif": isomedia.is_cut_short,
        "heic": isomedia.is_cut_short,
        "bmp": bmp.is_cut_short,
    }
)
_UNREAD_KINDS: Mapping[str, Callable[[Data], bool]] = MappingProxyType(
    {
        "jpeg": jpeg.is_unread,
        "tiff": tiff.is_of_an_unread_kind,
        "avif": isomedia.is_unread,
        "heic": isomedia.is_unread,
        "bmp": bmp.is_unread,
    }
)
