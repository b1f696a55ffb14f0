"""A free-form wish: everything that one URL may ask of one picture. Pure, frozen, bounded.

Its steps are applied in this order: make upright, trim, turn, crop, resize, flip, operations in the
order given, encode. Equal wishes are equal values in whatever grammar they were written, and have
one canonical string (`canonical.py`), which determines the asset key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from safelight.formats import BY_NAME, WRITABLE_NAMES
from safelight.wish.arguments import number_text
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import FACES, GRAVITIES, LOOKED_FOR
from safelight.wish.operations import FACE, MAX_OPERATIONS, MAX_SIDE, Operation, operation

MAX_PIXELS = 40_000_000
"""The most pixels of a result, before padding and rotation."""
MAX_BYTES = 64 * 1024**2
"""The largest permitted `max_bytes`, in bytes."""
MAX_DENSITY = 8
"""The largest density of a screen, in device pixels for each pixel of the wish."""
MAX_OFFSET = 65_535
"""The largest coordinate or offset, in pixels."""
FITS: Mapping[str, str] = MappingProxyType(
    {
        "inside": "shrinks to fit into the box",
        "cover": "fills the box and crops the rest; crops a smaller picture to the box's shape",
        "crop": "like `cover`, but a side that is too short keeps its length",
        "contain": "fits into the box and pads to it with the background",
        "fill": "stretches to the size of the box, ignoring the shape",
        "force": "like `fill`, but a box that is larger than the picture shrinks and keeps its "
        "shape",
        "outside": "resizes to the smallest size that covers the box",
        "auto": "`crop` if picture and box are both portrait or neither is, else `inside`",
    }
)
_PLACED = ("cover", "crop", "contain", "auto")
_PLACES = (*GRAVITIES, *LOOKED_FOR)
_TURNS = (0, 90, 180, 270)
_FLIPS = ("", "h", "v", "hv")
_HEX = re.compile(r"[0-9a-f]{6}")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """Cut off a border that resembles a corner of the picture, or a colour."""

    tolerance: int = 10
    """The largest difference in a band that still counts as border, 0 to 255."""
    corner: str = "top-left"
    colour: str | None = None
    """The colour of the border as rrggbb; None takes the colour of the corner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """The part of the picture to keep. Numbers below 1 are shares of a side, others pixels."""

    width: float = 0
    """0 keeps the whole width."""
    height: float = 0
    """0 keeps the whole height."""
    gravity: str = "centre"
    offset: Point = (0, 0)
    """Distance from the edges that the gravity names, in pixels or shares."""
    focal: Point | None = None
    """The point to keep nearest to the middle, in shares of the picture; replaces the gravity."""

    def normal(self) -> "Crop | None":
        """Return the crop without settings that have no effect; None if it keeps everything."""
        width, height = round(self.width, 4), round(self.height, 4)
        if not (width or height):
            return None
        looks = self.focal is not None or self.gravity in LOOKED_FOR
        return Crop(
            width=width,
            height=height,
            gravity="centre" if self.focal else self.gravity,
            offset=(0, 0) if looks else _rounded(self.offset),
            focal=self.focal and _rounded(self.focal),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One wish, with sizes in pixels. Raises an `InvalidOption` for values out of bounds."""

    trim: Trim | None = None
    turn: int = 0
    """Degrees clockwise, a multiple of 90."""
    crop: Crop | None = None
    width: int | None = None
    """Width of the box; None follows from the height."""
    height: int | None = None
    """Height of the box; None follows from the width."""
    fit: str = "inside"
    swap: bool = False
    """Whether the sides of the box are swapped if only box or picture is portrait."""
    gravity: str = "centre"
    focal: Point | None = None
    """The point that fitting keeps nearest to the middle, in shares of the cropped picture; values
    above 1 are pixels of the source."""
    enlarge: bool = False
    density: float = 1
    """Sizes, pads and offsets are multiplied by this, or by less: as far as the picture has pixels
    for it without being enlarged."""
    flip: str = ""
    """`h` swaps left and right, `v` swaps top and bottom, `hv` both."""
    operations: tuple[Operation, ...] = ()
    background: str = "ffffff"
    """The colour that replaces transparency in formats without alpha, and fills padding."""
    format: str | None = None
    """None chooses a format that the client accepts."""
    quality: int | None = None
    """None uses the default of the format."""
    max_bytes: int | None = None
    """The quality is lowered until the file has at most this many bytes, or cannot be lowered."""
    keep_copyright: bool = False

    def __post_init__(self) -> None:
        """Check all bounds, also of what the density makes of them."""
        _check_size(self)
        _check_region(self)
        _check_output(self)
        if not 1 <= self.density <= MAX_DENSITY:
            found = number_text(self.density)
            raise InvalidOption("density", f"must be from 1 to {MAX_DENSITY}; found {found}")
        if self.density != 1:
            self.at_density(self.density)

    @property
    def box(self) -> tuple[int | None, int | None] | None:
        """The box, if at least one side is given."""
        return (self.width, self.height) if self.width or self.height else None

    @property
    def needs_faces(self) -> bool:
        """Whether the faces of the picture must be known."""
        framing = FACES in (self.gravity, self.crop and self.crop.gravity)
        return framing or any(each.name == FACE for each in self.operations)

    @property
    def watermarks(self) -> tuple[str, ...]:
        """The `bucket/key` of each watermark, without duplicates."""
        return tuple(
            dict.fromkeys(str(each.arguments[0]) for each in self.operations
                          if each.name == "watermark")
        )  # fmt: skip

    def in_format(self, name: str) -> "Options":
        """Return the same wish in this format. Raises an `InvalidOption`."""
        return replace(self, format=name)

    def scaled(self, ratio: float) -> "Options":
        """Return the same wish for a denser screen: box, pads, radii and offsets times the ratio.

        Raises an `InvalidOption` for a ratio or a product that is out of bounds.
        """
        if ratio == 1:
            return self
        if not 0 < ratio <= MAX_DENSITY:
            expected = f"must be a number above 0 and up to {MAX_DENSITY}"
            raise InvalidOption("dpr", f"{expected}; found {ratio:g}")
        return replace(
            self,
            width=_times(self.width, ratio),
            height=_times(self.height, ratio),
            operations=tuple(_scaled(each, ratio) for each in self.operations),
        )

    def at_density(self, ratio: float) -> "Options":
        """Return the wish with this ratio in place of its density."""
        return replace(self, density=1).scaled(ratio)

    def normal(self) -> "Options":
        """Return the wish without settings that have no effect: its normal form."""
        if self.density != 1 and (self.enlarge or self.box is None):
            return self.at_density(self.density if self.box else 1).normal()
        boxed, whole = self.box is not None, None in (self.width, self.height)
        fit = self.fit if boxed and not whole else "inside"
        if fit == "force" and self.enlarge:
            fit = "fill"
        places = boxed and fit in _PLACED
        focal = _rounded(self.focal) if self.focal and places and fit != "contain" else None
        return replace(
            self,
            crop=self.crop and self.crop.normal(),
            fit=fit,
            density=round(self.density, 4),
            swap=self.swap and boxed and not whole and self.width != self.height,
            gravity=self.gravity if places and not focal else "centre",
            focal=focal,
            enlarge=self.enlarge and boxed,
            operations=tuple(each for each in self.operations if each.changes_something),
            quality=None if lossless(self.format) else self.quality,
        )


_IN_PIXELS = {
    "pad": range(4), "extend": range(2), "round": range(2), "watermark": range(1, 3),
    FACE: range(1),
}  # fmt: skip
"""Operation -> positions of its arguments that are multiplied by the pixel ratio."""


def _rounded(point: Point) -> Point:
    """Round a point to the precision of its string."""
    return round(point[0], 4), round(point[1], 4)


def _scaled(asked: Operation, ratio: float) -> Operation:
    if asked.name not in _IN_PIXELS:
        return asked
    places = _IN_PIXELS[asked.name]
    arguments = (
        _pixels(value, ratio) if place in places else value
        for place, value in enumerate(asked.arguments)
    )
    return operation(asked.name, *arguments)


def _pixels(value: float | str, ratio: float) -> float | str:
    """Multiply pixels; a place of a watermark that is a word or in per cent stays."""
    if not isinstance(value, str):
        return round(value * ratio)
    sign, digits = ("-", value[1:]) if value.startswith("-") else ("", value)
    return f"{sign}{round(int(digits) * ratio)}" if digits.isdigit() else value


def _times(side: int | None, ratio: float) -> int | None:
    return None if side is None else max(1, round(side * ratio))


def _check_size(options: Options) -> None:
    for name in ("width", "height"):
        side = getattr(options, name)
        if side is not None and not 1 <= side <= MAX_SIDE:
            raise InvalidOption(name, f"must be from 1 to {MAX_SIDE} pixels; found {side}")
    if (options.width or 1) * (options.height or 1) > MAX_PIXELS:
        found = f"{options.width}x{options.height}"
        raise InvalidOption("box", f"must have at most {MAX_PIXELS} pixels; found {found}")
    _check_choice("fit", options.fit, tuple(FITS))
    _check_choice("gravity", options.gravity, _PLACES)
    if options.gravity in LOOKED_FOR and options.fit == "contain":
        found = options.gravity
        raise InvalidOption("gravity", f"{found} needs a fit that crops, and contain does not")
    if len(options.operations) > MAX_OPERATIONS:
        found = str(len(options.operations))
        raise InvalidOption("operations", f"must be at most {MAX_OPERATIONS}; found {found}")
    for each in options.operations:
        width, height = each.arguments[:2] if each.name == "extend" else (0, 0)
        if float(width) * float(height) > MAX_PIXELS:
            raise InvalidOption("extend", f"must have at most {MAX_PIXELS} pixels")


def _check_region(options: Options) -> None:
    _check_choice("turn", options.turn, _TURNS)
    _check_choice("flip", options.flip, _FLIPS)
    if trim := options.trim:
        if not 0 <= trim.tolerance <= 255:
            raise InvalidOption("trim", f"must be from 0 to 255; found {trim.tolerance}")
        _check_choice("trim", trim.corner, ("top-left", "bottom-right"))
        if trim.colour is not None and not _HEX.fullmatch(trim.colour):
            raise InvalidOption("trim", f"expected a colour as rrggbb; found {trim.colour}")
    if crop := options.crop:
        _check_choice("crop", crop.gravity, _PLACES)
        for number in (crop.width, crop.height, *crop.offset):
            if not 0 <= number <= MAX_OFFSET:
                found = number_text(number)
                raise InvalidOption("crop", f"must be from 0 to {MAX_OFFSET}; found {found}")
        if crop.focal and not all(0 <= share <= 1 for share in crop.focal):
            raise InvalidOption("crop", "a focal point must be two numbers from 0 to 1")
    if options.focal and not all(0 <= place <= MAX_OFFSET for place in options.focal):
        raise InvalidOption("focal", f"must be two numbers from 0 to {MAX_OFFSET}")


def _check_output(options: Options) -> None:
    if not _HEX.fullmatch(options.background):
        found = options.background[:40]
        raise InvalidOption("background", f"must be a colour as rrggbb; found {found!r}")
    if options.format is not None:
        _check_choice("format", options.format, WRITABLE_NAMES)
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise InvalidOption("quality", f"must be from 1 to 100; found {options.quality}")
    if options.max_bytes is not None and not 1 <= options.max_bytes <= MAX_BYTES:
        found = str(options.max_bytes)
        raise InvalidOption("max-bytes", f"must be from 1 to {MAX_BYTES}; found {found}")


def lossless(name: str | None) -> bool:
    """Return whether a format is known and has no quality setting."""
    return name is not None and BY_NAME[name].quality is None


def _check_choice(option: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        known = ", ".join(str(choice) for choice in choices if choice != "")
        raise InvalidOption(option, f"must be one of {known}; found {str(value)[:40]!r}")
