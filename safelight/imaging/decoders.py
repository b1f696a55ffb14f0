"""Reads what libvips cannot read from a file: HEIC, BMP, SVG. Runs in a render child only.

HEIC's header is still libvips' to read; its pixels are HEVC, which pillow-heif decodes. A BMP is
read by Pillow, an SVG by libvips from memory. Whatever they raise becomes `pyvips.Error`: one word
for a picture that cannot be decoded. docs/decisions/0010 tells why HEIC and BMP are read so.
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

_DEEP = ";16"
_BMP_MODES = MappingProxyType({"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA"})
"""What Pillow makes of a BMP, and what is asked of it."""
_MOST_SIDE = 100_000_000
"""Of what libvips can speak of; a BMP may announce more, far beyond any limit of pixels."""
_BMP_HEADER_BYTES = 64 * 1024
"""Enough for every header there is and a palette."""
_PILLOW_ERRORS = (
    ValueError,
    EOFError,
    SyntaxError,
    RuntimeError,
    OSError,
    IndexError,
    struct.error,
)
"""What Pillow and its plug-ins raise of damaged data; the file itself is read before."""


def decode_heic(path: Path) -> pyvips.Image:
    """Decode the primary picture, turned and cropped as its properties say; alpha kept.

    The container's own rotation counts, its EXIF orientation does not (ISO/IEC 23008-12, 6.5.10).
    """
    data = path.read_bytes()
    try:
        file = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
        picture = file[file.primary_index]
        pixels = picture.data
    except _PILLOW_ERRORS as error:
        raise pyvips.Error("not a HEIC file that can be decoded") from error
    deep = picture.mode.endswith(_DEEP)
    bands = len(picture.mode.removesuffix(_DEEP))
    kind = "ushort" if deep else "uchar"
    image = pyvips.Image.new_from_memory(pixels, *picture.size, bands, kind)
    image = image.copy(interpretation=_interpretation(bands, deep=deep))
    if picture.premultiplied_alpha:
        image = image.unpremultiply().cast(kind)
    return _tagged(image, picture.info)


def _interpretation(bands: int, *, deep: bool) -> str:
    if bands < 3:
        return "grey16" if deep else "b-w"
    return "rgb16" if deep else "srgb"


def _tagged(image: pyvips.Image, info: dict[str, Any]) -> pyvips.Image:
    """Attach metadata and the profile."""
    pillow_heif.set_orientation(info)  # upright already, whatever its EXIF says
    blocks = {"exif-data": "exif", "xmp-data": "xmp", "icc-profile-data": "icc_profile"}
    for name, key in blocks.items():
        if block := info.get(key):
            image.set_type(pyvips.GValue.blob_type, name, bytes(block))
    return image


def describe_bmp(path: Path) -> pyvips.Image:
    """Make a black picture as large as a BMP's header announces; it takes no memory."""
    with path.open("rb") as file:
        picture = _bmp(file.read(_BMP_HEADER_BYTES))
    bands = len(_BMP_MODES[picture.mode])
    size = (min(side, _MOST_SIDE) for side in picture.size)
    return pyvips.Image.black(*size, bands=bands).copy(
        interpretation=_interpretation(bands, deep=False)
    )


def decode_bmp(path: Path) -> pyvips.Image:
    """Decode a BMP; a palette becomes colours."""
    picture = _bmp(path.read_bytes())
    try:
        plain = picture.convert(_BMP_MODES[picture.mode])
    except _PILLOW_ERRORS as error:
        raise pyvips.Error("not a BMP that can be decoded") from error
    bands = len(plain.mode)
    image = pyvips.Image.new_from_memory(plain.tobytes(), *plain.size, bands, "uchar")
    return image.copy(interpretation=_interpretation(bands, deep=False))


def _bmp(data: bytes) -> BmpImageFile:
    """Open with this one reader; Pillow's own limit on pixels, a global, is none of ours."""
    try:
        return BmpImageFile(BytesIO(data))
    except _PILLOW_ERRORS as error:
        raise pyvips.Error("not a BMP header that can be read") from error


def accept_svg() -> None:
    """Let this process draw SVG, which `restrict` has blocked like every loader of no format."""
    pyvips.operation_block_set("VipsForeignLoadSvgBuffer", False)


def read_svg(path: Path) -> pyvips.Image:
    """Open an SVG drawing, at the size that it gives itself.

    From memory, not by its path: what has no address can refer to no file beside it.
    """
    return pyvips.Image.svgload_buffer(path.read_bytes())


DESCRIBES: Mapping[str, Callable[[Path], pyvips.Image]] = MappingProxyType(
    {"bmp": describe_bmp, "svg": read_svg}
)
"""Format -> what reads its header, where libvips does not."""
DECODES: Mapping[str, Callable[[Path], pyvips.Image]] = MappingProxyType(
    {"heic": decode_heic, "bmp": decode_bmp, "svg": read_svg}
)
"""Format -> what decodes it, where libvips does not."""
