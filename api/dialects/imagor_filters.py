"""The filters that imagor carries out differently from thumbor, and those that only it has."""

import math
from types import MappingProxyType

from api.dialects.rows import Rows, accepted, adds, checks, no_effect, refused, sets
from api.dialects.thumbor_filters import FILTERS, Area, ThumborDraft, focal_area, watermark
from api.dialects.values import number, one_of, whole
from safelight.wish.arguments import TRANSPARENT, read_base64
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import Operation, operation

_BASE64 = "b64:"
_quarters = one_of("0", "90", "180", "270")
_SHARPEN_AMOUNT = 2 / 3
"""imagor sharpens edges by 2, which is this share of libvips' default."""


def named_in_base64(option: str, text: str) -> str:
    """Decode a name that is written as `b64:` and base64url; return any other name as it is."""
    if not text.startswith(_BASE64):
        return text
    try:
        return read_base64(text.removeprefix(_BASE64)).decode()
    except ValueError as error:
        raise InvalidOption(option, f"expected base64url; found {text[:40]!r}") from error


def _blur(option: str, radius: str, sigma: str | None = None) -> Operation:
    spread = number(option, radius) / 2 if sigma is None else number(option, sigma)
    return operation("blur", spread)


def _contrast(option: str, text: str) -> Operation:
    amount = min(max(number(option, text) * 2.55, -255), 255)
    factor = 259 * (amount + 255) / (255 * (259 - amount))
    if factor > 4:
        raise InvalidOption(option, f"must be at most 60; found {text[:20]}")
    return operation("contrast", 100 * (math.sqrt(factor) - 1))


def _saturation(option: str, text: str) -> Operation:
    return operation("saturation", 1 + number(option, text) / 100)


def _sharpen(option: str, *texts: str) -> Operation:
    sigma, *_ = texts if len(texts) == 1 else texts[1:]
    return operation("sharpen", 1 + 2 * number(option, sigma), _SHARPEN_AMOUNT)


def _proportion(option: str, text: str) -> Operation:
    given = number(option, text)
    return operation("scale", given / 100 if given > 1 else given)


def _round(option: str, across: str, down: str = "", colour: str = TRANSPARENT) -> Operation:
    radii = whole(option, across), whole(option, down or "0")
    return operation("round", radii[0], 0 if radii[0] == radii[1] else radii[1], colour)


def _rotate(option: str, text: str) -> Operation:
    return operation("rotate", -int(_quarters(option, text)) % 360)  # counter-clockwise


def _orient(option: str, text: str) -> int:
    return -int(_quarters(option, text)) % 360


def _extract(option: str, *texts: str) -> Operation:
    left, top, width, height = (whole(option, text) for text in texts)
    return operation("extract", left, top, width, height)


def _focal(option: str, *texts: str) -> Area | None:
    return focal_area(option, "x".join(texts) if len(texts) == 2 else ",".join(texts))


def _watermark(option: str, key: str, *rest: str) -> Operation:
    if len(rest) not in (3, 5):
        raise ValueError(rest)
    return watermark(option, named_in_base64(option, key), *rest)


def _pixelate(option: str, size: str = "10") -> Operation:
    return operation("pixelate", whole(option, size))


def _coloured(option: str, colour: str) -> str:
    if colour in ("auto", "blur"):
        raise InvalidOption(option, f"by {colour} is not supported; expected a colour or none")
    return TRANSPARENT if colour == "none" else colour


def _padded(draft: ThumborDraft, pads: tuple[int, ...], colour: str) -> None:
    """Add pixels on the sides, and replace transparency by the same colour, as imagor does."""
    draft.operations.append(operation("pad", *pads, colour))
    if colour != TRANSPARENT:
        draft.operations.append(operation("flatten", colour))


def _fill(draft: ThumborDraft, option: str, texts: list[str]) -> None:
    (text,) = texts
    if any(each.name == "rotate" and each.arguments[0] in (90, 270) for each in draft.operations):
        raise InvalidOption(option, "is supported only before rotate, which swaps its sides")
    colour = _coloured(option, text)
    draft.operations.append(operation("extend", draft.width or 0, draft.height or 0, colour))
    _padded(draft, draft.pads, colour)


def _padding(draft: ThumborDraft, option: str, texts: list[str]) -> None:
    colour, *sides = texts
    if len(sides) not in (1, 2, 4):
        raise ValueError(sides)
    left, top, right, bottom = [whole(option, each) for each in sides] * (4 // len(sides))
    _padded(draft, (top, right, bottom, left), _coloured(option, colour))


IMAGORS: Rows[ThumborDraft] = Rows(
    "filter",
    {
        "autojpg": accepted("", "JPEG.", sets("format", lambda _: "jpeg")),
        "blur": accepted("radius or radius,sigma", "Gaussian blur; sigma is half the radius.",
                         adds(_blur)),
        "contrast": accepted("-100..60", "imagor's own formula.", adds(_contrast)),
        "crop": accepted("left,top,width,height", "Cuts out of the resized picture; in pixels.",
                         adds(_extract)),
        "dpi": no_effect("only PDF and SVG have a resolution to choose."),
        "fill": accepted("colour", "Fills up to the size, and colours the padding of the URL.",
                         _fill),
        "focal": accepted("LxT:RxB or X,Y", "Keeps the area near the middle.",
                          adds(_focal, field="focals")),
        "max_frames": accepted("1", "No effect: only the first frame is read.",
                               checks(one_of("1"))),
        "orient": accepted("0|90|180|270", "Counter-clockwise, before cropping and resizing.",
                           sets("turn", _orient),
                           differs="In addition to the EXIF orientation, which imagor ignores."),
        "padding": accepted("colour,all or colour,x,y or colour,left,top,right,bottom",
                            "Adds pixels on each side.", _padding),
        "pixelate": accepted("size", "Squares of this size in pixels.", adds(_pixelate)),
        "preview": no_effect("it only chooses a cache of imagor's."),
        "proportion": accepted("0.01..1 or 1..100", "A share, or per cent above 1.",
                               adds(_proportion)),
        "rotate": accepted("0|90|180|270", "Counter-clockwise.", adds(_rotate)),
        "round_corner": accepted("rx[,ry[,colour]]", "Rounds the corners.", adds(_round)),
        "saturation": accepted("-100..100", "Per cent more or less.", adds(_saturation),
                               differs="In RGB; imagor changes the chroma of LCh."),
        "sharpen": accepted("sigma", "Sharpens lightness.", adds(_sharpen),
                            differs="Flat areas are sharpened less than by imagor."),
        "strip_metadata": no_effect("metadata is always removed."),
        "watermark": accepted("image,x,y,alpha[,w%,h%]",
                              "Overlays an image from an allowed bucket.", adds(_watermark)),
        "hue": refused("not supported."),
        "image": refused("nested URLs are never parsed."),
        "modulate": refused("use brightness and saturation."),
        "text": refused("drawing text is not supported."),
        "trim": refused("is supported only as a part of the path, before resizing."),
    },
)  # fmt: skip
"""The filters whose rows differ from thumbor's."""
_ONLY_THUMBORS = ("convolution", "cover", "curve", "equalize", "extract_focal", "red_eye")
IMAGOR_FILTERS: Rows[ThumborDraft] = Rows(
    "filter",
    MappingProxyType(
        {name: row for name, row in FILTERS.rows.items() if name not in _ONLY_THUMBORS}
        | dict(IMAGORS.rows)
    ),
)
"""All filters of imagor's URLs."""
