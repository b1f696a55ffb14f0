"""The filters of thumbor's and imagor's URLs: how each is read, or why it is refused."""

import math
import re
from dataclasses import dataclass, field
from datetime import datetime

from api.dialects.draft import Draft
from api.dialects.image_url import source_of
from api.dialects.rows import Rows, accepted, adds, checks, no_effect, refused, sets
from api.dialects.values import FORMAT_WORDS, format_called, moment, number, whole
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import Operation, operation

_FOCAL = re.compile(r"(\d*\.?\d+)x(\d*\.?\d+)(?::(\d*\.?\d+)x(\d*\.?\d+))?")
_ROUND = re.compile(r"(\d+)(?:\|(\d+))?")
_PLACES = {"center": "centre", "left": "0", "top": "0", "right": "-0", "bottom": "-0"}
_TRUE = ("1", "true", "True")
LARGEST_RADIUS = 150
"""The largest radius that thumbor blurs with, in pixels."""

Area = tuple[float, float, float]
"""The middle of a focal area, x and y, and its weight."""


@dataclass(slots=True)
class ThumborDraft(Draft):
    """The parts and filters read from one URL."""

    fit: str = "cover"
    enlarge: bool = True
    focals: list[Area] = field(default_factory=list)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    """imagor's padding in pixels: top, right, bottom, left."""


def _attachment(draft: ThumborDraft, _: str, texts: list[str]) -> None:
    draft.download, draft.file_name = True, ",".join(texts) or None


def _same(option: str, *texts: str) -> Operation:
    """Read an operation that has the same arguments as our own of that name."""
    return operation(option, *(number(option, text) for text in texts))


def _flatten(_: str, text: str) -> Operation:
    return operation("flatten", text)


def _blur(option: str, radius: str, sigma: str = "0", *_: str) -> Operation:
    given = number(option, sigma)
    reach = min(whole(option, radius), LARGEST_RADIUS)
    return operation("blur", max(spread_of(reach, given or whole(option, radius)), 0.3))


def spread_of(radius: int, sigma: float) -> float:
    """Compute the standard deviation of thumbor's kernel: a Gaussian cut off at a radius."""
    if not radius or sigma <= 0:
        raise InvalidOption("blur", "radius must be at least 1, sigma above 0")
    weights = {
        place: math.exp(-(place**2) / (2 * sigma**2)) for place in range(-radius, radius + 1)
    }
    squares = sum(place**2 * weight for place, weight in weights.items())
    return math.sqrt(squares / sum(weights.values()))


def _sharpen(option: str, *texts: str) -> Operation:
    amount, radius = (number(option, text) for text in texts[:2])
    return operation("sharpen", min(max(radius, 0.1), 10), min(amount, 10))


def _rotate(option: str, text: str) -> Operation:
    angle = number(option, text)
    if angle % 90:
        raise InvalidOption(option, f"must be a multiple of 90; found {text[:20]}")
    return operation("rotate", -angle % 360)  # counter-clockwise


def _round(option: str, radius: str, *rest: str) -> Operation:
    radii = _ROUND.fullmatch(radius)
    if radii is None:
        raise InvalidOption(option, "expected RADIUS or RADIUS|RADIUS first")
    across, down = whole(option, radii[1]), whole(option, radii[2] or "0")
    if len(rest) < 3:
        raise InvalidOption(option, "expected RADIUS,RED,GREEN,BLUE[,TRANSPARENT]")
    through = len(rest) > 3 and rest[3] in _TRUE
    digits = bytes(min(whole(option, text), 255) for text in rest[:3]).hex()
    corners = "transparent" if through else digits
    return operation("round", across, 0 if down == across else down, corners)


def focal_area(option: str, text: str) -> Area | None:
    """Read a focal area, or a point; None for an area that is empty."""
    found = _FOCAL.fullmatch(text)
    if found is None:
        raise InvalidOption(option, f"expected LEFTxTOP:RIGHTxBOTTOM; found {text[:40]!r}")
    left, top, *far = (number(option, part) for part in found.groups() if part)
    if not far:
        return left, top, 1
    right, bottom = far
    if right <= left or bottom <= top:
        return None
    return (left + right) / 2, (top + bottom) / 2, (right - left) * (bottom - top)


def watermark(option: str, key: str, across: str, down: str, *rest: str) -> Operation:
    """Read a watermark: its picture, its place, its transparency and its share of the sides."""
    transparency, width, height, *_ = [*rest, "0", "0", "0"]
    return operation(
        "watermark",
        str(source_of(key.strip("'"), option=option)),
        _PLACES.get(across, across),
        _PLACES.get(down, down),
        number(option, transparency),
        0 if width == "none" else number(option, width),
        0 if height == "none" else number(option, height),
    )


def _milliseconds(option: str, text: str) -> datetime:
    return moment(option, text, per_second=1000)


def _format(option: str, text: str) -> str:
    return format_called(option, text.lower())


def _first_page(option: str, *texts: str) -> None:
    if texts != ("1",):
        raise InvalidOption(option, "only page 1 is read")


def _srgb(option: str, *texts: str) -> None:
    if texts not in ((), ("srgb",)):
        raise InvalidOption(option, "colours are always sRGB")


def _fill(draft: ThumborDraft, option: str, texts: list[str]) -> None:
    colour, *under = texts
    if colour in ("auto", "blur"):
        raise InvalidOption(
            option, f"by {colour} is not supported; expected a colour or transparent"
        )
    draft.operations.append(operation("extend", draft.width or 0, draft.height or 0, colour))
    if under and under[0] in _TRUE and colour != "transparent":
        draft.operations.append(operation("flatten", colour))


def _no_upscale(draft: ThumborDraft, *_: object) -> None:
    draft.enlarge = False
    if draft.fit == "cover":
        draft.fit = "crop"


def _upscale(draft: ThumborDraft, *_: object) -> None:
    draft.enlarge = True


def _stretch(draft: ThumborDraft, *_: object) -> None:
    if draft.fit in ("cover", "crop"):
        draft.fit = "fill"


FILTERS: Rows[ThumborDraft] = Rows(
    "filter",
    {
        "attachment": accepted("name", "Downloads under this name (imagor).",
                               _attachment),
        "autojpg": accepted("", "No effect: the client's Accept header decides.", lambda *_: None,
                            differs="The format may be AVIF or WebP."),
        "background_color": accepted("colour", "Flattens onto the colour.", adds(_flatten)),
        "blur": accepted("radius[,sigma]", "Gaussian blur.", adds(_blur),
                         differs="The Gaussian is as wide as thumbor's, which is cut off."),
        "brightness": accepted("-100..100", "thumbor's own formula.", adds(_same)),
        "contrast": accepted("-100..100", "thumbor's own formula.", adds(_same)),
        "expire": accepted("milliseconds", "Refused after this time since 1970 (imagor).",
                           sets("expires", _milliseconds)),
        "fill": accepted("colour[,under]", "Fills up to the size in the URL.", _fill),
        "focal": accepted("LxT:RxB", "Keeps the area near the middle; weighs several by size.",
                          adds(focal_area, field="focals")),
        "format": accepted(FORMAT_WORDS, "Output format.", sets("format", _format)),
        "grayscale": accepted("", "Shades of grey.", adds(_same)),
        "max_age": accepted("seconds", "Sets Cache-Control of the response.",
                            sets("max_age_seconds", whole)),
        "max_bytes": accepted("bytes", "Lowers the quality until the file fits.",
                              sets("max_bytes", whole)),
        "no_upscale": accepted("", "No side grows.", _no_upscale),
        "page": accepted("1", "No effect: only page 1 is read (imagor).", checks(_first_page)),
        "proportion": accepted("0.01..1", "Scales the result of all earlier steps.",
                               adds(_same, "scale")),
        "quality": accepted("1..100", "On the format's own scale.", sets("quality", whole)),
        "rgb": accepted("r,g,b", "thumbor's own formula.", adds(_same)),
        "rotate": accepted("0|90|180|270", "Counter-clockwise.", adds(_rotate)),
        "round_corner": accepted("radius[|radius],r,g,b[,transparent]", "Rounds the corners.",
                                 adds(_round)),
        "saturation": accepted("factor", "thumbor's own formula.", adds(_same)),
        "sharpen": accepted("amount,radius,luminance", "Sharpens.", adds(_sharpen),
                            differs="By another method, and lightness only."),
        "stretch": accepted("", "Takes the size, ignoring proportions.", _stretch),
        "strip_exif": no_effect("metadata is always removed."),
        "strip_icc": no_effect("colours are always sRGB."),
        "to_colorspace": accepted("srgb", "No effect: colours are always sRGB (imagor).",
                                  checks(_srgb)),
        "upscale": accepted("", "`fit-in` also enlarges; sizes are rounded.", _upscale),
        "watermark": accepted("image,x,y,alpha[,w%,h%]",
                              "Overlays an image from an allowed bucket.", adds(watermark)),
        "blurhash": refused("use `placeholder` of the image's record."),
        "thumbhash": refused("use `placeholder` of the image's record."),
        "colorize": refused("not supported."),
        "convolution": refused("its cost is unbounded."),
        "cover": refused("only the first frame is read; leave it out."),
        "curve": refused("not supported."),
        "equalize": refused("not supported."),
        "extract_focal": refused("file names and nested URLs are never parsed."),
        "frame": refused("not supported."),
        "label": refused("drawing text is not supported."),
        "noise": refused("the same URL would give other bytes each time."),
        "red_eye": refused("not supported."),
    },
)  # fmt: skip
