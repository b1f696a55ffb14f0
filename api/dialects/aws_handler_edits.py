"""sharp's edits, as AWS's image handler takes them in JSON and in queries: one row for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from api.dialects.draft import Draft
from api.dialects.json_values import colour, flag, number, object_of, rounded
from api.dialects.rows import Reader, Rows, accepted, adds, checks, refused, sets
from api.dialects.values import FORMAT_WORDS, format_called
from safelight.formats import WRITABLE
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import ATTENTION, GRAVITIES
from safelight.wish.operations import FACE, Operation, operation
from safelight.wish.options import Trim

_FITS = ("cover", "contain", "fill", "inside", "outside")
_PLACES = {"top": "north", "bottom": "south", "left": "west", "right": "east", "center": "centre"}
_SIDES = ("top", "right", "bottom", "left")
SWITCHES = ("flip", "flop", "grayscale", "greyscale")
"""Edits that are on or off."""
_NO_OFFSET = ("-0", "-0p")
"""Offsets that sharp counts from the near side, and a wish from the far side."""
_BLUR = 1.0
"""Sigma in pixels for `blur: true`. sharp itself uses a box of 3 x 3 pixels, about as wide."""
_GREYS = "By the weights of BT.601; sharp weighs linear light."
_SHARPEN = 0.5
"""Sigma in pixels for `sharpen: true`."""

_OTHER_EDITS = (
    "affine", "bandbool", "boolean", "clahe", "dilate", "ensureAlpha", "erode", "extractChannel",
    "gamma", "joinChannel", "linear", "median", "pipelineColourspace", "recomb", "removeAlpha",
    "threshold", "toColourspace", "unflatten",
)  # fmt: skip
"""Methods of sharp with which the engine has nothing in common."""


@dataclass(slots=True)
class EditsDraft(Draft):
    """The edits read from one request."""

    fit: str = "cover"
    enlarge: bool = True
    fill: str | None = None
    """Colour that `contain` fills up with, as rrggbb."""
    ratio: float | None = None
    """Factor by which both sides of the box are multiplied, or those of the picture."""


def _fit(option: str, value: Any) -> str:
    if value not in _FITS:
        message = f"must be one of {', '.join(_FITS)}; found {str(value)[:40]!r}"
        raise InvalidOption(option, message)
    return str(value)


def _gravity(option: str, value: Any) -> str:
    """Read sharp's position: `right top`, `northeast`, `attention`."""
    text = str(value).lower()
    if text == ATTENTION:
        return ATTENTION
    words = {_PLACES.get(word, word) for word in text.split()}
    for name in GRAVITIES:
        if words == {name} or words == set(name.split("-")) or text == name.replace("-", ""):
            return name
    raise InvalidOption(option, f"must be a side, a corner or {ATTENTION}; found {text[:40]!r}")


_RESIZING: Mapping[str, Reader] = MappingProxyType(
    {
        **dict.fromkeys(("width", "w"), sets("width", rounded)),
        **dict.fromkeys(("height", "h"), sets("height", rounded)),
        **dict.fromkeys(("position", "gravity", "strategy"), sets("gravity", _gravity)),
        "fit": sets("fit", _fit),
        "withoutEnlargement": sets("enlarge", lambda option, value: not flag(option, value)),
        "background": sets("fill", colour),
        "ratio": sets("ratio", lambda _, value: number(value)),
    }
)


def _resize(draft: EditsDraft, option: str, values: list[Any]) -> None:
    (value,) = values
    for word, said in object_of(option, value, _RESIZING).items():
        if said not in (None, ""):
            _RESIZING[word](draft, f"{option}.{word}", [said])


def _rotate(draft: EditsDraft, _: str, values: list[Any]) -> None:
    (value,) = values
    if value is None or value == "":
        return
    angle = number(value) % 360
    if angle % 90:
        # sharp rotates before it resizes; by an angle like this one we rotate the resized picture.
        draft.operations.append(operation("rotate", angle, "000000"))
    else:
        draft.turn = round(angle)


def _mirrors(direction: str) -> Callable[[EditsDraft, str, list[Any]], None]:
    """Read a switch that mirrors: `h` swaps left and right, `v` top and bottom."""

    def read(draft: EditsDraft, option: str, values: list[Any]) -> None:
        if flag(option, *values):
            draft.flip = "".join(sorted({*draft.flip, direction}))

    return read


def _sized(ordinary: float) -> Callable[[str, Any], Operation | None]:
    """Make a reader of an edit that is true, false or a sigma."""

    def read(option: str, value: Any) -> Operation | None:
        if isinstance(value, dict):
            value = value.get("sigma", ordinary)
        if value is False:
            return None
        return operation(option, ordinary if value is True else number(value))

    return read


def _grayscale(option: str, value: Any) -> Operation | None:
    return operation("grayscale") if flag(option, value) else None


def _flatten(option: str, value: Any) -> Operation | None:
    if isinstance(value, dict) and "background" in value:
        value = value["background"]
    if value is False:
        return None
    return operation("flatten", "000000" if value is True else colour(option, value))


def _extract(_: str, value: Any) -> Operation:
    """Cut out of the resized picture: {left, top, width, height}, or v8's two corners."""
    if isinstance(value, list):
        left, top, right, bottom = (round(number(each)) for each in value)
        return operation("extract", left, top, right - left, bottom - top)
    sides = (round(number(value[each])) for each in ("left", "top", "width", "height"))
    return operation("extract", *sides)


def _extend(option: str, value: Any) -> Operation:
    given = object_of(option, value, (*_SIDES, "background"))
    sides = (round(number(given.get(side, 0))) for side in _SIDES)
    return operation("pad", *sides, colour(option, given.get("background", "black")))


def _trim(option: str, value: Any) -> Trim | None:
    if value is False:
        return None
    given = value if isinstance(value, dict) else {}
    tolerance = given.get("threshold", 10 if value is True or given else value)
    like = given.get("background")
    border = None if like is None else colour(option, like)
    return Trim(tolerance=round(number(tolerance)), colour=border)


def _modulate(option: str, value: Any) -> Operation | None:
    given = object_of(option, value, ("saturation",))
    return operation("saturation", number(given["saturation"])) if given else None


def _smart_crop(option: str, value: Any) -> Operation | None:
    """Cut out a face. Rekognition lists faces in no documented order, so only one is supported."""
    if value is False:
        return None
    given = {} if value is True else object_of(option, value, ("faceIndex", "padding"))
    if number(given.get("faceIndex", 0)):
        raise InvalidOption(option, "is supported for faceIndex 0 only: the largest face")
    return operation(FACE, round(number(given.get("padding", 0))))


def _round(option: str, value: Any) -> Operation | None:
    """Round the corners, by default as far as possible: a square becomes a circle."""
    if value is False:
        return None
    radii = value if isinstance(value, dict) else {}
    if radii.get("top") or radii.get("left"):
        raise InvalidOption(option, "is supported only in the middle")
    across = round(number(radii.get("rx", 8192)))
    down = round(number(radii.get("ry", across)))
    return operation("round", across, 0 if down == across else down)


def _overlay(option: str, value: Any) -> Operation:
    names = ("bucket", "key", "alpha", "wRatio", "hRatio", "options")
    given = object_of(option, value, names)
    place = object_of(option, given.get("options") or {}, ("left", "top"))
    across, down = (str(place.get(side, "centre")) for side in ("left", "top"))
    return operation(
        "watermark",
        f"{given['bucket']}/{given['key']}",
        "0" if across in _NO_OFFSET else across,
        "0" if down in _NO_OFFSET else down,
        *(number(given.get(name) or 0) for name in ("alpha", "wRatio", "hRatio")),
    )


def _format(option: str, value: Any) -> str:
    return format_called(option, str(value).lower())


def _encoded(draft: EditsDraft, option: str, values: list[Any]) -> None:
    (value,) = values
    for said in object_of(option, value, ("quality", "q")).values():
        draft.qualities[option] = round(number(said))


_BOX = "{left, top, width, height}"


def _is_on(values: list[Any]) -> bool:
    return values[0] is not False


def _is_odd_angle(values: list[Any]) -> bool:
    return values[0] not in (None, "") and number(values[0]) % 90 != 0


EDITS: Rows[EditsDraft] = Rows(
    "edit",
    {
        "resize": accepted("{width, height, fit, position, background, withoutEnlargement, ratio}",
                           "Always first. The default fit is `cover`, as AWS documents.", _resize),
        "rotate": accepted("degrees or null", "Clockwise; 90, 180, 270 before resizing.", _rotate,
                           differs="By any other angle sharp rotates before it resizes.",
                           differs_for=_is_odd_angle),
        "flip": accepted("true|false", "Swaps top and bottom.", _mirrors("v")),
        "flop": accepted("true|false", "Swaps left and right.", _mirrors("h")),
        "crop": accepted(_BOX, "Cuts out of the picture, resized or not yet.", adds(_extract)),
        "extract": accepted(f"{_BOX} or [left, top, right, bottom]",
                            "Cuts out of the picture, resized or not yet.", adds(_extract)),
        "extend": accepted("{top, right, bottom, left, background}", "Adds a border.",
                           adds(_extend)),
        "trim": accepted("true, threshold or {threshold, background}", "Trims before resizing.",
                         sets("trim", _trim)),
        "flatten": accepted("true, colour or {background}", "Flattens onto the colour.",
                            adds(_flatten)),
        "blur": accepted("true or sigma", "Gaussian blur.", adds(_sized(_BLUR)),
                         differs="`true` is a Gaussian; sharp takes the mean of 3 x 3 pixels.",
                         differs_for=lambda values: values[0] is True),
        "sharpen": accepted("true, sigma or {sigma}", "Sharpens lightness only.",
                            adds(_sized(_SHARPEN)),
                            differs="Flat areas are sharpened less than by sharp.",
                            differs_for=_is_on),
        "grayscale": accepted("true|false", "Shades of grey.", adds(_grayscale),
                              differs=_GREYS, differs_for=_is_on),
        "greyscale": accepted("true|false", "Same as `grayscale`.", adds(_grayscale),
                              differs=_GREYS, differs_for=_is_on),
        "modulate": accepted("{saturation}", "Brightness and hue are refused.", adds(_modulate),
                             differs="In RGB; sharp changes the chroma of LCh."),
        "roundCrop": accepted("true or {rx, ry}", "Rounds the corners.", adds(_round)),
        "overlayWith": accepted("{bucket, key, alpha, wRatio, hRatio, options}",
                                "Overlays a watermark.", adds(_overlay)),
        "toFormat": accepted(FORMAT_WORDS, "Also written `outputFormat` and `format`.",
                             sets("format", _format)),
        "quality": accepted("1..100", "From v8.", sets("quality", rounded)),
        **{
            format.name: accepted("{quality}", "Applies if that is the format.", _encoded)
            for format in WRITABLE
            if format.quality
        },
        "stripExif": accepted("true|false", "No effect: metadata is always removed.", checks(flag)),
        "stripIcc": accepted("true|false", "No effect: colours are always sRGB.", checks(flag)),
        "smartCrop": accepted("true or {faceIndex, padding}",
                              "Cuts the largest face out of the resized picture, if it has one. "
                              "Of `faceIndex` only 0 is supported.", adds(_smart_crop),
                              differs="It is the largest face; AWS takes the first in the list of "
                              "Rekognition.", differs_for=_is_on),
        "contentModeration": refused("pictures are never sent to other services."),
        "animated": refused("only the first frame is read."),
        "normalize": refused("not supported."),
        "normalise": refused("not supported."),
        "tint": refused("not supported."),
        "negate": refused("not supported.", *_OTHER_EDITS),
        "convolve": refused("its cost is unbounded."),
        "watermark": refused("v8's takes a URL; use v7's overlayWith with an allowed bucket."),
        "composite": refused("use overlayWith with an allowed bucket."),
    },
)  # fmt: skip
