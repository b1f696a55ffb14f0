"""imgix's grammar: options in the query, signed by MD5.

    /{path}?w=400&h=300&s={md5 of token + path + "?" + the query before s}

MD5 is what imgix signs with. Whoever knows one signature can compute that of a longer message, but
only with bytes in it that `table.py` lets into no URL; and what comes after `s` is refused.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import parse_qsl, unquote

from api.dialects.errors import BadSignature, UnknownPath
from api.dialects.image_url import ImageUrl, source_of
from api.dialects.rows import Row, accepted, nothing, refused
from api.dialects.signatures import Signed
from api.dialects.values import moment, number, whole
from safelight.formats import WRITABLE_WORDS
from safelight.presets import GRAVITIES
from safelight.wish.arguments import Colour, read_base64
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import Operation, operation
from safelight.wish.options import Crop, Options, Point, Trim

_FITS = {
    "clip": ("inside", True), "max": ("inside", False), "crop": ("cover", True),
    "min": ("cover", False), "scale": ("fill", True), "fill": ("contain", True),
    "fillmax": ("contain", False),
}  # fmt: skip
_FORMATS = {**WRITABLE_WORDS, "pjpg": "jpeg"}
_CROPS = {"left": (0.0, None), "right": (1.0, None), "top": (None, 0.0), "bottom": (None, 1.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imgix:
    """imgix's URLs."""

    NAME: ClassVar[str] = "imgix"
    keys: tuple[str, ...]

    def split(self, path: str, query: str) -> Signed:
        """Take a URL apart. Raises `UnknownPath`, or `BadSignature` for one that is not signed."""
        if len(path) < 2 or not path.startswith("/"):
            raise UnknownPath("expected /PATH?...&s=SIGNATURE")
        before, found, given = f"&{query}".rpartition("&s=")
        if not found or "&" in given:
            raise BadSignature("needs &s= at the end of its query")
        rest = before[1:]
        message = f"{path}?{rest}" if rest else path
        return Signed(given=given, messages=(message,), target=path, query=rest)

    def signature(self, key: str, message: str) -> str:
        """Sign a message."""
        return hashlib.md5(f"{key}{message}".encode(), usedforsecurity=False).hexdigest()

    def join(self, signature: str, target: str, query: str) -> str:
        """Put a URL together."""
        return f"{target}?{f'{query}&' if query else ''}s={signature}"

    def unsigned(self, text: str) -> Signed:
        """Take a path and its query as what is to be signed."""
        path, _, query = text.partition("?")
        return self.split(f"/{path.lstrip('/')}", f"{query}{'&' if query else ''}s=_")

    def read(self, signed: Signed) -> ImageUrl:
        """Read what was signed."""
        draft = Draft()
        for name, text in _pairs(signed.query):
            row = OPTIONS.get(name)
            if row is None:
                known = ", ".join(OPTIONS)
                raise InvalidOption(name[:40], f"is no option that is understood: {known}")
            row.apply(draft, name, [text])
        return ImageUrl(
            dialect=self.NAME,
            source=source_of(unquote(signed.target)),
            options=_options(draft),
            expires=draft.expires,
            download=draft.download,
        )


@dataclass(slots=True)
class Draft:
    """What the options of one URL have said so far."""

    width: float | None = None
    height: float | None = None
    dpr: float = 1
    fit: str = "clip"
    places: list[str] = field(default_factory=list)
    focal_x: float = 0.5
    focal_y: float = 0.5
    rect: tuple[float, float, float, float] | None = None
    turn: int = 0
    flip: str = ""
    trim: str | None = None
    trim_colour: str | None = None
    trim_tolerance: int = 10
    pads: dict[str, int] = field(default_factory=dict)
    background: str = "ffffff"
    done: list[Operation] = field(default_factory=list)
    mask: str | None = None
    radius: int = 0
    quality: int | None = None
    format: str | None = None
    expires: datetime | None = None
    download: str | None = None


def _pairs(query: str) -> list[tuple[str, str]]:
    """Read the query; names that end in 64 have their value in base64."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=40
        )
        plain = [
            (name.removesuffix("64"), read_base64(text).decode() if name.endswith("64") else text)
            for name, text in pairs
        ]
    except ValueError as error:
        raise InvalidOption("query", "expected name=value pairs, at most 40") from error
    if len(dict(plain)) != len(plain):
        raise InvalidOption("query", "says a name twice")
    return plain


def _options(draft: Draft) -> Options:
    fit, enlarge = _FITS[draft.fit]
    gravity, focal = _place(draft)
    options = Options(
        width=_side("w", draft.width),
        height=_side("h", draft.height),
        fit=fit,
        enlarge=enlarge,
        gravity=gravity,
        focal=focal,
        crop=_rect(draft),
        turn=draft.turn,
        flip=draft.flip,
        trim=_trim(draft),
        operations=tuple(_operations(draft)),
        background=draft.background,
        format=draft.format,
        quality=draft.quality,
    )
    return options.scaled(draft.dpr)


def _side(name: str, given: float | None) -> int | None:
    if given is None:
        return None
    if given < 1:
        raise InvalidOption(name, "as a share of the source is not understood; expected pixels")
    return round(given)


def _place(draft: Draft) -> tuple[str, Point | None]:
    if "focalpoint" in draft.places:
        return "centre", (draft.focal_x, draft.focal_y)
    across = down = 0.5
    for word in draft.places:
        x, y = _CROPS[word]
        across, down = across if x is None else x, down if y is None else y
    return next(name for name, at in GRAVITIES.items() if at == (across, down)), None


def _rect(draft: Draft) -> Crop | None:
    if draft.rect is None:
        return None
    left, top, width, height = draft.rect
    return Crop(width=width, height=height, gravity="north-west", offset=(left, top))


def _trim(draft: Draft) -> Trim | None:
    if draft.trim is None:
        return None
    return Trim(
        tolerance=draft.trim_tolerance,
        colour=draft.trim_colour if draft.trim == "color" else None,
    )


def _operations(draft: Draft) -> list[Operation]:
    done = list(draft.done)
    if draft.mask == "ellipse":
        done.append(operation("round", 8192))
    elif draft.mask == "corners" and draft.radius:
        done.append(operation("round", draft.radius))
    if any(draft.pads.values()):
        every = draft.pads.get("pad", 0)
        sides = [
            draft.pads.get(f"pad-{side}", every) for side in ("top", "right", "bottom", "left")
        ]
        done.append(operation("pad", *sides, draft.background))
    return done


def _said(
    field_name: str, reader: Callable[[str, str], object]
) -> Callable[[Draft, list[str]], None]:
    """Read an option into the draft's field of that name."""

    def read(draft: Draft, texts: list[str]) -> None:
        setattr(draft, field_name, reader(field_name, texts[0]))

    return read


def _one_of(*choices: str) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in choices:
            raise InvalidOption(name, f"must be one of {', '.join(choices)}; found {text[:40]!r}")
        return text

    return read


def _colour(_: str, text: str) -> str:
    return str(Colour().check(text))


def _crop(draft: Draft, texts: list[str]) -> None:
    for word in texts[0].split(","):
        if word in ("faces", "entropy", "edges"):
            raise InvalidOption("crop", f"{word} is not looked for; use a side or focalpoint")
        _one_of(*_CROPS, "focalpoint")("crop", word)
        draft.places.append(word)


def _rectangle(draft: Draft, texts: list[str]) -> None:
    left, top, width, height = (number("rect", part) for part in texts[0].split(","))
    draft.rect = (left, top, width, height)


def _turned(draft: Draft, texts: list[str]) -> None:
    draft.turn = whole("orient", _one_of("0", "90", "180", "270")("orient", texts[0]))


def _rotated(draft: Draft, texts: list[str]) -> None:
    angle = number("rot", texts[0])
    draft.done.append(operation("rotate", -angle % 360, draft.background))


def _done(name: str, scale: Callable[[float], float]) -> Callable[[Draft, list[str]], None]:
    def read(draft: Draft, texts: list[str]) -> None:
        value = number(name, texts[0])
        if value:
            draft.done.append(operation(name, scale(value)))

    return read


def _padded(side: str) -> Callable[[Draft, list[str]], None]:
    def read(draft: Draft, texts: list[str]) -> None:
        draft.pads[side] = whole(side, texts[0])

    return read


def _format(draft: Draft, texts: list[str]) -> None:
    draft.format = _FORMATS[_one_of(*_FORMATS)("fm", texts[0])]


def _auto(_: Draft, texts: list[str]) -> None:
    for word in texts[0].split(","):
        _one_of("format", "compress")("auto", word)


def _masked(draft: Draft, texts: list[str]) -> None:
    draft.mask = _one_of("ellipse", "corners")("mask", texts[0])


OPTIONS: Mapping[str, Row[Draft]] = MappingProxyType(
    {
        "w": accepted("pixels", "", _said("width", number)),
        "h": accepted("pixels", "", _said("height", number)),
        "dpr": accepted("factor", "Multiplies sizes and pads.", _said("dpr", number)),
        "fit": accepted("|".join(_FITS), "", _said("fit", _one_of(*_FITS))),
        "crop": accepted("top|bottom|left|right|focalpoint", "Two sides make a corner.", _crop),
        "fp-x": accepted("0..1", "With `crop=focalpoint`.", _said("focal_x", number)),
        "fp-y": accepted("0..1", "With `crop=focalpoint`.", _said("focal_y", number)),
        "rect": accepted("left,top,width,height", "Before resizing.", _rectangle),
        "orient": accepted("0|90|180|270", "Clockwise, before resizing.", _turned),
        "rot": accepted("degrees", "Counter-clockwise, after resizing.", _rotated),
        "flip": accepted("h|v|hv", "Mirrored.", _said("flip", _one_of("h", "v", "hv"))),
        "trim": accepted("auto|color", "", _said("trim", _one_of("auto", "color"))),
        "trim-color": accepted("rrggbb", "", _said("trim_colour", _colour)),
        "trim-tol": accepted("0..255", "", _said("trim_tolerance", whole)),
        "pad": accepted("pixels", "On all sides.", _padded("pad")),
        "pad-top": accepted("pixels", "", _padded("pad-top")),
        "pad-right": accepted("pixels", "", _padded("pad-right")),
        "pad-bottom": accepted("pixels", "", _padded("pad-bottom")),
        "pad-left": accepted("pixels", "", _padded("pad-left")),
        "bg": accepted("rrggbb", "Behind what is transparent, and in pads.",
                       _said("background", _colour)),
        "blur": accepted("0..2000", "Twenty of its units are a pixel of sigma.",
                         _done("blur", lambda value: min(max(value / 20, 0.3), 100))),
        "sharp": accepted("0..100", "", _done("sharpen", lambda value: max(value / 50, 0.1))),
        "bri": accepted("-100..100", "", _done("brightness", float)),
        "con": accepted("-100..100", "", _done("contrast", float)),
        "sat": accepted("-100..100", "", _done("saturation", lambda value: 1 + value / 100)),
        "px": accepted("pixels", "Squares.", _done("pixelate", float)),
        "mask": accepted("ellipse|corners", "", _masked),
        "corner-radius": accepted("pixels", "With `mask=corners`.", _said("radius", whole)),
        "q": accepted("1..100", "", _said("quality", whole)),
        "fm": accepted("|".join(_FORMATS), "Without it the client's Accept decides.", _format),
        "auto": accepted("format,compress", "Is so anyway.", _auto),
        "expires": accepted("seconds", "Refused after this time.", _said("expires", moment)),
        "dl": accepted("name", "Saved under this name.", _said("download", lambda _, text: text)),
        "ixlib": nothing("Names the library that made the URL."),
        "mark": refused("its watermark is a URL, which is not fetched."),
        "txt": refused("no text is drawn."),
        "blend": refused("it is not done."),
        "border": refused("it is not done."),
        "monochrome": refused("it is not done."),
        "faceindex": refused("no gravity looks for faces."),
        "page": refused("only the first page is read."),
    }
)  # fmt: skip
