"""Plans the variant of free-form options, as `plan` does for presets. Pure.

Resizing is expressed as a `Wish` of exact size, which `plan` works out like any other. Edits before
resizing and operations after it are added to the recipe.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from safelight.faces import Faces, framed, kept, within_part
from safelight.formats import BY_NAME
from safelight.imaging.face_cut import cut_out
from safelight.imaging.geometry import Box, Size, bounded, extended, placed, scaled_by
from safelight.imaging.plan import Plan, plan_of, recipe_of
from safelight.imaging.probe import Probe
from safelight.imaging.recipe import Edits
from safelight.wish.canonical import NAME, fingerprint
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import FACES, LOOKED_FOR
from safelight.wish.operations import MAX_SIDE, Operation, operation
from safelight.wish.options import MAX_PIXELS, Crop, Options, Point
from safelight.wish.wish import Wish

_NO_PICTURES: Mapping[str, Path] = MappingProxyType({})
_UPRIGHT = (0, 180)
_TRIM_ROOM = 4
_TRIM_PIXELS = 1_000_000
"""A trimmed source may give results this many times as large, or up to this many pixels."""


def plan_options(
    probe: Probe,
    options: Options,
    pictures: Mapping[str, Path] = _NO_PICTURES,
    *,
    trimmed: Box | None = None,
) -> Plan:
    """Plan the variant of options that name a format.

    `pictures` has the file of each watermark by its key. `trimmed` is the part of the upright
    picture that remains after trimming, which is measured in its pixels. Without it, options that
    trim are planned as if nothing were cut off, and must be planned again after measuring. Raises
    an `InvalidOption` if the result would be too large.
    """
    asked = options
    seen, edits = _edited(probe, options, trimmed)
    source = (seen.width, seen.height)
    options = _dense(options, source)
    if options.format is None:
        raise ValueError("the options must name a format before they are planned")
    geometry = _geometry(options, source)
    focal = _focal(options, probe, edits)
    recipe = recipe_of(seen, _wish(options, geometry, focal), name=NAME)
    if geometry.stretched:
        recipe = replace(recipe, scaled=geometry.stretched, size=geometry.stretched, offset=(0, 0))
    done = tuple(each for each in (*geometry.filled, *options.operations) if each.changes_something)
    measured = options.trim is None or trimmed is not None
    done = cut_out(done, seen.faces or () if measured else (), recipe, options.flip)
    recipe = replace(
        recipe,
        fingerprint=fingerprint(asked),
        flip=options.flip,
        operations=done,
        pictures=tuple((key, pictures[key]) for key in options.watermarks),
        max_bytes=options.max_bytes,
        sizes=_sizes(recipe.size, done, limit=BY_NAME[options.format].max_side),
    )
    if measured:
        return plan_of(probe, seen, recipe, edits)
    if options.box is not None:
        recipe = replace(recipe, sizes=tuple(map(_with_room, recipe.sizes)))
    planned = plan_of(probe, seen, recipe, edits)
    # Measuring the border reads every pixel.
    decodes = tuple(replace(each, shrink=1, keeps_pixels=True) for each in planned.decodes)
    return replace(planned, decodes=decodes, untrimmed=asked)


def _with_room(size: Size) -> Size:
    """Return a size for any shape: a trimmed picture may fill more of its box, or be taller."""
    side = math.isqrt(max(_TRIM_ROOM * size[0] * size[1], _TRIM_PIXELS)) + 1
    return side, side


@dataclass(frozen=True, slots=True, kw_only=True)
class _Geometry:
    """How options resize, in the terms of a `Wish`."""

    box: Size | None = None
    fit: str = "inside"
    enlarge: bool = False
    stretched: Size | None = None
    """The exact size to stretch to."""
    filled: tuple[Operation, ...] = ()


def _edited(probe: Probe, options: Options, trimmed: Box | None) -> tuple[Probe, Edits | None]:
    """Work out the edits before resizing, and the probe of the edited picture."""
    whole = trimmed or (0, 0, probe.width, probe.height)
    size = whole[2:]
    if options.turn not in _UPRIGHT:
        size = (size[1], size[0])
    faces = _upright_faces(probe, options.turn, whole)
    crop = _crop(options.crop, size, faces) if options.crop else None
    if crop == (0, 0, *size):
        crop = None
    if trimmed == (0, 0, probe.width, probe.height):
        trimmed = None
    if not (trimmed or options.turn or crop):
        return probe, None
    looks = options.crop is not None and _looks(options.crop, faces)
    width, height = crop[2:] if crop else size
    edits = Edits(trimmed=trimmed, turn=options.turn, crop=crop, looks=looks, size=(width, height))
    if crop is not None:
        # If the crop is found in the pixels, it is unknown which faces it has.
        faces = () if looks else within_part(faces, crop, size)
    known = None if probe.faces is None else faces
    return replace(probe, width=width, height=height, faces=known), edits


def _upright_faces(probe: Probe, turn: int, whole: Box) -> Faces:
    """Return the known faces as they are after trimming and turning."""
    faces = within_part(probe.faces or (), whole, (probe.width, probe.height))
    return kept(face.turned(turn) for face in faces)


def _looks(crop: Crop, faces: Faces) -> bool:
    """Return whether the position of a crop must be found in the pixels."""
    return crop.gravity in LOOKED_FOR and not (crop.gravity == FACES and faces)


def _crop(crop: Crop, size: Size, faces: Faces) -> Box:
    """Work out the box of a crop from its size, gravity, offset or focal point."""
    width, height = (
        round(side * wanted) if 0 < wanted < 1 else round(wanted) or side
        for wanted, side in zip((crop.width, crop.height), size, strict=True)
    )
    width, height = max(1, width), max(1, height)
    room = (size[0] - width, size[1] - height)
    if crop.focal:
        left, top = (
            min(max(round(share * side - part / 2), 0), max(most, 0))
            for share, side, part, most in zip(crop.focal, size, (width, height), room, strict=True)
        )
        return bounded((left, top, width, height), size)
    if crop.gravity == FACES and faces:
        width, height = min(width, size[0]), min(height, size[1])
        return *framed(faces, crop=(width, height), picture=size), width, height
    gravity = "centre" if crop.gravity in LOOKED_FOR else crop.gravity
    across, down = (
        round(offset * side) if 0 < offset < 1 else round(offset)
        for offset, side in zip(crop.offset, size, strict=True)
    )
    left, top = placed(room, gravity)
    left += -across if "east" in gravity else across
    top += -down if "south" in gravity else down
    return bounded((left, top, width, height), size)


def _geometry(options: Options, source: Size) -> _Geometry:
    if options.box is None:
        return _Geometry()
    box = _box(options, source)
    fit = _fit(options.fit, box, source)
    most = math.inf if options.enlarge else 1.0
    smaller = (min(box[0], source[0]), min(box[1], source[1]))
    enlarge = options.enlarge
    match fit:
        case "fill":
            geometry = _Geometry(stretched=box if enlarge else smaller)
        case "force":
            scale = min(1.0, source[0] / box[0], source[1] / box[1])
            geometry = _Geometry(stretched=scaled_by(box, scale))
        case "outside":
            scale = max(box[0] / source[0], box[1] / source[1])
            geometry = _Geometry(stretched=_limited(scaled_by(source, min(scale, most))))
        case "crop" if not enlarge:
            geometry = _Geometry(box=smaller, fit="cover")
        case "cover" | "crop":
            geometry = _Geometry(box=box, fit="cover", enlarge=enlarge)
        case "contain":
            filled = operation("extend", *box, options.background, options.gravity)
            geometry = _Geometry(box=box, enlarge=enlarge, filled=(filled,))
        case _:
            geometry = _Geometry(box=box, enlarge=enlarge)
    return geometry


def _dense(options: Options, source: Size) -> Options:
    """Multiply the density in, as far as the box can grow before the picture would be enlarged."""
    if options.density == 1 or options.box is None:
        return options
    box = _box(options, source)
    shrinks = (source[0] / box[0], source[1] / box[1])
    whole = _fit(options.fit, box, source) in ("inside", "contain")
    room = max(shrinks) if whole else min(shrinks)
    return options.at_density(min(options.density, max(room, 1.0)))


def _fit(fit: str, box: Size, source: Size) -> str:
    if fit != "auto":
        return fit
    return "crop" if (box[0] < box[1]) == (source[0] < source[1]) else "inside"


def _box(options: Options, source: Size) -> Size:
    """Work out a side that is not given, in proportion, and swap sides if asked."""
    width, height = options.width, options.height
    if width and height:
        swaps = options.swap and (width > height) != (source[0] > source[1])
        swaps = swaps and source[0] != source[1]
        return (height, width) if swaps else (width, height)
    scale = width / source[0] if width else (height or 1) / source[1]
    return _limited(
        (width or round(source[0] * scale) or 1, height or round(source[1] * scale) or 1)
    )


def _limited(size: Size) -> Size:
    """Shrink a size within the limits of any box, for sides that depend on the source's shape."""
    scale = min(
        1.0,
        MAX_SIDE / max(size),
        math.sqrt(MAX_PIXELS / (size[0] * size[1])),
    )
    return size if scale == 1 else (max(1, int(size[0] * scale)), max(1, int(size[1] * scale)))


def _focal(options: Options, probe: Probe, edits: Edits | None) -> Point | None:
    """Convert a focal point in pixels of the source to shares of the cropped source."""
    if options.focal is None or max(options.focal) <= 1:
        return options.focal
    crop = (edits and edits.crop) or (0, 0, probe.width, probe.height)
    across, down = (
        min(max((at - start) / length, 0.0), 1.0)
        for at, start, length in zip(options.focal, crop[:2], crop[2:], strict=True)
    )
    return across, down


def _wish(options: Options, geometry: _Geometry, focal: Point | None) -> Wish:
    said: dict[str, object] = {
        "format": options.format,
        "background": f"#{options.background}",
        "keep": ("copyright",) if options.keep_copyright else (),
    }
    if options.quality is not None and BY_NAME[str(options.format)].quality:
        said["quality"] = options.quality
    if geometry.box is None:
        return Wish.model_validate(said)
    said |= {"box": geometry.box, "fit": geometry.fit, "enlarge": geometry.enlarge}
    if geometry.fit == "cover" and focal:
        said["focal"] = focal
    elif geometry.fit == "cover":
        said["gravity"] = options.gravity
    return Wish.model_validate(said)


def _sizes(size: Size, operations: tuple[Operation, ...], *, limit: int) -> tuple[Size, ...]:
    """Return the largest sizes before and after each operation. Raises an `InvalidOption`."""
    sizes = [size]
    for each in operations:
        size = _size_after(each, size)
        if max(size) > limit or size[0] * size[1] > 2 * MAX_PIXELS:
            found = f"{size[0]}x{size[1]}"
            raise InvalidOption(each.name, f"would make it too large: {found} pixels")
        sizes.append(size)
    return tuple(sizes)


def _size_after(each: Operation, size: Size) -> Size:
    numbers = [value for value in each.arguments if not isinstance(value, str)]
    match each.name:
        case "rotate":
            angle = math.radians(numbers[0])
            sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
            return (
                math.ceil(size[0] * cosine + size[1] * sine - 1e-6),
                math.ceil(size[0] * sine + size[1] * cosine - 1e-6),
            )
        case "scale":
            return scaled_by(size, numbers[0])
        case "extract":
            left, top, width, height = map(int, numbers)
            return bounded((left, top, width, height), size)[2:]
        case "extend":
            return extended(size, (int(numbers[0]), int(numbers[1])), to=str(each.arguments[4]))
        case "pad":
            top, right, bottom, left = map(int, numbers)
            return size[0] + left + right, size[1] + top + bottom
        case _:
            return size
