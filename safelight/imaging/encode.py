"""Encodes one variant in its format and quality, with only the metadata that its recipe keeps.

Runs in a render child.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import pyvips

from safelight.formats import BY_NAME
from safelight.imaging import libwebp
from safelight.imaging.libvips import open_encoded
from safelight.imaging.perceptual import lowest_quality
from safelight.imaging.recipe import Recipe
from safelight.imaging.rights import Rights

LEAST_QUALITY = 10
"""The lowest quality that `max_bytes` may lead to."""
_DIRECT: Mapping[str, Callable[[], libwebp.Libwebp | None]] = MappingProxyType(
    {"webp": libwebp.encoder}
)
"""Format -> opens the library that encodes it faster than libvips does, without metadata."""
_EXIF, _XMP, _IPTC = "exif-data", "xmp-data", "iptc-data"


def with_quality(image: pyvips.Image, recipe: Recipe) -> tuple[Recipe, int | None]:
    """Return the recipe with the quality it asks to search, and the score reached, if it does."""
    if recipe.search is None:
        return recipe, None
    format = BY_NAME[recipe.format]
    plain = replace(recipe, colour="srgb", keep=(), hdr=False, animated=False)
    found = lowest_quality(
        image,
        recipe.search,
        encode=lambda sample, quality: encoded(sample, replace(plain, quality=quality)),
        decode=lambda sample: open_encoded(sample, format),
    )
    return replace(recipe, quality=found.quality), math.floor(found.score)


def within_bytes(image: pyvips.Image, recipe: Recipe) -> tuple[Recipe, bytes]:
    """Encode with the highest quality at which the file has at most `max_bytes`, if set.

    If even the lowest quality gives more bytes, the lowest is used.
    """
    saved = encoded(image, recipe)
    if recipe.max_bytes is None or recipe.quality is None or len(saved) <= recipe.max_bytes:
        return recipe, saved
    least, best = LEAST_QUALITY, recipe.quality - 1
    found = replace(recipe, quality=min(least, recipe.quality))
    saved = encoded(image, found)
    while least < best:
        tried = replace(recipe, quality=(least + best + 1) // 2)
        data = encoded(image, tried)
        if len(data) <= recipe.max_bytes:
            least, found, saved = (least + best + 1) // 2, tried, data
        else:
            best = (least + best + 1) // 2 - 1
    return found, saved


def encoded(image: pyvips.Image, recipe: Recipe) -> bytes:
    """Encode with only the metadata that the recipe keeps: never GPS, XMP or comments."""
    format = BY_NAME[recipe.format]
    image, kept = _with_what_is_kept(image, recipe)
    chosen = {"Q": recipe.quality, "effort": recipe.effort}
    options = {name: value for name, value in chosen.items() if value is not None}
    direct = _DIRECT.get(format.name)
    encoder = direct() if direct and kept == "none" else None
    if encoder and encoder.takes(image):
        return encoder.encode(image, quality=options["Q"], effort=options["effort"])
    save = getattr(image, f"{format.saver}_buffer")
    saved: bytes = save(keep=kept, **options, **format.save_options)
    return saved


def _with_what_is_kept(image: pyvips.Image, recipe: Recipe) -> tuple[pyvips.Image, str]:
    """Reduce the metadata to what the recipe keeps, and return its names for the encoder."""
    kept = ["icc"] if recipe.colour == "p3" else []
    if recipe.hdr:
        kept.append("gainmap")
    if "copyright" in recipe.keep:
        found = Rights.found_in(
            exif=_blob(image, _EXIF), xmp=_blob(image, _XMP), iptc=_blob(image, _IPTC)
        )
        if rights := found.to_exif():
            image = _without_exif(image)
            image.set_type(pyvips.GValue.blob_type, _EXIF, rights)
            kept.append("exif")
    return image, ",".join(kept) or "none"


def _blob(image: pyvips.Image, name: str) -> bytes:
    return bytes(image.get(name)) if image.get_typeof(name) else b""


def _without_exif(image: pyvips.Image) -> pyvips.Image:
    """Remove the EXIF, and the fields that libvips read from it and would write back."""
    image = image.copy()
    for name in image.get_fields():
        if name.startswith("exif-"):
            image.remove(name)
    return image
