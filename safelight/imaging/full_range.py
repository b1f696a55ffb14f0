"""Moves numbers of the limited range to the full one (ITU-T H.273, 8.3).

libheif does so for colours, but not for grey and alpha.
"""

import pyvips

_BLACK, _WHITE = 16, 235
"""Black and white of the limited range, of 255."""


def with_full_range_grey(image: pyvips.Image) -> pyvips.Image:
    """Convert the colours; keep alpha."""
    if not image.hasalpha():
        return in_full_range(image)
    colours = image.bands - 1
    return in_full_range(image.extract_band(0, n=colours)).bandjoin(image[colours])


def in_full_range(image: pyvips.Image) -> pyvips.Image:
    """Move black to 0 and white to the maximum; what is beyond is clipped."""
    # Numbers of more than 8 bits are moved up to 16: black is 16 x 256 of 65,535.
    most, unit = (65_535, 256) if image.format == "ushort" else (255, 1)
    factor = most / ((_WHITE - _BLACK) * unit)
    # A cast clips and truncates; adding a half rounds.
    return image.linear(factor, 0.5 - _BLACK * unit * factor).cast(image.format)
