"""Opens a PNG with the colours that its chunks name: as a profile, or as a note of HDR."""

import struct
from pathlib import Path

import pyvips

from safelight.imaging.apng_animation import decode_frames
from safelight.imaging.hdr import ICC, with_its_coding
from safelight.imaging.matrix_profile import matrix_profile
from safelight.imaging.png import Colours
from safelight.imaging.spaces import Space
from safelight.imaging.structure import colours_of_a_png, frames_of_a_png

_COLOUR_BANDS = 3
_METADATA = (ICC, "exif-data", "xmp-data", "orientation")


def open_png(path: Path, *, fail_on: str, frames: int = 1) -> pyvips.Image:
    """Open the default picture for one pass from top to bottom, or decode the first frames.

    Raises `pyvips.Error`. The header has the number of frames.
    """
    image = pyvips.Image.pngload(str(path), access="sequential", fail_on=fail_on)
    if frames > 1:
        image = _with_metadata(decode_frames(path, image, frames, fail_on=fail_on), image)
    image = _with_its_colours(image, path).copy()
    image.set_type(pyvips.GValue.gint_type, "n-pages", frames_of_a_png(path))
    return image


def _with_metadata(image: pyvips.Image, still: pyvips.Image) -> pyvips.Image:
    for name in _METADATA:
        if kind := still.get_typeof(name):
            image.set_type(kind, name, still.get(name))
    return image


def _with_its_colours(image: pyvips.Image, path: Path) -> pyvips.Image:
    """Attach what the chunks of a PNG say (docs/decisions/0055)."""
    found = colours_of_a_png(path) or Colours()
    if found.coding:
        return with_its_coding(_coloured(image), found.coding)
    if found.named:
        return _tagged(image, found.named)
    return image if image.get_typeof(ICC) else _tagged(image, found.measured)


def _coloured(image: pyvips.Image) -> pyvips.Image:
    """Repeat grey as red, green and blue, because HDR is converted in colours."""
    if image.bands >= _COLOUR_BANDS:
        return image
    deep = image.format == "ushort"
    further = [image[0], image[0], *([image[1]] if image.hasalpha() else [])]
    return image[0].bandjoin(further).copy(interpretation="rgb16" if deep else "srgb")


def _tagged(image: pyvips.Image, space: Space) -> pyvips.Image:
    """Replace the profile by one of this space; sRGB needs none.

    If no light has the chromaticities of the space, those of sRGB are taken.
    """
    image = image.copy()
    image.remove(ICC)  # no effect if there is none
    if space.is_srgb:
        return image
    try:
        profile = matrix_profile(space, grey=image.bands < _COLOUR_BANDS)
    except (ZeroDivisionError, struct.error):
        return _tagged(image, Space(curve=space.curve))
    image.set_type(pyvips.GValue.blob_type, ICC, profile)
    return image
