"""Read where imgproxy's URLs place things: gravities, focal points and offsets."""

from api.dialects.values import number
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import ATTENTION, FACES, GRAVITIES, LOOKED_FOR
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


def watermark_place(option: str, position: str, across: str, down: str) -> tuple[str, str]:
    """Read a watermark's position and offsets, as our own operation takes them."""
    if position == "re":
        if number(option, across or "0") or number(option, down or "0"):
            raise InvalidOption(option, "a space between repeated pictures is not supported")
        return "repeat", "repeat"
    gravity, focal, _ = place(option, [position])
    if focal or gravity in LOOKED_FOR:
        raise InvalidOption(option, f"position must be one of {', '.join(GRAVITY)} or re")
    at = GRAVITIES[gravity]
    return _edge(option, at[0], across), _edge(option, at[1], down)


def _edge(option: str, share: float, offset: str) -> str:
    """Place a watermark along one side: from the near edge, in the middle, or from the far edge."""
    value = number(option, offset or "0")
    if share == 0.5:
        if value:
            raise InvalidOption(option, "an offset from the middle is not supported")
        return "centre"
    if value < 0:
        raise InvalidOption(option, "an offset beyond the edge is not supported")
    if 0 < value < 1 and round(100 * value, 6) % 1:
        raise InvalidOption(option, "an offset below 1 must be whole per cent of the side")
    sign = "-" if share else ""
    return f"{sign}{round(100 * value)}p" if 0 < value < 1 else f"{sign}{round(value)}"
