"""Plans every variant of one source, from its header and the presets.

Pure: it opens nothing. A plan says how often the source is decoded, which size is resampled from
which, and how each variant is encoded. Rendering only executes it.

If possible one decode serves all variants. Sizes are made in descending order, each from the
smallest larger size that is at least `CASCADE_STEP` times as large. Resampling from a size hardly
larger would only lose quality.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from safelight.formats import (
    AUTO,
    AUTO_FORMATS,
    AUTO_SCALE,
    BY_NAME,
    Format,
    equivalent_quality,
)
from safelight.imaging.appearance import SIDE
from safelight.imaging.geometry import FITS, Size, offset, within
from safelight.imaging.memory import BASE_BYTES, decode_bytes
from safelight.imaging.perceptual import Search
from safelight.imaging.probe import Probe
from safelight.imaging.recipe import Decode, Edits, Level, Recipe
from safelight.presets import Preset
from safelight.wish.options import Options
from safelight.wish.wish import Wish

STILL = ("srgb", False)
"""How most variants are decoded: sRGB, and the first frame only."""
SPLIT_PIXELS = 30_000_000
"""Above this many pixels, each full-size variant has its own decode: +2 % CPU, 0.69x memory."""
CASCADE_STEP = 1.5
"""How many times as large a size must be for another to be resampled from it."""
SQUARE = (SIDE, SIDE)
"""The size from which the appearance is computed. It is one more level of a decode."""
SHRINKS = (8, 4, 2)
"""Factors by which a decoder can shrink while loading, the largest first."""
SHRINK_ROOM = 1.5
"""Shrinking on load averages blocks, so resampling must still reduce by at least this factor.
A factor of 2 would cost a quarter more CPU, for 0.3 points of SSIMULACRA 2 in a JPEG
(docs/decisions/0037)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All decodes and variants of one source."""

    probe: Probe
    decodes: tuple[Decode, ...]
    untrimmed: Options | None = None
    """A wish that trims, to be planned again once the border is measured."""

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """All recipes, in the order of rendering."""
        return tuple(
            recipe for decode in self.decodes for level in decode.levels for recipe in level.recipes
        )

    @property
    def predicted_bytes(self) -> int:
        """The predicted peak memory in bytes. Decodes run one after another."""
        return BASE_BYTES + max(decode_bytes(self.probe, each) for each in self.decodes)

    @property
    def pixels_used(self) -> int:
        """The number of pixels of all frames that are decoded at once."""
        return self.probe.pixels * self.frames_used

    @property
    def frames_used(self) -> int:
        """The most frames that are decoded at once."""
        return max(decode.frames for decode in self.decodes)


def plan(probe: Probe, presets: Sequence[Preset]) -> Plan:
    """Plan the variants of one source. Recipes of different ways get separate decodes."""
    recipes = [recipe_of(probe, preset.wish, name=preset.name) for preset in presets]
    ways = {recipe.way for recipe in recipes} | {STILL}
    decodes: list[Decode] = []
    for way in sorted(ways, key=lambda way: (way == STILL, way)):
        these = [recipe for recipe in recipes if recipe.way == way]
        decodes += _decodes(probe, these, with_appearance=way == STILL)
    return Plan(probe=probe, decodes=tuple(decodes))


def plan_of(probe: Probe, seen: Probe, recipe: Recipe, edits: Edits | None) -> Plan:
    """Plan a single recipe, without the picture's appearance.

    `seen` is the probe of the edited picture, from which the recipe was made.
    """
    decode = _decode(seen, [recipe], with_appearance=False)
    if edits is not None:
        # Turning, trimming and looking for attention read pixels out of order.
        trims = edits.trimmed is not None
        held = decode.keeps_pixels or edits.looks or edits.turn or trims
        # The border was measured in pixels of the full size, so trimming needs the same size.
        shrink = 1 if trims else decode.shrink
        decode = replace(decode, edits=edits, keeps_pixels=bool(held), shrink=shrink)
    return Plan(probe=probe, decodes=(decode,))


def _decodes(probe: Probe, recipes: Sequence[Recipe], *, with_appearance: bool) -> Iterator[Decode]:
    """Plan the decodes for recipes that are decoded in one way."""
    full = [recipe for recipe in recipes if _is_full_size(probe, recipe)]
    alone = full if probe.pixels > SPLIT_PIXELS else []
    for recipe in alone:
        yield _decode(probe, [recipe], with_appearance=False)
    together = [recipe for recipe in recipes if recipe not in alone]
    if together or with_appearance:
        yield _decode(probe, together, with_appearance=with_appearance)


def recipe_of(probe: Probe, wish: Wish, *, name: str) -> Recipe:
    """Work out the recipe of a wish for one source. `name` is that of its preset."""
    if wish.format == AUTO:
        return _choice(probe, wish, name=name)
    source = (probe.width, probe.height)
    limit = BY_NAME[wish.format].max_side
    scaled, size = FITS[wish.fit](source, wish.box or source, math.inf if wish.enlarge else 1)
    longest = max(size)
    if longest > limit:  # only without a box: the size is the source's
        scaled = size = within(source, (limit, limit))
    return Recipe(
        preset=name,
        fingerprint=wish.fingerprint,
        format=wish.format,
        quality=wish.quality if isinstance(wish.quality, int) else None,
        search=_search(wish, BY_NAME[wish.format]),
        effort=wish.effort,
        fit=wish.fit,
        scaled=scaled,
        size=size,
        offset=offset(wish, scaled, size, probe.faces or ()),
        background=wish.background_rgb,
        colour=wish.colour if probe.wide_gamut else "srgb",
        keep=wish.keep,
        hdr=wish.hdr and probe.gain_map,
        animated=wish.animated and probe.frames > 1 and BY_NAME[probe.format].animates,
    )


def _choice(probe: Probe, wish: Wish, *, name: str) -> Recipe:
    """Work out a recipe for each format that `auto` tries, the others as alternatives."""
    scale = BY_NAME[AUTO_SCALE]
    on_scale = recipe_of(probe, wish.model_copy(update={"format": AUTO_SCALE}), name=name)
    width, height = on_scale.size
    within_budget = width * height <= (wish.budget or 0) * 1_000_000
    candidates = [
        replace(
            on_scale,
            fingerprint=wish.fingerprint,
            format=format.name,
            quality=equivalent_quality(on_scale.quality, scale, format),
            search=_search(wish, format),
            effort=format.effort.default if format.effort else None,
        )
        for format in map(BY_NAME.__getitem__, AUTO_FORMATS)
        if (within_budget or not format.costly) and (format.keeps_alpha or not probe.alpha)
    ]
    return replace(candidates[0], alternatives=tuple(candidates[1:]))


def _search(wish: Wish, format: Format) -> Search | None:
    bounds = wish.quality_range or format.searched_quality
    if wish.quality != AUTO or wish.target is None or bounds is None:
        return None
    return Search(target=wish.target, least=bounds[0], most=bounds[1])


def _is_full_size(probe: Probe, recipe: Recipe) -> bool:
    return recipe.scaled == (probe.width, probe.height)


def _decode(probe: Probe, recipes: Sequence[Recipe], *, with_appearance: bool) -> Decode:
    sizes = sorted(
        {recipe.scaled for recipe in recipes}, key=lambda size: (-size[0] * size[1], size)
    )
    levels: list[Level] = []
    for size in sizes:
        mine = tuple(recipe for recipe in recipes if recipe.scaled == size)
        levels.append(Level(size=size, origin=_origin(probe, levels, size), recipes=mine))
    if with_appearance:
        origin = _origin(probe, levels, SQUARE)
        levels.append(Level(size=SQUARE, origin=origin, recipes=(), shows_appearance=True))
    animated = any(recipe.animated for recipe in recipes)
    reads = sum(_reads(probe, level) for level in levels if level.origin is None)
    return Decode(
        shrink=_shrink(probe, levels[0].size),
        colour=recipes[0].colour if recipes else STILL[0],
        frames=probe.frames if animated else 1,
        # A stream can be read only once, and a rotated picture is read out of order.
        keeps_pixels=reads > 1 or probe.orientation > 1 or animated,
        levels=tuple(levels),
    )


def _reads(probe: Probe, level: Level) -> int:
    """Count how often a level reads the decoded picture. Resampled pixels are kept in memory."""
    # Attention and a quality search read the pixels before encoding. Each alternative encodes them
    # again.
    looks = sum(
        (recipe.offset is None)
        + (recipe.search is not None)
        + len(recipe.alternatives)
        + bool(recipe.operations or recipe.flip or recipe.max_bytes)
        for recipe in level.recipes
    )
    uses = len(level.recipes) + looks + level.shows_appearance
    return uses if level.size == (probe.width, probe.height) else 1


def _origin(probe: Probe, levels: Sequence[Level], size: Size) -> int | None:
    """Return the index of the smallest shrunken level that is a step larger on both sides."""
    source = (probe.width, probe.height)
    for index in reversed(range(len(levels))):
        larger = levels[index].size
        shrunk = larger != source and larger[0] <= source[0] and larger[1] <= source[1]
        if shrunk and _is_a_step(larger, size):
            return index
    return None


def _is_a_step(larger: Size, size: Size) -> bool:
    sides = zip(larger, size, strict=True)
    return all(long >= CASCADE_STEP * short or long == short == 1 for long, short in sides)


def _shrink(probe: Probe, largest: Size) -> int:
    format = BY_NAME[probe.format]
    if not format.shrinks_on_load:
        return 1
    room = min(probe.width / largest[0], probe.height / largest[1]) / SHRINK_ROOM
    return next((shrink for shrink in SHRINKS if shrink <= room), 1)
