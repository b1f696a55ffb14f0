"""Read where imgproxy's URLs place things: gravities, focal points and offsets."""

from dataclasses import dataclass

from api.dialects.values import number
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import ATTENTION, FACES, GRAVITIES, LOOKED_FOR
from safelight.wish.operations import Operation, operation
from safelight.wish.options import Point

GRAVITY = {
    "ce": "centre", "no": "north", "noea": "north-east", "ea": "east", "soea": "south-east",
    "so": "south", "sowe": "south-west", "we": "west", "nowe": "north-west",
}  # fmt: skip


def place(option: str, texts: list[str]) -> tuple[str, Point | None, Point]:
    """Read a gravity: its name, or a focal point, and its offset."""
    kind, *numbers = texts
    if kind == "sm":
        return ATTENTION, None, (0, 0)
    if kind == "obj" and numbers == ["face"]:
        return FACES, None, (0, 0)
    if kind in ("obj", "objw"):
        raise InvalidOption(option, "of objects, only obj:face is supported, without other classes")
    values = [number(option, text or "0") for text in numbers]
    across, down = (*values, 0, 0)[:2]
    if kind == "fp":
        return "centre", (across, down), (0, 0)
    if kind not in GRAVITY:
        known = ", ".join([*GRAVITY, "sm", "fp"])
        raise InvalidOption(option, f"must be one of {known}; found {kind[:20]!r}")
    return GRAVITY[kind], None, (across, down)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A watermark's place along one side."""

    word: str = ""
    """`centre` or `repeat`; empty for an offset from an edge."""
    far: bool = False
    """Whether the offset is from the right or bottom edge."""
    offset: float = 0
    """Pixels, or a share of the side if below 1."""

    def text(self, dpr: float) -> str:
        """Write it as our own operation takes it, with pixels of a screen of this density."""
        if self.word:
            return self.word
        sign = "-" if self.far else ""
        if 0 < self.offset < 1:
            return f"{sign}{round(100 * self.offset)}p"
        return f"{sign}{round(self.offset * dpr)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The watermark of one URL."""

    x: Edge
    y: Edge
    transparency: float
    """Per cent."""
    per_cent: float
    """Its size, in per cent of the picture; 0 keeps its own."""

    def operation(self, key: str, dpr: float) -> Operation | None:
        """Return the operation that overlays it, with its offsets in device pixels."""
        if self.transparency == 100:
            return None
        x, y = self.x.text(dpr), self.y.text(dpr)
        return operation("watermark", key, x, y, self.transparency, self.per_cent, self.per_cent)


def watermark_place(option: str, position: str, across: str, down: str) -> tuple[Edge, Edge]:
    """Read a watermark's position and offsets."""
    if position == "re":
        if number(option, across or "0") or number(option, down or "0"):
            raise InvalidOption(option, "a space between repeated pictures is not supported")
        return Edge(word="repeat"), Edge(word="repeat")
    gravity, focal, _ = place(option, [position])
    if focal or gravity in LOOKED_FOR:
        raise InvalidOption(option, f"position must be one of {', '.join(GRAVITY)} or re")
    at = GRAVITIES[gravity]
    return _edge(option, at[0], across), _edge(option, at[1], down)


def _edge(option: str, share: float, offset: str) -> Edge:
    """Place a watermark along one side: from the near edge, in the middle, or from the far edge."""
    value = number(option, offset or "0")
    if share == 0.5:
        if value:
            raise InvalidOption(option, "an offset from the middle is not supported")
        return Edge(word="centre")
    if value < 0:
        raise InvalidOption(option, "an offset beyond the edge is not supported")
    if 0 < value < 1 and round(100 * value, 6) % 1:
        raise InvalidOption(option, "an offset below 1 must be whole per cent of the side")
    return Edge(far=share == 1, offset=value)
