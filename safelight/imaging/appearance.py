"""Summarises a picture's look in a few bytes: placeholder, dominant colour, perceptual hash.

Pure: it decodes nothing and gets the whole picture as a few pixels, stretched to a square. Cosine
transforms run from edge to edge for any aspect ratio, so one square serves all three.
"""

import math
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import mul
from statistics import median
from typing import Self

SIDE = 32
"""The side of the square in pixels, by the definition of the perceptual hash."""

_OPAQUE = 255
_GREY = 128
_LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue (ITU-R BT.601)."""
_HASH_TERMS = 8
_COLOUR_SHIFT = 5
"""Keeps three bits each of red, green and blue: 512 kinds of colour."""

Pixel = tuple[int, int, int, int]
"""Red, green, blue, alpha; 0 to 255, colours not multiplied by alpha."""
Plane = Sequence[float]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """The look of a picture in a few bytes."""

    placeholder: str
    """A ThumbHash in base64, to show until a variant is loaded."""
    dominant_colour: str | None
    """As "#rrggbb"; None if nothing is visible."""
    perceptual_hash: str
    """64 bits in hexadecimal. Pictures that look alike differ in few bits."""

    @classmethod
    def of(cls, square: bytes, *, shape: Size) -> Self:
        """Work it out from the square: row by row, with three or more bytes per pixel.

        `shape` is the displayed width and height of the picture.
        """
        pixels = tuple(_pixels(square, bands=len(square) // SIDE**2))
        return cls(
            placeholder=b64encode(thumbhash(pixels, grid=(SIDE, SIDE), shape=shape)).decode(),
            dominant_colour=dominant_colour(pixels),
            perceptual_hash=f"{perceptual_hash(pixels):016x}",
        )


def _pixels(square: bytes, *, bands: int) -> Iterator[Pixel]:
    """Split bytes into pixels: opaque if there is no alpha; bands after alpha are ignored."""
    red, green, blue, *more = (square[band::bands] for band in range(bands))
    alpha = more[0] if more else bytes([_OPAQUE]) * len(red)
    return zip(red, green, blue, alpha, strict=True)


def thumbhash(pixels: Sequence[Pixel], *, grid: Size, shape: Size) -> bytes:
    """Encode a grid of pixels as a ThumbHash, 5 to 25 bytes (https://evanw.github.io/thumbhash).

    Luminance, two opponent colours and alpha are transformed, and their low frequencies are kept,
    quantised to a few bits and packed from the lowest bit up. `shape` is for the aspect ratio.
    """
    translucent = any(alpha < _OPAQUE for *_, alpha in pixels)
    luminance, yellow_blue, red_green, alpha = _opponents(pixels)
    across, down = _luminance_terms(shape, most=5 if translucent else 7)
    lights = _Channel.of(luminance, grid, max(3, across), max(3, down))
    yellows = _Channel.of(yellow_blue, grid, 3, 3)
    reds = _Channel.of(red_green, grid, 3, 3)
    lies = shape[0] > shape[1]
    bits = _Bits()
    bits.add(6, lights.constant)
    bits.add(6, (1 + yellows.constant) / 2)
    bits.add(6, (1 + reds.constant) / 2)
    bits.add(5, lights.scale)
    bits.add_number(1, translucent)
    bits.add_number(3, down if lies else across)
    bits.add(6, yellows.scale)
    bits.add(6, reds.scale)
    bits.add_number(1, lies)
    channels = [lights, yellows, reds]
    if translucent:
        alphas = _Channel.of(alpha, grid, 5, 5)
        bits.add(4, alphas.constant)
        bits.add(4, alphas.scale)
        channels.append(alphas)
    for channel in channels:
        for term in channel.terms:
            bits.add(4, term)
    return bits.to_bytes()


def _luminance_terms(shape: Size, *, most: int) -> Size:
    longest = max(shape)
    return max(1, _rounded(most * shape[0] / longest)), max(1, _rounded(most * shape[1] / longest))


def _opponents(pixels: Sequence[Pixel]) -> tuple[Plane, Plane, Plane, Plane]:
    """Blend the pixels onto their mean colour; return luminance, yellow-blue, red-green, alpha.

    Luminance and alpha are 0 to 1, the opponent colours -1 to 1.
    """
    *colours, alphas = zip(*pixels, strict=True)
    visible = sum(alphas) or 1
    laid = (_laid(band, alphas, sum(map(mul, band, alphas)) / visible) for band in colours)
    on_mean = tuple(zip(*laid, strict=True))
    return (
        [(red + green + blue) / 3 for red, green, blue in on_mean],
        [(red + green) / 2 - blue for red, green, blue in on_mean],
        [red - green for red, green, _ in on_mean],
        [alpha / _OPAQUE for alpha in alphas],
    )


def _laid(band: Sequence[int], alphas: Sequence[int], mean: float) -> Plane:
    """Blend one band onto a colour; the result is 0 to 1."""
    return [
        (value * alpha + mean * (_OPAQUE - alpha)) / _OPAQUE**2
        for value, alpha in zip(band, alphas, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Channel:
    """A plane's low frequencies, as in a ThumbHash."""

    constant: float
    scale: float
    """The greatest magnitude among the terms."""
    terms: tuple[float, ...]
    """0 to 1, where 0.5 is zero."""

    @classmethod
    def of(cls, plane: Plane, grid: Size, across: int, down: int) -> Self:
        """Keep the triangle of frequencies that are low in both directions."""
        transformed = _cosine_transform(plane, grid, (across, down))
        constant, *terms = (
            transformed[y][x]
            for y in range(down)
            for x in range(across)
            if x * down < across * (down - y)
        )
        scale = max(map(abs, terms))
        return cls(
            constant=constant,
            scale=scale,
            terms=tuple(0.5 + 0.5 * term / scale if scale else 0.0 for term in terms),
        )


class _Bits:
    """Numbers packed from the lowest bit up."""

    def __init__(self) -> None:
        self._number = 0
        self._length = 0

    def add(self, width: int, share: float) -> None:
        """Append a share of 0 to 1, scaled to the largest number of `width` bits."""
        most = (1 << width) - 1
        self.add_number(width, min(max(_rounded(share * most), 0), most))

    def add_number(self, width: int, number: int) -> None:
        """Append a whole number of `width` bits."""
        self._number |= number << self._length
        self._length += width

    def to_bytes(self) -> bytes:
        """Return the packed bits, the last byte filled with zeros."""
        return self._number.to_bytes(math.ceil(self._length / 8), "little")


def dominant_colour(pixels: Sequence[Pixel]) -> str | None:
    """Return the mean of the most common kind of colour among visible pixels.

    Unlike the mean of the whole picture, it is a colour that occurs in it.
    """
    kinds: defaultdict[Pixel, list[Pixel]] = defaultdict(list)
    for pixel in pixels:
        red, green, blue, _ = pixel
        kind = (red >> _COLOUR_SHIFT, green >> _COLOUR_SHIFT, blue >> _COLOUR_SHIFT, 0)
        kinds[kind].append(pixel)
    members = max(kinds.values(), key=_visible)
    if not (visible := _visible(members)):
        return None
    mean = (
        _rounded(sum(pixel[band] * pixel[3] for pixel in members) / visible) for band in range(3)
    )
    return "#" + bytes(mean).hex()


def _visible(pixels: Sequence[Pixel]) -> int:
    return sum(alpha for *_, alpha in pixels)


def perceptual_hash(pixels: Sequence[Pixel]) -> int:
    """Return pHash: one bit for each of the luma's 64 lowest frequencies, set above their median.

    The first bit is the constant term's, then row by row, as in ImageHash (after C. Zauner,
    Implementation and Benchmarking of Perceptual Image Hash Functions, 2010). Transparent pixels
    count as grey, so neither a white nor a black drawing vanishes. docs/decisions/0009 compares.
    """
    from_red, from_green, from_blue = _LUMA
    luma = [
        (from_red * red + from_green * green + from_blue * blue) * alpha + _GREY * (_OPAQUE - alpha)
        for red, green, blue, alpha in pixels
    ]
    transformed = _cosine_transform(luma, (SIDE, SIDE), (_HASH_TERMS, _HASH_TERMS))
    terms = [term for row in transformed for term in row]
    middle = median(terms)
    return int("".join("1" if term > middle else "0" for term in terms), 2)


def _cosine_transform(plane: Plane, grid: Size, terms: Size) -> list[list[float]]:
    """Correlate a plane with the lowest cosines both ways; return means as [down][across]."""
    width, height = grid
    rows = (plane[start : start + width] for start in range(0, width * height, width))
    across = [_correlated(row, _cosines(width, terms[0])) for row in rows]
    columns = zip(*across, strict=True)
    down = [_correlated(column, _cosines(height, terms[1])) for column in columns]
    return [list(row) for row in zip(*down, strict=True)]


def _correlated(values: Sequence[float], cosines: Sequence[Sequence[float]]) -> list[float]:
    return [sum(map(mul, values, cosine)) / len(values) for cosine in cosines]


@cache
def _cosines(length: int, terms: int) -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple(math.cos(math.pi / length * term * (place + 0.5)) for place in range(length))
        for term in range(terms)
    )


def _rounded(value: float) -> int:
    """Round halves up, as ThumbHash's reference does."""
    return math.floor(value + 0.5)
