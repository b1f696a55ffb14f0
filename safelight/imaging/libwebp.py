"""Encodes WebP with the libwebp in Pillow's wheel: the same bytes as `webpsave`, in less time.

libvips' wheel hides its own libwebp. If none is found that fits, libvips encodes with `webpsave`;
docs/decisions/0013 compares.
"""

import ctypes
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Self

import pyvips

from safelight.imaging.libvips import pixels_at

_ABI_VERSION = 0x020F
"""The version of the structures below (webp/encode.h in libwebp 1.0 to 1.6). libwebp refuses a
different major number, and new fields only replace padding."""
_LEAST_VERSION = (1, 0, 0)
_BANDS = (3, 4)
_OUT_OF_MEMORY = frozenset({1, 2})
"""VP8_ENC_ERROR_OUT_OF_MEMORY, VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY."""


class _Config(ctypes.Structure):
    """WebPConfig: the fields that are set here, and space for the rest."""

    _fields_ = (
        ("lossless", ctypes.c_int),
        ("quality", ctypes.c_float),
        ("method", ctypes.c_int),
        ("rest", ctypes.c_int * 32),
    )


class _Picture(ctypes.Structure):
    """WebPPicture: the fields that are used here, and space for the rest."""

    _fields_ = (
        ("use_argb", ctypes.c_int),
        ("colorspace", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("planes", ctypes.c_void_p * 3),
        ("plane_strides", ctypes.c_int * 2),
        ("alpha", ctypes.c_void_p),
        ("alpha_stride", ctypes.c_int),
        ("padding1", ctypes.c_uint32 * 2),
        ("argb", ctypes.c_void_p),
        ("argb_stride", ctypes.c_int),
        ("padding2", ctypes.c_uint32 * 3),
        ("writer", ctypes.c_void_p),
        ("custom_ptr", ctypes.c_void_p),
        ("extra_info_type", ctypes.c_int),
        ("extra_info", ctypes.c_void_p),
        ("stats", ctypes.c_void_p),
        ("error_code", ctypes.c_int),
        ("rest", ctypes.c_void_p * 32),
    )


class _Written(ctypes.Structure):
    """WebPMemoryWriter."""

    _fields_ = (
        ("memory", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("padding", ctypes.c_uint32),
    )


_FUNCTIONS = {
    "WebPConfigInitInternal": (
        ctypes.POINTER(_Config),
        ctypes.c_int,
        ctypes.c_float,
        ctypes.c_int,
    ),
    "WebPPictureInitInternal": (ctypes.POINTER(_Picture), ctypes.c_int),
    "WebPPictureImportRGB": (ctypes.POINTER(_Picture), ctypes.c_void_p, ctypes.c_int),
    "WebPPictureImportRGBA": (ctypes.POINTER(_Picture), ctypes.c_void_p, ctypes.c_int),
    "WebPEncode": (ctypes.POINTER(_Config), ctypes.POINTER(_Picture)),
    "WebPPictureFree": (ctypes.POINTER(_Picture),),
    "WebPMemoryWriterInit": (ctypes.POINTER(_Written),),
    "WebPMemoryWriterClear": (ctypes.POINTER(_Written),),
    "WebPMemoryWrite": (ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(_Picture)),
    "WebPGetEncoderVersion": (),
}
"""The functions that are called, with their arguments; each returns an int or nothing."""


class NotEncoded(Exception):
    """libwebp failed to encode a picture, for another reason than memory."""


class Libwebp:
    """libwebp's encoder."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        for name, arguments in _FUNCTIONS.items():
            getattr(library, name).argtypes = arguments
        version = int(library.WebPGetEncoderVersion())
        self.version = (version >> 16, version >> 8 & 0xFF, version & 0xFF)

    @classmethod
    def open(cls, path: str) -> Self | None:
        """Load it through a library that is linked with it; None if there is no usable one."""
        try:
            # Names are also looked up in the libraries that this one is linked with.
            opened = cls(ctypes.CDLL(path))
        except (OSError, AttributeError):
            return None
        return opened if opened._fits() else None

    def _fits(self) -> bool:
        """Return whether the library accepts structures with this layout."""
        config, picture = _Config(), _Picture()
        return (
            self.version >= _LEAST_VERSION
            and bool(self._library.WebPConfigInitInternal(config, 0, 75, _ABI_VERSION))
            and bool(self._library.WebPPictureInitInternal(picture, _ABI_VERSION))
        )

    def takes(self, image: pyvips.Image) -> bool:
        """Return whether it can encode the picture: one frame of RGB or RGBA."""
        one_frame = image.get_page_height() == image.height
        return image.bands in _BANDS and image.format == "uchar" and one_frame

    def encode(self, image: pyvips.Image, *, quality: int, effort: int) -> bytes:
        """Encode on one core, without metadata, like `webpsave` with the same options.

        `quality` is 1 to 100, `effort` 0 to 6. Raises `MemoryError`, `NotEncoded`, or any error of
        decoding.
        """
        config = _Config()
        self._library.WebPConfigInitInternal(config, 0, quality, _ABI_VERSION)
        config.method = effort
        with self._imported(image) as picture, self._writer() as written:
            picture.writer = ctypes.cast(self._library.WebPMemoryWrite, ctypes.c_void_p)
            picture.custom_ptr = ctypes.addressof(written)
            if not self._library.WebPEncode(config, picture):
                raise _failure(picture)
            return ctypes.string_at(written.memory, written.size)

    @contextmanager
    def _imported(self, image: pyvips.Image) -> Iterator[_Picture]:
        """Convert to YUV, which has half the bytes; RGB that only this needs is freed."""
        picture = _Picture()
        self._library.WebPPictureInitInternal(picture, _ABI_VERSION)
        picture.width, picture.height = image.width, image.height
        rgba = image.bands == 4
        take = self._library.WebPPictureImportRGBA if rgba else self._library.WebPPictureImportRGB
        try:
            with pixels_at(image) as address:
                if not take(picture, address, image.width * image.bands):
                    raise _failure(picture)
            yield picture
        finally:
            self._library.WebPPictureFree(picture)

    @contextmanager
    def _writer(self) -> Iterator[_Written]:
        written = _Written()
        self._library.WebPMemoryWriterInit(written)
        try:
            yield written
        finally:
            self._library.WebPMemoryWriterClear(written)


def _failure(picture: _Picture) -> Exception:
    if picture.error_code in _OUT_OF_MEMORY:
        return MemoryError("libwebp was refused memory")
    return NotEncoded(f"libwebp's error {picture.error_code}")


@cache
def encoder() -> Libwebp | None:
    """Find libwebp, once per process; None if libvips has to encode."""
    found = importlib.util.find_spec("PIL._webp")
    return Libwebp.open(found.origin) if found and found.origin else None
