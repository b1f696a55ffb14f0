"""Opens the picture in a TIFF: the right page, and of its bands only colours and opacity."""

import struct
from pathlib import Path
from types import MappingProxyType

import pyvips

from safelight.imaging.structure import mapped, picture_of_a_tiff, tidy_copy_of_a_tiff
from safelight.imaging.tiff import Page, jpegs_of_tiles

STORED_BANDS = "stored-bands"
"""The name of a field: how many bands the decoder holds in memory."""
_FROM_YCC = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
"""Rows that make red, green and blue from Y, Cb and Cr (JFIF 1.02; TIFF 6.0, section 21)."""
_NEUTRAL = (0, -128, -128)
_COLOUR_BANDS = MappingProxyType(
    {"b-w": 1, "grey16": 1, "srgb": 3, "rgb16": 3, "scrgb": 3, "cmyk": 4}
)
"""What the decoder takes the colours for -> the bands that these have."""


def check_tiles(path: Path) -> None:
    """Decode tiles whose damage libvips would pass over; raise `pyvips.Error` if one is damaged."""
    try:
        with mapped(path) as data:
            for tile, pixels in jpegs_of_tiles(data):
                image = pyvips.Image.jpegload_buffer(tile, access="sequential", fail_on="warning")
                if image.width * image.height > pixels:
                    raise pyvips.Error("a tile is larger than its place")
                image.avg()
    except (IndexError, OverflowError, struct.error) as error:
        raise pyvips.Error("a tile is damaged") from error


def open_tiff(path: Path, *, accept_damaged: bool) -> pyvips.Image:
    """Open a TIFF for one pass from top to bottom. Raises `pyvips.Error`.

    Some of libtiff's decoders only warn about lost pixels, and others fail. It also warns about odd
    headers, which cost no pixel: small pictures are opened without theirs (docs/decisions/0050).
    """
    page = picture_of_a_tiff(path)
    if page is None:
        raise pyvips.Error("no page of the TIFF is a picture that is read here")
    if not accept_damaged and (copy := tidy_copy_of_a_tiff(path)):
        image = pyvips.Image.tiffload_buffer(copy, access="sequential", fail_on="warning")
        return _with_its_meaning(image, page)
    strict = "warning" if page.warns_about_pixels else "error"
    image = pyvips.Image.tiffload(
        str(path),
        page=page.number,
        access="sequential",
        fail_on="truncated" if accept_damaged else strict,
    )
    return _with_its_meaning(image, page)


def _with_its_meaning(image: pyvips.Image, page: Page) -> pyvips.Image:
    """Convert YCbCr to RGB, and leave out bands that are neither colours nor opacity."""
    stored = image.bands
    colours = stored - page.further_bands
    shown = image.extract_band(0, n=colours)
    if colours != _COLOUR_BANDS.get(shown.interpretation, colours):
        raise pyvips.Error("the decoder does not take the bands for the colours that a tag names")
    if page.is_ycc:
        shown = _rgb(shown)
    if page.alpha is not None:
        shown = shown.bandjoin(image.extract_band(colours + page.alpha))
    image = shown.copy()
    image.set_type(pyvips.GValue.gint_type, STORED_BANDS, stored)
    return image


def _rgb(image: pyvips.Image) -> pyvips.Image:
    centred = image.linear(1, list(_NEUTRAL))
    matrix = pyvips.Image.new_from_array([list(row) for row in _FROM_YCC])
    # A cast truncates and clips; adding a half rounds.
    return (centred.recomb(matrix) + 0.5).cast("uchar").copy(interpretation="srgb")
