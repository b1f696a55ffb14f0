"""Converts any picture's colours to 8-bit sRGB or Display P3. Runs in a render child."""

from functools import lru_cache
from itertools import chain, product

import pyvips

from safelight.imaging.hdr import ICC, is_hdr, shown_as_srgb

_OPAQUE, _OPAQUE_16 = 255, 65_535
_GRID = bytes(chain.from_iterable(product(range(0, 256, 17), repeat=3)))
"""The red, green and blue values of 4,096 colours."""
_COMPARED_BYTES = 64 * 1024
"""The largest profile that is compared with sRGB. Profiles of sRGB have 0.5 to 60 kB."""
_SPACE = slice(16, 20)
"""Where a profile names its colour space (ICC.1:2022, 7.2.6)."""
_RGBA_BANDS = 4
_INK_BANDS = 4
"""The bands cyan, magenta, yellow and key; a fifth band is alpha."""


def converted(image: pyvips.Image, colour: str) -> pyvips.Image:
    """Convert colours of any kind to 8-bit `srgb` or `p3`; alpha is kept."""
    if is_hdr(image):
        return _untagged(shown_as_srgb(image))
    if image.get_typeof(ICC):
        image = _by_profile(image, colour) if _fits(image) else _untagged(image)
    if image.interpretation == "cmyk":
        image = _by_subtraction(image)
    return _rgb(image)


def _fits(image: pyvips.Image) -> bool:
    """Return whether a picture in CMYK has a profile for CMYK.

    libvips would replace any other profile by a press's. For RGB and grey it takes sRGB, as it
    should.
    """
    space = bytes(image.get(ICC))[_SPACE]
    return image.interpretation != "cmyk" or space == b"CMYK"


def _by_profile(image: pyvips.Image, colour: str) -> pyvips.Image:
    """Convert by the embedded profile; remove the profile if it cannot be used.

    Otherwise the next conversion of colours would use it, and fail.
    """
    try:
        same = colour == "srgb" and _is_srgb(image)
        return image if same else _by_libvips(_in_whole_numbers(image), colour)
    except pyvips.Error:
        return _untagged(image)


def _in_whole_numbers(image: pyvips.Image) -> pyvips.Image:
    """Turn floats from 0 to 1 into numbers that a profile applies to: libvips takes 255 as white.

    Only without a profile are the floats of a picture linear light.
    """
    if image.interpretation != "scrgb":
        return image
    return (image * _OPAQUE_16 + 0.5).cast("ushort").copy(interpretation="rgb16")


def _untagged(image: pyvips.Image) -> pyvips.Image:
    image = image.copy()
    image.remove(ICC)  # no effect if there is none
    return image


def _is_srgb(image: pyvips.Image) -> bool:
    """Return whether the profile is equivalent to sRGB, as it is in most pictures.

    Converting these would cost as much as decoding them. A huge profile is not compared, because a
    conversion is always correct.
    """
    if image.interpretation != "srgb" or image.format != "uchar" or image.bands not in (3, 4):
        return False
    profile = bytes(image.get(ICC))
    return len(profile) <= _COMPARED_BYTES and _is_equivalent_to_srgb(profile)


@lru_cache(maxsize=64)
def _is_equivalent_to_srgb(profile: bytes) -> bool:
    """Return whether a grid of colours stays equal, within one. Takes milliseconds."""
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
    """Convert untagged CMYK like browsers: R = (1 - C)(1 - K), alpha kept (docs/decisions/0007)."""
    most = _OPAQUE if image.format == "uchar" else _OPAQUE_16
    paper = image.extract_band(0, n=_INK_BANDS).invert()
    light = paper.extract_band(0, n=3) * paper.extract_band(3)
    # uchar=True truncates; adding a half rounds.
    rgb = light.linear(_OPAQUE / most**2, 0.5, uchar=True)
    if image.bands > _INK_BANDS:
        rgb = rgb.bandjoin(image.extract_band(_INK_BANDS).linear(_OPAQUE / most, 0.5, uchar=True))
    return rgb.copy(interpretation="srgb")


def _rgb(image: pyvips.Image) -> pyvips.Image:
    if image.interpretation != "srgb" or image.format != "uchar":
        image = image.colourspace("srgb").cast("uchar")
    # A TIFF may have more bands, such as a saved selection.
    return image.extract_band(0, n=_RGBA_BANDS) if image.bands > _RGBA_BANDS else image
