"""sharp's edits, as AWS's image handler takes them in JSON and in queries.

Edits are carried out as they come, after resizing: an object of JSON has an order.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from api.dialects.values import format_called
from safelight.formats import WRITABLE_WORDS
from safelight.presets import ATTENTION, GRAVITIES
from safelight.wish.arguments import Colour
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import Operation, operation
from safelight.wish.options import Options, Trim

_FITS = {"cover": "cover", "contain": "contain", "fill": "fill", "inside": "inside",
         "outside": "outside"}  # fmt: skip
_PLACES = {"top": "north", "bottom": "south", "left": "west", "right": "east", "center": "centre"}
_BLUR = 1.0
"""What `blur: true` means here: sharp's own is a 3 x 3 box, about as wide."""
_SHARPEN = 0.5


@dataclass(slots=True)
class Draft:
    """What the edits have said so far."""

    width: int | None = None
    height: int | None = None
    fit: str = "cover"
    enlarge: bool = True
    gravity: str = "centre"
    background: str | None = None
    turn: int = 0
    trim: Trim | None = None
    flip: set[str] = field(default_factory=set)
    ratio: float | None = None
    operations: list[Operation] = field(default_factory=list)
    format: str | None = None
    quality: int | None = None
    qualities: dict[str, int] = field(default_factory=dict)


def read_edits(edits: Mapping[str, Any]) -> Options:
    """Read edits into a wish, or raise an `InvalidOption` that names the edit."""
    draft = Draft()
    for name in sorted(edits, key=lambda name: name != "resize"):
        row = EDITS.get(name)
        if row is None:
            raise InvalidOption(name[:40], f"is no edit that is understood: {', '.join(EDITS)}")
        row.take(draft, name, edits[name])
    if draft.ratio is not None:
        draft.operations.insert(0, operation("scale", draft.ratio))
    fit = draft.fit
    if fit == "contain":
        # sharp fills up with black, or with what is told; a wish's own background is white.
        fit = "inside"
        filled = draft.background or "000000"
        draft.operations.insert(
            0, operation("extend", draft.width or 0, draft.height or 0, filled, draft.gravity)
        )
    return Options(
        width=draft.width,
        height=draft.height,
        fit="crop" if fit == "cover" and not draft.enlarge else fit,
        enlarge=draft.enlarge,
        gravity=draft.gravity,
        turn=draft.turn,
        trim=draft.trim,
        flip="".join(sorted(draft.flip)),
        operations=tuple(draft.operations),
        format=draft.format,
        quality=draft.quality or draft.qualities.get(draft.format or ""),
    )


Reader = Callable[[Draft, str, Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One edit: what it takes, what it means, or why it is refused."""

    form: str = ""
    meaning: str
    reader: Reader | None

    def take(self, draft: Draft, name: str, value: Any) -> None:
        """Take it into a draft. Raises an `InvalidOption` that names it."""
        if self.reader is None:
            raise InvalidOption(name, f"is refused: {self.meaning}")
        try:
            self.reader(draft, name, value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            found = repr(value)[:80]
            raise InvalidOption(name, f"expected {self.form}; found {found}") from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(value) from error
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _colour(value: Any) -> str:
    """Read a colour as sharp takes it: a text, {r, g, b, alpha}, or [r, g, b]."""
    if isinstance(value, list):
        value = dict(zip("rgb", value, strict=True))
    if not isinstance(value, dict):
        return str(Colour(may_be_transparent=True).check(value))
    if value.get("alpha", 1) == 0:
        return "transparent"
    return bytes(round(_number(value[band])) for band in "rgb").hex()


def _resize(draft: Draft, name: str, value: Any) -> None:
    for word, said in value.items():
        reader = _RESIZING.get(word)
        if reader is None:
            raise InvalidOption(f"{name}.{word}"[:60], "is not understood")
        if said is not None:
            reader(draft, f"{name}.{word}", said)


def _width(draft: Draft, _: str, value: Any) -> None:
    draft.width = round(_number(value)) or None


def _height(draft: Draft, _: str, value: Any) -> None:
    draft.height = round(_number(value)) or None


def _fit(draft: Draft, name: str, value: Any) -> None:
    draft.fit = _FITS[value] if value in _FITS else _no_such(name, value, _FITS)


def _without_enlargement(draft: Draft, _: str, value: Any) -> None:
    draft.enlarge = not _flag(value)


def _position(draft: Draft, name: str, value: Any) -> None:
    draft.gravity = _gravity(name, value)


def _background(draft: Draft, _: str, value: Any) -> None:
    draft.background = _colour(value)


def _ratio(draft: Draft, _: str, value: Any) -> None:
    draft.ratio = _number(value)


_RESIZING: Mapping[str, Reader] = MappingProxyType(
    {
        "width": _width, "w": _width, "height": _height, "h": _height, "fit": _fit,
        "withoutEnlargement": _without_enlargement, "position": _position, "gravity": _position,
        "strategy": _position, "background": _background, "ratio": _ratio,
    }
)  # fmt: skip


def _no_such(option: str, said: object, known: Mapping[str, str]) -> str:
    raise InvalidOption(option, f"must be one of {', '.join(known)}; found {str(said)[:40]!r}")


def _gravity(option: str, said: Any) -> str:
    """Read sharp's position: `right top`, `northeast`, `attention`."""
    text = str(said).lower()
    if text == ATTENTION:
        return ATTENTION
    words = {_PLACES.get(word, word) for word in text.split()}
    for name in GRAVITIES:
        if words == {name} or words == set(name.split("-")) or text == name.replace("-", ""):
            return name
    raise InvalidOption(option, f"must be a side, a corner or {ATTENTION}; found {text[:40]!r}")


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _if_true(*asked: Operation) -> Reader:
    def read(draft: Draft, _: str, value: Any) -> None:
        if _flag(value):
            draft.operations.extend(asked)

    return read


def _sized(name: str, ordinary: float) -> Reader:
    """Read an edit that is true, false or how strong."""

    def read(draft: Draft, _: str, value: Any) -> None:
        if isinstance(value, dict):
            value = value.get("sigma", ordinary)
        if value is not False:
            sigma = ordinary if value is True else _number(value)
            draft.operations.append(operation(name, sigma))

    return read


def _rotate(draft: Draft, _: str, value: Any) -> None:
    if value is None or value == "":
        return
    angle = _number(value) % 360
    if angle % 90:
        # sharp turns first and resizes what it then has; so do we, by turning what was resized.
        draft.operations.append(operation("rotate", angle, "000000"))
    else:
        draft.turn = round(angle)


def _mirrored(letter: str) -> Reader:
    def read(draft: Draft, _: str, value: Any) -> None:
        if _flag(value):
            draft.flip.add(letter)

    return read


def _flatten(draft: Draft, _: str, value: Any) -> None:
    if isinstance(value, dict) and "background" in value:
        value = value["background"]
    if value is not False:
        draft.operations.append(operation("flatten", "000000" if value is True else _colour(value)))


def _extract(draft: Draft, _: str, value: Any) -> None:
    """Cut out of the resized picture: {left, top, width, height}, or v8's two corners."""
    if isinstance(value, list):
        left, top, right, bottom = (round(_number(each)) for each in value)
        value = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    sides = (round(_number(value[each])) for each in ("left", "top", "width", "height"))
    draft.operations.append(operation("extract", *sides))


def _extend(draft: Draft, name: str, value: Any) -> None:
    unknown = set(value) - {"top", "right", "bottom", "left", "background"}
    if unknown:
        raise InvalidOption(f"{name}.{min(unknown)}"[:60], "is not understood")
    sides = (round(_number(value.get(side, 0))) for side in ("top", "right", "bottom", "left"))
    colour = _colour(value.get("background", "black"))
    draft.operations.append(operation("pad", *sides, colour))


def _trim(draft: Draft, _: str, value: Any) -> None:
    if value is False:
        return
    said = value if isinstance(value, dict) else {}
    tolerance = said.get("threshold", 10 if value is True or said else value)
    colour = said.get("background")
    like = None if colour is None else _colour(colour)
    draft.trim = Trim(tolerance=round(_number(tolerance)), colour=like)


def _modulate(draft: Draft, name: str, value: Any) -> None:
    for word, said in value.items():
        if word == "saturation":
            draft.operations.append(operation("saturation", _number(said)))
        else:
            raise InvalidOption(f"{name}.{word}"[:60], "is not understood")


def _round(draft: Draft, name: str, value: Any) -> None:
    """Round as far as it goes: a circle of a square."""
    if value is False:
        return
    if isinstance(value, dict) and (value.get("top") or value.get("left")):
        raise InvalidOption(name, "elsewhere than in the middle is not understood")
    radii = value if isinstance(value, dict) else {}
    across = round(_number(radii.get("rx", 8192)))
    down = round(_number(radii.get("ry", across)))
    draft.operations.append(operation("round", across, 0 if down == across else down))


def _overlay(draft: Draft, name: str, value: Any) -> None:
    place = value.get("options") or {}
    unknown = {*value} - {"bucket", "key", "alpha", "wRatio", "hRatio", "options"}
    unknown |= {*place} - {"left", "top"}
    if unknown:
        raise InvalidOption(f"{name}.{min(unknown)}"[:60], "is not understood")
    draft.operations.append(
        operation(
            "watermark",
            f"{value['bucket']}/{value['key']}",
            str(place.get("left", "centre")),
            str(place.get("top", "centre")),
            _number(value.get("alpha") or 0),
            _number(value.get("wRatio") or 0),
            _number(value.get("hRatio") or 0),
        )
    )


def _format(draft: Draft, name: str, value: Any) -> None:
    draft.format = format_called(name, str(value).lower())


def _quality(draft: Draft, _: str, value: Any) -> None:
    draft.quality = round(_number(value))


def _encoded(draft: Draft, name: str, value: Any) -> None:
    for word, said in value.items():
        if word in ("quality", "q"):
            draft.qualities[WRITABLE_WORDS[name]] = round(_number(said))
        else:
            raise InvalidOption(f"{name}.{word}"[:60], "is not understood")


def _as_it_is(_: Draft, __: str, value: Any) -> None:
    _flag(value)


def _gray() -> Reader:
    return _if_true(Operation("grayscale"))


def _refused(why: str) -> Edit:
    return Edit(meaning=why, reader=None)


_OBJECT = "{quality}"
EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "resize": Edit(
            form="{width, height, fit, position, background, withoutEnlargement, ratio}",
            meaning="First of all; `cover`, as its documents say.", reader=_resize,
        ),
        "rotate": Edit(form="degrees or null", meaning="Clockwise; 90, 180, 270 before resizing.",
                       reader=_rotate),
        "flip": Edit(form="true|false", meaning="Top and bottom swapped.", reader=_mirrored("v")),
        "flop": Edit(form="true|false", meaning="Left and right swapped.", reader=_mirrored("h")),
        "crop": Edit(form="{left, top, width, height}", meaning="Out of the resized picture.",
                     reader=_extract),
        "extract": Edit(form="{left, top, width, height} or [left, top, right, bottom]",
                        meaning="Out of the resized picture.", reader=_extract),
        "extend": Edit(form="{top, right, bottom, left, background}", meaning="Pads.",
                       reader=_extend),
        "trim": Edit(form="true, threshold or {threshold, background}", meaning="Before resizing.",
                     reader=_trim),
        "flatten": Edit(form="true, colour or {background}", meaning="Laid onto the colour.",
                        reader=_flatten),
        "blur": Edit(form="true or sigma", meaning="Gaussian.", reader=_sized("blur", _BLUR)),
        "sharpen": Edit(form="true, sigma or {sigma}", meaning="Lightness only.",
                        reader=_sized("sharpen", _SHARPEN)),
        "grayscale": Edit(form="true|false", meaning="Shades of grey.", reader=_gray()),
        "greyscale": Edit(form="true|false", meaning="The same.", reader=_gray()),
        "modulate": Edit(form="{saturation}", meaning="Of brightness and hue nothing.",
                         reader=_modulate),
        "roundCrop": Edit(form="true or {rx, ry}", meaning="Rounded, in the middle.",
                          reader=_round),
        "overlayWith": Edit(form="{bucket, key, alpha, wRatio, hRatio, options}",
                            meaning="A watermark.", reader=_overlay),
        "toFormat": Edit(form="webp|jpeg|png|avif", meaning="Also as `outputFormat` and `format`.",
                         reader=_format),
        "quality": Edit(form="1..100", meaning="v8's.", reader=_quality),
        "jpeg": Edit(form=_OBJECT, meaning="Where that is the format.", reader=_encoded),
        "webp": Edit(form=_OBJECT, meaning="Where that is the format.", reader=_encoded),
        "avif": Edit(form=_OBJECT, meaning="Where that is the format.", reader=_encoded),
        "stripExif": Edit(form="true|false", meaning="Metadata never leaves.", reader=_as_it_is),
        "stripIcc": Edit(form="true|false", meaning="Everything is sRGB.", reader=_as_it_is),
        "smartCrop": _refused("no gravity looks for faces; use position attention."),
        "contentModeration": _refused("no picture is sent to a service."),
        "animated": _refused("only the first frame is read."),
        "normalize": _refused("it is not done."),
        "normalise": _refused("it is not done."),
        "tint": _refused("it is not done."),
        "convolve": _refused("its cost has no bound."),
        "watermark": _refused("v8's names a URL; use v7's overlayWith, whose bucket is allowed."),
        "composite": _refused("use overlayWith, whose bucket is allowed."),
    }
)  # fmt: skip
