"""Writes wishes as imgproxy's URLs: the table of `imgproxy_options.py` the other way round.

A part of a wish for which imgproxy has no option is left out; `writers.py` finds that.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from api.dialects.image_url import ImageUrl
from api.dialects.imgproxy_options import FITS
from api.dialects.imgproxy_places import mirrored, mirrored_point, place_texts, watermark_texts
from api.dialects.values import precise_text, seconds_of
from safelight.wish.arguments import Value, number_text
from safelight.wish.options import Options

Texts = Sequence[str] | None
"""The arguments of an option; None leaves it out."""
_TYPES = {fit: word for word, fit in FITS.items()}


def write(url: ImageUrl) -> str:
    """Write options and source as one path, which is not signed yet."""
    words = [[name, *(texts(url.options) or ())] for name, texts in WRITERS.items()]
    if url.expires:
        words.append(["exp", seconds_of(url.expires)])
    options = [":".join(word) for word in words if len(word) > 1]
    return "/".join([*options, "plain", quote(url.source.key)])


def _resize(wish: Options) -> Texts:
    if wish.box is None:
        return None
    stretched = wish.fit == "fill" and wish.enlarge  # which is `force` if the box may enlarge
    word = _TYPES.get("force" if stretched else wish.fit, "fit")
    return [word, str(wish.width or 0), str(wish.height or 0)]


def _gravity(wish: Options) -> Texts:
    if wish.focal is None and wish.gravity == "centre":
        return None
    flip = wish.flip
    return place_texts(mirrored(wish.gravity, flip), mirrored_point(wish.focal, flip))


def _crop(wish: Options) -> Texts:
    crop = wish.crop
    if crop is None:
        return None
    where = place_texts(crop.gravity, crop.focal, crop.offset)
    return [number_text(crop.width), number_text(crop.height), *where]


def _trim(wish: Options) -> Texts:
    if wish.trim is None:
        return None
    return [str(wish.trim.tolerance), *([wish.trim.colour] if wish.trim.colour else [])]


def _flip(wish: Options) -> Texts:
    return [str(int("h" in wish.flip)), str(int("v" in wish.flip))] if wish.flip else None


def _of(
    name: str, texts: Callable[..., Texts] = lambda value, *_: [number_text(value)]
) -> Callable[[Options], Texts]:
    """Make the writer of an operation from its arguments, by default of the first one."""

    def write(wish: Options) -> Texts:
        found = next((each for each in wish.operations if each.name == name), None)
        return None if found is None else texts(*found.arguments)

    return write


def _extend(to: str) -> Callable[[Options], Texts]:
    def texts(*arguments: Value) -> Texts:
        *_, gravity, filled = arguments
        return ["1", *place_texts(str(gravity))] if filled == to else None

    return _of("extend", texts)


def _watermark(_: Value, x: str, y: str, transparency: float, width: float, *__: Value) -> Texts:
    place = watermark_texts(x, y)
    if place is None:
        return None
    return [precise_text(1 - transparency / 100), *place, precise_text(width / 100)]


def _given(value: object) -> Texts:
    return [str(value)] if value else None


WRITERS: Mapping[str, Callable[[Options], Texts]] = MappingProxyType(
    {
        "rs": _resize,
        "el": lambda wish: ["1"] if wish.enlarge else None,
        "dpr": lambda wish: None if wish.density == 1 else [number_text(wish.density)],
        "ex": _extend("box"),
        "exar": _extend("ratio"),
        "g": _gravity,
        "c": _crop,
        "t": _trim,
        "pd": _of("pad", lambda *sides: [number_text(side) for side in sides[:4]]),
        "rot": lambda wish: _given(wish.turn),
        "fl": _flip,
        "bg": _of("flatten", lambda colour: [colour]),
        "bl": _of("blur"),
        "sh": _of("sharpen"),
        "pix": _of("pixelate"),
        "br": _of("brightness", lambda per_cent: [precise_text(2.55 * per_cent)]),
        "co": _of("contrast", lambda per_cent: [precise_text((1 + per_cent / 100) ** 2)]),
        "sa": _of("saturation"),
        "wm": _of("watermark", _watermark),
        "kcr": lambda wish: ["1"] if wish.keep_copyright else None,
        "q": lambda wish: _given(wish.quality),
        "mb": lambda wish: _given(wish.max_bytes),
        "f": lambda wish: _given(wish.format),
    }
)
"""Option -> its arguments for a wish in its normal form."""
