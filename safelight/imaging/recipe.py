"""What a plan consists of: passes over the source, the sizes made in each, each variant's recipe.

Values only; `plan` works them out, `render` carries them out, `memory` predicts what that takes.
"""

from dataclasses import dataclass
from pathlib import Path

from safelight.imaging.geometry import Box, Size
from safelight.imaging.perceptual import Search
from safelight.wish.operations import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What options do to the upright picture before it is resized, in this order."""

    trimmed: Box | None
    """What is left once a border is cut away."""
    turn: int
    """Degrees clockwise, a multiple of 90."""
    crop: Box | None
    """What of it then counts."""
    looks: bool
    """Whether the crop's place, not its size, is found in the pixels."""
    size: Size
    """What is then there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One preset, or one wish, worked out for one source. Sizes in pixels, as displayed."""

    preset: str
    fingerprint: str
    format: str
    quality: int | None
    """None where the format is lossless, or where it is searched."""
    search: Search | None
    effort: int | None
    fit: str
    scaled: Size
    """The whole picture's size once resampled; only a preset that says so enlarges."""
    size: Size
    """The variant's own size: `scaled`, cropped by `cover` or padded by `contain`."""
    offset: Size | None
    """Where `size` lies in `scaled`, or `scaled` in `size` if padded; None: found in the pixels."""
    background: tuple[int, int, int]
    """Red, green, blue: what stands for transparency and fills padding."""
    colour: str
    """`srgb` or `p3`: what the pixels are in, and what the variant says of it."""
    keep: tuple[str, ...]
    """Metadata that stays."""
    hdr: bool
    """Whether the source's gain map goes along."""
    animated: bool
    """Whether every frame is in it."""
    alternatives: tuple["Recipe", ...] = ()
    """The same picture in other formats: what takes the fewest bytes of all is the variant."""
    flip: str = ""
    """`h` swaps left and right, `v` top and bottom; of options alone, as is what follows."""
    operations: tuple[Operation, ...] = ()
    """What is done to the picture once it has its size."""
    sizes: tuple[Size, ...] = ()
    """How large it is before the first operation and after each, at most."""
    pictures: tuple[tuple[str, Path], ...] = ()
    """The key and the file of each watermark."""
    max_bytes: int | None = None
    """What the encoded variant should not exceed."""

    @property
    def way(self) -> tuple[str, bool]:
        """How its source is decoded: recipes of one way share a decode."""
        return self.colour, self.animated


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One size that is resampled, and the recipes cut from it."""

    size: Size
    origin: int | None
    """Index of the level it is made from; None for the decoded picture."""
    recipes: tuple[Recipe, ...]
    shows_appearance: bool = False
    """Whether this is the square that the picture's appearance is read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """One pass over the source and all that is made in it."""

    shrink: int
    """What the decoder divides the size by."""
    colour: str
    """`srgb`, or `p3` where the source has more colours than sRGB and a preset keeps them."""
    frames: int
    """How many frames are decoded, the first ones."""
    keeps_pixels: bool
    """Whether the decoded picture is held in memory; else it streams into its one use."""
    levels: tuple[Level, ...]
    edits: Edits | None = None
    """What is done before resizing; the levels are of what is then there."""
