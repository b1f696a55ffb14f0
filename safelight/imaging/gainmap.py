"""Carries an Ultra HDR JPEG's gain map over to a variant, cut and scaled as the variant is.

A gain map is a small picture that says per place how much brighter a display may show the plain one
(ISO 21496-1; Google's Ultra HDR 1.1). Decoders that know nothing of it show the plain picture, and
whatever is wrong with a gain map costs the variant nothing but its brightness.
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
"""What libvips 8.18 tells of a gain map beside its own JPEG."""
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
    """The gain map of one source, upright, and the numbers that go with it."""

    source_width: int
    image: pyvips.Image
    facts: Mapping[str, object]

    @classmethod
    def of(cls, source: Path, probe: Probe) -> Self | None:
        """Read it; None where there is none that makes sense, or one larger than the picture."""
        with contextlib.suppress(pyvips.Error):
            told = pyvips.Image.uhdrload(str(source))
            facts = {name: told.get(name) for name in _FACTS if told.get_typeof(name)}
            if len(facts) < len(_FACTS):
                return None
            image = pyvips.Image.jpegload_buffer(told.get(_DATA), fail_on="warning")
            if image.width * image.height > probe.pixels:
                return None
            upright = image.copy()
            upright.set_type(pyvips.GValue.gint_type, "orientation", probe.orientation)
            upright = upright.copy_memory().autorot()
            return cls(source_width=probe.width, image=upright, facts=facts)
        return None

    def laid_onto(self, variant: pyvips.Image, recipe: Recipe) -> pyvips.Image:
        """Give a variant the map, as much smaller than it as it was than the source."""
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
