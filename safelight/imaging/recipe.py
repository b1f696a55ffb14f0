"""The parts of a plan: decodes of the source, the sizes made in each, and recipes of variants.

Values only. `plan` makes them, `render` executes them, and `memory` predicts their memory.
"""

from dataclasses import dataclass
from pathlib import Path

from safelight.imaging.geometry import Box, Size
from safelight.imaging.perceptual import Search
from safelight.wish.operations import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Edits of the upright picture before resizing, in this order."""

    trimmed: Box | None
    """The part that remains after trimming."""
    turn: int
    """Degrees clockwise, a multiple of 90."""
    crop: Box | None
    """The part that is kept after that."""
    looks: bool
    """Whether the position of the crop is found in the pixels. Its size is known."""
    size: Size
    """The size of the edited picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one variant is made from one source. Sizes are in pixels, as displayed."""

    preset: str
    fingerprint: str
    format: str
    quality: int | None
    """None for lossless formats, and if the quality is searched."""
    search: Search | None
    effort: int | None
    fit: str
    scaled: Size
    """The size of the whole picture after resampling, larger than the source only on request."""
    size: Size
    """The size of the variant: `scaled`, cropped by `cover` or padded by `contain`."""
    offset: Size | None
    """Position of `size` in `scaled`, or of `scaled` in `size` if padded; None to find it in the
    pixels."""
    background: tuple[int, int, int]
    """Red, green and blue of the colour that replaces transparency and fills padding."""
    colour: str
    """`srgb` or `p3`: the colour space of the pixels, declared by the variant."""
    keep: tuple[str, ...]
    """Metadata to keep."""
    hdr: bool
    """Whether the gain map of the source is kept."""
    animated: bool
    """Whether all frames are kept."""
    alternatives: tuple["Recipe", ...] = ()
    """The same picture in other formats. The smallest file of all becomes the variant."""
    flip: str = ""
    """`h` swaps left and right, `v` swaps top and bottom. From here on only options set fields."""
    operations: tuple[Operation, ...] = ()
    """Operations after resizing."""
    sizes: tuple[Size, ...] = ()
    """The largest possible sizes before the first operation and after each."""
    pictures: tuple[tuple[str, Path], ...] = ()
    """Key and file of each watermark."""
    max_bytes: int | None = None
    """The size in bytes that the encoded variant should not exceed."""

    @property
    def way(self) -> tuple[str, bool]:
        """How the source is decoded: colour space, and whether all frames. Recipes may share it."""
        return self.colour, self.animated


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One resampled size, and the recipes that are cut from it."""

    size: Size
    origin: int | None
    """Index of the level from which it is resampled; None for the decoded picture."""
    recipes: tuple[Recipe, ...]
    shows_appearance: bool = False
    """Whether this is the square for computing the appearance of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """One pass over the source, and the levels made in it."""

    shrink: int
    """The factor by which the decoder shrinks while loading."""
    colour: str
    """`srgb`, or `p3` if the source has more colours than sRGB and a preset keeps them."""
    frames: int
    """How many frames are decoded, from the first on."""
    keeps_pixels: bool
    """Whether the decoded picture is kept in memory. If not, it streams into its only use."""
    levels: tuple[Level, ...]
    edits: Edits | None = None
    """Edits before resizing. The levels are sizes of the edited picture."""
