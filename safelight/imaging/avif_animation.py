"""Reads the frames of an animated AVIF with Pillow, because libvips reads only still pictures."""

from io import BytesIO
from pathlib import Path

import pyvips
from PIL import AvifImagePlugin
from PIL.AvifImagePlugin import AvifImageFile

from safelight.formats import HEADER_BYTES
from safelight.imaging.decoders import PILLOW_ERRORS

_SEQUENCE_BRAND = b"avis"
# More threads would take memory that is not predicted.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def count_frames(path: Path, still: pyvips.Image) -> int:
    """Return the number of frames; 1 if they cannot be read, or differ in size from the still."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if _SEQUENCE_BRAND not in head[8 : int.from_bytes(head[:4], "big")]:
        return 1
    try:
        picture = _opened(path)
    except PILLOW_ERRORS:
        return 1
    return int(picture.n_frames) if picture.size == (still.width, still.height) else 1


def decode_frames(path: Path, frames: int) -> pyvips.Image:
    """Decode the first frames, one below the other. Raises `pyvips.Error`.

    They repeat for ever: Pillow does not say how often they do.
    """
    pixels, delays = bytearray(), []
    try:
        picture = _opened(path)
        bands = 4 if picture.mode == "RGBA" else 3
        for frame in range(frames):
            picture.seek(frame)
            pixels += picture.convert("RGBA" if bands == 4 else "RGB").tobytes()
            delays.append(picture.info["duration"])
    except PILLOW_ERRORS as error:
        raise pyvips.Error("not an animation that can be decoded") from error
    width, height = picture.size
    image = pyvips.Image.new_from_memory(pixels, width, height * frames, bands, "uchar")
    image = image.copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gint_type, "page-height", height)
    image.set_type(pyvips.GValue.gint_type, "loop", 0)
    image.set_type(pyvips.GValue.array_int_type, "delay", delays)
    if profile := picture.info.get("icc_profile"):
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _opened(path: Path) -> AvifImageFile:
    """Open with the AVIF reader itself, which reads only the header yet."""
    return AvifImageFile(BytesIO(path.read_bytes()))
