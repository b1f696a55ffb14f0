"""Reads the frames of an animated AVIF with Pillow, because libvips reads only still pictures."""

from collections.abc import Iterator
from io import BytesIO
from itertools import count
from pathlib import Path

import pyvips
from PIL import AvifImagePlugin
from PIL.AvifImagePlugin import AvifImageFile

from safelight.formats import HEADER_BYTES
from safelight.imaging.animation import joined
from safelight.imaging.decoders import PILLOW_ERRORS
from safelight.imaging.structure import is_a_cut_media_file

_SEQUENCE_BRAND = b"avis"
# More threads would take memory that is not predicted.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def count_frames(path: Path, still: pyvips.Image) -> int:
    """Return the number of frames; 1 if they cannot be read, or differ in size from the still.

    If the file is cut, the number is 2: enough to make an animation fail.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if _SEQUENCE_BRAND not in head[8 : int.from_bytes(head[:4], "big")]:
        return 1
    try:
        picture = _opened(path)
    except PILLOW_ERRORS:
        return 2 if is_a_cut_media_file(path) else 1
    return int(picture.n_frames) if picture.size == (still.width, still.height) else 1


def decode_frames(path: Path, frames: int) -> pyvips.Image:
    """Decode the first frames, one below the other. Raises `pyvips.Error`.

    They repeat for ever: Pillow does not say how often they do.
    """
    try:
        picture = _opened(path)
        image = joined(_decoded(picture), frames, loop=0)
    except PILLOW_ERRORS as error:
        raise pyvips.Error("not an animation that can be decoded") from error
    if profile := picture.info.get("icc_profile"):
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _decoded(picture: AvifImageFile) -> Iterator[tuple[pyvips.Image, int]]:
    """Yield every frame in memory, and its milliseconds."""
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    for frame in count():
        picture.seek(frame)
        pixels = picture.convert(mode).tobytes()
        image = pyvips.Image.new_from_memory(pixels, *picture.size, len(mode), "uchar")
        yield image.copy(interpretation="srgb"), picture.info["duration"]


def _opened(path: Path) -> AvifImageFile:
    """Open with the AVIF reader itself, which reads only the header yet."""
    return AvifImageFile(BytesIO(path.read_bytes()))
