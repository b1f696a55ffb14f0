"""Brings any picture's colours to 8-bit sRGB or Display P3. Runs in a render child."""

from functools import lru_cache
from itertools import chain, product

import pyvips

from safelight.imaging.hdr import ICC, is_hdr, shown_as_srgb

_OPAQUE, _OPAQUE_16 = 255, 65_535
_GRID = bytes(chain.from_iterable(product(range(0, 256, 17), repeat=3)))
"""Red, green, blue of 4,096 colours."""
_LOOKED_AT_BYTES = 64 * 1024
"""Of a profile; sRGB's have 0.5 to 60 kB."""
_RGBA_BANDS = 4
_INK_BANDS = 4
"""Cyan, magenta, yellow and key; a fifth band is alpha."""


def converted(image: pyvips.Image, colour: str) -> pyvips.Image:
    """Convert whatever the picture's colours are to 8-bit `srgb` or `p3`; alpha kept."""
    if is_hdr(image):
        return _untagged(shown_as_srgb(image))
    if image.get_typeof(ICC):
        image = _by_profile(image, colour)
    if image.interpretation == "cmyk":
        image = _by_subtraction(image)
    return _rgb(image)


def _by_profile(image: pyvips.Image, colour: str) -> pyvips.Image:
    """Convert by the embedded profile; take it away if it cannot be used.

    Left there, it would be used, and fail, in whatever converts the colours next.
    """
    try:
        same = colour == "srgb" and _is_srgb(image)
        return image if same else _by_libvips(image, colour)
    except pyvips.Error:
        return _untagged(image)


def _untagged(image: pyvips.Image) -> pyvips.Image:
    image = image.copy()
    image.remove(ICC)  # nothing happens if there is none
    return image


def _is_srgb(image: pyvips.Image) -> bool:
    """Tell whether the profile is sRGB's by another name, as that of most pictures is.

    Converting those would cost as much as decoding them. A huge profile is not looked at: to
    convert is never wrong.
    """
    if image.interpretation != "srgb" or image.format != "uchar" or image.bands not in (3, 4):
        return False
    profile = bytes(image.get(ICC))
    return len(profile) <= _LOOKED_AT_BYTES and _says_what_srgb_says(profile)


@lru_cache(maxsize=64)
def _says_what_srgb_says(profile: bytes) -> bool:
    """Compare what it says of every colour of a grid, give or take one. Takes milliseconds."""
    grid = pyvips.Image.new_from_memory(_GRID, len(_GRID) // 3, 1, 3, "uchar")
    grid = grid.copy(interpretation="srgb")
    grid.set_type(pyvips.GValue.blob_type, ICC, profile)
    most: float = (_by_libvips(grid, "srgb") - grid).abs().max()
    return most <= 1


def _by_libvips(image: pyvips.Image, colour: str) -> pyvips.Image:
    return image.icc_transform(
        colour, embedded=True, intent="relative", black_point_compensation=True, depth=8
    )


def _by_subtraction(image: pyvips.Image) -> pyvips.Image:
    """Show untagged CMYK as browsers do: R = (1 - C)(1 - K), alpha kept (docs/decisions/0007)."""
    most = _OPAQUE if image.format == "uchar" else _OPAQUE_16
    paper = image.extract_band(0, n=_INK_BANDS).invert()
    light = paper.extract_band(0, n=3) * paper.extract_band(3)
    # uchar=True cuts fractions off; adding a half rounds.
    rgb = light.linear(_OPAQUE / most**2, 0.5, uchar=True)
    if image.bands > _INK_BANDS:
        rgb = rgb.bandjoin(image.extract_band(_INK_BANDS).linear(_OPAQUE / most, 0.5, uchar=True))
    return rgb.copy(interpretation="srgb")


def _rgb(image: pyvips.Image) -> pyvips.Image:
    if image.interpretation != "srgb" or image.format != "uchar":
        image = image.colourspace("srgb").cast("uchar")
    # A TIFF may have further bands, such as a selection that was saved.
    return image.extract_band(0, n=_RGBA_BANDS) if image.bands > _RGBA_BANDS else image
