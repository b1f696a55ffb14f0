"""Finds out how an AVIF stores its grey and its alpha, which libheif does not convert.

The data is untrusted, as in `isomedia`.
"""

from dataclasses import dataclass
from functools import partial
from itertools import islice

from safelight.imaging.av1 import is_limited_grey
from safelight.imaging.isomedia import Box, Data, Items

_ALPHA = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
)
_NAME_BYTES = 64
"""More bytes than the names of alpha have, with the version before them."""
_MOST_AUXILIARY = 8
"""How many auxiliary pictures, such as alpha and depth, are searched for alpha."""
_SEQUENCE_BYTES = 256
"""More bytes than the sequence header of any picture has, with the units before it."""
_GREY = 0x10
"""A flag in the third byte of `av1C` (AV1 in ISOBMFF, 2.3.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """How the numbers of an AVIF are stored."""

    limited_grey: bool = False
    """Whether the picture is grey, with black at 16 and white at 235 of 255."""
    limited_alpha: bool = False
    """Whether the same holds for its alpha. The standard forbids it, but encoders wrote it."""
    premultiplied: bool = False
    """Whether the colours are multiplied by alpha."""


def storage(data: Data) -> Storage:
    """Return how the primary picture is stored."""
    items = Items(data)
    picture, references = items.primary, items.references
    auxiliary = (item for kind, item, to in references if (kind, to) == (b"auxl", picture))
    alpha = filter(partial(_is_alpha, items), islice(auxiliary, _MOST_AUXILIARY))
    return Storage(
        limited_grey=_is_limited_grey(items),
        limited_alpha=any(_is_limited(items, item) for item in alpha),
        premultiplied=any(kind == b"prem" and item == picture for kind, item, _ in references),
    )


def _is_limited_grey(items: Items) -> bool:
    coded = items.coded(items.primary)
    if not any(_is_grey(box, items.data) for box in items.properties(coded)):
        return False
    named = items.names_limited_range()
    return _is_limited(items, items.primary) if named is None else named


def _is_grey(box: Box, data: Data) -> bool:
    kind, at, _ = box
    return kind == b"av1C" and bool(data[at + 2] & _GREY)


def _is_limited(items: Items, item: int) -> bool:
    start = items.content(items.coded(item), _SEQUENCE_BYTES)
    return is_limited_grey(start)


def _is_alpha(items: Items, item: int) -> bool:
    """Return whether a property names the item as alpha (ISO/IEC 23008-12, 6.5.8)."""
    return any(
        kind == b"auxC" and items.data[at + 4 : min(end, at + _NAME_BYTES)].startswith(_ALPHA)
        for kind, at, end in items.properties(item)
    )
