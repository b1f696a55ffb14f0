"""Where a picture ends up: how a fit scales it into a box, what it cuts off or pads. Pure."""

from safelight.presets import ATTENTION, GRAVITIES, Preset

Size = tuple[int, int]
"""Width and height, or across and down, in pixels."""


def _inside(source: Size, box: Size, most: float) -> tuple[Size, Size]:
    scaled = within(source, box, most)
    return scaled, scaled


def _contain(source: Size, box: Size, most: float) -> tuple[Size, Size]:
    return within(source, box, most), box


def _cover(source: Size, box: Size, most: float) -> tuple[Size, Size]:
    """Fill the box; a source that may not be enlarged to it fills a smaller box of its shape."""
    size = box if most > 1 else within(box, source)
    scale = max(size[0] / source[0], size[1] / source[1])
    scaled = _scaled(source, min(scale, most))
    return (max(scaled[0], size[0]), max(scaled[1], size[1])), size


FITS = {"inside": _inside, "contain": _contain, "cover": _cover}


def within(source: Size, box: Size, most: float = 1) -> Size:
    """Scale a size into a box, aspect kept, by `most` at most."""
    width, height = _scaled(source, min(box[0] / source[0], box[1] / source[1], most))
    return min(width, box[0]), min(height, box[1])


def _scaled(source: Size, scale: float) -> Size:
    return max(1, round(source[0] * scale)), max(1, round(source[1] * scale))


def offset(preset: Preset, scaled: Size, size: Size) -> Size | None:
    """Place what is cropped or padded: by the focal point if there is one, else by gravity."""
    if preset.gravity == ATTENTION:
        return None if scaled != size else (0, 0)
    room = (abs(scaled[0] - size[0]), abs(scaled[1] - size[1]))
    if preset.focal is None:
        across, down = GRAVITIES[preset.gravity]
        return int(room[0] * across), int(room[1] * down)
    left, top = (
        min(max(round(focal * long - short / 2), 0), most)
        for focal, long, short, most in zip(preset.focal, scaled, size, room, strict=True)
    )
    return left, top
