"""A wish: what a preset asks of the pixels of one variant. Pure; it opens nothing.

`options.py` has the other kind, everything that one URL may ask. A wish that loads can be rendered.
The description of a field says what it must be; faults of preset files quote it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    model_validator,
)

from safelight.formats import (
    AUTO,
    AUTO_FORMATS,
    AUTO_SCALE,
    BY_NAME,
    WRITABLE,
    WRITABLE_NAMES,
    equivalent_quality,
)
from safelight.wish.fingerprints import fingerprint_of
from safelight.wish.gravities import FACES, GRAVITIES, LOOKED_FOR
from safelight.wish.validation import OneOf, as_tuple, quoted, shown, validated

DEFAULT_TARGET = 70
"""High quality, in points of SSIMULACRA 2."""
_AUTO_DEFAULTS = {"quality": 80, "budget": 4.0}
_LATER = (
    "gravity", "focal", "enlarge", "colour", "keep", "hdr", "animated", "budget", "target",
    "quality_range",
)  # fmt: skip
"""Keys that were added when assets existed already: their defaults do not enter fingerprints."""
_SEARCHED = ("target", "quality_range")
"""Keys that need `quality = "auto"`."""
_FINGERPRINT_DIGITS = 12

Side = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Quality = Annotated[int, Field(ge=1, le=100)]


class Wish(BaseModel):
    """The pixels of one variant."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    box: Annotated[tuple[Side, Side] | None, BeforeValidator(as_tuple)] = Field(
        default=None, description="[width, height], two whole numbers of pixels from 1 up"
    )
    """None keeps the size of the source."""
    fit: Literal["inside", "cover", "contain"] = Field(
        default="inside", description='"inside", "cover" or "contain"'
    )
    gravity: Annotated[str, OneOf((*GRAVITIES, *LOOKED_FOR))] = Field(
        default="centre", description=f"one of {quoted((*GRAVITIES, *LOOKED_FOR))}"
    )
    """The part that `cover` keeps, and the place in the box where `contain` puts the picture."""
    focal: Annotated[tuple[Share, Share] | None, BeforeValidator(as_tuple)] = Field(
        default=None, description="[x, y], two numbers from 0 to 1"
    )
    """The point that `cover` keeps nearest to the middle, in shares of the displayed picture."""
    enlarge: bool = Field(default=False, description="true or false")
    """Whether a picture smaller than the box is enlarged to it."""
    format: Annotated[str, OneOf((*WRITABLE_NAMES, AUTO))] = Field(
        description=f'one of {quoted(WRITABLE_NAMES)}, or "{AUTO}"'
    )
    quality: int | Literal["auto"] | None = Field(
        default=None, description='a whole number from 1 to 100, or "auto"'
    )
    target: int | None = Field(
        default=None, ge=30, le=95, description="a whole number of points from 30 to 95"
    )
    """The score that `quality = "auto"` aims for, in points of SSIMULACRA 2."""
    quality_range: Annotated[tuple[Quality, Quality] | None, BeforeValidator(as_tuple)] = Field(
        default=None, description="[least, most], two whole numbers from 1 to 100"
    )
    """The qualities that `quality = "auto"` may choose."""
    effort: int | None = Field(default=None, description="a whole number")
    budget: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="a number of million pixels from 0 up",
    )
    """The largest variant, in million pixels, that `auto` also tries in costly formats."""
    background: str = Field(
        default="#ffffff", pattern=r"^#[0-9a-fA-F]{6}$", description='a colour as "#rrggbb"'
    )
    colour: Literal["srgb", "p3"] = Field(default="srgb", description='"srgb" or "p3"')
    """`p3` keeps the colours of a source that has more than sRGB can show."""
    keep: Annotated[tuple[Literal["copyright"], ...], BeforeValidator(as_tuple)] = Field(
        default=(), description='a list that is empty or holds "copyright"'
    )
    """Metadata that is kept: the creator and the rights holder."""
    hdr: bool = Field(default=False, description="true or false")
    """Whether the gain map of an Ultra HDR source is kept."""
    animated: bool = Field(default=False, description="true or false")
    """Whether all frames of an animation are kept; if not, only the first is."""

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(given, dict):
            return handler(given)
        given = _with_the_formats_defaults(given)
        return validated(given, handler, _contradictions(given))

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        """The background as red, green and blue, 0 to 255 each."""
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue

    @property
    def needs_faces(self) -> bool:
        """Whether the faces of the picture must be known."""
        return self.gravity == FACES

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that the variant may turn out to have."""
        return AUTO_FORMATS if self.format == AUTO else (self.format,)

    def in_format(self, format: str) -> "Wish":
        """Return the same wish in another format, its quality converted to that format's scale.

        Keys that only the one format has (frames, a gain map, an effort) are dropped.
        """
        if format == self.format:
            return self
        other = BY_NAME[format]
        given = self.model_dump(exclude={"effort", "budget", "quality_range"})
        quality: object = given.pop("quality")
        if isinstance(quality, int):
            scale = BY_NAME[AUTO_SCALE if self.format == AUTO else self.format]
            quality = equivalent_quality(quality, scale, other)
        if other.quality is None or quality is None:
            del given["target"]
        else:
            given["quality"] = quality
        return Wish.model_validate(
            given
            | {
                "format": format,
                "animated": self.animated and other.writes_animations,
                "hdr": self.hdr and other.carries_gain_maps,
            }
        )

    def scaled(self, factor: float, *, formats: Iterable[str]) -> "Wish":
        """Return the same wish in a scaled box, whose sides all these formats can have."""
        if self.box is None or factor == 1:
            return self
        most = min(BY_NAME[format].max_side for format in formats)
        factor = min(factor, most / max(self.box))
        width, height = (max(1, round(side * factor)) for side in self.box)
        return self.model_copy(update={"box": (width, height)})

    @property
    def fingerprint(self) -> str:
        """A hash of the definition and the engine's version, which is part of asset keys."""
        definition = self.model_dump(mode="json")
        definition["background"] = self.background.lower()
        for key in _LATER:
            if getattr(self, key) == Wish.model_fields[key].default:
                del definition[key]
        return fingerprint_of(definition, digits=_FINGERPRINT_DIGITS)


def _with_the_formats_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Write the encoder's defaults out, so that the fingerprint covers them."""
    searched: dict[str, object] = {"target": DEFAULT_TARGET} if given.get("quality") == AUTO else {}
    if given.get("format") == AUTO:
        return {**_AUTO_DEFAULTS, **searched, **given}
    format = BY_NAME.get(str(given.get("format")))
    if format is None:
        return dict(given)
    scales = {"quality": format.quality, "effort": format.effort}
    if searched and format.searched_quality:
        searched["quality_range"] = format.searched_quality
    return {key: scale.default for key, scale in scales.items() if scale} | searched | {**given}


def _contradictions(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find keys that are well-formed alone but not together, each with what was expected."""
    yield from _of_the_place(given)
    yield from _of_the_format(given)
    yield from _of_the_encoder(given)
    yield from _of_the_search(given)


def _of_the_place(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    box, fit = given.get("box"), given.get("fit", "inside")
    gravity, focal = given.get("gravity", "centre"), given.get("focal")
    because = f"because fit is {shown(fit)}"
    if fit in ("cover", "contain") and box is None:
        yield "box", f"{Wish.model_fields['box'].description}, {because}"
    if given.get("enlarge") is True and box is None:
        yield "enlarge", "no enlarge, because there is no box to enlarge to"
    if focal is not None and fit != "cover":
        yield "focal", f"no focal, {because}"
    elif focal is not None and "gravity" in given and gravity != "centre":
        yield "gravity", "no gravity, because focal says where"
    if gravity in LOOKED_FOR and given.get("animated") is True:
        yield "gravity", f"another than {shown(gravity)}, because it would leap from frame to frame"
    elif gravity in LOOKED_FOR and fit != "cover":
        yield "gravity", f"another than {shown(gravity)}, {because}"
    elif fit == "inside" and gravity != "centre" and gravity in tuple(GRAVITIES):
        yield "gravity", f"no gravity, {because}"


def _of_the_format(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    format = BY_NAME.get(str(given.get("format")))
    if given.get("format") == AUTO and given.get("effort") is not None:
        yield "effort", f'no effort, because format is "{AUTO}"'
    if format and given.get("budget") is not None:
        yield "budget", f'no budget, because format is not "{AUTO}"'
    if given.get("hdr") is True and (why := _why_no_hdr(given)):
        yield "hdr", f"no hdr, because {why}"
    if given.get("animated") is True and not (format and format.writes_animations):
        able = " and ".join(each.name for each in WRITABLE if each.writes_animations)
        yield "animated", f"no animated, because only {able} can be animated"


def _why_no_hdr(given: Mapping[str, Any]) -> str | None:
    """Return what prevents a variant from having a gain map."""
    format = BY_NAME.get(str(given.get("format")))
    if not (format and format.carries_gain_maps):
        able = " and ".join(each.name for each in WRITABLE if each.carries_gain_maps)
        return f"only {able} can carry a gain map"
    if given.get("fit") == "contain":
        return "a gain map cannot be padded"
    gravity = given.get("gravity")
    return f"gravity is {shown(gravity)}" if gravity in LOOKED_FOR else None


def _of_the_encoder(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = given.get("format")
    format = BY_NAME.get(AUTO_SCALE if name == AUTO else str(name))
    if format is None or not format.writable:
        return
    for key, scale in (("quality", format.quality), ("effort", format.effort)):
        value = given.get(key)
        if scale is None and value is not None:
            yield key, f"no {key}, because {format.name} has none"
        elif scale and isinstance(value, int) and not scale.least <= value <= scale.most:
            yield key, f"a whole number from {scale.least} to {scale.most} for {format.name}"
    box = given.get("box")
    sides = box if isinstance(box, list | tuple) else ()
    if any(isinstance(side, int) and side > format.max_side for side in sides):
        yield "box", f"sides up to {format.max_side}, the most that {format.name} can have"


def _of_the_search(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if given.get("quality") != AUTO:
        for key in _SEARCHED:
            if given.get(key) is not None:
                yield key, f'no {key}, because quality is not "auto"'
        return
    match given.get("quality_range"):
        case [int(least), int(most)] if least > most:
            described = Wish.model_fields["quality_range"].description
            yield "quality_range", f"{described}, the least first"
