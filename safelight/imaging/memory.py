"""Predicts the memory of a render from a header and a plan. Pure; `make bench-memory` checks it.

Admission relies on this prediction before anything is decoded. If it is too low, the kernel may end
the task for lack of memory. If it is too high, pictures wait without need.
"""

from safelight.formats import BY_NAME, Format
from safelight.imaging.perceptual import SEARCH_BYTES
from safelight.imaging.probe import Probe
from safelight.imaging.recipe import Decode, Recipe
from safelight.wish.arguments import TRANSPARENT

BASE_BYTES = 50 * 1024**2
"""Memory of a child itself and of lines in flight, even for the smallest picture, in bytes."""
LINES_BYTES = 1280
LINE_BYTES = 16
"""Bytes per pixel of width held while resampling: at most `LINES_BYTES`, and `LINE_BYTES` for each
line of a low picture."""
ALPHA_LINES_BYTES = 16 * 640
"""Bytes per pixel of width held while resampling with alpha: 640 lines of four floats."""
HDR_BYTES = 12 * 1024**2
"""Additional memory for converting HDR: floats of the lines in flight, in bytes."""
GAIN_MAP_BYTES = 8
"""Additional bytes per pixel of the variant for a gain map, assumed to be of full size."""
ANIMATED_ALPHA_BYTES = 15
"""Additional bytes per pixel for encoding transparent frames: the one before is compared."""
WATERMARK_BYTES = 48 * 1024**2
"""Memory for reading a watermark, in addition to its resized copy, in bytes."""
HELD_BYTES = 4
"""Bytes of a pixel with alpha."""
OPERATION_FACTOR = 1.5
"""Memory of an operation relative to its input and output: it also holds floats of the lines in
flight, and a wide blur works on a smaller copy."""


def decode_bytes(probe: Probe, decode: Decode) -> int:
    """Add up one decode: the decoder, the pixels kept, and the encoder that needs the most."""
    # Later frames may be transparent even if the first, which the header describes, is not.
    alpha = probe.alpha or decode.frames > 1
    bands = 4 if alpha else 3
    decoded = probe.pixels / decode.shrink**2
    held = decoded * bands * decode.frames if decode.keeps_pixels else 0
    # A level of full size is the decoded picture itself.
    full = decode.edits.size if decode.edits else (probe.width, probe.height)
    resampled = [level for level in decode.levels if level.size != full]
    held += sum(level.size[0] * level.size[1] * bands * decode.frames for level in resampled)
    a_column = ALPHA_LINES_BYTES if alpha else min(LINES_BYTES, LINE_BYTES * probe.height)
    lines = probe.width * a_column if resampled else 0
    recipes = (
        each
        for level in decode.levels
        for recipe in level.recipes
        for each in (recipe, *recipe.alternatives)
    )
    encoding = max(
        (max(_encoder_bytes(probe, recipe), _operations_bytes(recipe)) for recipe in recipes),
        default=0,
    )
    decoding = _decoder_bytes(probe, BY_NAME[probe.format], decode.frames)
    # If the pixels are kept, the decoder is closed before the first encoder starts.
    working = max(decoding, encoding) if decode.keeps_pixels else decoding + encoding
    return int(held + lines + working) + HDR_BYTES * probe.hdr


def _encoder_bytes(probe: Probe, recipe: Recipe) -> float:
    format = BY_NAME[recipe.format]
    factor = format.encoded_bytes_per_pixel
    opened = any(TRANSPARENT in each.arguments for each in recipe.operations)
    transparent = probe.alpha or recipe.animated or opened
    if transparent and format.keeps_alpha:
        factor += format.encoded_alpha_bytes_per_pixel
        if recipe.animated and probe.alpha:
            factor += ANIMATED_ALPHA_BYTES
    if recipe.hdr:
        factor += GAIN_MAP_BYTES
    searching = SEARCH_BYTES if recipe.search else 0
    width, height = recipe.sizes[-1] if recipe.sizes else recipe.size
    return max(width * height * (factor + HELD_BYTES * bool(recipe.operations)), searching)


def _operations_bytes(recipe: Recipe) -> float:
    """Return the memory of the operation whose input and output together are the largest."""
    pairs = zip(recipe.sizes, recipe.sizes[1:], strict=False)
    most = max((one[0] * one[1] + two[0] * two[1] for one, two in pairs), default=0)
    operated = most * HELD_BYTES * OPERATION_FACTOR
    if not recipe.pictures:
        return operated
    # A scaled watermark is at most as large as the picture.
    mark = max((width * height for width, height in recipe.sizes), default=0) * HELD_BYTES
    return operated + WATERMARK_BYTES + mark


def _decoder_bytes(probe: Probe, format: Format, frames: int) -> float:
    pixels = max(probe.pixels, probe.largest_part)
    interlaced = format.interlaced_bytes_per_sample if probe.interlaced else 0
    if factor := interlaced or format.decoded_bytes_per_sample:
        a_pixel = probe.bands * max(1, probe.bits // 8) * factor
    else:
        a_pixel = format.decoded_bytes_per_pixel
    if frames > 1:
        a_pixel += frames * format.decoded_bytes_per_frame_pixel
    return pixels * a_pixel + probe.size_bytes * format.copies_of_file
