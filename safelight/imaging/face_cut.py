"""Plans the operation that cuts out a face: as a rectangle of the resized picture. Pure."""

import math

from safelight.faces import Face, Faces, within_part
from safelight.imaging.geometry import Box, Size, bounded
from safelight.imaging.recipe import Recipe
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import FACE, Operation

_MOVES = frozenset({"rotate", "scale", "extract", "extend", "pad", FACE})
"""Operations after which it is unknown where a face is."""


def cut_out(
    operations: tuple[Operation, ...], faces: Faces, recipe: Recipe, flip: str
) -> tuple[Operation, ...]:
    """Replace the operation `face` by the rectangle to extract; drop it if there is no face.

    `faces` are those of the picture that the recipe resizes. Raises an `InvalidOption` if it is
    unknown where they will be.
    """
    names = [each.name for each in operations]
    if FACE not in names:
        return operations
    at = names.index(FACE)
    if not _MOVES.isdisjoint(names[:at]) or FACE in names[at + 1 :]:
        raise InvalidOption(FACE, "must be the first operation that changes the size")
    (room,) = operations[at].arguments
    cut = _cut(faces, recipe, flip, int(room)) if faces else ()
    return (*operations[:at], *cut, *operations[at + 1 :])


def _cut(faces: Faces, recipe: Recipe, flip: str, room: int) -> tuple[Operation, ...]:
    if recipe.offset is None:
        raise InvalidOption(FACE, "is not supported after a crop that is found by attention")
    visible = within_part(faces, (*recipe.offset, *recipe.size), recipe.scaled)
    if not visible:
        return ()
    box = _box(visible[0], recipe.size, flip, room)
    return (Operation("extract", bounded(box, recipe.size)),)


def _box(face: Face, size: Size, flip: str, room: int) -> Box:
    left = 1 - face.right if "h" in flip else face.left
    top = 1 - face.bottom if "v" in flip else face.top
    return (
        _whole(left * size[0] - room),
        _whole(top * size[1] - room),
        max(1, _whole(face.width * size[0] + 2 * room)),
        max(1, _whole(face.height * size[1] + 2 * room)),
    )


def _whole(pixels: float) -> int:
    """Round down, but not because of the last digits of a share."""
    return math.floor(pixels + 1e-6)
