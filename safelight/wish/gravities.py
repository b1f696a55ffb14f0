"""Names for the part of a picture that matters when it is cropped, padded or extended."""

from collections.abc import Mapping
from types import MappingProxyType

GRAVITIES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "centre": (0.5, 0.5),
        "north": (0.5, 0),
        "north-east": (1, 0),
        "east": (1, 0.5),
        "south-east": (1, 1),
        "south": (0.5, 1),
        "south-west": (0, 1),
        "west": (0, 0.5),
        "north-west": (0, 0),
    }
)
"""Name -> shares (0 to 1) of the leftover room placed left of the chosen part, and above it."""
ATTENTION = "attention"
"""The gravity that is found by looking at the pixels."""
FACES = "faces"
"""The gravity that frames the faces of a picture, or takes `attention` if it has none."""
LOOKED_FOR = (ATTENTION, FACES)
"""Gravities that depend on the picture's content."""
