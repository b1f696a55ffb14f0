"""Colour spaces by the numbers that files name (ITU-T H.273, 8.1 and 8.2). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from safelight.imaging.isomedia import Coding

Points = tuple[float, float, float, float, float, float, float, float]
"""The chromaticities x and y of white, red, green and blue."""
Curve = tuple[float, float, float, float, float]
"""g, a, b, c and d of the curve from numbers to light (ICC.1:2022, 10.18): (a x + b)^g from d on,
and c x below."""

_SAME = 0.001
"""The difference within which chromaticities are equal: files round them to 3 or 4 digits."""
_D65 = (0.3127, 0.329)
_SRGB_POINTS: Points = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_NTSC_POINTS: Points = (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07)
POINTS: Mapping[int, Points] = MappingProxyType(
    {
        1: _SRGB_POINTS,
        4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
        5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
        6: _NTSC_POINTS,
        7: _NTSC_POINTS,
        8: (0.31, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
        9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
        11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
        12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
        22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
    }
)
"""Primaries by their numbers (ITU-T H.273, 8.1)."""
_UNSPECIFIED, _SRGB = 2, 13
_TELEVISION = frozenset({1, 6, 11, 14, 15})
_CURVES: Mapping[int, Curve] = MappingProxyType(
    {_SRGB: _SRGB_CURVE}
    | dict.fromkeys(_TELEVISION, (2.4, 1, 0, 0, 0))
    | {number: (gamma, 1, 0, 0, 0) for number, gamma in ((4, 2.2), (5, 2.8), (8, 1.0))}
)
"""Curves by their numbers (ITU-T H.273, 8.2); those of television are of its displays (BT.1886)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """An RGB colour space, or the greys of one."""

    points: Points = _SRGB_POINTS
    curve: Curve = _SRGB_CURVE

    @property
    def is_srgb(self) -> bool:
        """Whether it is sRGB, up to the rounding of files."""
        pairs = zip(self.points, _SRGB_POINTS, strict=True)
        return self.curve == _SRGB_CURVE and all(abs(a - b) <= _SAME for a, b in pairs)


def space_of(coding: Coding, *, of_video: bool = False) -> Space | None:
    """Return the space of primaries and transfer; None if a number has no known meaning.

    In files of video codings the curves of television mean that of sRGB, as in Chromium.
    """
    primaries, transfer = coding
    if of_video and transfer in _TELEVISION | {_UNSPECIFIED}:
        transfer = _SRGB
    if primaries not in POINTS or transfer not in _CURVES:
        return None
    return Space(points=POINTS[primaries], curve=_CURVES[transfer])
