"""The options of imgproxy's URLs: how each is read, or why it is refused."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from api.dialects.rows import Row, accepted, nothing, refused
from api.dialects.values import format_called, moment, number, whole
from safelight.presets import ATTENTION, GRAVITIES
from safelight.wish.arguments import Colour, read_base64
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import Operation, operation
from safelight.wish.options import Point, Trim

GRAVITY = {
    "ce": "centre", "no": "north", "noea": "north-east", "ea": "east", "soea": "south-east",
    "so": "south", "sowe": "south-west", "we": "west", "nowe": "north-west",
}  # fmt: skip
FITS = {"fit": "inside", "fill": "crop", "fill-down": "cover", "force": "fill", "auto": "auto"}
_YES, _NO = ("1", "t", "true"), ("0", "f", "false", "")


@dataclass(slots=True)
class Draft:
    """What the options of one URL have said so far; the last one to say a thing counts."""

    watermark: str | None = None
    width: int | None = None
    height: int | None = None
    resizing: str = "fit"
    enlarge: bool = False
    zoom: float = 1
    dpr: float = 1
    extend: str | None = None
    """`box` or `ratio`."""
    extend_gravity: str = "centre"
    gravity: str = "centre"
    focal: Point | None = None
    crop: tuple[float, float] | None = None
    crop_place: "tuple[str, Point | None, Point] | None" = None
    trim: Trim | None = None
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    turn: int = 0
    flip: str = ""
    background: str | None = None
    filters: dict[str, Operation] = field(default_factory=dict)
    laid: tuple[Operation, ...] = ()
    quality: int | None = None
    qualities: dict[str, int] = field(default_factory=dict)
    max_bytes: int | None = None
    format: str | None = None
    keep_copyright: bool = False
    expires: datetime | None = None
    filename: str | None = None
    attached: bool = False
    preset: str | None = None


def _flag(option: str, text: str) -> bool:
    if text not in (*_YES, *_NO):
        raise InvalidOption(option, f"expected 1, t, true, 0, f or false; found {text[:20]!r}")
    return text in _YES


def _side(option: str, text: str) -> int | None:
    return whole(option, text) or None if text else None


def _resize(draft: Draft, texts: list[str]) -> None:
    resizing, *size = texts
    if resizing:
        _resizing(draft, [resizing])
    if size:
        _size(draft, size)


def _resizing(draft: Draft, texts: list[str]) -> None:
    (word,) = texts
    if word not in FITS:
        raise InvalidOption("resizing_type", f"must be one of {', '.join(FITS)}; found {word!r}")
    draft.resizing = word


def _size(draft: Draft, texts: list[str]) -> None:
    width, height, enlarge, extend, *gravity = [*texts, *[""] * (4 - len(texts))]
    draft.width, draft.height = _side("width", width), _side("height", height)
    if enlarge:
        draft.enlarge = _flag("enlarge", enlarge)
    if extend:
        _extend_to("box")(draft, [extend, *gravity])


def _width(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.width = _side("width", text)


def _height(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.height = _side("height", text)


def _zoom(draft: Draft, texts: list[str]) -> None:
    factors = {number("zoom", text) for text in texts}
    if len(factors) != 1 or not 0 < min(factors) <= 8:
        raise InvalidOption("zoom", "must be one number, above 0 and up to 8, for both sides")
    draft.zoom = factors.pop()


def _dpr(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.dpr = number("dpr", text)


def _enlarge(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.enlarge = _flag("enlarge", text)


def _extend_to(what: str) -> Callable[[Draft, list[str]], None]:
    def read(draft: Draft, texts: list[str]) -> None:
        said, *gravity = texts
        draft.extend = what if _flag("extend", said) else None
        if gravity:
            draft.extend_gravity, focal, offset = _place("extend", gravity)
            if focal or any(offset) or draft.extend_gravity == ATTENTION:
                raise InvalidOption("extend", f"takes one of {', '.join(GRAVITY)}, no offset")

    return read


def _place(option: str, texts: list[str]) -> tuple[str, Point | None, Point]:
    """Read a gravity: its name, or a focal point, and its offset."""
    kind, *numbers = texts
    if kind == "sm":
        return ATTENTION, None, (0, 0)
    if kind in ("obj", "objw"):
        raise InvalidOption(
            option, "objects and faces are not looked for; sm looks for what stands out"
        )
    values = [number(option, text or "0") for text in numbers]
    across, down = (*values, 0, 0)[:2]
    if kind == "fp":
        return "centre", (across, down), (0, 0)
    if kind not in GRAVITY:
        known = ", ".join([*GRAVITY, "sm", "fp"])
        raise InvalidOption(option, f"must be one of {known}; found {kind[:20]!r}")
    return GRAVITY[kind], None, (across, down)


def _gravity(draft: Draft, texts: list[str]) -> None:
    draft.gravity, draft.focal, offset = _place("gravity", texts)
    if any(offset):
        raise InvalidOption("gravity", "an offset is understood for crop alone; use fp")


def _crop_area(draft: Draft, texts: list[str]) -> None:
    width, height, *gravity = [*texts, "0"] if len(texts) == 1 else texts
    draft.crop = (number("crop", width or "0"), number("crop", height or "0"))
    draft.crop_place = _place("crop", gravity) if gravity else None


def _trim(draft: Draft, texts: list[str]) -> None:
    tolerance, colour, *equal = [*texts, ""] if len(texts) == 1 else texts
    if any(_flag("trim", text) for text in equal):
        raise InvalidOption("trim", "each side is trimmed for itself, not equally")
    like = str(Colour().check(colour)) if colour else None
    draft.trim = Trim(tolerance=min(round(number("trim", tolerance)), 255), colour=like)


def _padding(draft: Draft, texts: list[str]) -> None:
    top, *rest = [whole("padding", text or "0") if text else None for text in texts]
    right, bottom, left, *_ = [*rest, None, None, None]
    top = top or 0
    right = top if right is None else right
    draft.pads = (
        top, right, top if bottom is None else bottom, right if left is None else left
    )  # fmt: skip


def _rotate(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    angle = whole("rotate", text)
    if angle % 90:
        raise InvalidOption("rotate", f"must be a multiple of 90; found {text[:20]}")
    draft.turn = angle % 360


def _flip(draft: Draft, texts: list[str]) -> None:
    across, down, *_ = [*texts, ""]
    draft.flip = f"{'h' if _flag('flip', across) else ''}{'v' if _flag('flip', down) else ''}"


def _background(draft: Draft, texts: list[str]) -> None:
    if texts in ([], [""]):
        draft.background = None
    elif len(texts) == 3:
        draft.background = bytes(whole("background", text) for text in texts).hex()
    else:
        (digits,) = texts
        draft.background = str(Colour().check(digits))


def _filter(
    name: str, scale: Callable[[float], float] = float
) -> Callable[[Draft, list[str]], None]:
    """Read an option of one number that is one of our operations, on another scale."""

    def read(draft: Draft, texts: list[str]) -> None:
        (text,) = texts
        value = number(name, text)
        draft.filters.pop(name, None)
        if value or name == "saturation":
            draft.filters[name] = operation(name, scale(value))

    return read


def _to_contrast(factor: float) -> float:
    """Turn a factor into the per cent that ours squares."""
    return round(100 * math.sqrt(max(factor, 0)) - 100, 4)


def _adjust(draft: Draft, texts: list[str]) -> None:
    for name, text in zip(("br", "co", "sa"), texts, strict=False):
        if text:
            OPTIONS[name].apply(draft, name, [text])


def _watermark(draft: Draft, texts: list[str]) -> None:
    opacity, position, across, down, scale, *_ = [*texts, *[""] * 5]
    if not draft.watermark:
        raise InvalidOption("watermark", "no watermark picture is set up for imgproxy's URLs")
    shown = number("watermark", opacity)
    if not 0 <= shown <= 1:
        raise InvalidOption("watermark", f"opacity must be from 0 to 1; found {opacity[:20]}")
    x, y = _watermark_place(position or "ce", across, down)
    per_cent = round(100 * number("watermark", scale or "0"), 4)
    laid = operation(
        "watermark", draft.watermark, x, y, round(100 - 100 * shown, 4), per_cent, per_cent
    )
    draft.laid = (laid,) if shown else ()


def _watermark_place(position: str, across: str, down: str) -> tuple[str, str]:
    if position == "re":
        return "repeat", "repeat"
    gravity, focal, _ = _place("watermark", [position])
    if focal or gravity == ATTENTION:
        raise InvalidOption("watermark", f"position must be one of {', '.join(GRAVITY)} or re")
    at = GRAVITIES[gravity]
    return _edge(at[0], across), _edge(at[1], down)


def _edge(share: float, offset: str) -> str:
    """Place it along one side: from the near edge, in the middle, or from the far edge."""
    value = number("watermark", offset or "0")
    if share == 0.5:
        if value:
            raise InvalidOption("watermark", "an offset from the middle is not understood")
        return "centre"
    sign = "-" if share else ""
    amount, unit = (round(100 * value), "p") if abs(value) < 1 else (round(value), "")
    if amount < 0:
        raise InvalidOption("watermark", "an offset beyond the edge is not understood")
    return f"{sign}{amount}{unit if amount else ''}"


def _quality(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.quality = whole("quality", text) or None


def _format_quality(draft: Draft, texts: list[str]) -> None:
    names, values = texts[::2], texts[1::2]
    for name, value in zip(names, values, strict=True):
        draft.qualities[format_called("format", name)] = whole("format_quality", value)


def _max_bytes(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.max_bytes = whole("max_bytes", text) or None


def _format(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.format = format_called("format", text)


def _copyright(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.keep_copyright = _flag("keep_copyright", text)


def _always(option: str, why: str) -> Callable[[Draft, list[str]], None]:
    """Read a switch that can only be on."""

    def read(_: Draft, texts: list[str]) -> None:
        (text,) = texts
        if not _flag(option, text):
            raise InvalidOption(option, why)

    return read


def _expires(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.expires = moment("expires", text)


def _filename(draft: Draft, texts: list[str]) -> None:
    name, *encoded = texts
    if encoded and _flag("filename", encoded[0]):
        name = read_base64(name).decode()
    draft.filename = name


def _attachment(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.attached = _flag("return_attachment", text)


def _preset_named(draft: Draft, texts: list[str]) -> None:
    (draft.preset,) = texts


OPTIONS: Mapping[str, Row[Draft]] = MappingProxyType(
    {
        "rs": accepted("type:width:height:enlarge:extend", "The next four together.", _resize),
        "s": accepted("width:height:enlarge:extend", "The same without a type.", _size),
        "rt": accepted("fit|fill|fill-down|force|auto", "How it fits.", _resizing),
        "w": accepted("pixels", "0: by proportion.", _width),
        "h": accepted("pixels", "0: by proportion.", _height),
        "z": accepted("factor", "Multiplies the size in the URL.", _zoom),
        "dpr": accepted("factor", "Multiplies sizes and paddings.", _dpr),
        "el": accepted("0|1", "Whether it is enlarged.", _enlarge),
        "ex": accepted("0|1[:gravity]", "Filled up to the size.", _extend_to("box")),
        "exar": accepted("0|1[:gravity]", "Filled up to the ratio.", _extend_to("ratio")),
        "g": accepted("gravity|sm|fp:x:y", "Without an offset.", _gravity),
        "c": accepted("width:height[:gravity[:x:y]]", "Before resizing.", _crop_area),
        "t": accepted("threshold[:colour]", "Each side for itself.", _trim),
        "pd": accepted("top:right:bottom:left", "As in CSS.", _padding),
        "ar": accepted("1", "Everything is upright.", _always("auto_rotate", "all is upright")),
        "rot": accepted("0|90|180|270", "Clockwise, before resizing.", _rotate),
        "fl": accepted("horizontal:vertical", "Mirrored.", _flip),
        "bg": accepted("r:g:b|hex", "Laid onto the colour.", _background),
        "bl": accepted("sigma", "", _filter("blur")),
        "sh": accepted("sigma", "", _filter("sharpen")),
        "pix": accepted("size", "", _filter("pixelate")),
        "a": accepted("brightness:contrast:saturation", "The next three together.", _adjust),
        "br": accepted("-255..255", "", _filter("brightness", lambda value: value / 2.55)),
        "co": accepted("factor", "", _filter("contrast", _to_contrast)),
        "sa": accepted("factor", "", _filter("saturation")),
        "wm": accepted("opacity:position:x:y:scale", "The picture that is set up.", _watermark),
        "sm": accepted("1", "Metadata never leaves.",
                       _always("strip_metadata", "metadata never leaves")),
        "kcr": accepted("0|1", "Artist and copyright stay.", _copyright),
        "scp": accepted("1", "Everything is sRGB.",
                        _always("strip_color_profile", "everything is sRGB")),
        "q": accepted("0..100", "0: the format's default.", _quality),
        "fq": accepted("format:quality:...", "Where the URL says the format.", _format_quality),
        "mb": accepted("bytes", "Quality is lowered until it fits.", _max_bytes),
        "f": accepted("webp|jpg|png|avif", "Encoded so.", _format),
        "cb": nothing("Another URL for the same picture."),
        "exp": accepted("seconds", "Refused after this time.", _expires),
        "fn": accepted("name[:base64]", "The name that it is saved under, with `att`.", _filename),
        "att": accepted("0|1", "Saved, not shown.", _attachment),
        "pr": accepted("preset", "One of Safelight's presets, alone.", _preset_named),
        "mw": refused("what it crops depends on the source; use fill."),
        "mh": refused("what it crops depends on the source; use fill."),
        "raw": refused("a source never leaves unrendered."),
        "skp": refused("every source is rendered."),
        "eth": refused("the picture itself is rendered, not its thumbnail."),
        "msr": refused("limits are settings, not options."),
        "msfs": refused("limits are settings, not options."),
        "maf": refused("limits are settings, not options."),
        "mafr": refused("limits are settings, not options."),
        "wmu": refused("the watermark is set up; see `wm`."),
        "wmt": refused("no text is drawn."),
        "pg": refused("only the first page is read."),
        "fiu": refused("the default picture is a setting."),
    }
)  # fmt: skip
LONG_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "resize": "rs", "size": "s", "resizing_type": "rt", "width": "w", "height": "h",
        "zoom": "z", "enlarge": "el", "extend": "ex", "extend_aspect_ratio": "exar",
        "extend_ar": "exar", "gravity": "g", "crop": "c", "trim": "t", "padding": "pd",
        "auto_rotate": "ar", "rotate": "rot", "flip": "fl", "background": "bg", "blur": "bl",
        "sharpen": "sh", "pixelate": "pix", "adjust": "a", "brightness": "br", "contrast": "co",
        "saturation": "sa", "watermark": "wm", "strip_metadata": "sm", "keep_copyright": "kcr",
        "strip_color_profile": "scp", "quality": "q", "format_quality": "fq", "max_bytes": "mb",
        "format": "f", "ext": "f", "cachebuster": "cb", "expires": "exp", "filename": "fn",
        "return_attachment": "att", "preset": "pr", "min-width": "mw", "min-height": "mh",
        "skip_processing": "skp", "enforce_thumbnail": "eth", "page": "pg",
        "watermark_url": "wmu", "watermark_text": "wmt", "fallback_image_url": "fiu",
        "max_src_resolution": "msr", "max_src_file_size": "msfs",
        "max_animation_frames": "maf", "max_animation_frame_resolution": "mafr",
    }
)  # fmt: skip
