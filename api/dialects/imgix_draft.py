"""Collect the options of one imgix URL, and build its wish.

imgix applies options in an order of its own: their order in a URL means nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from api.dialects.draft import Draft
from safelight.wish.arguments import TRANSPARENT
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import ATTENTION, FACES, GRAVITIES
from safelight.wish.operations import MAX_SIDE, Operation, operation
from safelight.wish.options import MAX_PIXELS, Options, Point, Trim

FITS: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "clip": ("inside", True),
        "max": ("inside", False),
        "crop": ("cover", True),
        "min": ("cover", False),
        "scale": ("fill", True),
        "fill": ("inside", True),
        "fillmax": ("inside", False),
    }
)
"""imgix's word -> our own, and whether small pictures are enlarged."""
SIDES: Mapping[str, tuple[float | None, float | None]] = MappingProxyType(
    {"left": (0.0, None), "right": (1.0, None), "top": (None, 0.0), "bottom": (None, 1.0)}
)
SEARCHES = (FACES, "entropy", "edges")
"""Words of `crop` that look for the part to keep. They always find one."""
_FILLING = ("fill", "fillmax")
_ORDER = ("brightness", "contrast", "saturation", "blur", "sharpen", "pixelate")


@dataclass(slots=True)
class ImgixDraft(Draft):
    """The options read from one URL."""

    mode: str = "clip"
    """The word of `fit`."""
    dpr: float = 1
    ratio: Fraction | None = None
    """Width to height, of `ar`."""
    places: tuple[str, ...] = ()
    """The words of `crop`."""
    focal_x: float = 0.5
    focal_y: float = 0.5
    trim_by: str | None = None
    """`auto` or `color`."""
    trim_colour: str | None = None
    trim_tolerance: int = 0
    angle: float = 0
    """Degrees counter-clockwise."""
    pivot: bool = False
    """Whether a rotated picture is shown whole, instead of filling its frame."""
    usm: float = 0
    usm_radius: float = 2.5
    behind: str = TRANSPARENT
    """The colour of `bg`."""
    filling: str = ""
    """The word of `fill`."""
    fill_colour: str = TRANSPARENT
    pads: dict[str, int] = field(default_factory=dict)
    mask: str | None = None
    radius: int = 0
    lossless: bool = False

    def finished(self) -> Options:
        """Build the wish. Raises an `InvalidOption`."""
        self.fit, self.enlarge = FITS[self.mode]
        self.gravity, self.focal = self._place()
        if self.trim_by == "color":
            self.trim = Trim(tolerance=self.trim_tolerance, colour=self.trim_colour)
        elif self.trim_by:
            self.trim = Trim()
        if self.lossless and self.format not in ("jpeg", "png"):
            raise InvalidOption("lossless", "is supported for fm=png; WebP is always lossy here")
        dpr = self.dpr if self.width or self.height else 1
        frame = self._frame()
        self.operations = list(self._operations(frame))
        return self.options().scaled(dpr)

    def _place(self) -> tuple[str, Point | None]:
        """Return the gravity, or the focal point, of the first word of `crop` that always holds."""
        first = next(iter(self.places), "")
        if first in SEARCHES:
            return FACES if first == FACES else ATTENTION, None
        if first == "focalpoint":
            return "centre", (self.focal_x, self.focal_y)
        across = down = 0.5
        for word in self.places:
            x, y = SIDES.get(word, (None, None))
            across, down = across if x is None else x, down if y is None else y
        return next(name for name, at in GRAVITIES.items() if at == (across, down)), None

    def _frame(self) -> Operation | None:
        """Apply `ar` to the box, and return the operation that fills up to the frame, if any."""
        ratio = self.ratio if self.mode in ("crop", "fill") else None
        colour = self.behind
        if self.filling == "solid" and self.fill_colour != TRANSPARENT:
            colour = self.fill_colour
        if self.mode in _FILLING and self.filling not in ("", "solid"):
            raise InvalidOption("fill", f"by {self.filling} is not supported; expected solid")
        if ratio and self.width and self.height:
            raise InvalidOption("ar", "is not supported beside both w and h")
        if ratio and self.width:
            self.height = max(1, round(self.width / ratio))
        elif ratio and self.height:
            self.width = max(1, round(self.height * ratio))
        elif ratio and self.mode == "crop":
            # Nothing is larger than this box, so the picture is cropped and keeps its scale.
            self.width, self.height = _largest(ratio)
            self.enlarge = False
        elif ratio:
            return operation("extend", *_largest(ratio), colour, "centre", "ratio")
        if self.mode in _FILLING and self.width and self.height:
            return operation("extend", self.width, self.height, colour)
        return None

    def _operations(self, frame: Operation | None) -> Iterator[Operation]:
        """List the operations after resizing."""
        if self.angle % 360:
            if self.angle % 180 and not self.pivot:
                raise InvalidOption("rot", "is supported with rot-type=pivot, and for 180 degrees")
            yield operation("rotate", -self.angle % 360)
        if self.usm:
            # The amount in per cent, times 3 at edges, is the slope of our own sharpening.
            self.operations.append(operation("sharpen", self.usm_radius, self.usm / 300))
        yield from sorted(self.operations, key=lambda each: _ORDER.index(each.name))
        if frame:
            yield frame
        if self.mask == "ellipse":
            yield operation("round", MAX_SIDE)
        elif self.mask == "corners":
            if not self.radius:
                raise InvalidOption("corner-radius", "must be given with mask=corners, in pixels")
            yield operation("round", self.radius)
        if any(self.pads.values()):
            every = self.pads.get("pad", 0)
            names = ("pad-top", "pad-right", "pad-bottom", "pad-left")
            yield operation("pad", *(self.pads.get(n, every) for n in names), self.behind)
        if self.behind != TRANSPARENT:
            yield operation("flatten", self.behind)


def _largest(ratio: Fraction) -> tuple[int, int]:
    """Return the largest box of a ratio: a multiple of its numbers if it has room for one."""
    wide, high = ratio.numerator, ratio.denominator
    scale = min(MAX_SIDE / max(wide, high), math.sqrt(MAX_PIXELS / (wide * high)))
    scale = int(scale) if scale >= 1 else scale
    return max(1, int(wide * scale)), max(1, int(high * scale))
