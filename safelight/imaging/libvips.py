"""Opens a picture with exactly one loader, and nothing else.

libvips must not guess what a file is: its guess may be a format that Safelight never chose to read.
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
from safelight.imaging.decoders import DECODES, DESCRIBES
from safelight.imaging.hdr import with_its_coding
from safelight.imaging.structure import named_coding

GAIN_MAP_LOADERS = ("uhdrload", "jpegload_buffer")
"""Read the gain map in a JPEG, which is a JPEG itself."""


def restrict() -> None:
    """Take from this process every loader but those of the format table, and libvips' caches.

    And let no picture spoil what is read of the next.
    """
    pyvips.operation_block_set("VipsForeignLoad", True)
    # What is in memory is Safelight's own: variants that are looked at again.
    own = (f"{format.loader}_buffer" for format in WRITABLE)
    files = (format.loader for format in READABLE if format.loader)
    for name in (*files, *GAIN_MAP_LOADERS, *own):
        loader = pyvips.type_name(pyvips.type_find("VipsForeignLoad", name))
        pyvips.operation_block_set(loader, False)
    pyvips.cache_set_max(0)
    for module in (pyvips.error, pyvips.gvalue, pyvips.vimage):
        module._to_string = _text  # noqa: SLF001 - pyvips has no other place to say it


def _text(pointer: Any) -> str:
    """Read a text of libvips, whatever bytes a picture has put into it.

    pyvips reads UTF-8 only. It would fail, leave a message in libvips' one buffer, and fail again
    for every picture that comes after.
    """
    return str(pyvips.ffi.string(pointer), "utf-8", "replace") if pointer else ""


def open_encoded(data: bytes, format: Format) -> pyvips.Image:
    """Open a variant that was just encoded. Raises `pyvips.Error`."""
    image: pyvips.Image = getattr(pyvips.Image, f"{format.loader}_buffer")(data)
    return image


def open_header(path: Path, format: Format, *, accept_damaged: bool) -> pyvips.Image:
    """Open a picture for what its header says. Raises `pyvips.Error`."""
    if describe := DESCRIBES.get(format.name):
        return describe(path)
    return _load(path, format, accept_damaged=accept_damaged)


def open_image(
    path: Path, format: Format, *, accept_damaged: bool, shrink: int = 1, frames: int = 1
) -> pyvips.Image:
    """Open the first frames, one below the other, for one pass from top to bottom.

    Raises `pyvips.Error`.

    What libvips decodes is decoded only when its pixels are asked for; damage shows then.
    """
    if decode := DECODES.get(format.name):
        image = decode(path)
    else:
        image = _load(path, format, accept_damaged=accept_damaged, shrink=shrink, frames=frames)
    return with_its_coding(image, named_coding(path, format.name))


def _load(
    path: Path, format: Format, *, accept_damaged: bool, shrink: int = 1, frames: int = 1
) -> pyvips.Image:
    options = {"shrink": shrink} if format.shrinks_on_load and shrink > 1 else {}
    if format.animates and frames > 1:
        options["n"] = frames
    # "warning" is what libvips needs to see damage at all; truncation shows in any case.
    fail_on = "truncated" if accept_damaged else "warning"
    load = getattr(pyvips.Image, str(format.loader))
    return load(str(path), access="sequential", fail_on=fail_on, **options)


@contextmanager
def pixels_at(image: pyvips.Image) -> Iterator[int]:
    """Lend the address of the pixels, rows without gaps. Raises `pyvips.Error`.

    What is in memory already is not copied; what is decoded for this is given back after it.
    """
    memory = image.copy_memory()
    if (get_data := _get_data()) is None:
        pixels = ctypes.c_char.from_buffer(memory.write_to_memory())
        yield ctypes.addressof(pixels)
    else:
        yield get_data(int(pyvips.ffi.cast("uintptr_t", memory.pointer)))


@cache
def _get_data() -> Any:
    """Find what pyvips has no name for; None where pyvips came without a libvips of its own."""
    if (found := importlib.util.find_spec("_libvips")) is None or found.origin is None:
        return None
    get_data = ctypes.CDLL(found.origin).vips_image_get_data
    get_data.argtypes, get_data.restype = (ctypes.c_void_p,), ctypes.c_void_p
    return get_data
