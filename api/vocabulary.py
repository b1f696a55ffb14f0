"""`GET /v1/presets`: what may be asked of a picture, so that forms can be built from the answer.

Presets, the words of options, and operations with the bounds of their arguments.
"""

from collections.abc import Collection, Sequence
from typing import Literal

from aiohttp import web
from pydantic import Field

from api.problems import Document, json_answer
from safelight.formats import AUTO, WRITABLE_NAMES
from safelight.presets import Preset
from safelight.wish.arguments import Argument, Choice, Colour, Number, Place
from safelight.wish.canonical import FORMS, canonical
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import FACES, GRAVITIES, LOOKED_FOR
from safelight.wish.operations import FACE, KINDS, MAX_OPERATIONS, MAX_SIDE, Kind
from safelight.wish.options import FITS, MAX_DENSITY, Options
from safelight.wish.wish import Wish

_CHOICES = {
    "fit": tuple(FITS),
    "gravity": (*GRAVITIES, *LOOKED_FOR),
    "turn": ("90", "180", "270"),
    "flip": ("h", "v", "hv"),
    "format": WRITABLE_NAMES,
    "keep": ("copyright",),
}
_BOUNDS = {
    "width": (1, MAX_SIDE),
    "height": (1, MAX_SIDE),
    "quality": (1, 100),
    "density": (1, MAX_DENSITY),
}
_UNSIGNED = "watermark"
"""The operation that `POST /v1/urls` refuses: it would show another picture."""


class PresetShown(Document):
    """A preset."""

    name: str
    access: Literal["public", "signed", "private"]
    formats: tuple[str, ...] = Field(description="What delivery may answer with, smallest first.")
    options: str | None = Field(
        default=None,
        description="The options that come closest. Frames, gain maps, colours beyond sRGB and a "
        "searched quality have no words. Absent for a box that no options may have.",
    )


class WordShown(Document):
    """A word of options that may be there once."""

    name: str
    form: str
    choices: tuple[str, ...] | None = None
    least: float | None = None
    most: float | None = None


class ArgumentShown(Document):
    """One argument of an operation."""

    name: str
    kind: Literal["number", "colour", "choice", "place"]
    expected: str
    default: float | str | None = Field(default=None, description="Absent if it is required.")
    least: float | None = None
    most: float | None = None
    whole: bool | None = None
    choices: tuple[str, ...] | None = None
    transparent: bool | None = Field(
        default=None, description="Whether a colour may be `transparent`."
    )


class OperationShown(Document):
    """An operation, which may be there several times; operations run in their order."""

    name: str
    meaning: str
    arguments: tuple[ArgumentShown, ...]


class Vocabulary(Document):
    """What may be asked of a picture here."""

    presets: tuple[PresetShown, ...]
    words: tuple[WordShown, ...]
    operations: tuple[OperationShown, ...]
    max_operations: int = MAX_OPERATIONS


class Presets:
    """Answers `GET /v1/presets`."""

    def __init__(self, presets: Sequence[Preset], *, faces: bool) -> None:
        """Without `faces`, what needs them is left out."""
        without: Collection[str] = (_UNSIGNED,) if faces else (_UNSIGNED, FACE)
        self._vocabulary = Vocabulary(
            presets=tuple(map(_preset, presets)),
            words=tuple(_word(name, form, faces=faces) for name, form in FORMS.items()),
            operations=tuple(
                _operation(name, kind) for name, kind in KINDS.items() if name not in without
            ),
        )

    async def get(self, _: web.Request) -> web.Response:
        """Answer with the presets, words and operations of this process."""
        return json_answer(self._vocabulary)


def closest_options(wish: Wish) -> Options:
    """Return the options that come closest to a preset's wish."""
    return Options(
        width=wish.box[0] if wish.box else None,
        height=wish.box[1] if wish.box else None,
        fit=wish.fit,
        gravity=wish.gravity,
        focal=wish.focal,
        enlarge=wish.enlarge,
        background=wish.background[1:].lower(),
        format=None if wish.format == AUTO else wish.format,
        quality=wish.quality if isinstance(wish.quality, int) else None,
        keep_copyright="copyright" in wish.keep,
    )


def _preset(preset: Preset) -> PresetShown:
    return PresetShown(
        name=preset.name,
        access=preset.policy.access,
        formats=preset.deliverable,
        options=_options(preset.wish),
    )


def _options(wish: Wish) -> str | None:
    try:
        return canonical(closest_options(wish))
    except InvalidOption:
        return None


def _word(name: str, form: str, *, faces: bool) -> WordShown:
    least, most = _BOUNDS.get(name, (None, None))
    choices = _CHOICES.get(name, ())
    shown = tuple(each for each in choices if faces or each != FACES)
    return WordShown(name=name, form=form, choices=shown or None, least=least, most=most)


def _operation(name: str, kind: Kind) -> OperationShown:
    return OperationShown(
        name=name, meaning=kind.meaning, arguments=tuple(map(_argument, kind.arguments))
    )


def _argument(argument: Argument) -> ArgumentShown:
    common = {
        "name": argument.name, "expected": argument.expected, "default": argument.default,
    }  # fmt: skip
    match argument:
        case Number(least=least, most=most, whole=whole):
            return ArgumentShown(kind="number", least=least, most=most, whole=whole, **common)
        case Colour(may_be_transparent=transparent):
            return ArgumentShown(kind="colour", transparent=transparent, **common)
        case Choice(choices=choices):
            return ArgumentShown(kind="choice", choices=choices, **common)
        case Place():
            return ArgumentShown(kind="place", **common)
        case _:
            raise TypeError(f"{argument.name} has no form in {__name__}")
