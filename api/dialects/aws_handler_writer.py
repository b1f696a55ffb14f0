"""Writes wishes as requests of AWS's image handler: edits in JSON, which have an order.

A part of a wish for which there is no edit is left out; `writers.py` finds that.
"""

import base64
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from api.dialects.image_url import ImageUrl
from safelight.wish.arguments import Value
from safelight.wish.gravities import FACES
from safelight.wish.operations import FACE, Operation
from safelight.wish.options import Crop, Options

TURNED: Mapping[int, str] = MappingProxyType(
    {0: "north-west", 90: "north-east", 180: "south-east", 270: "south-west"}
)
"""Degrees clockwise -> the corner where the upper left corner of the picture is then."""
EXPIRES = "%Y%m%dT%H%M%SZ"
"""The form of a time in a query."""
Edits = dict[str, Any]
_FITS = {fit: fit for fit in ("cover", "fill", "inside", "outside")} | {"crop": "cover"}


def write(url: ImageUrl) -> str:
    """Write path and query, which are not signed yet."""
    asked = {"key": url.source.key, "edits": edits_of(url.options)}
    text = json.dumps(asked, separators=(",", ":")).encode()
    path = f"/{base64.urlsafe_b64encode(text).decode().rstrip('=')}"
    return f"{path}?expires={url.expires:{EXPIRES}}" if url.expires else path


def edits_of(wish: Options) -> Edits:
    """List the edits of a wish in its normal form, in the order in which they are carried out."""
    edits = _before(wish)
    first = next(iter(wish.operations), None)
    resize = _resize(wish, first)
    filled = first is not None and resize.get("fit") == "contain"
    scaled = "ratio" in resize
    if resize or "crop" in edits:  # a crop is made first if a resize comes later
        edits["resize"] = resize
    if wish.flip:
        edits |= {"flop": "h" in wish.flip, "flip": "v" in wish.flip}
    for each in wish.operations[int(filled or scaled) :]:
        for name, value in _edit(each).items():
            edits["extract" if name in edits and name == "crop" else name] = value
    output = {"toFormat": wish.format, "quality": wish.quality}
    return edits | {name: value for name, value in output.items() if value is not None}


def _before(wish: Options) -> Edits:
    """Write what is done before resizing."""
    edits: Edits = {}
    if wish.trim:
        edits["trim"] = {"threshold": wish.trim.tolerance} | _behind(wish.trim.colour)
    crop = wish.crop
    if crop and crop.gravity == "north-west":
        return edits | _turned(wish.turn) | _cut(crop)
    if crop and crop.gravity == TURNED[wish.turn]:
        swapped = wish.turn in (90, 270)
        return edits | _cut(crop, swapped=swapped) | _turned(wish.turn)
    return edits | _turned(wish.turn)


def _turned(degrees: int) -> Edits:
    return {"rotate": degrees} if degrees else {}


def _cut(crop: Crop, *, swapped: bool = False) -> Edits:
    """Write a crop of whole pixels; with its sides swapped if the picture is turned later."""
    size, offset = (crop.width, crop.height), crop.offset
    sides = (*offset[::-1], *size[::-1]) if swapped else (*offset, *size)
    whole = crop.focal is None and all(side == int(side) for side in sides)
    return {"crop": _rectangle(*sides)} if whole else {}


def _resize(wish: Options, first: Operation | None) -> Edits:
    """Write box and fit, with the first operation if AWS's handler does it by resizing."""
    if wish.box is None:
        is_ratio = first is not None and first.name == "scale" and wish.crop is None
        return {"ratio": first.arguments[0]} if first and is_ratio else {}
    resize: Edits = {"width": wish.width, "height": wish.height, "fit": _FITS.get(wish.fit)}
    if wish.gravity not in ("centre", FACES):
        resize["position"] = _position(wish.gravity)
    if first and wish.fit == "inside" and first.name == "extend":
        *box, colour, gravity, to = first.arguments
        if tuple(box) == wish.box and to == "box":
            resize |= {"fit": "contain", "position": _position(str(gravity)), **_behind(colour)}
    resize["withoutEnlargement"] = not wish.enlarge
    return {name: value for name, value in resize.items() if value is not None}


def _position(gravity: str) -> str:
    return gravity.replace("-", "")


def _rectangle(*sides: Value) -> Edits:
    return {
        name: int(side)
        for name, side in zip(("left", "top", "width", "height"), sides, strict=True)
    }


def _behind(colour: Value | None) -> Edits:
    """Write a colour as the background of an edit."""
    if colour is None:
        return {}
    return {"background": colour if colour == "transparent" else f"#{colour}"}


def _edit(asked: Operation) -> Edits:
    return OPERATIONS[asked.name](*asked.arguments) if asked.name in OPERATIONS else {}


def _rotate(degrees: float, colour: str) -> Edits:
    """Write a rotation by an odd angle. Right angles are turned before resizing."""
    return {"rotate": degrees} if degrees % 90 and colour == "000000" else {}


def _extend(*arguments: Value) -> Edits:
    *sides, colour = arguments
    names = ("top", "right", "bottom", "left")
    return {"extend": dict(zip(names, sides, strict=True)) | _behind(colour)}


def _round(across: Value, down: Value, _: Value) -> Edits:
    return {"roundCrop": {"rx": across, "ry": down or across}}


def _overlay(key: str, x: str, y: str, transparency: float, width: float, height: float) -> Edits:
    bucket, _, name = key.partition("/")
    overlay = {"bucket": bucket, "key": name, "alpha": transparency}
    place = {"left": x, "top": y}
    return {"overlayWith": overlay | {"wRatio": width, "hRatio": height, "options": place}}


OPERATIONS: Mapping[str, Callable[..., Edits]] = MappingProxyType(
    {
        "blur": lambda sigma: {"blur": sigma},
        "sharpen": lambda sigma, _: {"sharpen": sigma},
        "saturation": lambda factor: {"modulate": {"saturation": factor}},
        "grayscale": lambda: {"grayscale": True},
        "rotate": _rotate,
        "extract": lambda *sides: {"crop": _rectangle(*sides)},
        "pad": _extend,
        "round": _round,
        "flatten": lambda colour: {"flatten": _behind(colour)},
        "watermark": _overlay,
        FACE: lambda room: {"smartCrop": {"padding": room}},
    }
)
"""Operation -> its edit."""
