"""Applies the operations of options after resizing: one function for each operation.

Runs in a render child. Pictures are 8-bit sRGB with or without alpha, before and after.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pyvips

from safelight.imaging.geometry import Size, bounded, extended, placed
from safelight.imaging.watermark import positions, watermark_at
from safelight.wish.arguments import TRANSPARENT
from safelight.wish.operations import Operation

_OPAQUE = 255
_LUMA = [[0.299, 0.587, 0.114]]
"""The weights of ITU-R BT.601, the usual ones for making greys from sRGB values since JPEG."""
_BLUR_SIGMA = 4.0
"""The widest blur at full size. A wider one blurs a smaller picture, so that it costs no more."""
_BLUR_ENDS = 0.05
"""The share of its height at which the Gaussian is cut off."""
_SHARPEN_EDGES = 3
"""libvips' default strength of sharpening at edges."""


def operated(
    image: pyvips.Image, operations: Sequence[Operation], pictures: Mapping[str, Path]
) -> pyvips.Image:
    """Apply operations one after the other. `pictures` are files of watermarks by key."""
    for each in operations:
        if each.name == "watermark":
            image = _watermark(image, each, pictures)
        else:
            image = FUNCTIONS[each.name](image, *each.arguments)
        image = image.copy_memory()
    return image


def flipped(image: pyvips.Image, flip: str) -> pyvips.Image:
    """Swap left and right for `h`, top and bottom for `v`."""
    if "h" in flip:
        image = image.fliphor()
    return image.flipver() if "v" in flip else image


def _rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour))


def _fill(image: pyvips.Image, colour: str) -> tuple[pyvips.Image, list[int]]:
    """Return the picture and the pixel to fill with; a transparent fill adds an alpha band."""
    if colour == TRANSPARENT:
        return _with_alpha(image), [0, 0, 0, 0]
    return image, [*_rgb(colour), _OPAQUE][: image.bands]


def _with_alpha(image: pyvips.Image) -> pyvips.Image:
    return image if image.hasalpha() else image.bandjoin(_OPAQUE)


def _on_colours(
    image: pyvips.Image, change: Callable[[pyvips.Image], pyvips.Image]
) -> pyvips.Image:
    """Change the colours and keep alpha; values are clipped to 0 and 255."""
    colours = change(image.extract_band(0, n=3)).cast("uchar").copy(interpretation="srgb")
    return colours.bandjoin(image.extract_band(3)) if image.hasalpha() else colours


def _on_light(image: pyvips.Image, change: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """Apply a change that mixes neighbours on premultiplied alpha, to hide invisible colours."""
    if not image.hasalpha():
        return change(image).cast("uchar")
    return change(image.premultiply()).unpremultiply().cast("uchar").copy(interpretation="srgb")


def _blur(image: pyvips.Image, sigma: float) -> pyvips.Image:
    shrink = max(1.0, sigma / _BLUR_SIGMA)
    width, height = image.width, image.height

    def blurred(light: pyvips.Image) -> pyvips.Image:
        if shrink == 1:
            return _gaussian(light, sigma)
        across, down = max(1, round(width / shrink)), max(1, round(height / shrink))
        small = light.resize(across / width, vscale=down / height)
        small = _gaussian(small, sigma * across / width)
        large = small.resize(width / across, vscale=height / down, kernel="cubic")
        return large.embed(0, 0, width, height, extend="copy")

    return _on_light(image, blurred)


def _gaussian(image: pyvips.Image, sigma: float) -> pyvips.Image:
    """Blur in floats: libvips' integer blur makes an even picture two per cent brighter."""
    return image.gaussblur(sigma, min_ampl=_BLUR_ENDS, precision="float").rint()


def _sharpen(image: pyvips.Image, sigma: float, amount: float) -> pyvips.Image:
    return _on_colours(
        image, lambda colours: colours.sharpen(sigma=sigma, m2=_SHARPEN_EDGES * amount)
    )


def _pixelate(image: pyvips.Image, size: int) -> pyvips.Image:
    def squares(light: pyvips.Image) -> pyvips.Image:
        small = light.shrink(size, size, ceil=True)
        return small.zoom(size, size).crop(0, 0, light.width, light.height)

    return _on_light(image, squares)


def _brightness(image: pyvips.Image, per_cent: float) -> pyvips.Image:
    return _rgb_shifted(image, per_cent, per_cent, per_cent)


def _rgb_shifted(image: pyvips.Image, red: float, green: float, blue: float) -> pyvips.Image:
    steps = [int(_OPAQUE * each / 100) for each in (red, green, blue)]
    return _on_colours(image, lambda colours: colours.linear([1, 1, 1], steps))


def _contrast(image: pyvips.Image, per_cent: float) -> pyvips.Image:
    factor = (1 + per_cent / 100) ** 2
    return _on_colours(image, lambda colours: colours.linear(factor, 128 * (1 - factor)).rint())


def _saturation(image: pyvips.Image, factor: float) -> pyvips.Image:
    def saturated(colours: pyvips.Image) -> pyvips.Image:
        grey = (colours * colours).recomb(_LUMA) ** 0.5
        return grey + (colours - grey) * factor

    return _on_colours(image, saturated)


def _grayscale(image: pyvips.Image) -> pyvips.Image:
    def greyed(colours: pyvips.Image) -> pyvips.Image:
        grey = colours.recomb(_LUMA).rint()
        return grey.bandjoin([grey, grey])

    return _on_colours(image, greyed)


def _rotate(image: pyvips.Image, degrees: float, colour: str) -> pyvips.Image:
    quarters = {90: image.rot90, 180: image.rot180, 270: image.rot270}
    if degrees % 90 == 0:
        turn = quarters.get(int(degrees % 360))
        return turn() if turn else image
    image, fill = _fill(image, colour)
    # libvips premultiplies alpha itself here.
    return image.rotate(degrees, background=fill).cast("uchar").copy(interpretation="srgb")


def _scale(image: pyvips.Image, factor: float) -> pyvips.Image:
    width, height = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    across, down = width / image.width, height / image.height
    return _on_light(image, lambda light: light.resize(across, vscale=down))


def _extract(image: pyvips.Image, left: int, top: int, width: int, height: int) -> pyvips.Image:
    return image.crop(*bounded((left, top, width, height), (image.width, image.height)))


def _extend(
    image: pyvips.Image, width: int, height: int, colour: str, gravity: str, to: str
) -> pyvips.Image:
    size = extended((image.width, image.height), (width, height), to=to)
    image, fill = _fill(image, colour)
    at = placed((size[0] - image.width, size[1] - image.height), gravity)
    return image.embed(*at, *size, extend="background", background=fill)


def _pad(
    image: pyvips.Image, top: int, right: int, bottom: int, left: int, colour: str
) -> pyvips.Image:
    image, fill = _fill(image, colour)
    size = (image.width + left + right, image.height + top + bottom)
    return image.embed(left, top, *size, extend="background", background=fill)


def _round(image: pyvips.Image, across: int, down: int, colour: str) -> pyvips.Image:
    """Cut the corners along ellipses, with antialiased edges."""
    mask = _corners((image.width, image.height), (across, down or across))
    if colour == TRANSPARENT:
        image = _with_alpha(image)
        alpha = (image.extract_band(3) * mask).rint().cast("uchar")
        return image.extract_band(0, n=3).bandjoin(alpha).copy(interpretation="srgb")
    flat = mask.new_from_image(_rgb(colour))
    return _on_colours(image, lambda colours: (flat + (colours - flat) * mask).rint())


def _corners(size: Size, radii: Size) -> pyvips.Image:
    """Make a mask, from 0 to 1, of a rectangle with elliptic corners."""
    across, down = (min(radius, side / 2) for radius, side in zip(radii, size, strict=True))
    places = pyvips.Image.xyz(*size).linear([1, 1], [0.5 - size[0] / 2, 0.5 - size[1] / 2]).abs()
    beyond = places.linear([1, 1], [across - size[0] / 2, down - size[1] / 2])
    beyond = (beyond > 0).ifthenelse(beyond, 0)
    scaled = beyond.linear([1 / across, 1 / down], [0, 0])
    far = (scaled[0] * scaled[0] + scaled[1] * scaled[1]) ** 0.5
    covered = far.linear(-min(across, down), min(across, down) + 0.5)
    covered = (covered > 1).ifthenelse(1, covered)
    return (covered < 0).ifthenelse(0, covered)


def _flatten(image: pyvips.Image, colour: str) -> pyvips.Image:
    return image.flatten(background=_rgb(colour)) if image.hasalpha() else image


def _watermark(
    image: pyvips.Image, operation: Operation, pictures: Mapping[str, Path]
) -> pyvips.Image:
    key, across, down, transparency, *shares = operation.arguments
    size = (image.width, image.height)
    mark = watermark_at(
        pictures[str(key)],
        str(key),
        transparency=float(transparency),
        within=_shares(size, shares),
    )
    places = list(positions(size, (mark.width, mark.height), (str(across), str(down))))
    had_alpha = image.hasalpha()
    laid = image.composite(
        [mark] * len(places),
        "over",
        x=[left for left, _ in places],
        y=[top for _, top in places],
    )
    laid = laid.cast("uchar").copy(interpretation="srgb")
    return laid if had_alpha else laid.extract_band(0, n=3)


def _shares(size: Size, shares: Sequence[float | str]) -> tuple[float | None, float | None]:
    """Convert percentages of a picture to pixels; None, None if neither side is given.

    If only one is given, the other is at most the picture's: a mark may have any aspect ratio.
    """
    if not any(shares):
        return None, None
    across, down = (
        side * float(share or 100) / 100 for side, share in zip(size, shares, strict=True)
    )
    return across, down


FUNCTIONS: Mapping[str, Callable[..., pyvips.Image]] = MappingProxyType(
    {
        "blur": _blur,
        "sharpen": _sharpen,
        "pixelate": _pixelate,
        "brightness": _brightness,
        "contrast": _contrast,
        "saturation": _saturation,
        "rgb": _rgb_shifted,
        "grayscale": _grayscale,
        "rotate": _rotate,
        "scale": _scale,
        "extract": _extract,
        "extend": _extend,
        "pad": _pad,
        "round": _round,
        "flatten": _flatten,
    }
)
"""The function of every operation except `watermark`, which needs another picture."""
