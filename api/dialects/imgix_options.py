"""The options of imgix's URLs: how each is read, or why it is refused."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from api.dialects.draft import Draft
from api.dialects.rows import Rows, accepted, adds, checks, no_effect, refused, sets
from api.dialects.values import colour, moment, number, one_of, whole
from safelight.formats import WRITABLE_WORDS
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import GRAVITIES
from safelight.wish.operations import Operation, operation
from safelight.wish.options import Crop, Options, Point, Trim

_FITS = {
    "clip": ("inside", True), "max": ("inside", False), "crop": ("cover", True),
    "min": ("cover", False), "scale": ("fill", True), "fill": ("contain", True),
    "fillmax": ("contain", False),
}  # fmt: skip
"""imgix's word -> our own, and whether small pictures are enlarged."""
_FORMATS = {**WRITABLE_WORDS, "pjpg": "jpeg"}
_CROPS = {"left": (0.0, None), "right": (1.0, None), "top": (None, 0.0), "bottom": (None, 1.0)}


@dataclass(slots=True)
class ImgixDraft(Draft):
    """The options read from one URL."""

    enlarge: bool = True
    dpr: float = 1
    places: tuple[str, ...] = ()
    """The words of `crop`."""
    focal_x: float = 0.5
    focal_y: float = 0.5
    trim_by: str | None = None
    """`auto` or `color`."""
    trim_colour: str | None = None
    trim_tolerance: int = 10
    pads: dict[str, int] = field(default_factory=dict)
    mask: str | None = None
    radius: int = 0

    def finished(self) -> Options:
        """Build the wish. Raises an `InvalidOption`."""
        self.gravity, self.focal = self._place()
        self.operations.extend(self._last())
        if self.trim_by is not None:
            like = self.trim_colour if self.trim_by == "color" else None
            self.trim = Trim(tolerance=self.trim_tolerance, colour=like)
        return self.options().scaled(self.dpr)

    def _place(self) -> tuple[str, Point | None]:
        if "focalpoint" in self.places:
            return "centre", (self.focal_x, self.focal_y)
        across = down = 0.5
        for word in self.places:
            x, y = _CROPS[word]
            across, down = across if x is None else x, down if y is None else y
        return next(name for name, at in GRAVITIES.items() if at == (across, down)), None

    def _last(self) -> Iterator[Operation]:
        """List what is done after all other operations."""
        if self.mask == "ellipse":
            yield operation("round", 8192)
        elif self.mask == "corners" and self.radius:
            yield operation("round", self.radius)
        if any(self.pads.values()):
            every = self.pads.get("pad", 0)
            names = ("pad-top", "pad-right", "pad-bottom", "pad-left")
            yield operation("pad", *(self.pads.get(n, every) for n in names), self.background)


def _side(option: str, text: str) -> int:
    given = number(option, text)
    if given < 1:
        name = option[0]
        raise InvalidOption(name, "must be in pixels; a share of the source is not supported")
    return round(given)


def _fit(draft: ImgixDraft, option: str, texts: list[str]) -> None:
    draft.fit, draft.enlarge = _FITS[one_of(*_FITS)(option, *texts)]


def _crop(option: str, text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    for word in words:
        if word in ("faces", "entropy", "edges"):
            raise InvalidOption(option, f"{word} is not supported; use a side or focalpoint")
        one_of(*_CROPS, "focalpoint")(option, word)
    return words


def _rectangle(option: str, text: str) -> Crop:
    left, top, width, height = (number(option, part) for part in text.split(","))
    return Crop(width=width, height=height, gravity="north-west", offset=(left, top))


def _turn(option: str, text: str) -> int:
    return whole(option, one_of("0", "90", "180", "270")(option, text))


def _rotate(draft: ImgixDraft, option: str, texts: list[str]) -> None:
    angle = number(option, *texts)
    draft.operations.append(operation("rotate", -angle % 360, draft.background))


def _scaled(scale: Callable[[float], float] = float) -> Callable[[str, str], Operation | None]:
    """Read a number that one of our own operations takes, on another scale; 0 does nothing."""

    def read(name: str, text: str) -> Operation | None:
        value = number(name, text)
        return operation(name, scale(value)) if value else None

    return read


def _pad(draft: ImgixDraft, option: str, texts: list[str]) -> None:
    draft.pads[option] = whole(option, *texts)


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
        "w": accepted("pixels", "Width.", sets("width", _side, "width")),
        "h": accepted("pixels", "Height.", sets("height", _side, "height")),
        "dpr": accepted("factor", "Multiplies sizes and pads.", sets("dpr", number)),
        "fit": accepted("|".join(_FITS), "How the picture fits the box.", _fit),
        "crop": accepted("top|bottom|left|right|focalpoint", "Two sides make a corner.",
                         sets("places", _crop)),
        "fp-x": accepted("0..1", "With `crop=focalpoint`.", sets("focal_x", number, "focal_x")),
        "fp-y": accepted("0..1", "With `crop=focalpoint`.", sets("focal_y", number, "focal_y")),
        "rect": accepted("left,top,width,height", "Crops before resizing.",
                         sets("crop", _rectangle)),
        "orient": accepted("0|90|180|270", "Clockwise, before resizing.", sets("turn", _turn)),
        "rot": accepted("degrees", "Counter-clockwise, after resizing.", _rotate),
        "flip": accepted("h|v|hv", "Mirrors.", sets("flip", one_of("h", "v", "hv"))),
        "trim": accepted("auto|color", "Trims a border.", sets("trim_by", one_of("auto", "color"))),
        "trim-color": accepted("rrggbb", "With `trim=color`.", sets("trim_colour", colour)),
        "trim-tol": accepted("0..255", "Tolerance of `trim`.",
                             sets("trim_tolerance", whole, "trim_tolerance")),
        "pad": accepted("pixels", "On all sides.", _pad),
        "pad-top": accepted("pixels", "Overrides `pad`.", _pad),
        "pad-right": accepted("pixels", "Overrides `pad`.", _pad),
        "pad-bottom": accepted("pixels", "Overrides `pad`.", _pad),
        "pad-left": accepted("pixels", "Overrides `pad`.", _pad),
        "bg": accepted("rrggbb", "Behind transparent areas and in pads.",
                       sets("background", colour)),
        "blur": accepted("0..2000", "Gaussian blur; 20 units are a sigma of one pixel.",
                         adds(_scaled(lambda value: min(max(value / 20, 0.3), 100)))),
        "sharp": accepted("0..100", "Sharpens lightness only.",
                          adds(_scaled(lambda value: max(value / 50, 0.1)), "sharpen")),
        "bri": accepted("-100..100", "Adds to every colour.", adds(_scaled(), "brightness")),
        "con": accepted("-100..100", "Changes contrast.", adds(_scaled(), "contrast")),
        "sat": accepted("-100..100", "Changes saturation.",
                        adds(_scaled(lambda value: 1 + value / 100), "saturation")),
        "px": accepted("pixels", "Squares of this size.", adds(_scaled(), "pixelate")),
        "mask": accepted("ellipse|corners", "Rounds the picture.",
                         sets("mask", one_of("ellipse", "corners"))),
        "corner-radius": accepted("pixels", "With `mask=corners`.",
                                  sets("radius", whole, "radius")),
        "q": accepted("1..100", "Quality.", sets("quality", whole, "quality")),
        "fm": accepted("|".join(_FORMATS), "Without it the client's Accept header decides.",
                       sets("format", _format)),
        "auto": accepted("format,compress", "No effect: both are the default.", checks(_auto)),
        "expires": accepted("seconds", "Refused after this time since 1970.",
                            sets("expires", moment)),
        "dl": accepted("name", "Downloads under this name.", _download),
        "ixlib": no_effect("names the library that made the URL."),
        "mark": refused("its watermark is a URL; nothing is fetched by HTTP."),
        "txt": refused("drawing text is not supported."),
        "blend": refused("not supported."),
        "border": refused("not supported."),
        "monochrome": refused("not supported."),
        "faceindex": refused("faces are not detected."),
        "page": refused("only the first page is read."),
    },
)  # fmt: skip
