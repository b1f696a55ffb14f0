"""The order in which sharp carries out the edits of AWS's image handler.

Edits are carried out after resizing, in their order: an object of JSON has an order. A crop that is
listed before the resizing or a turn is made before it.
"""

from collections.abc import Mapping
from typing import Any

from api.dialects.aws_handler_edits import EDITS, EditsDraft
from api.dialects.aws_handler_writer import TURNED
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import operation
from safelight.wish.options import Crop, Options

_CUTS = ("crop", "extract")
_MOST = 1e9
"""A side in pixels that is refused as too large, but can be written."""


def read_edits(edits: Mapping[str, Any]) -> tuple[Options, tuple[tuple[str, str], ...]]:
    """Read edits into a wish, and list those with which the picture differs from sharp's.

    Raises an `InvalidOption` that names the edit.
    """
    draft = EditsDraft()
    first = {name for name in _CUTS if name in edits and _is_made_first(name, edits)}
    for name in sorted(edits, key=lambda name: name != "resize"):
        if name not in first:
            EDITS.read(draft, name, [edits[name]])
    for name in first:
        _crop_first(draft, name, edits)
    if draft.ratio is not None and draft.width and draft.height:
        draft.width, draft.height = (
            round(min(side * draft.ratio, _MOST)) for side in (draft.width, draft.height)
        )
    elif draft.ratio is not None:
        if draft.crop:
            raise InvalidOption("resize.ratio", "needs a size, because a crop is made first")
        draft.width = draft.height = None
        draft.operations.insert(0, operation("scale", draft.ratio))
    if draft.fit == "contain":
        # sharp fills up with black or the given colour; a wish's own background is white.
        sides = (draft.width or 0, draft.height or 0)
        filled = operation("extend", *sides, draft.fill or "000000", draft.gravity)
        draft.operations.insert(0, filled)
        draft.fit = "inside"
    fit = "crop" if draft.fit == "cover" and not draft.enlarge else draft.fit
    return draft.options(fit=fit), tuple(draft.differs.items())


def _is_made_first(cut: str, edits: Mapping[str, Any]) -> bool:
    """Return whether sharp cuts before it resizes or turns: if that is listed later."""
    names = list(edits)
    return not {"resize", "rotate"}.isdisjoint(names[names.index(cut) + 1 :])


def _crop_first(draft: EditsDraft, name: str, edits: Mapping[str, Any]) -> None:
    """Crop the source. A wish turns first, so a crop that is listed before a turn is turned too."""
    if draft.crop is not None:
        raise InvalidOption(name, "is a second crop of the source")
    EDITS.read(draft, name, [edits[name]])
    left, top, width, height = (int(side) for side in draft.operations.pop().arguments)
    names = list(edits)
    turned = "rotate" in names and names.index("rotate") > names.index(name)
    gravity = TURNED[draft.turn if turned else 0]
    swaps = turned and draft.turn in (90, 270)
    draft.crop = Crop(
        width=height if swaps else width,
        height=width if swaps else height,
        gravity=gravity,
        offset=(top, left) if swaps else (left, top),
    )
