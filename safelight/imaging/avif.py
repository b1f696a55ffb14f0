"""Finds out how an AVIF stores its grey and its alpha, which libheif does not convert.

The data is untrusted, as in `isomedia`.
"""

from dataclasses import dataclass
from functools import partial
from itertools import islice

from safelight.imaging import isomedia
from safelight.imaging.av1 import is_limited_grey
from safelight.imaging.isomedia import Box, Data

_ALPHA = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
)
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
    picture = isomedia.primary(data)
    references = list(isomedia.references(data))
    auxiliary = (item for kind, item, to in references if (kind, to) == (b"auxl", picture))
    alpha = filter(partial(_is_alpha, data), islice(auxiliary, _MOST_AUXILIARY))
    return Storage(
        limited_grey=_is_limited_grey(data, picture),
        limited_alpha=any(_is_limited(data, item) for item in alpha),
        premultiplied=any(kind == b"prem" and item == picture for kind, item, _ in references),
    )


def _is_limited_grey(data: Data, picture: int) -> bool:
    coded = isomedia.coded_item(data, picture)
    if not any(_is_grey(box, data) for box in isomedia.properties(data, coded)):
        return False
    named = isomedia.names_limited_range(data)
    return _is_limited(data, picture) if named is None else named


def _is_grey(box: Box, data: Data) -> bool:
    kind, at, _ = box
    return kind == b"av1C" and bool(data[at + 2] & _GREY)


def _is_limited(data: Data, item: int) -> bool:
    start = isomedia.content(data, isomedia.coded_item(data, item), _SEQUENCE_BYTES)
    return is_limited_grey(start)


def _is_alpha(data: Data, item: int) -> bool:
    """Return whether a property names the item as alpha (ISO/IEC 23008-12, 6.5.8)."""
    return any(
        kind == b"auxC" and data[at + 4 : end].startswith(_ALPHA)
        for kind, at, end in isomedia.properties(data, item)
    )
