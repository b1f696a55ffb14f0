"""Copies the gain map of an Ultra HDR JPEG to a variant, cropped and scaled like the variant.

A gain map is a small picture whose pixels say how much brighter a display may show the plain
picture (ISO 21496-1; Google's Ultra HDR 1.1). Decoders that do not know gain maps show the plain
picture. If a gain map is invalid, the variant is made without it.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

import pyvips

from safelight.imaging.probe import Probe
from safelight.imaging.recipe import Recipe

_DATA = "gainmap-data"
_FACTS = (
    "gainmap-max-content-boost",
    "gainmap-min-content-boost",
    "gainmap-gamma",
    "gainmap-offset-sdr",
    "gainmap-offset-hdr",
    "gainmap-hdr-capacity-min",
    "gainmap-hdr-capacity-max",
    "gainmap-use-base-cg",
)
"""The metadata of a gain map in libvips 8.18, besides the JPEG."""
_QUALITY = 85
_TYPES: Mapping[type, int] = MappingProxyType(
    {
        int: pyvips.GValue.gint_type,
        float: pyvips.GValue.gdouble_type,
        list: pyvips.GValue.array_double_type,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GainMap:
    """The gain map of one source, upright, with its metadata."""

    source_width: int
    image: pyvips.Image
    facts: Mapping[str, object]

    @classmethod
    def of(cls, source: Path, probe: Probe) -> Self | None:
        """Read it; None if there is no valid one, or if it is larger than the picture."""
        with contextlib.suppress(pyvips.Error):
            loaded = pyvips.Image.uhdrload(str(source))
            facts = {name: loaded.get(name) for name in _FACTS if loaded.get_typeof(name)}
            if len(facts) < len(_FACTS):
                return None
            image = pyvips.Image.jpegload_buffer(loaded.get(_DATA), fail_on="warning")
            if image.width * image.height > probe.pixels:
                return None
            upright = image.copy()
            upright.set_type(pyvips.GValue.gint_type, "orientation", probe.orientation)
            upright = upright.copy_memory().autorot()
            return cls(source_width=probe.width, image=upright, facts=facts)
        return None

    def laid_onto(self, variant: pyvips.Image, recipe: Recipe) -> pyvips.Image:
        """Attach the gain map, scaled by the same factor as the picture."""
        smaller = max(1, self.source_width / self.image.width)
        image = self.image
        if recipe.offset is not None and recipe.scaled != recipe.size:
            image = _resized(image, recipe.scaled).crop(*recipe.offset, *recipe.size)
        width, height = recipe.size
        size = (max(1, round(width / smaller)), max(1, round(height / smaller)))
        encoded = _resized(image, size).jpegsave_buffer(Q=_QUALITY, keep="none")
        with_map = variant.copy()
        with_map.set_type(pyvips.GValue.blob_type, _DATA, encoded)
        for name, value in self.facts.items():
            with_map.set_type(_TYPES[type(value)], name, value)
        return with_map


def _resized(image: pyvips.Image, size: tuple[int, int]) -> pyvips.Image:
    return image.resize(size[0] / image.width, vscale=size[1] / image.height)
