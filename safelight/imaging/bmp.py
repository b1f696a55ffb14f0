"""Reads the header of a BMP: is it short, is the file cut, or of a kind that is not read? Pure."""

import struct

from safelight.imaging.isomedia import Data

_CORE_HEADER, _OS2_HEADER = 12, 64
_WHOLE_HEADERS = frozenset({_CORE_HEADER, 40, 52, 56, _OS2_HEADER, 108, 124})
_WITH_CODING = 20
"""The shortest header that names a compression."""
_RGB, _RLE8, _RLE4, _MASKS, _ALPHA_MASKS = 0, 1, 2, 3, 6
_UNCOMPRESSED = frozenset({_RGB, _MASKS, _ALPHA_MASKS})
_BITS = {
    _RGB: frozenset({1, 4, 8, 16, 24, 32}),
    _RLE8: frozenset({8}),
    _RLE4: frozenset({4}),
}
"""Compression -> the bits per pixel that are read with it."""
_MASKED_BITS = frozenset({16, 32})


def is_cut_short(data: Data) -> bool:
    """Compare an uncompressed bitmap's rows with the file's end."""
    (place,) = struct.unpack_from("<I", data, 10)
    width, height, bits, coding = _header(data)
    if coding not in _UNCOMPRESSED or (coding == _MASKS and bits not in _MASKED_BITS):
        return False  # OS/2 has another compression of the number of masks
    row = (width * bits + 31) // 32 * 4
    return bool(place + row * abs(height) > len(data))


def with_a_whole_header(data: bytes) -> bytes:
    """Return a bitmap whose header has all fields of OS/2: those that are left out are zero.

    Raises `struct.error` if the file ends inside its header.
    """
    place, header = struct.unpack_from("<II", data, 10)
    if header in _WHOLE_HEADERS or header > _OS2_HEADER:
        return data
    missing = _OS2_HEADER - header
    sizes = struct.pack("<II", (place + missing) & 0xFFFFFFFF, _OS2_HEADER)
    return data[:10] + sizes + data[18 : 14 + header] + bytes(missing) + data[14 + header :]


def is_unread(data: Data) -> bool:
    """Return whether a complete bitmap that failed has unusual bits, compression, or masks.

    Masks are unusual if each colour has its own run of bits; any others are damaged.
    """
    _, _, bits, coding = _header(data)
    if coding == _MASKS and bits in _MASKED_BITS:
        return _are_masks(*struct.unpack_from("<3I", data, 54))
    return bits not in _BITS.get(coding, ())


def _are_masks(*masks: int) -> bool:
    """Return whether no mask is empty, has gaps, or overlaps another one."""
    runs = (mask // (mask & -mask) + 1 for mask in masks if mask)
    in_order = [run & (run - 1) == 0 for run in runs]
    red, green, blue = masks
    return (
        len(in_order) == len(masks) and all(in_order) and red + green + blue == red | green | blue
    )


def _header(data: Data) -> tuple[int, int, int, int]:
    """Return width, height, bits per pixel and the number of the compression."""
    (header,) = struct.unpack_from("<I", data, 14)
    if header == _CORE_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return width, height, bits, _RGB
    width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    coding = struct.unpack_from("<I", data, 30)[0] if header >= _WITH_CODING else _RGB
    return width, height, bits, coding
