"""Converts HDR pictures coded as PQ or HLG to sRGB, and finds the profile of other numbers.

AVIF and HEIC name their coding by numbers (ITU-T H.273, 8.1 and 8.2; a `colr` box of type `nclx`,
ISO/IEC 23008-12, 6.5.5). Shown as sRGB, HDR pictures would look dull and grey. White is 203 cd/m2
here (ITU-R BT.2408). Tones are mapped as in Chromium (docs/decisions/0068).
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import pyvips

from safelight.imaging.isomedia import Coding
from safelight.imaging.matrix_profile import matrix_profile
from safelight.imaging.spaces import space_of

_CODING = "safelight-light"
ICC = "icc-profile-data"
_P3 = 12
_PQ, _HLG = 16, 18
_WHITE = 203
"""The light of white paper in cd/m2."""
_PQ_MOST, _HLG_MOST = 10_000, 1_000
"""The light of the largest number in cd/m2; for HLG on its nominal display."""
_HLG_SYSTEM_GAMMA = 1.2
_LUMINANCE: Mapping[int, list[float]] = MappingProxyType(
    {9: [0.2627, 0.6780, 0.0593], _P3: [0.2290, 0.6917, 0.0793]}
)
_SRGB_LUMINANCE = [0.2126, 0.7152, 0.0722]
"""How much red, green and blue count in luminance, by primaries."""
_TO_BT2020: Mapping[int, list[list[float]]] = MappingProxyType(
    {
        9: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        _P3: [[0.7538, 0.1986, 0.0476], [0.0457, 0.9418, 0.0125], [-0.0012, 0.0176, 0.9836]],
    }
)
_SRGB_TO_BT2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
"""Matrices from linear light in these primaries to those of BT.2020."""
_TO_SRGB = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
"""The matrix from linear BT.2020 to sRGB's primaries."""
_BRIGHTEST = 1_000 / _WHITE
"""The light that becomes white, and all light above it."""
_PAPER = 0.5
"""The light that white paper becomes."""
_BEND = (1.65, 0.825)
"""The middle point of the Bezier curve from paper to the brightest light: before and after."""


def with_its_coding(image: pyvips.Image, coding: Coding | None) -> pyvips.Image:
    """Attach the coding to a decoded AVIF or HEIC: PQ or HLG as a note, others as a profile."""
    if coding is None or image.interpretation not in ("srgb", "rgb16"):
        return image
    image = image.copy()
    if coding[1] in (_PQ, _HLG):
        image.set_type(pyvips.GValue.array_int_type, _CODING, list(coding))
    elif not image.get_typeof(ICC) and (profile := profile_of(coding)):
        image.set_type(pyvips.GValue.blob_type, ICC, profile)
    return image


@cache
def profile_of(coding: Coding | None) -> bytes | None:
    """Return the profile that the numbers of an AVIF or HEIC mean; None for sRGB and for HDR."""
    space = space_of(coding, of_video=True) if coding else None
    return None if space is None or space.is_srgb else matrix_profile(space, grey=False)


def is_hdr(image: pyvips.Image) -> bool:
    """Return whether the picture's light is coded as PQ or HLG."""
    return bool(image.get_typeof(_CODING))


def shown_as_srgb(image: pyvips.Image) -> pyvips.Image:
    """Convert to 8-bit sRGB; alpha is kept. The result is no longer HDR."""
    primaries, transfer = image.get(_CODING)
    image = image.copy()
    image.remove(_CODING)
    deep = image if image.format == "ushort" else (image * 257).cast("ushort")
    light = deep.extract_band(0, n=3).maplut(_light(transfer))
    if transfer == _HLG:
        light = _on_a_display(light, _LUMINANCE.get(primaries, _SRGB_LUMINANCE))
    light = _by(_TO_BT2020.get(primaries, _SRGB_TO_BT2020), light)
    linear = _by(_TO_SRGB, _tone_mapped(light))
    rgb = linear.copy(interpretation="scrgb").colourspace("srgb").cast("uchar")
    if not image.hasalpha():
        return rgb
    alpha = (deep.extract_band(3) / 257).cast("uchar")
    return rgb.bandjoin(alpha).copy(interpretation="srgb")


def _by(matrix: list[list[float]], light: pyvips.Image) -> pyvips.Image:
    return light.recomb(pyvips.Image.new_from_array(matrix))


def _on_a_display(scene: pyvips.Image, luminance: list[float]) -> pyvips.Image:
    """Turn the light of an HLG scene into that of its nominal display (ITU-R BT.2100, table 5)."""
    brightness = _by([luminance], scene) ** (_HLG_SYSTEM_GAMMA - 1)
    return scene * brightness * (_HLG_MOST / _WHITE)


def _tone_mapped(light: pyvips.Image) -> pyvips.Image:
    """Halve light up to white paper, and compress light above it along a curve that ends in white.

    The brightest of the three colours decides, so that hues are kept.
    """
    brightest = light[0].maxpair(light[1]).maxpair(light[2])
    above = (brightest > 1).ifthenelse(brightest, 1)
    within = (above < _BRIGHTEST).ifthenelse(above, _BRIGHTEST)
    # The place t on the curve, by its horizontal: (1 - t)^2 + 2 t (1 - t) bend + t^2 brightest.
    bend, bent = _BEND
    square, once = 1 - 2 * bend + _BRIGHTEST, 2 * bend - 2
    t = (((within - 1) * (4 * square) + once**2) ** 0.5 - once) / (2 * square)
    compressed = t * ((1 - 2 * bent + _PAPER) * t + 2 * (bent - _PAPER)) + _PAPER
    return light * (compressed / above)


@cache
def _light(transfer: int) -> pyvips.Image:
    """Make the table from 16-bit numbers to light.

    White paper is 1 in PQ. HLG gives the light of the scene, of which the brightest is 1.
    """
    numbers = pyvips.Image.identity(ushort=True) / 65_535
    light = _from_pq(numbers) if transfer == _PQ else _from_hlg(numbers)
    return light.cast("float").copy_memory()


def _from_pq(numbers: pyvips.Image) -> pyvips.Image:
    """Decode PQ (ITU-R BT.2100, table 4)."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = numbers ** (1 / m2)
    above = (power > c1).ifthenelse(power - c1, 0)
    return (above / (c2 - c3 * power)) ** (1 / m1) * (_PQ_MOST / _WHITE)


def _from_hlg(numbers: pyvips.Image) -> pyvips.Image:
    """Decode HLG (ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return (numbers <= 0.5).ifthenelse(numbers**2 / 3, (((numbers - c) / a).exp() + b) / 12)
