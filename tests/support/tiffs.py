"""Writes TIFFs tag by tag, for tests of what no library writes: odd, wrong and unusual ones."""

import io
import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from tests.support import pictures

_ACROSS, _DOWN = np.arange(160), np.arange(120)[:, None]
PIXELS: Final = np.stack(
    np.broadcast_arrays(
        _ACROSS / 159 * 255,
        _DOWN / 119 * 255,
        128 + 80 * np.sin(_ACROSS / 9) * np.cos(_DOWN / 7),
    ),
    axis=2,
).astype(np.uint8)
"""The test picture: red from left to right, green from top to bottom, waves of blue."""
MEAN: Final = (127, 127, 127)

BYTE, TEXT, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
_CODES = {BYTE: "B", TEXT: "B", SHORT: "H", LONG: "I", RATIONAL: "I", UNDEFINED: "B"}
Tag = tuple[int, tuple[int, ...] | bytes]
Tags = Mapping[int, Tag | None]

SUBFILE, COMPRESSION, PHOTOMETRIC, EXTRA_SAMPLES = 254, 259, 262, 338
SAMPLE_FORMAT, SUBSAMPLING, PROFILE = 339, 530, 34_675


def tiff(*pages: bytes, following: int = 0) -> bytes:
    """Join pages to a file; `following` is where the last directory says another one begins."""
    data = b"II*\0\0\0\0\0"
    link = 4
    for page in pages:
        data += bytes(len(data) % 2)
        data, directory, next_link = _with_page(data, page)
        data = data[:link] + struct.pack("<I", directory) + data[link + 4 :]
        link = next_link
    return data[:link] + struct.pack("<I", following) + data[link + 4 :]


def _with_page(data: bytes, page: bytes) -> tuple[bytes, int, int]:
    """Add one page, whose offsets count from its own start."""
    start = len(data)
    (directory,) = struct.unpack_from("<I", page)
    (count,) = struct.unpack_from("<H", page, directory)
    moved = bytearray(page)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, values, place = struct.unpack_from("<HHII", page, entry)
        size = values * struct.calcsize(_CODES[kind]) * (2 if kind == RATIONAL else 1)
        if tag == 273 or size > 4:
            struct.pack_into("<I", moved, entry + 8, place + start)
    return data + bytes(moved), start + directory, start + directory + 2 + 12 * count


def page(pixels: np.ndarray, tags: Tags | None = None, *, ascending: bool = True) -> bytes:
    """Write the pixels as one strip, with tags that replace or (None) remove the usual ones."""
    height, width = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    bits = 8 * pixels.dtype.itemsize
    usual: dict[int, Tag] = {
        256: (LONG, (width,)),
        257: (LONG, (height,)),
        258: (SHORT, (bits,) * samples),
        COMPRESSION: (SHORT, (1,)),
        PHOTOMETRIC: (SHORT, (2 if samples > 2 else 1,)),
        273: (LONG, (4,)),
        277: (SHORT, (samples,)),
        278: (LONG, (height,)),
        279: (LONG, (pixels.nbytes,)),
        284: (SHORT, (1,)),
    }
    all_tags = {tag: value for tag, value in (usual | dict(tags or {})).items() if value}
    order = sorted(all_tags) if ascending else sorted(all_tags, reverse=True)
    body = bytes(4) + pixels.tobytes()
    entries = b""
    for tag in order:
        kind, values = all_tags[tag]
        data = struct.pack(f"<{len(values)}{_CODES[kind]}", *values)
        count = len(values) // (2 if kind == RATIONAL else 1)
        body += bytes(len(body) % 2)
        if len(data) > 4:
            data, body = struct.pack("<I", len(body)), body + data
        entries += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0")
    body += bytes(len(body) % 2)
    directory = struct.pack("<H", len(order)) + entries + bytes(4)
    return struct.pack("<I", len(body)) + body[4:] + directory


def with_tag(tag: int, kind: int, *values: int) -> dict[int, Tag | None]:
    return {tag: (kind, values)}


def with_entry(data: bytes, tag: int, kind: int, count: int, value: bytes = bytes(4)) -> bytes:
    """Add an entry to the only directory of a TIFF, whatever its type and its value."""
    (place,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, place)
    usual = [data[at : at + 12] for at in range(place + 2, place + 2 + 12 * entries, 12)]
    further = struct.pack("<HHI", tag, kind, count) + value
    ordered = sorted([*usual, further], key=lambda entry: struct.unpack_from("<H", entry))
    data += bytes(len(data) % 2)
    directory = struct.pack("<H", len(ordered)) + b"".join(ordered) + bytes(4)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


def with_bands(pixels: np.ndarray, *bands: int) -> np.ndarray:
    """Add bands of one value each."""
    planes = [np.full((*pixels.shape[:2], 1), band, pixels.dtype) for band in bands]
    whole = pixels if pixels.ndim == 3 else pixels[..., None]
    return np.concatenate([whole, *planes], axis=2)


def floats(profile: bytes, kind: type = np.float32, pixels: np.ndarray = PIXELS) -> bytes:
    """Write the pixels in numbers from 0 to 1, which a profile applies to."""
    tags = with_tag(SAMPLE_FORMAT, SHORT, 3, 3, 3) | with_tag(PROFILE, UNDEFINED, *profile)
    return tiff(page((pixels / 255).astype(kind), tags))


def ycc(tags: Tags | None = None, pixels: np.ndarray | None = None) -> bytes:
    """Write the test picture, or other numbers, as YCbCr without subsampling."""
    if pixels is None:
        pixels = np.asarray(Image.fromarray(PIXELS).convert("YCbCr"))
    usual = with_tag(PHOTOMETRIC, SHORT, 6) | with_tag(SUBSAMPLING, SHORT, 1, 1)
    return tiff(page(pixels, {**usual, **(tags or {})}))


ODD_TAGS: Final[Mapping[str, Tags]] = {
    "text without its NUL": with_tag(305, TEXT, *b"Scanner 1.0"),
    "software as a number": with_tag(305, SHORT, 7),
    "date of another length": with_tag(306, TEXT, *b"2026:11:29\0"),
    "date as a number": with_tag(306, LONG, 2026),
    "page number of one value": with_tag(297, SHORT, 1),
    "page number as text": with_tag(297, TEXT, *b"1/1\0"),
    "no strip byte counts": {279: None},
    "strip byte counts of zero": with_tag(279, LONG, 0),
}
"""Tags that libtiff warns about, and that cost no pixel, by name."""


def group_4(tags: Tags | None = None, *, ascending: bool = True) -> bytes:
    """Make a page of black and white as fax machines send it."""
    black_and_white = Image.fromarray(PIXELS).convert("1")
    data = pictures.encoded(black_and_white, "TIFF", compression="group4")
    tags_of_pillow = TiffImageFile(io.BytesIO(data)).tag_v2
    (start,), (size,) = tags_of_pillow[273], tags_of_pillow[279]
    coded = np.frombuffer(data[start : start + size], np.uint8)
    fax: Tags = {
        256: (LONG, (160,)),
        257: (LONG, (120,)),
        258: (SHORT, (1,)),
        278: (LONG, (120,)),
        COMPRESSION: (SHORT, (4,)),
        PHOTOMETRIC: (SHORT, (1,)),
    }
    return page(coded.reshape(1, -1), {**fax, **(tags or {})}, ascending=ascending)


def _page_of_rgb(pixels: np.ndarray) -> Tags:
    height, width, _ = pixels.shape
    return {
        256: (LONG, (width,)),
        257: (LONG, (height,)),
        258: (SHORT, (8, 8, 8)),
        277: (SHORT, (3,)),
        278: (LONG, (height,)),
    }


def coded(format: str, tags: Tags, pixels: np.ndarray = PIXELS, **options: object) -> bytes:
    """Make a page of the size of the test picture, with these pixels coded as one strip."""
    data = np.frombuffer(pictures.encoded(Image.fromarray(pixels), format, **options), np.uint8)
    whole = {**_page_of_rgb(PIXELS), **with_tag(PHOTOMETRIC, SHORT, 6), **tags}
    return tiff(page(data.reshape(1, -1), whole))


def packbits(pixels: np.ndarray, *, ascending: bool = True) -> bytes:
    """Write the pixels in literal runs of 96 bytes."""
    runs = np.pad(pixels.reshape(-1, 96), ((0, 0), (1, 0)), constant_values=95)
    tags = with_tag(COMPRESSION, SHORT, 32_773) | with_tag(PHOTOMETRIC, SHORT, 2)
    return tiff(page(runs.reshape(1, -1), {**_page_of_rgb(pixels), **tags}, ascending=ascending))
