"""Opens a GIF: only the frames that are used, transparent where no frame paints."""

from pathlib import Path

import pyvips

from safelight.imaging.structure import (
    animation_of_a_gif,
    first_frame_of_a_gif,
    lacks_a_frame_of_a_gif,
)

_OPAQUE = 255


def open_gif(path: Path, *, fail_on: str, frames: int) -> pyvips.Image:
    """Open the first frames. Damage of later ones does not matter. Raises `pyvips.Error`."""
    if frames > 1 and lacks_a_frame_of_a_gif(path):
        raise pyvips.Error("the last frame is cut")  # libvips would show a part of it
    data = first_frame_of_a_gif(path) if frames == 1 else animation_of_a_gif(path)
    options = {"access": "sequential", "fail_on": fail_on, "n": frames}
    if data is None:  # as it is, or damaged, which libvips finds out
        return pyvips.Image.gifload(str(path), **options)
    return pyvips.Image.gifload_buffer(data, **options)


def open_gif_header(path: Path, *, fail_on: str) -> pyvips.Image:
    """Open a GIF to read its header, with opacity if its first frame needs it.

    If a later frame is damaged or cut, the number of frames is at least 2: enough to make an
    animation fail. Raises `pyvips.Error` if the first one is damaged.
    """
    first = open_gif(path, fail_on=fail_on, frames=1)
    try:
        image = pyvips.Image.gifload(str(path), access="sequential", fail_on=fail_on)
    except pyvips.Error:
        image = first
    if image is first or (image.get("n-pages") == 1 and lacks_a_frame_of_a_gif(path)):
        image = image.copy()
        image.set_type(pyvips.GValue.gint_type, "n-pages", 2)
    return image.bandjoin(_OPAQUE) if first.hasalpha() and not image.hasalpha() else image
