"""Draws mixed pictures from a seed, as users upload them: avatars to 14 MP, and some invalid ones.

Each has its expected outcome.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyvips
from PIL import Image

from safelight.errors import Reason
from tests.support import pictures

Size = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A source, with its expected rejection reason; None if it must be completed."""

    kind: str
    body: bytes = field(repr=False)
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One kind of picture: its frequency, the number of different ones, its sizes."""

    name: str
    weight: float
    different: int
    longest: tuple[int, int]
    """Bounds of the longest side, in pixels."""
    encode: Callable[[Image.Image], bytes]


def _jpeg(picture: Image.Image) -> bytes:
    return pictures.encoded(picture, "JPEG", quality=88)


def _fine_jpeg(picture: Image.Image) -> bytes:
    return pictures.encoded(picture, "JPEG", quality=93)


def _progressive(picture: Image.Image) -> bytes:
    return pictures.encoded(picture, "JPEG", quality=85, progressive=True)


def _webp(picture: Image.Image) -> bytes:
    return pictures.encoded(picture, "WEBP", quality=80, method=1)


def _png(picture: Image.Image) -> bytes:
    alpha = Image.linear_gradient("L").resize(picture.size)
    picture.putalpha(alpha)
    return pictures.encoded(picture, "PNG", compress_level=1)


def _gif(picture: Image.Image) -> bytes:
    frames = [picture.quantize(64), picture.rotate(180).quantize(64)]
    return pictures.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


_KINDS = (
    _Kind(name="avatar", weight=56, different=24, longest=(180, 700), encode=_jpeg),
    _Kind(name="page", weight=16, different=12, longest=(800, 1600), encode=_jpeg),
    _Kind(name="webp", weight=6, different=6, longest=(500, 1400), encode=_webp),
    _Kind(name="alpha", weight=8, different=8, longest=(200, 1000), encode=_png),
    _Kind(name="gif", weight=5, different=6, longest=(150, 500), encode=_gif),
    _Kind(name="progressive", weight=3, different=4, longest=(1200, 2000), encode=_progressive),
    _Kind(name="7 MP", weight=3, different=2, longest=(3264, 3264), encode=_fine_jpeg),
    _Kind(name="10 MP", weight=2, different=1, longest=(3648, 3648), encode=_fine_jpeg),
    _Kind(name="14 MP", weight=1, different=2, longest=(4320, 4320), encode=_fine_jpeg),
)


class Corpus:
    """An endless series of pictures: about 1 % bombs and 1 % damaged."""

    def __init__(self, draw: random.Random) -> None:
        """Make the pictures, which takes some seconds."""
        self._draw = draw
        photographs = [
            Image.fromarray(pyvips.Image.new_from_file(str(pictures.SAMPLES / name)).numpy())
            for name in ("flower-7mp-1.6mb.jpg", "camera-10mp-5mb.jpg")
        ]
        self._whole = [
            [self._picture(kind, draw.choice(photographs)) for _ in range(kind.different)]
            for kind in _KINDS
        ]
        self._bombs = bombs()
        self._damaged = damaged(_jpeg(photographs[0]))

    def next(self) -> Upload:
        """Draw a picture."""
        chance = self._draw.random()
        if chance < 0.01:
            return self._draw.choice(self._bombs)
        if chance < 0.02:
            return self._draw.choice(self._damaged)
        (kind,) = self._draw.choices(self._whole, [kind.weight for kind in _KINDS])
        return self._draw.choice(kind)

    def _picture(self, kind: _Kind, photograph: Image.Image) -> Upload:
        longest = self._draw.randint(*kind.longest)
        scale = longest / max(photograph.size)
        size = (round(photograph.width * scale), round(photograph.height * scale))
        resized = photograph.resize(size, Image.Resampling.BILINEAR)
        if self._draw.random() < 0.3:
            resized = resized.transpose(Image.Transpose.ROTATE_90)
        return Upload(kind=kind.name, body=kind.encode(resized))


def bombs() -> Sequence[Upload]:
    """Make small files whose headers announce far more than they hold."""
    pixels = Reason.TOO_MANY_PIXELS
    huge = pictures.png_bomb(50_000, 50_000, bits=8, colour=2)
    huge_bilevel = pictures.png_bomb(50_000, 50_000, bits=1, colour=0)
    return [
        Upload(kind="bomb", body=huge, reason=pixels),
        Upload(kind="bomb", body=huge_bilevel, reason=pixels),
        Upload(kind="bomb", body=pictures.gif_of_many_frames(10_000)),
    ]


def damaged(jpeg: bytes) -> Sequence[Upload]:
    """Damage a JPEG in every way that has its own rejection reason."""
    return [
        Upload(kind="damaged", body=jpeg[: len(jpeg) // 2], reason=Reason.TRUNCATED),
        Upload(kind="damaged", body=pictures.corrupt_scan(jpeg), reason=Reason.CORRUPT),
        Upload(kind="damaged", body=b"", reason=Reason.EMPTY),
        Upload(kind="damaged", body=b"no picture\n" * 99, reason=Reason.UNSUPPORTED),
    ]
