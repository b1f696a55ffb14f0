"""Opens AVIF and HEIC, and converts ranges and premultiplied colours that libheif leaves."""

from pathlib import Path

import pyvips

from safelight.imaging.avif_animation import count_frames, decode_frames
from safelight.imaging.full_range import in_full_range, with_full_range_grey
from safelight.imaging.structure import (
    names_too_many_items,
    storage_of_an_avif,
    with_a_named_matrix,
)

_COLOURS = 3


def open_heif(path: Path, *, fail_on: str, frames: int = 1) -> pyvips.Image:
    """Open an AVIF for one pass from top to bottom, or the header of a HEIC.

    Raises `pyvips.Error`. Of one frame it is the still picture, with the number of frames.
    """
    if frames > 1:
        return decode_frames(path, frames)
    image = _still(path, fail_on=fail_on).copy()
    image.set_type(pyvips.GValue.gint_type, "n-pages", count_frames(path, image))
    return image


def _still(path: Path, *, fail_on: str) -> pyvips.Image:
    options = {
        "access": "sequential",
        "fail_on": fail_on,
        "unlimited": not names_too_many_items(path),  # docs/decisions/0060
    }
    if copy := with_a_named_matrix(path):
        image = pyvips.Image.heifload_buffer(copy, **options)
    else:
        image = pyvips.Image.heifload(str(path), **options)
    storage = storage_of_an_avif(path)
    if storage.limited_grey:
        image = with_full_range_grey(image)
    if not image.hasalpha():
        return image
    if storage.limited_alpha:
        alpha = in_full_range(image[_COLOURS])
        image = image.extract_band(0, n=_COLOURS).bandjoin(alpha)
    if storage.premultiplied:
        image = (image.unpremultiply() + 0.5).cast(image.format)
    return image
