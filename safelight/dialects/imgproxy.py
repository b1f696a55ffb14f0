"""imgproxy's grammar.

    /{signature}/{option}:{argument}:.../{option}.../plain/{source}[@{extension}]
    /{signature}/{option}.../{source in base64url, slashes wherever}[.{extension}]

The signature is base64url without padding of HMAC-SHA256(key, salt + path), the path with its
leading slash. Keys and salts are hexadecimal and never empty. Like there, the order of options
says nothing: a later one replaces an earlier one, and what is done is done in imgproxy's order.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import unquote

from safelight.dialects.arguments import Colour, read_base64
from safelight.dialects.errors import InvalidOption, UnknownPath
from safelight.dialects.operations import Operation, operation
from safelight.dialects.options import Crop, Options, Point, Trim
from safelight.dialects.request import Request, moment, number, source_of, whole
from safelight.dialects.rows import Row, accepted, nothing, refused
from safelight.dialects.signatures import Signed, base64url, digest
from safelight.presets import ATTENTION, GRAVITIES

GRAVITY = {
    "ce": "centre", "no": "north", "noea": "north-east", "ea": "east", "soea": "south-east",
    "so": "south", "sowe": "south-west", "we": "west", "nowe": "north-west",
}  # fmt: skip
_FITS = {"fit": "inside", "fill": "crop", "fill-down": "cover", "force": "fill", "auto": "auto"}
_FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "avif": "avif"}
_YES, _NO = ("1", "t", "true"), ("0", "f", "false", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imgproxy:
    """imgproxy's URLs."""

    NAME: ClassVar[str] = "imgproxy"
    keys: tuple[str, ...]
    """Pairs `key:salt`, hexadecimal."""
    signature_size: int | None = None
    """Bytes that a signature is cut to."""
    watermark: str | None = None
    """`bucket/key` of the picture that `wm` lays on top."""

    def split(self, path: str, query: str) -> Signed:
        """Take a URL apart. Raises `UnknownPath`."""
        given, slash, rest = path.lstrip("/").partition("/")
        if not slash or not rest:
            raise UnknownPath("expected /SIGNATURE/OPTIONS/SOURCE")
        return Signed(given=unquote(given), messages=(f"/{rest}",), target=rest, query=query)

    def signature(self, key: str, message: str) -> str:
        """Sign a message with a key and its salt."""
        secret, _, salt = key.partition(":")
        raw = digest(bytes.fromhex(secret), bytes.fromhex(salt) + message.encode(), "sha256")
        return base64url(raw[: self.signature_size]).rstrip("=")

    def join(self, signature: str, target: str, query: str) -> str:
        """Put a URL together."""
        return f"/{signature}/{target}{f'?{query}' if query else ''}"

    def unsigned(self, text: str) -> Signed:
        """Take a path as what is to be signed."""
        return self.split(f"/_/{text.lstrip('/')}", "")

    def read(self, signed: Signed) -> Request:
        """Read what was signed."""
        words, source, extension = _taken_apart(signed.target)
        draft = Draft(watermark=self.watermark)
        for word in words:
            name, *texts = word.split(":")
            row = OPTIONS.get(LONG_NAMES.get(name, name))
            if row is None:
                raise InvalidOption(name[:40], f"is no option that is understood: {_known()}")
            row.apply(draft, name, [unquote(text) for text in texts])
        if extension:
            draft.format = _format_named(extension)
        return Request(
            dialect=self.NAME,
            source=source_of(source),
            options=_options(draft),
            preset=_preset(draft, words),
            expires=draft.expires,
            download=draft.filename or "" if draft.attached else None,
        )


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


def _taken_apart(target: str) -> tuple[list[str], str, str]:
    """Cut a path into options, the source and its extension."""
    before, plain, source = f"/{target}".partition("/plain/")
    if plain:
        words = [unquote(word) for word in before.split("/") if word]
        escaped, _, extension = source.partition("@")
        return words, unquote(escaped), unquote(extension)
    parts = target.split("/")
    at = next((place for place, part in enumerate(parts) if ":" not in unquote(part)), len(parts))
    words = [unquote(part) for part in parts[:at]]
    encoded, _, extension = "".join(parts[at:]).partition(".")
    if encoded.startswith("enc") and parts[at] == "enc":
        raise InvalidOption("enc", "encrypted sources are not understood")
    try:
        return words, read_base64(encoded).decode(), extension
    except ValueError as error:
        message = "expected plain/KEY, or a key as URL-safe base64; or is an option without its :?"
        raise InvalidOption("source", f"{message} found {encoded[:60]!r}") from error


def _options(draft: Draft) -> Options:
    options = Options(
        trim=draft.trim,
        turn=draft.turn,
        crop=_crop(draft),
        width=_zoomed(draft.width, draft.zoom),
        height=_zoomed(draft.height, draft.zoom),
        fit=_FITS[draft.resizing],
        gravity=_mirrored(draft.gravity, draft.flip),
        focal=_mirrored_point(draft.focal, draft.flip),
        enlarge=draft.enlarge,
        flip=draft.flip,
        operations=tuple(_operations(draft)),
        format=draft.format,
        quality=draft.quality or draft.qualities.get(draft.format or ""),
        max_bytes=draft.max_bytes,
        keep_copyright=draft.keep_copyright,
    )
    if draft.qualities and draft.format is None:
        raise InvalidOption("format_quality", "needs a format in the URL")
    return options.scaled(draft.dpr)


def _operations(draft: Draft) -> list[Operation]:
    """List what is done after resizing, in imgproxy's own order."""
    done = [draft.filters[name] for name in _FILTER_ORDER if name in draft.filters]
    colour = draft.background or "transparent"
    if draft.extend:
        if not draft.width or not draft.height:
            raise InvalidOption("extend", "needs a width and a height")
        wide, high = _zoomed(draft.width, draft.zoom), _zoomed(draft.height, draft.zoom)
        gravity = draft.extend_gravity
        done.append(operation("extend", wide or 0, high or 0, colour, gravity, draft.extend))
    if any(draft.pads):
        done.append(operation("pad", *draft.pads, colour))
    if draft.background:
        done.append(operation("flatten", draft.background))
    return [*done, *draft.laid]


_FILTER_ORDER = ("blur", "sharpen", "pixelate", "brightness", "contrast", "saturation")


def _zoomed(side: int | None, zoom: float) -> int | None:
    return None if side is None else max(1, round(side * zoom))


def _crop(draft: Draft) -> Crop | None:
    if draft.crop is None:
        return None
    gravity, focal, offset = draft.crop_place or (draft.gravity, draft.focal, (0, 0))
    width, height = draft.crop
    return Crop(width=width, height=height, gravity=gravity, focal=focal, offset=offset)


def _mirrored(gravity: str, flip: str) -> str:
    """Find what a gravity of the flipped picture is in the picture before, where we crop."""
    if gravity == ATTENTION:
        return gravity
    across, down = GRAVITIES[gravity]
    place = (1 - across if "h" in flip else across, 1 - down if "v" in flip else down)
    return next(name for name, at in GRAVITIES.items() if at == place)


def _mirrored_point(point: Point | None, flip: str) -> Point | None:
    if point is None:
        return None
    return 1 - point[0] if "h" in flip else point[0], 1 - point[1] if "v" in flip else point[1]


def _preset(draft: Draft, words: list[str]) -> str | None:
    if draft.preset is not None and len(words) > 1:
        raise InvalidOption("preset", "stands alone: a preset is a whole wish")
    return draft.preset


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
    if word not in _FITS:
        raise InvalidOption("resizing_type", f"must be one of {', '.join(_FITS)}; found {word!r}")
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
        draft.qualities[_format_named(name)] = whole("format_quality", value)


def _max_bytes(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.max_bytes = whole("max_bytes", text) or None


def _format_named(text: str) -> str:
    if text not in _FORMATS:
        raise InvalidOption("format", f"must be one of {', '.join(_FORMATS)}; found {text[:20]!r}")
    return _FORMATS[text]


def _format(draft: Draft, texts: list[str]) -> None:
    (text,) = texts
    draft.format = _format_named(text)


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


def _known() -> str:
    return ", ".join(OPTIONS)


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
