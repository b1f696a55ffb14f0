"""Reads formats that libvips cannot read from files: HEIC, BMP, SVG. Runs only in render children.

libvips reads the header of a HEIC file; pillow-heif decodes its pixels, which are HEVC. Pillow
reads BMP, and libvips reads SVG from memory. All errors become `pyvips.Error`, which means that a
picture cannot be decoded. docs/decisions/0010 explains the choice for HEIC and BMP.
"""

import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pillow_heif
import pyvips
from PIL.BmpImagePlugin import BmpImageFile

from safelight.imaging import bmp
from safelight.imaging.full_range import with_full_range_grey
from safelight.imaging.structure import names_limited_range, with_a_named_matrix

_DEEP = ";16"
_BMP_MODES = MappingProxyType({"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA"})
"""Mode of a BMP in Pillow -> the mode to convert it to."""
_OPAQUE = 255
_MOST_SIDE = 100_000_000
"""The longest side in libvips. A BMP may announce more, which is far above any pixel limit."""
_BMP_HEADER_BYTES = 64 * 1024
"""Enough bytes for any header and a palette."""
PILLOW_ERRORS = (
    ValueError,
    EOFError,
    SyntaxError,
    RuntimeError,
    OSError,
    IndexError,
    struct.error,
)
"""Errors that Pillow and its plug-ins raise for damaged data. The file is in memory already."""


def decode_heic(path: Path) -> pyvips.Image:
    """Decode the primary picture with alpha, rotated and cropped by its properties.

    The rotation of the container counts, the EXIF orientation does not (ISO/IEC 23008-12, 6.5.10).
    """
    data = with_a_named_matrix(path) or path.read_bytes()
    try:
        file = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
        picture = file[file.primary_index]
        pixels = picture.data
    except PILLOW_ERRORS as error:
        raise pyvips.Error("not a HEIC file that can be decoded") from error
    deep = picture.mode.endswith(_DEEP)
    bands = len(picture.mode.removesuffix(_DEEP))
    kind = "ushort" if deep else "uchar"
    image = pyvips.Image.new_from_memory(pixels, *picture.size, bands, kind)
    image = image.copy(interpretation=_interpretation(bands, deep=deep))
    if bands < 3 and names_limited_range(path):
        image = with_full_range_grey(image)
    if picture.premultiplied_alpha:
        image = image.unpremultiply().cast(kind)
    return _tagged(image, picture.info)


def _interpretation(bands: int, *, deep: bool) -> str:
    if bands < 3:
        return "grey16" if deep else "b-w"
    return "rgb16" if deep else "srgb"


def _tagged(image: pyvips.Image, info: dict[str, Any]) -> pyvips.Image:
    """Attach the metadata and the colour profile."""
    pillow_heif.set_orientation(info)  # the pixels are upright already
    blocks = {"exif-data": "exif", "xmp-data": "xmp", "icc-profile-data": "icc_profile"}
    for name, key in blocks.items():
        if block := info.get(key):
            image.set_type(pyvips.GValue.blob_type, name, bytes(block))
    return image


def describe_bmp(path: Path) -> pyvips.Image:
    """Return a black picture of the size announced by a BMP's header. It takes no memory."""
    with path.open("rb") as file:
        picture = _bmp(file.read(_BMP_HEADER_BYTES))
    bands = len(_BMP_MODES[picture.mode])
    size = (min(side, _MOST_SIDE) for side in picture.size)
    return pyvips.Image.black(*size, bands=bands).copy(
        interpretation=_interpretation(bands, deep=False)
    )


def decode_bmp(path: Path) -> pyvips.Image:
    """Decode a BMP. A palette is converted to colours."""
    picture = _bmp(path.read_bytes())
    try:
        plain = picture.convert(_BMP_MODES[picture.mode])
    except PILLOW_ERRORS as error:
        raise pyvips.Error("not a BMP that can be decoded") from error
    if plain.mode == "RGBA" and plain.getextrema()[-1] == (0, 0):
        plain.putalpha(_OPAQUE)  # a program that wrote no opacity
    bands = len(plain.mode)
    image = pyvips.Image.new_from_memory(plain.tobytes(), *plain.size, bands, "uchar")
    return image.copy(interpretation=_interpretation(bands, deep=False))


def _bmp(data: bytes) -> BmpImageFile:
    """Open with the BMP reader itself, which does not apply Pillow's global limit on pixels."""
    try:
        return BmpImageFile(BytesIO(bmp.with_a_whole_header(data)))
    except PILLOW_ERRORS as error:
        raise pyvips.Error("not a BMP header that can be read") from error


def accept_many_items() -> None:
    """Lift libheif's limits in this process: phones write more (docs/decisions/0060)."""
    pillow_heif.options.DISABLE_SECURITY_LIMITS = True


def accept_svg() -> None:
    """Enable SVG in this process. `restrict` disables all loaders that the formats do not name."""
    pyvips.operation_block_set("VipsForeignLoadSvgBuffer", False)


def read_svg(path: Path) -> pyvips.Image:
    """Open an SVG drawing at its own size.

    It is loaded from memory: without a path it cannot refer to files next to it.
    """
    return pyvips.Image.svgload_buffer(path.read_bytes())


DESCRIBES: Mapping[str, Callable[[Path], pyvips.Image]] = MappingProxyType(
    {"bmp": describe_bmp, "svg": read_svg}
)
"""Format -> function that reads its header in place of libvips."""
DECODES: Mapping[str, Callable[[Path], pyvips.Image]] = MappingProxyType(
    {"heic": decode_heic, "bmp": decode_bmp, "svg": read_svg}
)
"""Format -> function that decodes it in place of libvips."""
