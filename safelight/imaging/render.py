"""Carries out a plan: reads a picture and writes its variants. Runs in a render child, on paths.

It decides nothing: sizes, order and origins come from the plan. The steps for the decoded picture
and for each variant are listed in `ON_THE_SOURCE` and `ON_EACH_VARIANT`, in their order.
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
from safelight.imaging.mend import is_mended
from safelight.imaging.operations import flipped, operated
from safelight.imaging.plan import Plan
from safelight.imaging.plan_options import plan_options
from safelight.imaging.probe import damaged
from safelight.imaging.recipe import Decode, Recipe
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
    """Time since the previous variant: resampling and encoding, with decoding if it streams."""
    quality: int | None = None
    """The quality; None if the format is lossless."""
    score: int | None = None
    """The score of a sample in points of SSIMULACRA 2, if the quality was searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """The result of a plan."""

    variants: tuple[RenderedVariant, ...]
    failures: Mapping[str, str]
    """Preset -> reason why this variant failed, while others succeeded."""
    appearance: Appearance | None
    """The look of the whole picture; None for options."""
    seconds: float
    cpu_seconds: float = 0.0
    """The child's user and system time."""
    peak_bytes: int = 0
    """The child's peak resident memory during the render."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    preset: str
    detail: str


def render(plan: Plan, source: Path, directory: Path, limits: Limits) -> Rendering:
    """Write every variant of a plan to `{directory}/{preset}.{extension}`.

    A variant that fails does not affect the others. Raises a `Rejection` if the source cannot be
    decoded, or all variants failed.
    """
    try:
        return _attempt(plan, source, directory, limits)
    except Rejection as rejection:
        return _once_more(plan, source, directory, limits, rejection)


def _once_more(
    plan: Plan, source: Path, directory: Path, limits: Limits, rejection: Rejection
) -> Rendering:
    """Render a mended copy of a JPEG; raise the rejection if a pixel is missing or damaged.

    Warnings about oddities fail a decode like those about pixels (docs/decisions/0008, 0057).
    """
    copy = directory / "mended"
    try:
        if not is_mended(source, plan.probe.format, copy, limits, rejection.reason):
            raise rejection
        strict = limits.model_copy(update={"accept_damaged": False})
        return _attempt(plan, copy, directory, strict)
    except Rejection:
        raise rejection from None
    finally:
        copy.unlink(missing_ok=True)


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
    """Find the border, and plan again for the part inside it."""
    pictures = dict(pair for recipe in plan.recipes for pair in recipe.pictures)
    decode = replace(plan.decodes[0], shrink=1, edits=None, keeps_pixels=True)
    (frame,) = _opened(plan, decode, source, limits)
    again = plan_options(plan.probe, options, pictures, trimmed=what_is_left(frame, options.trim))
    if again.predicted_bytes > plan.predicted_bytes:
        raise InvalidOption("trim", "leaves so narrow a picture that it would become too large")
    return again


def _opened(plan: Plan, decode: Decode, source: Path, limits: Limits) -> list[pyvips.Image]:
    """Decode the frames, upright and converted to their colours; free the originals."""
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
    """Split frames that were decoded one below the other, in their order."""
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
    # Written here, not by libvips: a full disk raises OSError and is never the picture's fault. But
    # a file above the child's size limit is: a retry would fail too.
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
    """Return the path of a recipe's variant in a format."""
    return directory / f"{recipe.preset}.{format.extension}"


def _on_each_variant(frame: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    for step in ON_EACH_VARIANT:
        frame = step(frame, recipe)
    return frame


def _one_below_the_other(frames: Sequence[pyvips.Image]) -> pyvips.Image:
    """Join frames as encoders expect them; durations and loops come with the first one."""
    joined = pyvips.Image.arrayjoin(list(frames), across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", frames[0].height)
    return joined


def _resampled(image: pyvips.Image, size: Size) -> pyvips.Image:
    """Resample into memory. Alpha is premultiplied, or invisible colours would bleed into edges."""
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
    """Decode into memory if the pixels are read more than once."""
    return image.copy_memory() if decode.keeps_pixels else image


def _upright(image: pyvips.Image, _: Decode) -> pyvips.Image:
    """Rotate the picture upright; leave an upright one in memory: `autorot` would make a view."""
    if not image.get_typeof("orientation") or image.get("orientation") == 1:
        return image
    return image.autorot()


def _edited(image: pyvips.Image, decode: Decode) -> pyvips.Image:
    """Apply the operations before resizing."""
    return edited(image, decode.edits, decode.shrink) if decode.edits else image


def _operated(image: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    """Apply the operations after resizing."""
    if recipe.flip:
        image = flipped(image, recipe.flip)
    return operated(image, recipe.operations, dict(recipe.pictures))


def _cropped(image: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    """Crop for `cover`: at the planned place, or by libvips' attention."""
    if recipe.fit != "cover" or recipe.scaled == recipe.size:
        return image
    if recipe.offset is None:
        return image.smartcrop(*recipe.size, interesting="attention")
    return image.crop(*recipe.offset, *recipe.size)


def _flattened(image: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    """Flatten the picture onto the background if the format has no alpha."""
    if not image.hasalpha() or BY_NAME[recipe.format].keeps_alpha:
        return image
    return image.flatten(background=recipe.background)


def _padded(image: pyvips.Image, recipe: Recipe) -> pyvips.Image:
    """Pad the picture to the box with the background, for `contain`."""
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
