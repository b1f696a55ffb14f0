"""Writes wishes as URLs of thumbor and imagor: their parts and filters the other way round.

A part of a wish for which a system has no word is left out; `writers.py` finds that.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from types import MappingProxyType
from urllib.parse import quote

from api.dialects.image_url import ImageUrl
from api.dialects.thumbor_filters import LARGEST_RADIUS, spread_of
from api.dialects.thumbor_path import System
from api.dialects.values import precise_text
from safelight.wish.arguments import TRANSPARENT, Value, number_text
from safelight.wish.gravities import GRAVITIES, LOOKED_FOR
from safelight.wish.operations import Operation
from safelight.wish.options import Options

Texts = Sequence[str] | None
"""The arguments of a filter; None leaves it out."""
_FITS: Mapping[tuple[str, bool], tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        ("cover", True): ("", ()),
        ("crop", False): ("", ("no_upscale()",)),
        ("crop", True): ("", ("no_upscale()", "upscale()")),
        ("inside", False): ("fit-in", ()),
        ("inside", True): ("fit-in", ("upscale()",)),
        ("outside", False): ("full-fit-in", ("no_upscale()",)),
        ("outside", True): ("full-fit-in", ()),
        ("fill", False): ("", ("stretch()", "no_upscale()")),
        ("fill", True): ("", ("stretch()",)),
    }
)
"""Fit, and whether to enlarge -> the part of the path, and filters."""
_ACROSS = {0.0: "left", 1.0: "right"}
_DOWN = {0.0: "top", 1.0: "bottom"}
_PLACES = {"centre": "center"}
_TRIES = 60
"""Halvings of an interval that find a number of nine decimal places."""


def write(url: ImageUrl, *, system: System) -> str:
    """Write parts, filters and image as one path, which is not signed yet."""
    wish = url.options
    fit, fitting = _FITS.get((wish.fit, wish.enlarge), ("", ())) if wish.box else ("", ())
    filters = [*fitting, *_filters(wish, system)]
    if url.expires:
        filters.append(f"expire({int(url.expires.timestamp()) * 1000})")
    parts = [
        _trim(wish),
        _crop(wish),
        f"adaptive-{fit}" if wish.swap and fit else fit,
        _size(wish),
        *_place(wish),
        f"filters:{':'.join(filters)}" if filters else "",
    ]
    return "/".join([*filter(None, parts), quote(url.source.key)])


def _trim(wish: Options) -> str:
    return f"trim:{wish.trim.corner}:{wish.trim.tolerance}" if wish.trim else ""


def _crop(wish: Options) -> str:
    """Write a crop from the upper left corner. Where others begin depends on the source."""
    crop = wish.crop
    if crop is None or crop.gravity != "north-west" or crop.focal:
        return ""
    (left, top), full = crop.offset, int(max(crop.width, crop.height, *crop.offset) < 1)
    right, bottom = left + (crop.width or full), top + (crop.height or full)
    return f"{number_text(left)}x{number_text(top)}:{number_text(right)}x{number_text(bottom)}"


def _size(wish: Options) -> str:
    if wish.box is None and not wish.flip:
        return ""
    flop, flip = ("-" if side in wish.flip else "" for side in "hv")
    return f"{flop}{wish.width or 0}x{flip}{wish.height or 0}"


def _place(wish: Options) -> Sequence[str]:
    if wish.gravity in LOOKED_FOR:
        return ("smart",)
    across, down = GRAVITIES[wish.gravity]
    return _ACROSS.get(across, ""), _DOWN.get(down, "")


def _filters(wish: Options, system: System) -> Iterator[str]:
    table = IMAGORS if system == "imagor" else THUMBORS
    if system == "imagor" and wish.turn:
        yield f"orient({-wish.turn % 360})"
    if wish.focal:
        yield f"focal({'x'.join(map(number_text, wish.focal))})"
    covered = False
    for each, following in zip_longest(wish.operations, wish.operations[1:]):
        if not covered and each.name in table:
            name, texts = table[each.name]
            if (arguments := texts(*each.arguments)) is not None:
                yield f"{name}({','.join(quote(text, safe='|') for text in arguments)})"
        covered = system == "imagor" and _flattens_too(each, following)
    if wish.format:
        yield f"format({wish.format})"
    if wish.quality:
        yield f"quality({wish.quality})"
    if wish.max_bytes:
        yield f"max_bytes({wish.max_bytes})"


def _flattens_too(filled: Operation, following: Operation | None) -> bool:
    """Return whether imagor's filter for an operation includes the one that follows."""
    places = {"extend": 2, "pad": 4}
    if following is None or following.name != "flatten" or filled.name not in places:
        return False
    return following.arguments[0] == filled.arguments[places[filled.name]]


def _numbers(*values: Value) -> Texts:
    return [number_text(float(value)) for value in values]


def _blur(sigma: float) -> Texts:
    """Find the sigma of thumbor's kernel, which it cuts off, that spreads as widely as ours."""
    radius = min(LARGEST_RADIUS, math.ceil(6 * sigma))
    low, high = 0.0, sigma + 1
    while spread_of(radius, high) < sigma:
        if high > LARGEST_RADIUS**2:
            return None
        high *= 2
    for _ in range(_TRIES):
        middle = (low + high) / 2
        low, high = (middle, high) if spread_of(radius, middle) < sigma else (low, middle)
    return [str(radius), precise_text(high)]


def _rotate(degrees: float, *_: Value) -> Texts:
    return None if degrees % 90 else [number_text(-degrees % 360)]


def _round(across: int, down: int, colour: str) -> Texts:
    radius = f"{across}|{down}" if down else str(across)
    if colour == TRANSPARENT:
        return [radius, "0", "0", "0", "1"]
    return [radius, *map(str, bytes.fromhex(colour))]


def _watermark(key: str, x: str, y: str, *numbers: Value) -> Texts:
    return [key, _PLACES.get(x, x), _PLACES.get(y, y), *(_numbers(*numbers) or ())]


_COMMON: Mapping[str, tuple[str, Callable[..., Texts]]] = {
    "brightness": ("brightness", _numbers),
    "contrast": ("contrast", _numbers),
    "saturation": ("saturation", _numbers),
    "rgb": ("rgb", _numbers),
    "grayscale": ("grayscale", _numbers),
    "rotate": ("rotate", _rotate),
    "scale": ("proportion", _numbers),
    "flatten": ("background_color", lambda colour: [colour]),
    "watermark": ("watermark", _watermark),
}
THUMBORS: Mapping[str, tuple[str, Callable[..., Texts]]] = MappingProxyType(
    {
        **_COMMON,
        "blur": ("blur", _blur),
        "sharpen": ("sharpen", lambda sigma, amount: [*_both(amount, sigma), "true"]),
        "round": ("round_corner", _round),
        "extend": ("fill", lambda _, __, colour, *___: [colour]),
    }
)
"""Operation -> thumbor's filter, and its arguments."""


def _both(first: float, second: float) -> list[str]:
    return [number_text(first), number_text(second)]


def _imagors_contrast(per_cent: float) -> Texts:
    factor = (1 + per_cent / 100) ** 2
    return [precise_text(255 * 259 * (factor - 1) / (259 + 255 * factor) / 2.55)]


def _imagors_colour(colour: str) -> str:
    return "none" if colour == TRANSPARENT else colour


def _imagors_pad(top: float, right: float, bottom: float, left: float, colour: str) -> Texts:
    sides = (left, top, right, bottom)
    return [_imagors_colour(colour), *map(number_text, sides)]


IMAGORS: Mapping[str, tuple[str, Callable[..., Texts]]] = MappingProxyType(
    {
        **_COMMON,
        "blur": ("blur", lambda sigma: ["0", number_text(sigma)]),
        "contrast": ("contrast", _imagors_contrast),
        "saturation": ("saturation", lambda factor: [precise_text(100 * (factor - 1))]),
        "sharpen": ("sharpen", lambda sigma, _: [precise_text((sigma - 1) / 2)]),
        "pixelate": ("pixelate", _numbers),
        "extract": ("crop", _numbers),
        "round": (
            "round_corner",
            lambda across, down, colour: [
                *_both(across, down or across),
                *([] if colour == TRANSPARENT else [colour]),
            ],
        ),
        "extend": ("fill", lambda _, __, colour, *___: [_imagors_colour(colour)]),
        "pad": ("padding", _imagors_pad),
    }
)
"""Operation -> imagor's filter, and its arguments."""
