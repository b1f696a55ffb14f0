"""Opens each picture with exactly one loader.

libvips must not guess the format of a file: its guess may be one that Safelight does not accept.
"""

import ctypes
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pyvips

from safelight.formats import READABLE, WRITABLE, Format
from safelight.imaging.decoders import DECODES, DESCRIBES, accept_many_items
from safelight.imaging.gif_picture import open_gif, open_gif_header
from safelight.imaging.hdr import with_its_coding
from safelight.imaging.heif_picture import open_heif
from safelight.imaging.png_picture import open_png
from safelight.imaging.structure import named_coding, odd_orientation
from safelight.imaging.tiff_picture import check_tiles, open_tiff

GAIN_MAP_LOADERS = ("uhdrload", "jpegload_buffer")
"""Loaders for the gain map in a JPEG, which is itself a JPEG."""
_PART_LOADERS = ("gifload_buffer", "tiffload_buffer")
"""Loaders for files of which only a part is used, or a changed copy."""


def restrict() -> None:
    """Disable libvips' caches and every loader that is not in the format table.

    Also make pyvips tolerate texts that are not UTF-8, so that no picture affects the next one, and
    let pillow-heif read as many items as phones write.
    """
    pyvips.operation_block_set("VipsForeignLoad", True)
    # Pictures in memory are Safelight's own: variants that are decoded again for their score.
    own = (f"{format.loader}_buffer" for format in WRITABLE)
    files = (format.loader for format in READABLE if format.loader)
    for name in (*files, *GAIN_MAP_LOADERS, *_PART_LOADERS, *own):
        loader = pyvips.type_name(pyvips.type_find("VipsForeignLoad", name))
        pyvips.operation_block_set(loader, False)
    pyvips.cache_set_max(0)
    accept_many_items()
    for module in (pyvips, pyvips.error, pyvips.gvalue, pyvips.vimage):
        module._to_string = _text  # noqa: SLF001 - pyvips has no public way


def _text(pointer: Any) -> str:
    """Read a text from libvips, whatever bytes of a picture it contains.

    pyvips reads only UTF-8. It would fail, leave a message in libvips' only buffer, and fail again
    for every later picture.
    """
    return str(pyvips.ffi.string(pointer), "utf-8", "replace") if pointer else ""


def open_encoded(data: bytes, format: Format) -> pyvips.Image:
    """Open a variant that was just encoded. Raises `pyvips.Error`."""
    image: pyvips.Image = getattr(pyvips.Image, f"{format.loader}_buffer")(data)
    return image


def open_header(path: Path, format: Format, *, accept_damaged: bool) -> pyvips.Image:
    """Open a picture to read its header. Raises `pyvips.Error`."""
    if describe := DESCRIBES.get(format.name):
        return describe(path)
    if format.name == "gif":
        return open_gif_header(path, fail_on=_fail_on(accept_damaged=accept_damaged))
    return _load(path, format, accept_damaged=accept_damaged)


def open_image(
    path: Path, format: Format, *, accept_damaged: bool, shrink: int = 1, frames: int = 1
) -> pyvips.Image:
    """Open the first frames, one below the other, for one pass from top to bottom.

    Raises `pyvips.Error`. libvips decodes only when pixels are read, so damage shows later.
    """
    if format.loader == "tiffload" and not accept_damaged:
        check_tiles(path)
    if decode := DECODES.get(format.name):
        image = decode(path)
    else:
        image = _load(path, format, accept_damaged=accept_damaged, shrink=shrink, frames=frames)
    return with_its_coding(image, named_coding(path, format.name))


def _load(
    path: Path, format: Format, *, accept_damaged: bool, shrink: int = 1, frames: int = 1
) -> pyvips.Image:
    if format.name == "tiff":
        return open_tiff(path, accept_damaged=accept_damaged)
    fail_on = _fail_on(accept_damaged=accept_damaged)
    if format.name == "gif":
        return open_gif(path, fail_on=fail_on, frames=frames)
    if format.loader == "heifload":
        return open_heif(path, fail_on=fail_on, frames=frames)
    if format.loader == "pngload":
        return open_png(path, fail_on=fail_on, frames=frames)
    options = {"shrink": shrink} if format.shrinks_on_load and shrink > 1 else {}
    if format.animates and frames > 1:
        options["n"] = frames
    load = getattr(pyvips.Image, str(format.loader))
    image = load(str(path), access="sequential", fail_on=fail_on, **options)
    return _with_odd_orientation(image, path) if format.loader == "jpegload" else image


def _with_odd_orientation(image: pyvips.Image, path: Path) -> pyvips.Image:
    """Attach an orientation that libvips does not find."""
    if image.get_typeof("orientation") or not (orientation := odd_orientation(path)):
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return image


def _fail_on(*, accept_damaged: bool) -> str:
    """Return what a loader fails on: damage only with "warning", truncation in any case."""
    return "truncated" if accept_damaged else "warning"


@contextmanager
def pixels_at(image: pyvips.Image) -> Iterator[int]:
    """Yield the address of the pixels, rows without gaps. Raises `pyvips.Error`.

    Pixels in memory are not copied; those decoded for this are freed afterwards.
    """
    memory = image.copy_memory()
    if (get_data := _get_data()) is None:
        pixels = ctypes.c_char.from_buffer(memory.write_to_memory())
        yield ctypes.addressof(pixels)
    else:
        yield get_data(int(pyvips.ffi.cast("uintptr_t", memory.pointer)))


@cache
def _get_data() -> Any:
    """Find a function that pyvips does not offer; None if pyvips has no bundled libvips."""
    if (found := importlib.util.find_spec("_libvips")) is None or found.origin is None:
        return None
    get_data = ctypes.CDLL(found.origin).vips_image_get_data
    get_data.argtypes, get_data.restype = (ctypes.c_void_p,), ctypes.c_void_p
    return get_data
