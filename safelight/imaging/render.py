"""Carries a plan out: a picture in, its variants out. Runs in a render child, paths only.

It decides nothing: sizes, order and origins are the plan's. What is done to the decoded picture and
then to each variant, stands in `ON_THE_SOURCE` and `ON_EACH_VARIANT`, in that order.
"""

import errno
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyvips

from safelight.errors import Reason, Rejection
from safelight.formats import BY_NAME, Format
from safelight.imaging import libwebp
from safelight.imaging.appearance import Appearance
from safelight.imaging.before_resize import edited, what_is_left
from safelight.imaging.colours import converted
from safelight.imaging.encode import with_quality, within_bytes
from safelight.imaging.gainmap import GainMap
from safelight.imaging.geometry import Size
from safelight.imaging.libvips import open_image
from safelight.imaging.limits import Limits
from safelight.imaging.operations import flipped, operated
from safelight.imaging.plan import Plan
from safelight.imaging.plan_options import plan_options
from safelight.imaging.probe import damaged
from safelight.imaging.recipe import Decode, Recipe
from safelight.imaging.structure import has_an_odd_header
from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options

_OPAQUE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedVariant:
    """One variant as a file. Sizes in bytes and pixels."""

    preset: str
    fingerprint: str
    path: Path
    media_type: str
    extension: str
    width: int
    height: int
    size_bytes: int
    sha256: str
    seconds: float
    """Since the variant before it was done: resampling and encoding, or all if it streams."""
    quality: int | None = None
    """None where the format is lossless."""
    score: int | None = None
    """Where the quality was searched: what a sample reached, in points of SSIMULACRA 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What became of a plan."""

    variants: tuple[RenderedVariant, ...]
    failures: Mapping[str, str]
    """Preset -> why this one variant could not be made, while others could."""
    appearance: Appearance | None
    """None of options: it is told of whole pictures."""
    seconds: float
    cpu_seconds: float = 0.0
    """User and system time of the child."""
    peak_bytes: int = 0
    """The child's resident memory at its highest while it rendered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    preset: str
    detail: str


def render(plan: Plan, source: Path, directory: Path, limits: Limits) -> Rendering:
    """Make every variant of a plan as `{directory}/{preset}.{extension}`.

    A variant that fails does not sink the others. A source that cannot be decoded, or of which not
    one variant could be made, raises a `Rejection`.
    """
    try:
        return _attempt(plan, source, directory, limits)
    except Rejection as rejection:
        # Warnings of the header fail a decode like warnings of the pixels (docs/decisions/0008).
        odd = rejection.reason is Reason.CORRUPT and has_an_odd_header(source, plan.probe.format)
        if limits.accept_damaged or not odd:
            raise
    return _attempt(plan, source, directory, limits.model_copy(update={"accept_damaged": True}))


def _attempt(plan: Plan, source: Path, directory: Path, limits: Limits) -> Rendering:
    started = time.perf_counter()
    try:
        if plan.untrimmed:
            plan = _trimmed(plan, plan.untrimmed, source, limits)
        gain_map = _gain_map(plan, source)
        made = [
            result
            for decode in plan.decodes
            for result in _carry_out(plan, decode, source, directory, limits, gain_map)
        ]
    except pyvips.Error as error:
        raise damaged(source, plan.probe.format, "picture") from error
    variants = tuple(result for result in made if isinstance(result, RenderedVariant))
    failures = {result.preset: result.detail for result in made if isinstance(result, _Failed)}
    appearance = next((result for result in made if isinstance(result, Appearance)), None)
    if failures and not variants:
        raise damaged(source, plan.probe.format, "picture")
    seconds = time.perf_counter() - started
    return Rendering(variants=variants, failures=failures, appearance=appearance, seconds=seconds)


def _trimmed(plan: Plan, options: Options, source: Path, limits: Limits) -> Plan:
    """Look at the border, and plan again for what is left without it."""
    pictures = dict(pair for recipe in plan.recipes for pair in recipe.pictures)
    decode = replace(plan.decodes[0], shrink=1, edits=None, keeps_pixels=True)
    (frame,) = _opened(plan, decode, source, limits)
    again = plan_options(plan.probe, options, pictures, trimmed=what_is_left(frame, options.trim))
    if again.predicted_bytes > plan.predicted_bytes:
        raise InvalidOption("trim", "leaves so narrow a picture that it would become too large")
    return again


def _opened(plan: Plan, decode: Decode, source: Path, limits: Limits) -> list[pyvips.Image]:
    """Decode the frames, upright and in their colours; what they were copied from is let go."""
    decoded = open_image(
        source,
        BY_NAME[plan.probe.format],
        accept_damaged=limits.accept_damaged,
        shrink=decode.shrink,
        frames=decode.frames,
    )
    return [_on_the_source(frame, decode) for frame in _frames(decoded, decode)]


def _gain_map(plan: Plan, source: Path) -> GainMap | None:
    probe = plan.probe
    if not any(recipe.hdr for recipe in plan.recipes):
        return None
    return GainMap.of(source, probe)


def _carry_out(
    plan: Plan,
    decode: Decode,
    source: Path,
    directory: Path,
    limits: Limits,
    gain_map: GainMap | None,
) -> Iterator[RenderedVariant | _Failed | Appearance]:
    frames = _opened(plan, decode, source, limits)
    levels: list[list[pyvips.Image]] = []
    for level in decode.levels:
        started = time.perf_counter()
        origin = frames if level.origin is None else levels[level.origin]
        levels.append([_resampled(frame, level.size) for frame in origin])
        for recipe in level.recipes:
            yield _make(levels[-1], recipe, directory, started, gain_map)
            started = time.perf_counter()
        if level.shows_appearance:
            shape = (plan.probe.width, plan.probe.height)
            yield Appearance.of(bytes(levels[-1][0].write_to_memory()), shape=shape)


def _frames(decoded: pyvips.Image, decode: Decode) -> Iterator[pyvips.Image]:
    """Cut the frames that were decoded one below the other, in the order in which they come."""
    height = decoded.height // decode.frames
    for frame in range(decode.frames):
        yield (
            decoded
            if decode.frames == 1
            else decoded.crop(0, frame * height, decoded.width, height)
        )


def _on_the_source(frame: pyvips.Image, decode: Decode) -> pyvips.Image:
    for step in ON_THE_SOURCE:
        frame = step(frame, decode)
    return frame


def _make(
    frames: Sequence[pyvips.Image],
    recipe: Recipe,
    directory: Path,
    started: float,
    gain_map: GainMap | None,
) -> RenderedVariant | _Failed:
    try:
        made = [_on_each_variant(frame, recipe) for frame in frames]
        width, height = made[0].width, made[0].height
        image = _one_below_the_other(made) if recipe.animated else made[0]
        if gain_map and recipe.hdr:
            image = gain_map.laid_onto(image, recipe)
        choices = []
        for each in (recipe, *recipe.alternatives):
            candidate, score = with_quality(made[0], each)
            candidate, data = within_bytes(image, candidate)
            choices.append((data, candidate, score))
    except (pyvips.Error, libwebp.NotEncoded):
        return _Failed(preset=recipe.preset, detail=f"could not be encoded as {recipe.format}")
    smallest, chosen, score = min(choices, key=lambda choice: len(choice[0]))
    format = BY_NAME[chosen.format]
    path = file_of(recipe, format, directory)
    # Written here, not by libvips: a full disk is an OSError and never a picture's fault. But a
    # file beyond the child's limit is: no other try can write it.
    try:
        path.write_bytes(smallest)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        path.unlink()
        detail = f"{recipe.preset} has {len(smallest)} bytes, more than one file may have"
        raise Rejection(Reason.TOO_MANY_BYTES, detail) from error
    return RenderedVariant(
        preset=recipe.preset,
        fingerprint=recipe.fingerprint,
        path=path,
        media_type=format.media_type,
        extension=format.extension,
        width=width,
        height=height,
        size_bytes=len(smallest),
        sha256=hashlib.sha256(smallest).hexdigest(),
        quality=chosen.quality,
        score=score,
        seconds=time.perf_counter() - started,
    )


def file_of(recipe: Recipe, format: Format, directory: Path) -> Path:
    """Name the file that a recipe's variant becomes in a format."""
    return directory / f"{recipe.preset}.{format.extension}"


def _on_each_variant(frame: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    for step in ON_EACH_VARIANT:
        frame = step(frame, recipe)
    return frame


def _one_below_the_other(frames: Sequence[pyvips.Image]) -> pyvips.Image:
    """Join frames as encoders take them; times and loops go along with the first one."""
    joined = pyvips.Image.arrayjoin(list(frames), across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", frames[0].height)
    return joined


def _resampled(image: pyvips.Image, size: Size) -> pyvips.Image:
    """Resample into memory. Alpha is multiplied in, or invisible colours bleed into the edges."""
    if (image.width, image.height) == size:
        return image
    across, down = size[0] / image.width, size[1] / image.height
    if not image.hasalpha():
        return image.resize(across, vscale=down).copy_memory()
    resized = image.premultiply().resize(across, vscale=down).unpremultiply()
    return resized.cast("uchar").copy_memory()


def _in_its_colours(image: pyvips.Image, decode: Decode) -> pyvips.Image:
    return converted(image, decode.colour)


def _held(image: pyvips.Image, decode: Decode) -> pyvips.Image:
    """Decode into memory where more than one thing reads the pixels."""
    return image.copy_memory() if decode.keeps_pixels else image


def _upright(image: pyvips.Image, _: Decode) -> pyvips.Image:
    """Turn what is turned. The rest stays as it is held: `autorot` would give a view of it."""
    if not image.get_typeof("orientation") or image.get("orientation") == 1:
        return image
    return image.autorot()


def _edited(image: pyvips.Image, decode: Decode) -> pyvips.Image:
    """Do what options ask for before resizing."""
    return edited(image, decode.edits, decode.shrink) if decode.edits else image


def _operated(image: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    """Do what options ask for after resizing."""
    if recipe.flip:
        image = flipped(image, recipe.flip)
    return operated(image, recipe.operations, dict(recipe.pictures))


def _cropped(image: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    """Cut out what `cover` leaves: where the plan says, or where the eye goes first."""
    if recipe.fit != "cover" or recipe.scaled == recipe.size:
        return image
    if recipe.offset is None:
        return image.smartcrop(*recipe.size, interesting="attention")
    return image.crop(*recipe.offset, *recipe.size)


def _flattened(image: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    """Lay the picture onto the background where the format cannot carry alpha."""
    if not image.hasalpha() or BY_NAME[recipe.format].keeps_alpha:
        return image
    return image.flatten(background=recipe.background)


def _padded(image: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    """Fill up to the box with the background, as `contain` asks."""
    if recipe.scaled == recipe.size or recipe.fit != "contain" or recipe.offset is None:
        return image
    background = [*recipe.background, _OPAQUE][: image.bands]
    return image.embed(*recipe.offset, *recipe.size, extend="background", background=background)


ON_THE_SOURCE: tuple[Callable[[pyvips.Image, Decode], pyvips.Image], ...] = (
    _in_its_colours,
    _held,
    _upright,
    _edited,
)
ON_EACH_VARIANT: tuple[Callable[[pyvips.Image, Recipe], pyvips.Image], ...] = (
    _cropped,
    _operated,
    _flattened,
    _padded,
)
