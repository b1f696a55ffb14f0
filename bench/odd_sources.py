"""Makes large sources of kinds that Safelight mends, cuts or converts before it decodes them."""

import re
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pyvips
from PIL import Image

FRAMES = 8
_PNG_HEADER_BYTES = 33
_ENTRY_BYTES = 12
_BLOCK = 16
"""Pixels across one unit of a JPEG with halved colours."""


def moving(image: pyvips.Image, path: str, mode: str, format: str, **options: object) -> None:
    """Make eight frames that together have as many pixels as the picture."""
    smaller = image.resize(FRAMES**-0.5)
    size = (smaller.width, smaller.height)
    still = Image.frombytes("RGB", size, bytes(smaller.write_to_memory()))
    first, *rest = (still.rotate(4 * turn).convert(mode) for turn in range(FRAMES))
    moves = {"save_all": True, "append_images": rest, "duration": 50}
    first.save(path, format=format, **moves, **options)


def _changed(path: str, change: Callable[[bytes], bytes]) -> None:
    file = Path(path)
    file.write_bytes(change(file.read_bytes()))


def _padded_jpeg(image: pyvips.Image, path: str) -> None:
    """Put padding before the restart marker of each row, as webcams do."""
    image.jpegsave(path, restart_interval=-(-image.width // _BLOCK))
    _changed(path, lambda data: re.sub(rb"(\xff[\xd0-\xd7])", rb"\0\0\0\0\0\0\1", data))


def _endless_jpeg(image: pyvips.Image, path: str) -> None:
    image.jpegsave(path)
    _changed(path, lambda data: data[:-2])


def _png(image: pyvips.Image, path: str, kind: bytes, content: bytes, bits: int = 8) -> None:
    """Write a PNG with one more chunk behind its header."""
    image.pngsave(path, compression=1, bitdepth=bits)
    body = kind + content
    chunk = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    _changed(path, lambda data: data[:_PNG_HEADER_BYTES] + chunk + data[_PNG_HEADER_BYTES:])


def _small_frames(image: pyvips.Image, path: str) -> None:
    """Make a GIF whose canvas is wider than its frames."""
    moving(image, path, "P", "GIF")

    def wider(data: bytes) -> bytes:
        (width,) = struct.unpack_from("<H", data, 6)
        return data[:6] + struct.pack("<H", width + _BLOCK) + data[8:]

    _changed(path, wider)


def _out_of_order(data: bytes) -> bytes:
    """Exchange the first two tags of a TIFF. Fax and JPEG are then opened from a tidy copy."""
    (directory,) = struct.unpack_from("<I", data, 4)
    first, second, third = (directory + 2 + _ENTRY_BYTES * entry for entry in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def _odd_fax(image: pyvips.Image, path: str) -> None:
    black_and_white = (image.colourspace("b-w") > 128).ifthenelse(255, 0)
    black_and_white.tiffsave(path, bitdepth=1, compression="ccittfax4")
    _changed(path, _out_of_order)


def _odd_jpeg_tiff(image: pyvips.Image, path: str) -> None:
    image.tiffsave(path, compression="jpeg", Q=30)
    _changed(path, _out_of_order)


def _selection_tiff(image: pyvips.Image, path: str) -> None:
    """Make a TIFF whose fourth band has no meaning."""
    image.bandjoin(image[1]).copy(interpretation="srgb").tiffsave(path)
    kinds = [struct.pack("<HHIH", 338, 3, 1, kind) for kind in (0, 1, 2)]
    _changed(path, lambda data: data.replace(kinds[1], kinds[0]).replace(kinds[2], kinds[0]))


def _float_tiff(image: pyvips.Image, path: str) -> None:
    floats = (image / 255).cast("float").copy(interpretation="scrgb")
    profile = pyvips.Image.profile_load("srgb")
    floats.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    floats.tiffsave(path)


def _ycc_tiff(image: pyvips.Image, path: str) -> None:
    size = (image.width, image.height)
    Image.frombytes("RGB", size, bytes(image.write_to_memory())).convert("YCbCr").save(path, "TIFF")


def _numbered_avif(image: pyvips.Image, path: str) -> None:
    """Write an AVIF in BT.2020 by number."""
    size = (image.width, image.height)
    picture = Image.frombytes("RGB", size, bytes(image.write_to_memory()))
    picture.save(path, format="AVIF", speed=10)
    at = Path(path).read_bytes().index(b"colrnclx") + len(b"colrnclx")
    _changed(path, lambda data: data[:at] + struct.pack(">HH", 9, 1) + data[at + 4 :])


ODD_SOURCES: Mapping[str, Callable[[pyvips.Image, str], object]] = MappingProxyType(
    {
        "jpeg, padded": _padded_jpeg,
        "jpeg, no end": _endless_jpeg,
        "png, gamma": lambda image, path: _png(image, path, b"gAMA", struct.pack(">I", 100_000)),
        "png, HDR": lambda image, path: _png(image, path, b"cICP", bytes((9, 16, 0, 1))),
        "png, HDR, 16 bits": lambda image, path: _png(
            image.colourspace("rgb16"), path, b"cICP", bytes((9, 18, 0, 1)), bits=16
        ),
        "gif, small frames": _small_frames,
        "tiff, odd fax": _odd_fax,
        "tiff, odd jpeg": _odd_jpeg_tiff,
        "tiff, saved selection": _selection_tiff,
        "tiff, floats": _float_tiff,
        "tiff, YCbCr": _ycc_tiff,
        "avif, BT.2020": _numbered_avif,
        "gif, small frames, to animated": _small_frames,
        "avif, 8 frames, to animated": lambda image, path: moving(
            image, path, "RGB", "AVIF", speed=10
        ),
    }
)
"""Name -> function that writes such a source."""
