"""Read and write where imgproxy's URLs place things: gravities, focal points and offsets."""

from api.dialects.values import number
from safelight.wish.arguments import number_text
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import ATTENTION, FACES, GRAVITIES, LOOKED_FOR
from safelight.wish.options import Point

GRAVITY = {
    "ce": "centre", "no": "north", "noea": "north-east", "ea": "east", "soea": "south-east",
    "so": "south", "sowe": "south-west", "we": "west", "nowe": "north-west",
}  # fmt: skip
_WORDS = {gravity: word for word, gravity in GRAVITY.items()}


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


def place_texts(gravity: str, focal: Point | None = None, offset: Point = (0, 0)) -> list[str]:
    """Write a gravity, or a focal point, as `place` reads it."""
    if focal:
        return ["fp", *map(number_text, focal)]
    if gravity in LOOKED_FOR:
        return ["sm"] if gravity == ATTENTION else ["obj", "face"]
    return [_WORDS[gravity], *(map(number_text, offset) if any(offset) else ())]


def mirrored(gravity: str, flip: str) -> str:
    """Mirror a gravity: imgproxy crops after flipping, we crop before."""
    if gravity in LOOKED_FOR:
        return gravity
    across, down = GRAVITIES[gravity]
    at = (1 - across if "h" in flip else across, 1 - down if "v" in flip else down)
    return next(name for name, share in GRAVITIES.items() if share == at)


def mirrored_point(point: Point | None, flip: str) -> Point | None:
    """Mirror a focal point, for the same reason."""
    if point is None:
        return None
    return 1 - point[0] if "h" in flip else point[0], 1 - point[1] if "v" in flip else point[1]


def watermark_texts(across: str, down: str) -> list[str] | None:
    """Write a watermark's place as `watermark_place` reads it; None if imgproxy has no such one."""
    if (across, down) == ("repeat", "repeat"):
        return ["re", "0", "0"]
    if "repeat" in (across, down):
        return None
    (share_x, x), (share_y, y) = _share_and_offset(across), _share_and_offset(down)
    gravity = next(name for name, at in GRAVITIES.items() if at == (share_x, share_y))
    return [_WORDS[gravity], x, y]


def _share_and_offset(place: str) -> tuple[float, str]:
    if place == "centre":
        return 0.5, "0"
    distance = place.removeprefix("-")
    per_cent = distance.endswith("p")
    offset = number_text(int(distance[:-1]) / 100) if per_cent else distance
    return 1 if place.startswith("-") else 0, offset


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
