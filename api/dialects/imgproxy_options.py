"""The options of imgproxy's URLs: how each is read, or why it is refused."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from api.dialects.draft import Draft
from api.dialects.imgproxy_places import GRAVITY, place, watermark_place
from api.dialects.rows import Reader, Rows, accepted, checks, no_effect, refused, sets
from api.dialects.values import (
    FORMAT_WORDS,
    colour,
    format_called,
    moment,
    number,
    plain_text,
    whole,
    whole_or_none,
)
from safelight.wish.arguments import read_base64
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import LOOKED_FOR
from safelight.wish.operations import Operation, operation
from safelight.wish.options import Crop, Trim

FITS = {"fit": "inside", "fill": "crop", "fill-down": "cover", "force": "force", "auto": "auto"}
_OWN_FORMULA = "imgproxy Pro does not publish its formula."
_YES, _NO = ("1", "t", "true"), ("0", "f", "false", "")


@dataclass(slots=True)
class ImgproxyDraft(Draft):
    """The options read from one URL. A later option overrides an earlier one."""

    watermark: str | None = None
    """`bucket/key` of the picture that `wm` overlays."""
    marked: Operation | None = None
    zoom: float = 1
    dpr: float = 1
    extend: str | None = None
    """`box` or `ratio`."""
    extend_gravity: str = "centre"
    crop_has_gravity: bool = False
    """Whether `crop` gives a gravity of its own, instead of `g`."""
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    fill: str | None = None
    """Colour behind the picture, as rrggbb."""


def _flag(option: str, text: str) -> bool:
    if text not in (*_YES, *_NO):
        raise InvalidOption(option, f"expected 1, t, true, 0, f or false; found {text[:20]!r}")
    return text in _YES


def _side(option: str, text: str) -> int | None:
    return whole_or_none(option, text) if text else None


def _fit(option: str, word: str) -> str:
    if word not in FITS:
        raise InvalidOption(option, f"must be one of {', '.join(FITS)}; found {word!r}")
    return FITS[word]


def _resize(draft: ImgproxyDraft, _: str, texts: list[str]) -> None:
    resizing, *size = texts
    if resizing:
        draft.fit = _fit("resizing_type", resizing)
    if size:
        _size(draft, "size", size)


def _size(draft: ImgproxyDraft, _: str, texts: list[str]) -> None:
    width, height, enlarge, extend, *gravity = [*texts, *[""] * (4 - len(texts))]
    draft.width, draft.height = _side("width", width), _side("height", height)
    if enlarge:
        draft.enlarge = _flag("enlarge", enlarge)
    if extend:
        _extends("box")(draft, "extend", [extend, *gravity])


def _factor(option: str, *texts: str) -> float:
    factors = {number(option, text) for text in texts}
    if len(factors) != 1 or not 0 < min(factors) <= 8:
        raise InvalidOption(option, "must be one number, above 0 and up to 8, for both sides")
    return factors.pop()


def _extends(to: str) -> Callable[[ImgproxyDraft, str, list[str]], None]:
    """Read an option that fills up to the box or to its ratio."""

    def read(draft: ImgproxyDraft, _: str, texts: list[str]) -> None:
        wanted, *gravity = texts
        draft.extend = to if _flag("extend", wanted) else None
        if gravity:
            draft.extend_gravity, focal, offset = place("extend", gravity)
            if focal or any(offset) or draft.extend_gravity in LOOKED_FOR:
                raise InvalidOption("extend", f"takes one of {', '.join(GRAVITY)}, no offset")

    return read


def _gravity(draft: ImgproxyDraft, option: str, texts: list[str]) -> None:
    draft.gravity, draft.focal, offset = place(option, texts)
    if any(offset):
        raise InvalidOption(option, "supports an offset only in crop; use fp")


def _crop(draft: ImgproxyDraft, option: str, texts: list[str]) -> None:
    width, height, *gravity = [*texts, "0"] if len(texts) == 1 else texts
    crop = Crop(width=number(option, width or "0"), height=number(option, height or "0"))
    if gravity:
        name, focal, offset = place(option, gravity)
        crop = replace(crop, gravity=name, focal=focal, offset=offset)
    draft.crop, draft.crop_has_gravity = crop, bool(gravity)


def _trim(option: str, tolerance: str, like: str = "", *equal: str) -> Trim:
    if any(_flag(option, text) for text in equal):
        raise InvalidOption(option, "each side is trimmed on its own, not equally")
    border = colour(option, like) if like else None
    return Trim(tolerance=min(round(number(option, tolerance)), 255), colour=border)


def _padding(option: str, first: str, *others: str) -> tuple[int, int, int, int]:
    """Read paddings as CSS does: a missing side is as wide as the opposite one."""
    given = [whole(option, text) if text else None for text in (first, *others)]
    top, right, bottom, left, *_ = [*given, None, None, None]
    top = top or 0
    right = top if right is None else right
    return top, right, top if bottom is None else bottom, right if left is None else left


def _turn(option: str, text: str) -> int:
    angle = whole(option, text)
    if angle % 90:
        raise InvalidOption(option, f"must be a multiple of 90; found {text[:20]}")
    return angle % 360


def _flip(option: str, across: str, down: str = "", *_: str) -> str:
    return f"{'h' if _flag(option, across) else ''}{'v' if _flag(option, down) else ''}"


def _background(option: str, *texts: str) -> str | None:
    if texts in ((), ("",)):
        return None
    if len(texts) == 3:
        return bytes(whole(option, text) for text in texts).hex()
    return colour(option, *texts)


def _scaled(scale: Callable[[float], float] = float) -> Reader:
    """Read the one number of an operation, converted to our own scale."""

    def read(draft: Draft, option: str, texts: list[str]) -> None:
        (text,) = texts
        value = number(option, text)
        draft.operations = [each for each in draft.operations if each.name != option]
        if value or option == "saturation":
            draft.operations.append(operation(option, scale(value)))

    return read


def _to_contrast(factor: float) -> float:
    """Convert a factor to our own per cent, whose factor is squared."""
    return round(100 * math.sqrt(max(factor, 0)) - 100, 4)


def _adjust(draft: ImgproxyDraft, _: str, texts: list[str]) -> None:
    for name, text in zip(("br", "co", "sa"), texts, strict=False):
        if text:
            OPTIONS.read(draft, name, [text])


def _watermark(draft: ImgproxyDraft, option: str, texts: list[str]) -> None:
    opacity, position, across, down, scale, *_ = [*texts, *[""] * 5]
    if not draft.watermark:
        raise InvalidOption(option, "no watermark is configured for imgproxy's URLs")
    shown = number(option, opacity)
    if not 0 <= shown <= 1:
        raise InvalidOption(option, f"opacity must be from 0 to 1; found {opacity[:20]}")
    x, y = watermark_place(option, position or "ce", across, down)
    per_cent = round(100 * number(option, scale or "0"), 4)
    mark = operation(
        "watermark", draft.watermark, x, y, round(100 - 100 * shown, 4), per_cent, per_cent
    )
    draft.marked = mark if shown else None


def _format_quality(draft: ImgproxyDraft, option: str, texts: list[str]) -> None:
    for name, value in zip(texts[::2], texts[1::2], strict=True):
        draft.qualities[format_called("format", name)] = whole(option, value)


def _always(why: str) -> Reader:
    """Read a switch that can only be on."""

    def check(option: str, text: str) -> None:
        if not _flag(option, text):
            raise InvalidOption(option, why)

    return checks(check)


def _filename(option: str, name: str, *encoded: str) -> str:
    if encoded and _flag(option, encoded[0]):
        return read_base64(name).decode()
    return name


OPTIONS: Rows[ImgproxyDraft] = Rows(
    "option",
    {
        "rs": accepted("type:width:height:enlarge:extend", "Sets `rt`, `w`, `h`, `el`, `ex`.",
                       _resize, "resize"),
        "s": accepted("width:height:enlarge:extend", "Sets `w`, `h`, `el`, `ex`.", _size, "size"),
        "rt": accepted("fit|fill|fill-down|force|auto", "How the picture fits the box.",
                       sets("fit", _fit), "resizing_type"),
        "w": accepted("pixels", "0 keeps proportions.", sets("width", _side), "width"),
        "h": accepted("pixels", "0 keeps proportions.", sets("height", _side), "height"),
        "z": accepted("factor", "Multiplies the URL's size.", sets("zoom", _factor), "zoom"),
        "dpr": accepted("factor", "Multiplies sizes, paddings and offsets of `wm`.",
                        sets("dpr", number),
                        differs="Below 1, `fill` of a source smaller than its box differs in size.",
                        differs_for=lambda texts: number("dpr", texts[0]) < 1),
        "el": accepted("0|1", "Whether to enlarge.", sets("enlarge", _flag), "enlarge"),
        "ex": accepted("0|1[:gravity]", "Fills up to the size.", _extends("box"), "extend"),
        "exar": accepted("0|1[:gravity]", "Fills up to the aspect ratio.", _extends("ratio"),
                         "extend_aspect_ratio", "extend_ar"),
        "g": accepted("gravity|sm|fp:x:y|obj:face", "Without an offset.", _gravity, "gravity"),
        "c": accepted("width:height[:gravity[:x:y]]", "Crops before resizing.", _crop, "crop"),
        "t": accepted("threshold[:colour]", "Trims each side on its own.", sets("trim", _trim),
                      "trim"),
        "pd": accepted("top:right:bottom:left", "In CSS order.", sets("pads", _padding), "padding"),
        "ar": accepted("1", "No effect: pictures are always upright.",
                       _always("pictures are always upright"), "auto_rotate"),
        "rot": accepted("0|90|180|270", "Clockwise, before resizing.", sets("turn", _turn),
                        "rotate"),
        "fl": accepted("horizontal:vertical", "Mirrors.", sets("flip", _flip), "flip"),
        "bg": accepted("r:g:b|hex", "Flattens onto the colour.", sets("fill", _background),
                       "background"),
        "bl": accepted("sigma", "Gaussian blur.", _scaled(), "blur"),
        "sh": accepted("sigma", "Sharpens lightness only.", _scaled(), "sharpen"),
        "pix": accepted("size", "Squares of this size in pixels.", _scaled(), "pixelate"),
        "a": accepted("brightness:contrast:saturation", "Sets `br`, `co`, `sa`.", _adjust,
                      "adjust"),
        "br": accepted("-255..255", "Adds to every colour.", _scaled(lambda value: value / 2.55),
                       "brightness", differs=_OWN_FORMULA),
        "co": accepted("factor", "Multiplies contrast.", _scaled(_to_contrast), "contrast",
                       differs=_OWN_FORMULA),
        "sa": accepted("factor", "Multiplies saturation.", _scaled(), "saturation",
                       differs=_OWN_FORMULA),
        "wm": accepted("opacity:position:x:y:scale", "Overlays the configured picture.", _watermark,
                       "watermark"),
        "sm": accepted("1", "No effect: metadata is always removed.",
                       _always("metadata is always removed"), "strip_metadata"),
        "kcr": accepted("0|1", "Keeps artist and copyright.", sets("keep_copyright", _flag),
                        "keep_copyright"),
        "scp": accepted("1", "No effect: colours are always sRGB.",
                        _always("colours are always sRGB"), "strip_color_profile"),
        "q": accepted("0..100", "0: the format's default.", sets("quality", whole_or_none),
                      "quality"),
        "fq": accepted("format:quality:...", "Applies if the URL sets the format.", _format_quality,
                       "format_quality"),
        "mb": accepted("bytes", "Lowers the quality until the file fits.",
                       sets("max_bytes", whole_or_none), "max_bytes"),
        "f": accepted(FORMAT_WORDS, "Output format.", sets("format", format_called),
                      "format", "ext"),
        "cb": no_effect("gives another URL for the same picture.", "cachebuster"),
        "exp": accepted("seconds", "Refused after this time since 1970.", sets("expires", moment),
                        "expires"),
        "fn": accepted("name[:base64]", "File name; the format's extension is added.",
                       sets("file_name", _filename), "filename"),
        "att": accepted("0|1", "Downloads instead of displaying.", sets("download", _flag),
                        "return_attachment"),
        "pr": accepted("preset", "A preset of Safelight, without other options.",
                       sets("preset", plain_text), "preset",
                       differs="The preset is the one that Safelight's file declares."),
        "mw": refused("the crop depends on the source; use fill.", "min-width"),
        "mh": refused("the crop depends on the source; use fill.", "min-height"),
        "raw": refused("sources are never delivered unrendered."),
        "skp": refused("every source is rendered.", "skip_processing"),
        "eth": refused("the picture itself is rendered, not its thumbnail.", "enforce_thumbnail"),
        "msr": refused("limits are settings, not options.", "max_src_resolution"),
        "msfs": refused("limits are settings, not options.", "max_src_file_size"),
        "maf": refused("limits are settings, not options.", "max_animation_frames"),
        "mafr": refused("limits are settings, not options.", "max_animation_frame_resolution"),
        "wmu": refused("the watermark is a setting; see `wm`.", "watermark_url"),
        "wmt": refused("drawing text is not supported.", "watermark_text"),
        "pg": refused("only the first page is read.", "page"),
        "fiu": refused("the default picture is a setting.", "fallback_image_url"),
    },
)  # fmt: skip
