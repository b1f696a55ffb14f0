"""Writes wishes as imgix's URLs: the table of `imgix_options.py` the other way round.

A part of a wish for which imgix has no option is left out; `writers.py` finds that.
"""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType
from urllib.parse import quote, urlencode

from api.dialects.image_url import ImageUrl
from api.dialects.imgix_draft import FITS
from api.dialects.values import precise_text, seconds_of
from safelight.wish.arguments import TRANSPARENT, Value, number_text
from safelight.wish.gravities import FACES, GRAVITIES, LOOKED_FOR
from safelight.wish.operations import MAX_SIDE
from safelight.wish.options import Options, Trim

Words = Mapping[str, str]
"""Option -> its value."""
_MODES = {fit: mode for mode, fit in FITS.items() if mode not in ("fill", "fillmax")}
_FILLS = {True: "fill", False: "fillmax"}
"""Whether to enlarge -> the word that fills up to the box."""
_ACROSS = {0.0: "left", 1.0: "right"}
_DOWN = {0.0: "top", 1.0: "bottom"}


def write(url: ImageUrl) -> str:
    """Write path and query, which are not signed yet."""
    words = dict(_words(url.options))
    if url.expires:
        words["expires"] = seconds_of(url.expires)
    query = urlencode(words, safe=",:")
    return f"/{quote(url.source.key)}{f'?{query}' if query else ''}"


def _words(wish: Options) -> Iterator[tuple[str, str]]:
    for part in (_size, _place, _region, _output):
        yield from part(wish).items()
    for each in wish.operations:
        if each.name in OPERATIONS:
            yield from OPERATIONS[each.name](*each.arguments).items()


def _size(wish: Options) -> Words:
    if wish.box is None:
        return {}
    filled = wish.fit == "inside" and any(each.name == "extend" for each in wish.operations)
    mode = _FILLS[wish.enlarge] if filled else _MODES.get((wish.fit, wish.enlarge), "max")
    sides = {"w": wish.width, "h": wish.height}
    return {name: str(side) for name, side in sides.items() if side} | {"fit": mode}


def _place(wish: Options) -> Words:
    if wish.focal:
        across, down = map(number_text, wish.focal)
        return {"crop": "focalpoint", "fp-x": across, "fp-y": down}
    if wish.gravity in LOOKED_FOR:
        return {"crop": "faces" if wish.gravity == FACES else "entropy"}
    x, y = GRAVITIES[wish.gravity]
    sides = ",".join(filter(None, (_DOWN.get(y), _ACROSS.get(x))))
    return {"crop": sides} if sides else {}


def _region(wish: Options) -> Words:
    words = {"orient": str(wish.turn or ""), "flip": wish.flip}
    crop = wish.crop
    if crop and crop.gravity == "north-west" and not crop.focal:
        words["rect"] = ",".join(map(number_text, (*crop.offset, crop.width, crop.height)))
    if wish.trim == Trim():
        words["trim"] = "auto"
    elif wish.trim:
        words |= {"trim": "color", "trim-tol": str(wish.trim.tolerance)}
        words["trim-color"] = wish.trim.colour or ""
    return {name: text for name, text in words.items() if text}


def _output(wish: Options) -> Words:
    return {
        name: str(value)
        for name, value in {"fm": wish.format, "q": wish.quality}.items()
        if value is not None
    }


def _rotate(degrees: float, *_: Value) -> Words:
    return {"rot": number_text(-degrees % 360), "rot-type": "pivot"}


def _sharpen(sigma: float, amount: float) -> Words:
    if amount == 1:
        return {"sharp": precise_text(50 * sigma)}
    usm = 300 * amount
    return {"usm": precise_text(usm), "usmrad": number_text(sigma)} if usm <= 100 else {}


def _extend(width: int, height: int, colour: str, _: str, to: str) -> Words:
    words = {} if colour == TRANSPARENT else {"fill": "solid", "fill-color": colour}
    if to == "box" or not (width and height):
        return words
    ratio = Fraction(width, height)
    return words | {"fit": "fill", "ar": f"{ratio.numerator}:{ratio.denominator}"}


def _pad(*arguments: Value) -> Words:
    names = ("pad-top", "pad-right", "pad-bottom", "pad-left")
    return {name: str(side) for name, side in zip(names, arguments[:4], strict=True)}


def _round(across: int, *_: Value) -> Words:
    if across == MAX_SIDE:
        return {"mask": "ellipse"}
    return {"mask": "corners", "corner-radius": str(across)}


OPERATIONS: Mapping[str, Callable[..., Words]] = MappingProxyType(
    {
        "blur": lambda sigma: {"blur": precise_text(20 * sigma)},
        "sharpen": _sharpen,
        "brightness": lambda per_cent: {"bri": number_text(per_cent)},
        "contrast": lambda per_cent: {"con": number_text(per_cent)},
        "saturation": lambda factor: {"sat": precise_text(100 * (factor - 1))},
        "pixelate": lambda size: {"px": str(size)},
        "rotate": _rotate,
        "extend": _extend,
        "round": _round,
        "pad": _pad,
        "flatten": lambda colour: {"bg": colour},
    }
)
"""Operation -> its options."""
