"""The options of imgix's URLs: how each is read, or why it is refused.

The names, with their other names, are those of imgix's own list:
https://github.com/imgix/imgix-url-params
"""

import re
from collections.abc import Callable
from fractions import Fraction

from api.dialects.imgix_draft import FITS, SEARCHES, SIDES, ImgixDraft
from api.dialects.imgix_refused import REFUSED
from api.dialects.rows import Rows, accepted, adds, checks, no_effect, sets
from api.dialects.values import colour, moment, number, one_of, whole
from safelight.formats import WRITABLE_WORDS
from safelight.wish.arguments import TRANSPARENT
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import MAX_SIDE, Operation, operation
from safelight.wish.options import Crop

_FORMATS = {**WRITABLE_WORDS, "pjpg": "jpeg"}
_TURNS = {"0": 0, "1": 0, "3": 180, "6": 90, "8": 270, "90": 90, "180": 180, "270": 270}
"""imgix's word -> degrees clockwise. 1 to 8 are EXIF's orientations; the others mirror too."""
_COLOUR = re.compile(r"#?([0-9a-fA-F]{4}|[0-9a-fA-F]{8})")
"""A colour with its alpha first."""
_RATIO = re.compile(r"(\d{1,4}(?:\.\d{1,4})?):(\d{1,4}(?:\.\d{1,4})?)")
_MOST_PAD = 1000
"""The widest pad, in pixels."""
_NOT_PUBLISHED = "imgix does not publish its formula."


def _side(option: str, text: str) -> int:
    given = number(option, text)
    if given < 1:
        name = option[0]
        raise InvalidOption(name, "must be in pixels; a share of the source is not supported")
    return round(given)


def _ratio(option: str, text: str) -> Fraction:
    parts = _RATIO.fullmatch(text)
    if parts is None or not float(parts[1]) or not float(parts[2]):
        raise InvalidOption(option, f"expected WIDTH:HEIGHT, such as 16:9; found {text[:40]!r}")
    return Fraction(parts[1]) / Fraction(parts[2])


def _crop(option: str, text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    for word in words:
        one_of(*SIDES, "center", "focalpoint", *SEARCHES)(option, word)
    return words


def _searches(texts: list[str]) -> bool:
    return texts[0].partition(",")[0] in SEARCHES


def _rectangle(option: str, text: str) -> Crop:
    left, top, width, height = (number(option, part) for part in text.split(","))
    return Crop(width=width, height=height, gravity="north-west", offset=(left, top))


def _turn(option: str, text: str) -> int:
    if text in ("2", "4", "5", "7"):
        raise InvalidOption(option, f"{text} mirrors too, which is not supported; use flip")
    return _TURNS[one_of(*_TURNS)(option, text)]


def _scaled(
    name: str, scale: Callable[[float], float] = float
) -> Callable[[str, str], Operation | None]:
    """Read a number that one of our own operations takes, on another scale; 0 does nothing."""

    def read(option: str, text: str) -> Operation | None:
        value = number(option, text)
        try:
            return operation(name, scale(value)) if value else None
        except InvalidOption as error:
            raise InvalidOption(option, f"is out of range; found {text[:20]}") from error

    return read


def _between(
    least: float, most: float, convert: Callable[[str, str], float] = number
) -> Callable[[str, str], float]:
    """Make a reader of a number that has bounds."""

    def read(option: str, text: str) -> float:
        value = convert(option, text)
        if not least <= value <= most:
            raise InvalidOption(option, f"must be from {least:g} to {most:g}; found {text[:20]}")
        return value

    return read


def _colour(option: str, text: str) -> str:
    """Read a colour with or without alpha: rrggbb, or `transparent`."""
    given = _COLOUR.fullmatch(text)
    if given is None:
        return colour(option, text)
    wide = given[1] if len(given[1]) == 8 else "".join(digit * 2 for digit in given[1])
    alpha = wide[:2].lower()
    if alpha not in ("00", "ff"):
        raise InvalidOption(option, f"must be opaque or fully transparent; found {text[:20]!r}")
    return TRANSPARENT if alpha == "00" else wide[2:].lower()


def _flag(option: str, text: str) -> bool:
    return one_of("1", "true", "0", "false")(option, text) in ("1", "true")


def _pivot(option: str, text: str) -> bool:
    return one_of("pivot", "straighten")(option, text) == "pivot"


def _pad(draft: ImgixDraft, option: str, texts: list[str]) -> None:
    draft.pads[option] = round(_between(0, _MOST_PAD, whole)(option, *texts))


def _download(draft: ImgixDraft, _: str, texts: list[str]) -> None:
    (name,) = texts
    draft.download, draft.file_name = True, name or None


def _format(option: str, text: str) -> str:
    return _FORMATS[one_of(*_FORMATS)(option, text)]


def _auto(option: str, text: str) -> None:
    for word in text.split(","):
        one_of("format", "compress")(option, word)


OPTIONS: Rows[ImgixDraft] = Rows(
    "option",
    {
        "w": accepted("pixels", "Width.", sets("width", _side, "width"), "width"),
        "h": accepted("pixels", "Height.", sets("height", _side, "height"), "height"),
        "ar": accepted("width:height", "With `fit=crop` or `fill`, and at most one of `w`, `h`.",
                       sets("ratio", _ratio)),
        "dpr": accepted("factor", "Multiplies sizes and pads; needs `w` or `h`.",
                        sets("dpr", number)),
        "fit": accepted("|".join(FITS), "How the picture fits the box.",
                        sets("mode", one_of(*FITS), "fit"), "f"),
        "crop": accepted("top|bottom|left|right|center|focalpoint|faces|entropy|edges",
                         "Two sides make a corner. Of other words the first counts.",
                         sets("places", _crop),
                         differs="`entropy` and `edges` find areas that attract attention: edges, "
                         "saturated colours and skin. So does `faces` in a picture without a face.",
                         differs_for=_searches),
        "fp-x": accepted("0..1", "With `crop=focalpoint`.", sets("focal_x", _between(0, 1))),
        "fp-y": accepted("0..1", "With `crop=focalpoint`.", sets("focal_y", _between(0, 1))),
        "rect": accepted("left,top,width,height", "Crops before resizing.",
                         sets("crop", _rectangle)),
        "orient": accepted("|".join(_TURNS), "Clockwise, before resizing.",
                           sets("turn", _turn, "orient"), "or",
                           differs="A source that has an EXIF orientation is turned upright first; "
                           "imgix takes this one in its place.",
                           differs_for=lambda texts: texts != ["0"]),
        "rot": accepted("degrees", "Counter-clockwise, after resizing.", sets("angle", number)),
        "rot-type": accepted("pivot|straighten", "`pivot` shows the whole picture. Without it only "
                             "`rot=180` is supported.", sets("pivot", _pivot, "rot-type"),
                             "rottype", "rott"),
        "flip": accepted("h|v|hv", "Mirrors.", sets("flip", one_of("h", "v", "hv"))),
        "trim": accepted("auto|color", "Trims a border.", sets("trim_by", one_of("auto", "color")),
                         differs="`auto` compares with the colour of a corner.",
                         differs_for=lambda texts: texts == ["auto"]),
        "trim-color": accepted("colour", "With `trim=color`.", sets("trim_colour", colour),
                               "trimcolor"),
        "trim-tol": accepted("0..255", "Tolerance of `trim=color`.",
                             sets("trim_tolerance", whole, "trim-tol"), "trimtol"),
        "pad": accepted("pixels", "On all sides.", _pad),
        "pad-top": accepted("pixels", "Overrides `pad`.", _pad),
        "pad-right": accepted("pixels", "Overrides `pad`.", _pad),
        "pad-bottom": accepted("pixels", "Overrides `pad`.", _pad),
        "pad-left": accepted("pixels", "Overrides `pad`.", _pad),
        "bg": accepted("colour, alpha first", "Behind transparent areas and in pads; opaque, or as "
                       "transparent as `0fff`, the default.", sets("behind", _colour)),
        "fill": accepted("solid", "With `fit=fill` or `fillmax`.",
                         sets("filling", one_of("solid", "blur", "gen", "generative", "gradient"))),
        "fill-color": accepted("colour, alpha first", "With `fill=solid`.",
                               sets("fill_colour", _colour, "fill-color"), "fillcolor"),
        "blur": accepted("0..2000", "Gaussian blur; 20 units are a sigma of one pixel.",
                         adds(_scaled("blur", lambda value: min(max(value / 20, 0.3), 100))),
                         differs="imgix does not publish its unit."),
        "sharp": accepted("0..100", "Sharpens.",
                          adds(_scaled("sharpen", lambda value: max(value / 50, 0.1))),
                          differs="Lightness only, on a scale of our own."),
        "usm": accepted("0..100", "Sharpens by this percentage.", sets("usm", _between(0, 100)),
                        differs="By another method: lightness only, and edges more than areas."),
        "usmrad": accepted("0.1..10", "Radius of `usm` in pixels.",
                           sets("usm_radius", _between(0.1, 10))),
        "bri": accepted("-100..100", "Adds to every colour.", adds(_scaled("brightness")),
                        differs=_NOT_PUBLISHED),
        "con": accepted("-100..100", "Changes contrast.", adds(_scaled("contrast")),
                        differs=_NOT_PUBLISHED),
        "sat": accepted("-100..100", "Changes saturation.",
                        adds(_scaled("saturation", lambda value: 1 + value / 100)),
                        differs=_NOT_PUBLISHED),
        "px": accepted("pixels", "Squares of this size.", adds(_scaled("pixelate"))),
        "mask": accepted("ellipse|corners", "Rounds the picture.",
                         sets("mask", one_of("ellipse", "corners"))),
        "corner-radius": accepted("pixels", "With `mask=corners`.",
                                  sets("radius", _between(0, MAX_SIDE, whole))),
        "q": accepted("1..100", "Quality.", sets("quality", _between(1, 100, whole))),
        "lossless": accepted("true|false", "For `fm=png`, which always is.",
                             sets("lossless", _flag)),
        "fm": accepted("|".join(_FORMATS), "Without it the client's Accept header decides.",
                       sets("format", _format)),
        "cs": accepted("srgb|tinysrgb|strip|origin", "No effect: colours are always sRGB.",
                       checks(one_of("srgb", "tinysrgb", "strip", "origin")),
                       differs="Other colour spaces are converted to sRGB.",
                       differs_for=lambda texts: texts[0] in ("strip", "origin")),
        "auto": accepted("format,compress", "No effect: both are the default.", checks(_auto)),
        "expires": accepted("seconds", "Refused after this time since 1970.",
                            sets("expires", moment)),
        "dl": accepted("name", "Downloads under this name.", _download),
        "ixlib": no_effect("names the library that made the URL.", "ixid"),
        **REFUSED,
    },
)  # fmt: skip
