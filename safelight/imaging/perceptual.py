"""Finds the lowest quality at which a variant still looks like its picture.

The measure is SSIMULACRA 2: 90 is hard to distinguish from the original, 70 is high quality, 50
medium. It is taken on a sample: up to 16 evenly spread tiles of 64 x 64 pixels, joined, encoded and
decoded. Each tile has its own score, and a low percentile of the scores counts. With a mean, flat
areas would hide damage in busy ones.

SSIMULACRA 2 (J. Sneyers, Cloudinary, 2022 to 2023, https://github.com/cloudinary/ssimulacra2) is
used with these differences: averages are over a tile; only the 25 of its 108 weights above 0.01 are
used, so the smallest scale is left out; a Gaussian of eleven taps replaces its blur.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import pyvips

MAX_ENCODES = 7
"""The most encodes of a sample for one variant: a binary search from 1 to 100, and its result."""
STEP = 2
"""The distance between the qualities that are tried; it changes the score by about one point."""
TILE = 64
MAX_TILES_ACROSS = 4
SAMPLE_PIXELS = (MAX_TILES_ACROSS * TILE) ** 2
"""The most pixels in one encode of a search."""
SEARCH_BYTES = 24 * 1024**2
"""The memory of a search in bytes."""
PERCENTILE = 10
"""The percentile of the tiles' scores that must reach the target."""

_SRGB_KNEE, _SRGB_SLOPE, _SRGB_OFFSET, _SRGB_POWER = 0.04045, 12.92, 0.055, 2.4
_OPSIN = ((0.3, 0.622, 0.078), (0.23, 0.692, 0.078), (0.243422689, 0.204767444, 0.551809867))
"""The matrix from linear RGB to the responses of the eye's cones (JPEG XL, 18181-1)."""
_OPSIN_BIAS = 0.0037930732552754493
_XYB = ((7.0, -7.0, 0.0), (0.5, 0.5, 0.0), (-0.5, -0.5, 1.0))
"""The matrix from cube roots to red-green X, light Y and blue-yellow B - Y; X is scaled by 14."""
_XYB_OFFSETS = (0.42, 0.01 - _OPSIN_BIAS ** (1 / 3), 0.55)
"""Offsets that make all three channels positive, and black zero."""
_BLUR_SIGMA, _BLUR_LEAST = 1.5, 0.02
_C2 = 0.0009
_GREY = (128, 128, 128)
"""The background of transparent variants for the comparison."""

_X, _Y, _B = range(3)


class _Row(NamedTuple):
    """The weights of one channel's map of differences."""

    channel: int
    of_mean: float
    of_norm: float
    """The weight of the fourth root of the mean fourth power."""


_ROWS: Mapping[tuple[int, str], Sequence[_Row]] = {
    (0, "structure"): [_Row(_Y, 0, 7.4669)],
    (0, "lost"): [_Row(_Y, 0, 17.4458)],
    (1, "structure"): [_Row(_X, 0, 1.1042), _Row(_Y, 0, 6.6837)],
    (1, "lost"): [_Row(_Y, 0, 1.0279)],
    (2, "structure"): [_Row(_X, 0, 1.8422), _Row(_Y, 225.2052, 19.2132)],
    (2, "added"): [_Row(_X, 0, 11.4412)],
    (3, "structure"): [_Row(_X, 0, 1.8788), _Row(_Y, 176.3932, 24.4330), _Row(_B, 0, 8.8270)],
    (3, "added"): [_Row(_X, 0, 10.9491), _Row(_Y, 0, 0.2852), _Row(_B, 0, 23.1924)],
    (4, "structure"): [_Row(_Y, 0, 34.7791), _Row(_B, 95.1080, 0)],
    (4, "added"): [_Row(_X, 0.9678, 0.9982), _Row(_Y, 0, 44.8356), _Row(_B, 0.9864, 171.2667)],
    (4, "lost"): [_Row(_B, 0.9834, 0.9808)],
}
"""Weights by scale, each half of the one before, and kind of difference. Scale 0 has only Y."""
_SCALES = 1 + max(scale for scale, _ in _ROWS)

Encode = Callable[[pyvips.Image, int], bytes]
Decode = Callable[[bytes], pyvips.Image]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The target and the bounds of a search."""

    target: int
    """The wanted score in points of SSIMULACRA 2."""
    least: int
    most: int
    """The highest quality, used if none reaches the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The result of a search."""

    quality: int
    score: float
    """The score of the sample at this quality: the percentile of its tiles."""


def lowest_quality(image: pyvips.Image, search: Search, encode: Encode, decode: Decode) -> Found:
    """Find the lowest quality at which an 8-bit sRGB picture's score reaches the target.

    A binary search, which assumes that a higher quality never scores lower. The same pixels give
    the same result. Raises `pyvips.Error` if the encoder does.
    """
    sample = _sample(image)
    original = _Compared(sample)
    scores: dict[int, float] = {}

    def score(quality: int) -> float:
        scores[quality] = original.score(decode(encode(sample, quality)))
        return scores[quality]

    qualities = range(search.most, search.least - 1, -STEP)[::-1]
    least, most = 0, len(qualities) - 1
    while least < most:
        middle = (least + most) // 2
        if score(qualities[middle]) >= search.target:
            most = middle
        else:
            least = middle + 1
    quality = qualities[most]
    return Found(quality=quality, score=scores[quality] if quality in scores else score(quality))


def _sample(image: pyvips.Image) -> pyvips.Image:
    """Lay tiles of a picture side by side; one narrower than a tile is mirrored up to it."""
    width, height = max(image.width, TILE), max(image.height, TILE)
    if (width, height) != (image.width, image.height):
        image = image.embed(0, 0, width, height, extend="mirror")
    lefts, tops = _places(width), _places(height)
    tiles = [image.crop(left, top, TILE, TILE) for top in tops for left in lefts]
    return pyvips.Image.arrayjoin(tiles, across=len(lefts)).copy_memory()


def _places(side: int) -> list[int]:
    """Spread tiles evenly over a side, from one end to the other."""
    count = min(side // TILE, MAX_TILES_ACROSS)
    room = side - TILE
    return [room // 2] if count == 1 else [room * place // (count - 1) for place in range(count)]


class _Compared:
    """A sample, prepared for comparison with its encoded versions."""

    def __init__(self, sample: pyvips.Image) -> None:
        self._scales = [_Scale(planes) for planes in _planes(sample)]

    def score(self, decoded: pyvips.Image) -> float:
        """Return the percentile of the tiles' scores."""
        scores = sorted(self.tiles(decoded))
        return scores[len(scores) * PERCENTILE // 100]

    def tiles(self, decoded: pyvips.Image) -> list[float]:
        """Score each tile, row by row."""
        differences: defaultdict[int, float] = defaultdict(float)
        for scale, planes in enumerate(_planes(decoded)):
            for kind, plane in self._scales[scale].differences(planes).items():
                rows = _ROWS.get((scale, kind), ())
                for tile, difference in enumerate(_weighed(plane, rows, scale) if rows else ()):
                    differences[tile] += difference
        return [_points(difference) for difference in differences.values()]


class _Scale:
    """The channels of an original at one scale, as bands."""

    def __init__(self, planes: pyvips.Image) -> None:
        self._planes = planes
        self._means = _blurred(planes)
        self._variances = (_blurred(planes * planes) - self._means * self._means).copy_memory()
        self._detail = ((planes - self._means).abs() + 1).copy_memory()
        self._nothing = planes.linear(0, 0).copy_memory()

    def differences(self, others: pyvips.Image) -> Mapping[str, pyvips.Image]:
        """Return maps of different structure, of added edges and of lost detail.

        They are lazy: unused maps are not computed.
        """
        means = _blurred(others)
        variances = _blurred(others * others) - means * means
        covariances = _blurred(self._planes * others) - self._means * means
        shift = self._means - means
        both = self._variances + variances + _C2
        unlike = 1 - (1 - shift * shift) * (covariances * 2 + _C2) / both
        edges = ((others - means).abs() + 1) / self._detail - 1
        return {
            "structure": unlike.maxpair(self._nothing),
            "added": edges.maxpair(self._nothing),
            "lost": (edges * -1).maxpair(self._nothing),
        }


def _planes(image: pyvips.Image) -> Iterator[pyvips.Image]:
    """Convert a picture to XYB at each scale; at full size only Y is used."""
    if image.hasalpha():
        image = image.flatten(background=_GREY)
    light = image.maplut(_linear()).copy_memory()
    for scale in range(_SCALES):
        if scale:
            light = light.shrink(2, 2).copy_memory()
        roots = (light.recomb(_matrix(_OPSIN)) + _OPSIN_BIAS) ** (1 / 3)
        xyb = roots.recomb(_matrix(_XYB)) + list(_XYB_OFFSETS)
        yield (xyb if scale else xyb.extract_band(_Y)).copy_memory()


@cache
def _matrix(rows: Sequence[Sequence[float]]) -> pyvips.Image:
    return pyvips.Image.new_from_array([list(row) for row in rows]).copy_memory()


@cache
def _linear() -> pyvips.Image:
    """Make the table from sRGB to linear light, 0 to 1 (IEC 61966-2-1)."""
    encoded = [value / 255 for value in range(256)]
    return pyvips.Image.new_from_array(
        [
            [
                value / _SRGB_SLOPE
                if value <= _SRGB_KNEE
                else ((value + _SRGB_OFFSET) / (1 + _SRGB_OFFSET)) ** _SRGB_POWER
                for value in encoded
            ]
        ]
    ).cast("float")


def _blurred(plane: pyvips.Image) -> pyvips.Image:
    return plane.gaussblur(_BLUR_SIGMA, min_ampl=_BLUR_LEAST, precision="float").copy_memory()


def _not_negative(plane: pyvips.Image) -> pyvips.Image:
    return (plane + plane.abs()) / 2


def _weighed(plane: pyvips.Image, rows: Sequence[_Row], scale: int) -> Iterator[float]:
    """Add up each tile's weighted mean and weighted fourth root of the mean fourth power."""
    side, bands = TILE >> scale, plane.bands
    plane = plane.copy_memory()
    square = plane * plane
    powers = _values((square * square).shrink(side, side))
    means = _values(plane.shrink(side, side)) if any(row.of_mean for row in rows) else powers
    for tile in range(0, len(powers), bands):
        yield sum(
            row.of_mean * means[tile + row.channel % bands]
            + row.of_norm * powers[tile + row.channel % bands] ** 0.25
            for row in rows
        )


def _values(plane: pyvips.Image) -> Sequence[float]:
    return array("f", bytes(plane.cast("float").write_to_memory()))


def _points(difference: float) -> float:
    """Convert a weighted difference to points, by SSIMULACRA 2's fit to human judgement."""
    x = 0.9562382616834844 * difference
    x = 2.326765642916932 * x - 0.020884521182843837 * x**2 + 6.248496625763138e-05 * x**3
    return 100 - 10 * x**0.6276336467831387 if x > 0 else 100.0
