"""Writes TIFFs tag by tag, for tests of what no library writes: odd, wrong and unusual ones."""

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
from PIL import Image

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


def with_bands(pixels: np.ndarray, *bands: int) -> np.ndarray:
    """Add bands of one value each."""
    planes = [np.full((*pixels.shape[:2], 1), band, pixels.dtype) for band in bands]
    whole = pixels if pixels.ndim == 3 else pixels[..., None]
    return np.concatenate([whole, *planes], axis=2)


def behind_a_reduced_page() -> bytes:
    """Write the test picture behind a smaller version of itself."""
    return tiff(page(PIXELS[::4, ::4], with_tag(SUBFILE, LONG, 1)), page(PIXELS))


def floats(profile: bytes, kind: type = np.float32) -> bytes:
    """Write the test picture in numbers from 0 to 1, which a profile applies to."""
    tags = with_tag(SAMPLE_FORMAT, SHORT, 3, 3, 3) | with_tag(PROFILE, UNDEFINED, *profile)
    return tiff(page((PIXELS / 255).astype(kind), tags))


def ycc(tags: Tags | None = None, pixels: np.ndarray | None = None) -> bytes:
    """Write the test picture, or other numbers, as YCbCr without subsampling."""
    if pixels is None:
        pixels = np.asarray(Image.fromarray(PIXELS).convert("YCbCr"))
    usual = with_tag(PHOTOMETRIC, SHORT, 6) | with_tag(SUBSAMPLING, SHORT, 1, 1)
    return tiff(page(pixels, {**usual, **(tags or {})}))
