"""The options of imgproxy's URLs: how each is read, or why it is refused."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from api.dialects.draft import Draft
from api.dialects.imgproxy_places import GRAVITY, place, watermark_place
from api.dialects.rows import Reader, Rows, accepted, checks, no_effect, refused, sets
from api.dialects.values import (
    colour,
    format_called,
    moment,
    number,
    plain_text,
    whole,
    whole_or_none,
)
from safelight.presets import ATTENTION
from safelight.wish.arguments import read_base64
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import Operation, operation
from safelight.wish.options import Crop, Trim

_FITS = {"fit": "inside", "fill": "crop", "fill-down": "cover", "force": "fill", "auto": "auto"}
_YES, _NO = ("1", "t", "true"), ("0", "f", "false", "")


@dataclass(slots=True)
class ImgproxyDraft(Draft):
    """What the options of one URL say; of two that set the same thing the last one counts."""

    watermark: str | None = None
    """`bucket/key` of the picture that `wm` lays on top."""
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
    filename: str | None = None
    attached: bool = False


def _flag(option: str, text: str) -> bool:
    if text not in (*_YES, *_NO):
        raise InvalidOption(option, f"expected 1, t, true, 0, f or false; found {text[:20]!r}")
    return text in _YES


def _side(option: str, text: str) -> int | None:
    return whole_or_none(option, text) if text else None


def _fit(option: str, word: str) -> str:
    if word not in _FITS:
        raise InvalidOption(option, f"must be one of {', '.join(_FITS)}; found {word!r}")
    return _FITS[word]


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
            if focal or any(offset) or draft.extend_gravity == ATTENTION:
                raise InvalidOption("extend", f"takes one of {', '.join(GRAVITY)}, no offset")

    return read


def _gravity(draft: ImgproxyDraft, option: str, texts: list[str]) -> None:
    draft.gravity, draft.focal, offset = place(option, texts)
    if any(offset):
        raise InvalidOption(option, "an offset is understood for crop alone; use fp")


def _crop(draft: ImgproxyDraft, option: str, texts: list[str]) -> None:
    width, height, *gravity = [*texts, "0"] if len(texts) == 1 else texts
    crop = Crop(width=number(option, width or "0"), height=number(option, height or "0"))
    if gravity:
        name, focal, offset = place(option, gravity)
        crop = replace(crop, gravity=name, focal=focal, offset=offset)
    draft.crop, draft.crop_has_gravity = crop, bool(gravity)


def _trim(option: str, tolerance: str, like: str = "", *equal: str) -> Trim:
    if any(_flag(option, text) for text in equal):
        raise InvalidOption(option, "each side is trimmed for itself, not equally")
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
    """Read a number that our own operation of the option's name takes, on another scale."""

    def read(draft: Draft, option: str, texts: list[str]) -> None:
        (text,) = texts
        value = number(option, text)
        draft.operations = [each for each in draft.operations if each.name != option]
        if value or option == "saturation":
            draft.operations.append(operation(option, scale(value)))

    return read


def _to_contrast(factor: float) -> float:
    """Turn a factor into the per cent that our own operation squares."""
    return round(100 * math.sqrt(max(factor, 0)) - 100, 4)


def _adjust(draft: ImgproxyDraft, _: str, texts: list[str]) -> None:
    for name, text in zip(("br", "co", "sa"), texts, strict=False):
        if text:
            OPTIONS.read(draft, name, [text])


def _watermark(draft: ImgproxyDraft, option: str, texts: list[str]) -> None:
    opacity, position, across, down, scale, *_ = [*texts, *[""] * 5]
    if not draft.watermark:
        raise InvalidOption(option, "no watermark picture is set up for imgproxy's URLs")
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
        "rs": accepted("type:width:height:enlarge:extend", "The next four together.", _resize,
                       "resize"),
        "s": accepted("width:height:enlarge:extend", "The same without a type.", _size, "size"),
        "rt": accepted("fit|fill|fill-down|force|auto", "How it fits.", sets("fit", _fit),
                       "resizing_type"),
        "w": accepted("pixels", "0: by proportion.", sets("width", _side), "width"),
        "h": accepted("pixels", "0: by proportion.", sets("height", _side), "height"),
        "z": accepted("factor", "Multiplies the size in the URL.", sets("zoom", _factor), "zoom"),
        "dpr": accepted("factor", "Multiplies sizes and paddings.", sets("dpr", number)),
        "el": accepted("0|1", "Whether it is enlarged.", sets("enlarge", _flag), "enlarge"),
        "ex": accepted("0|1[:gravity]", "Filled up to the size.", _extends("box"), "extend"),
        "exar": accepted("0|1[:gravity]", "Filled up to the ratio.", _extends("ratio"),
                         "extend_aspect_ratio", "extend_ar"),
        "g": accepted("gravity|sm|fp:x:y", "Without an offset.", _gravity, "gravity"),
        "c": accepted("width:height[:gravity[:x:y]]", "Before resizing.", _crop, "crop"),
        "t": accepted("threshold[:colour]", "Each side for itself.", sets("trim", _trim), "trim"),
        "pd": accepted("top:right:bottom:left", "As in CSS.", sets("pads", _padding), "padding"),
        "ar": accepted("1", "Everything is upright.", _always("all is upright"), "auto_rotate"),
        "rot": accepted("0|90|180|270", "Clockwise, before resizing.", sets("turn", _turn),
                        "rotate"),
        "fl": accepted("horizontal:vertical", "Mirrored.", sets("flip", _flip), "flip"),
        "bg": accepted("r:g:b|hex", "Laid onto the colour.", sets("fill", _background),
                       "background"),
        "bl": accepted("sigma", "", _scaled(), "blur"),
        "sh": accepted("sigma", "", _scaled(), "sharpen"),
        "pix": accepted("size", "", _scaled(), "pixelate"),
        "a": accepted("brightness:contrast:saturation", "The next three together.", _adjust,
                      "adjust"),
        "br": accepted("-255..255", "", _scaled(lambda value: value / 2.55), "brightness"),
        "co": accepted("factor", "", _scaled(_to_contrast), "contrast"),
        "sa": accepted("factor", "", _scaled(), "saturation"),
        "wm": accepted("opacity:position:x:y:scale", "The picture that is set up.", _watermark,
                       "watermark"),
        "sm": accepted("1", "Metadata never leaves.", _always("metadata never leaves"),
                       "strip_metadata"),
        "kcr": accepted("0|1", "Artist and copyright stay.", sets("keep_copyright", _flag),
                        "keep_copyright"),
        "scp": accepted("1", "Everything is sRGB.", _always("everything is sRGB"),
                        "strip_color_profile"),
        "q": accepted("0..100", "0: the format's default.", sets("quality", whole_or_none),
                      "quality"),
        "fq": accepted("format:quality:...", "Where the URL says the format.", _format_quality,
                       "format_quality"),
        "mb": accepted("bytes", "Quality is lowered until it fits.",
                       sets("max_bytes", whole_or_none), "max_bytes"),
        "f": accepted("webp|jpg|png|avif", "Encoded so.", sets("format", format_called), "format",
                      "ext"),
        "cb": no_effect("Another URL for the same picture.", "cachebuster"),
        "exp": accepted("seconds", "Refused after this time.", sets("expires", moment), "expires"),
        "fn": accepted("name[:base64]", "The name that it is saved under, with `att`.",
                       sets("filename", _filename), "filename"),
        "att": accepted("0|1", "Saved, not shown.", sets("attached", _flag), "return_attachment"),
        "pr": accepted("preset", "One of Safelight's presets, alone.", sets("preset", plain_text),
                       "preset"),
        "mw": refused("what it crops depends on the source; use fill.", "min-width"),
        "mh": refused("what it crops depends on the source; use fill.", "min-height"),
        "raw": refused("a source never leaves unrendered."),
        "skp": refused("every source is rendered.", "skip_processing"),
        "eth": refused("the picture itself is rendered, not its thumbnail.", "enforce_thumbnail"),
        "msr": refused("limits are settings, not options.", "max_src_resolution"),
        "msfs": refused("limits are settings, not options.", "max_src_file_size"),
        "maf": refused("limits are settings, not options.", "max_animation_frames"),
        "mafr": refused("limits are settings, not options.", "max_animation_frame_resolution"),
        "wmu": refused("the watermark is set up; see `wm`.", "watermark_url"),
        "wmt": refused("no text is drawn.", "watermark_text"),
        "pg": refused("only the first page is read.", "page"),
        "fiu": refused("the default picture is a setting.", "fallback_image_url"),
    },
)  # fmt: skip
