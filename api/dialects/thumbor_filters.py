"""The filters of thumbor's URLs, with imagor's: how each is read, or why it is refused."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from api.dialects.image_url import source_of
from api.dialects.rows import Row, accepted, nothing, refused
from api.dialects.values import format_called, moment, number, whole
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import Operation, operation

_FOCAL = re.compile(r"(\d*\.?\d+)x(\d*\.?\d+)(?::(\d*\.?\d+)x(\d*\.?\d+))?")
_ROUND = re.compile(r"(\d+)(?:\|(\d+))?")
_PLACES = {"center": "centre", "left": "0", "top": "0", "right": "-0", "bottom": "-0"}
_TRUE = ("1", "true", "True")


@dataclass(slots=True)
class Draft:
    """What the parts and filters of one URL have said so far."""

    width: int | None = None
    height: int | None = None
    fit: str = "cover"
    enlarge: bool = True
    operations: list[Operation] = field(default_factory=list)
    focals: list[tuple[float, float, float]] = field(default_factory=list)
    """x, y and weight."""
    format: str | None = None
    quality: int | None = None
    max_bytes: int | None = None
    max_age_seconds: int | None = None
    expires: datetime | None = None
    download: str | None = None


Reader = Callable[[Draft, list[str]], None]


def _numbers(name: str) -> Reader:
    """Read a filter of numbers that mean what our own operation of the name does."""

    def read(draft: Draft, texts: list[str]) -> None:
        draft.operations.append(operation(name, *(number(name, text) for text in texts)))

    return read


def _blur(draft: Draft, texts: list[str]) -> None:
    radius, *given = texts
    sigma = number("blur", given[0]) if given else 0
    spread = _spread(min(whole("blur", radius), 150), sigma or whole("blur", radius))
    draft.operations.append(operation("blur", max(spread, 0.3)))


def _spread(radius: int, sigma: float) -> float:
    """Compute the standard deviation of thumbor's kernel: a Gaussian cut off at a radius."""
    if not radius or sigma <= 0:
        raise InvalidOption("blur", "radius must be at least 1, sigma above 0")
    weights = {
        place: math.exp(-(place**2) / (2 * sigma**2)) for place in range(-radius, radius + 1)
    }
    squares = sum(place**2 * weight for place, weight in weights.items())
    return math.sqrt(squares / sum(weights.values()))


def _sharpen(draft: Draft, texts: list[str]) -> None:
    amount, radius, *_ = (number("sharpen", text) for text in texts[:2])
    draft.operations.append(operation("sharpen", min(max(radius, 0.1), 10), min(amount, 10)))


def _fill(draft: Draft, texts: list[str]) -> None:
    colour, *under = texts
    if colour in ("auto", "blur"):
        raise InvalidOption("fill", f"by {colour} is not done; expected a colour or transparent")
    wide, high = draft.width or 0, draft.height or 0
    filled = operation("extend", wide, high, colour)
    draft.operations.append(filled)
    if under and under[0] in _TRUE and colour != "transparent":
        draft.operations.append(operation("flatten", colour))


def _background(draft: Draft, texts: list[str]) -> None:
    (colour,) = texts
    draft.operations.append(operation("flatten", colour))


def _rotate(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    angle = number("rotate", text)
    if angle % 90:
        raise InvalidOption("rotate", f"must be a multiple of 90; found {text[:20]}")
    draft.operations.append(operation("rotate", -angle % 360))  # counter-clockwise


def _round(draft: Draft, texts: list[str]) -> None:
    radius, *rest = texts
    radii = _ROUND.fullmatch(radius)
    if radii is None:
        raise InvalidOption("round_corner", "expected RADIUS or RADIUS|RADIUS first")
    across, down = whole("round_corner", radii[1]), whole("round_corner", radii[2] or "0")
    if len(rest) < 3:
        raise InvalidOption("round_corner", "expected RADIUS,RED,GREEN,BLUE[,TRANSPARENT]")
    through = len(rest) > 3 and rest[3] in _TRUE
    digits = bytes(min(whole("round_corner", text), 255) for text in rest[:3]).hex()
    colour = "transparent" if through else digits
    draft.operations.append(operation("round", across, 0 if down == across else down, colour))


def _focal_area(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    found = _FOCAL.fullmatch(text)
    if found is None:
        raise InvalidOption("focal", f"expected LEFTxTOP:RIGHTxBOTTOM; found {text[:40]!r}")
    left, top, *far = (number("focal", part) for part in found.groups() if part)
    if not far:
        draft.focals.append((left, top, 1))
    elif far[0] > left and far[1] > top:
        right, bottom = far
        middle = ((left + right) / 2, (top + bottom) / 2)
        draft.focals.append((*middle, (right - left) * (bottom - top)))


def _format(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.format = format_called("format", text.lower())


def _quality(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.quality = whole("quality", text)


def _max_bytes(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.max_bytes = whole("max_bytes", text)


def _max_age(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.max_age_seconds = whole("max_age", text)


def _no_upscale(draft: Draft, _: list[str]) -> None:
    draft.enlarge = False
    if draft.fit == "cover":
        draft.fit = "crop"


def _upscale(draft: Draft, _: list[str]) -> None:
    draft.enlarge = True


def _stretch(draft: Draft, _: list[str]) -> None:
    if draft.fit in ("cover", "crop"):
        draft.fit = "fill"


def _watermark(draft: Draft, texts: list[str]) -> None:
    key, across, down, *rest = texts
    transparency, width, height, *_ = [*rest, "0", "0", "0"][:3] if rest else ["0"] * 3
    source = source_of(key.strip("'"), option="watermark")
    draft.operations.append(
        operation(
            "watermark",
            str(source),
            _PLACES.get(across, across),
            _PLACES.get(down, down),
            number("watermark", transparency),
            0 if width == "none" else number("watermark", width),
            0 if height == "none" else number("watermark", height),
        )
    )


def _expire(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.expires = moment("expire", text, per_second=1000)


def _page(_: Draft, texts: list[str]) -> None:
    if texts != ["1"]:
        raise InvalidOption("page", "only page 1 is read")


def _colours(_: Draft, texts: list[str]) -> None:
    if texts not in ([], ["srgb"]):
        raise InvalidOption("to_colorspace", "everything is sRGB")


def _attachment(draft: Draft, texts: list[str]) -> None:
    draft.download = texts[0] if texts else ""


FILTERS: Mapping[str, Row[Draft]] = MappingProxyType(
    {
        "attachment": accepted("name", "Saved under this name (imagor).", _attachment),
        "autojpg": nothing("Without `format` the client's Accept decides."),
        "background_color": accepted("colour", "Laid onto the colour.", _background),
        "blur": accepted("radius[,sigma]", "A Gaussian as wide as thumbor's, cut off.", _blur),
        "brightness": accepted("-100..100", "The same sum.", _numbers("brightness")),
        "contrast": accepted("-100..100", "The same sum.", _numbers("contrast")),
        "expire": accepted("milliseconds", "Refused after this time (imagor).", _expire),
        "fill": accepted("colour[,under]", "Filled up to the size in the URL.", _fill),
        "focal": accepted("LxT:RxB", "Kept nearest to the middle; several are weighed.",
                          _focal_area),
        "format": accepted("webp|jpeg|png|avif", "Encoded so.", _format),
        "grayscale": accepted("", "Shades of grey.", _numbers("grayscale")),
        "max_age": accepted("seconds", "Handed to the answer's Cache-Control.", _max_age),
        "max_bytes": accepted("bytes", "Quality is lowered until it fits.", _max_bytes),
        "no_upscale": accepted("", "No side grows.", _no_upscale),
        "page": accepted("1", "The first page is what is read (imagor).", _page),
        "proportion": accepted("0.01..1", "Shrunk so after all before it.", _numbers("scale")),
        "quality": accepted("1..100", "As the format's own scale.", _quality),
        "rgb": accepted("r,g,b", "The same sum.", _numbers("rgb")),
        "rotate": accepted("0|90|180|270", "Counter-clockwise.", _rotate),
        "round_corner": accepted("radius[|radius],r,g,b[,transparent]", "Rounded.", _round),
        "saturation": accepted("factor", "The same sum.", _numbers("saturation")),
        "sharpen": accepted("amount,radius,luminance", "By another method: lightness only.",
                            _sharpen),
        "stretch": accepted("", "Takes the size, whatever the shape.", _stretch),
        "strip_exif": nothing("Metadata never leaves."),
        "strip_icc": nothing("Everything is sRGB."),
        "to_colorspace": accepted("srgb", "Everything is sRGB (imagor).", _colours),
        "upscale": accepted("", "`fit-in` enlarges too, and rounds.", _upscale),
        "watermark": accepted("image,x,y,alpha[,w%,h%]", "Laid on top; an image in a bucket that "
                              "is allowed.", _watermark),
        "blurhash": refused("a record has its `placeholder` instead."),
        "thumbhash": refused("a record has its `placeholder` instead."),
        "colorize": refused("it is not done."),
        "convolution": refused("its cost has no bound."),
        "cover": refused("only the first frame is read anyway; leave it out."),
        "curve": refused("it is not done."),
        "equalize": refused("it is not done."),
        "extract_focal": refused("file names and URLs within URLs are never parsed."),
        "frame": refused("it is not done."),
        "label": refused("no text is drawn."),
        "noise": refused("the same URL would not give the same bytes."),
        "red_eye": refused("no gravity and no filter looks for faces."),
    }
)  # fmt: skip
