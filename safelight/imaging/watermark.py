"""Prepares a watermark and works out its positions on the picture.

Runs in a render child.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import pyvips

from safelight.errors import Rejection, UnusableWatermark
from safelight.formats import BY_NAME
from safelight.imaging.colours import converted
from safelight.imaging.geometry import Size
from safelight.imaging.libvips import open_image
from safelight.imaging.limits import Limits
from safelight.imaging.probe import probe

MAX_PIXELS = 4_000_000
"""The most pixels of a stored watermark: small enough to need no admission."""
_LIMITS = Limits(max_pixels=MAX_PIXELS, max_total_pixels=MAX_PIXELS, max_bytes=8 * 1024**2)
_SPACE = 10
"""The pixels between two repeats if fewer than two fit, as in thumbor."""
_MOST_REPEATS = 100
_FEWER = 6
"""The most repeats along each side if there would be more than `_MOST_REPEATS`, as in thumbor."""


def watermark_at(
    path: Path,
    key: str,
    *,
    transparency: float,
    within: tuple[float | None, float | None],
) -> pyvips.Image:
    """Open a watermark, scaled to fit into `within` (width, height) in pixels, if given.

    Transparency is in per cent. Raises `UnusableWatermark`.
    """
    try:
        known = probe(path, _LIMITS)
        opened = open_image(path, BY_NAME[known.format], accept_damaged=False)
        mark = converted(opened, "srgb").copy_memory()
    except (Rejection, pyvips.Error) as error:
        raise UnusableWatermark(key, str(error)) from error
    if mark.get_typeof("orientation"):
        mark = mark.autorot()
    if not mark.hasalpha():
        mark = mark.bandjoin(255)
    width, height = _size((mark.width, mark.height), within)
    if (width, height) != (mark.width, mark.height):
        light = mark.premultiply().resize(width / mark.width, vscale=height / mark.height)
        mark = light.unpremultiply().cast("uchar")
    alpha = mark.extract_band(3).linear(1 - transparency / 100, 0).rint().cast("uchar")
    shown = mark.extract_band(0, n=3).bandjoin(alpha)
    return shown.copy(interpretation="srgb").copy_memory()


def _size(mark: Size, within: tuple[float | None, float | None]) -> Size:
    limits = (most / side for most, side in zip(within, mark, strict=True) if most)
    scale = min(limits, default=1.0)
    return max(1, round(mark[0] * scale)), max(1, round(mark[1] * scale))


def positions(size: Size, mark: Size, wanted: tuple[str, str]) -> Iterator[Size]:
    """Yield every position of the mark's top left corner, as in thumbor."""
    counts = [_repeats(side, of) if at == "repeat" else (1, 0)
              for side, of, at in zip(size, mark, wanted, strict=True)]  # fmt: skip
    if counts[0][0] * counts[1][0] > _MOST_REPEATS:
        counts = [
            _spread(min(_FEWER, count), side, of)
            for (count, _), side, of in zip(counts, size, mark, strict=True)
        ]
    starts = [
        0 if at == "repeat" else _start(at, side, of)
        for side, of, at in zip(size, mark, wanted, strict=True)
    ]
    for across in range(counts[0][0]):
        for down in range(counts[1][0]):
            yield (
                starts[0] + across * (mark[0] + counts[0][1]),
                starts[1] + down * (mark[1] + counts[1][1]),
            )


def _repeats(side: int, mark: int) -> tuple[int, int]:
    """Return the number of marks along a side, and the space between two."""
    if side / mark < 2:
        return math.ceil(side / mark), _SPACE
    return _spread(side // mark, side, mark)


def _spread(count: int, side: int, mark: int) -> tuple[int, int]:
    return count, max(0, side - count * mark) // (max(count, 2) - 1)


def _start(at: str, side: int, mark: int) -> int:
    if at == "centre":
        return int((side - mark) / 2)
    far, place = at.startswith("-"), at.lstrip("-")
    pixels = round(side * int(place[:-1]) / 100 + 1e-5) if place.endswith("p") else int(place)
    return side - mark - pixels if far else pixels
