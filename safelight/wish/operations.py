"""Operations on a resized picture: one table, in the words of Safelight's own grammar.

Operations are applied in the order given. `safelight/imaging/operations.py` has one function per
row; a test compares the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from safelight.wish.arguments import Argument, Choice, Colour, Key, Number, Place, Value
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import GRAVITIES

MAX_SIDE = 8192
"""The longest side that may be requested, in pixels."""
MAX_OPERATIONS = 12
"""The most operations of one wish."""
FACE = "face"
"""The operation whose rectangle is known only when the faces are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One type of operation."""

    arguments: tuple[Argument, ...]
    meaning: str
    neutral: tuple[Value, ...] | None = None
    """Leading arguments with which it has no effect and is omitted."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation with all its arguments, already checked."""

    name: str
    arguments: tuple[Value, ...] = ()

    @property
    def changes_something(self) -> bool:
        """Whether the operation has an effect."""
        neutral = KINDS[self.name].neutral
        return neutral is None or self.arguments[: len(neutral)] != neutral


def _side(name: str, *, least: int = 0, default: int | None = 0) -> Number:
    return Number(name=name, least=least, most=MAX_SIDE, default=default, whole=True)


def _per_cent(name: str) -> Number:
    return Number(name=name, least=-100, most=100)


_FILL = Colour(default="transparent", may_be_transparent=True)
_PADS = tuple(
    Number(name=side, least=0, most=1000, default=0, whole=True)
    for side in ("top", "right", "bottom", "left")
)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "blur": Kind(
            arguments=(Number(name="sigma", least=0.3, most=100),),
            meaning="Gaussian blur; sigma in pixels.",
        ),
        "sharpen": Kind(
            arguments=(
                Number(name="sigma", least=0.1, most=10, default=0.5),
                Number(name="amount", least=0, most=10, default=1),
            ),
            meaning="Sharpens lightness only, edges more than flat areas.",
        ),
        "pixelate": Kind(
            arguments=(Number(name="size", least=1, most=512, whole=True),),
            meaning="Replaces the picture by squares of this size in pixels.",
            neutral=(1,),
        ),
        "brightness": Kind(
            arguments=(_per_cent("per cent"),),
            meaning="Adds this percentage of full white to every colour.",
            neutral=(0,),
        ),
        "contrast": Kind(
            arguments=(_per_cent("per cent"),),
            meaning="Multiplies the distance from mid-grey by (1 + per cent / 100) squared.",
            neutral=(0,),
        ),
        "saturation": Kind(
            arguments=(Number(name="factor", least=0, most=10),),
            meaning="Multiplies the distance from grey of the same brightness.",
            neutral=(1,),
        ),
        "rgb": Kind(
            arguments=(_per_cent("red"), _per_cent("green"), _per_cent("blue")),
            meaning="Adds these percentages of full red, green and blue.",
            neutral=(0, 0, 0),
        ),
        "grayscale": Kind(arguments=(), meaning="Converts to shades of grey."),
        "rotate": Kind(
            arguments=(Number(name="degrees", least=-360, most=360), _FILL),
            meaning="Rotates clockwise by any angle and fills the new corners.",
            neutral=(0,),
        ),
        "scale": Kind(
            arguments=(Number(name="factor", least=0.01, most=1),),
            meaning="Shrinks the picture by this factor.",
            neutral=(1,),
        ),
        "extract": Kind(
            arguments=(
                _side("left"),
                _side("top"),
                _side("width", least=1, default=None),
                _side("height", least=1, default=None),
            ),
            meaning="Cuts out a rectangle. Parts of it outside the picture are ignored.",
        ),
        FACE: Kind(
            arguments=(_side("room"),),
            meaning="Cuts out the largest face with this room around it, in pixels; keeps a "
            "picture without a face whole. Comes before operations that change the size.",
        ),
        "extend": Kind(
            arguments=(
                _side("width"),
                _side("height"),
                _FILL,
                Choice(name="gravity", choices=tuple(GRAVITIES), default="centre"),
                Choice(name="to", choices=("box", "ratio"), default="box"),
            ),
            meaning="Pads to a box, or to its ratio of width to height. A side of 0 is unchanged.",
            neutral=(0, 0),
        ),
        "pad": Kind(
            arguments=(*_PADS, _FILL),
            meaning="Adds pixels on each side.",
            neutral=(0, 0, 0, 0),
        ),
        "round": Kind(
            arguments=(_side("x", least=1, default=None), _side("y"), _FILL),
            meaning="Rounds the corners with these radii, at most half of a side. With y of 0, x "
            "counts for both.",
        ),
        "flatten": Kind(arguments=(Colour(),), meaning="Replaces transparency by a colour."),
        "watermark": Kind(
            arguments=(
                Key(),
                Place(name="x"),
                Place(name="y"),
                Number(name="transparency", least=0, most=100, default=0),
                Number(name="width", least=0, most=100, default=0),
                Number(name="height", least=0, most=100, default=0),
            ),
            meaning="Places another picture on top. Transparency is in per cent, width and height "
            "in per cent of the picture; 0 keeps the size of the watermark.",
        ),
    }
)


def operation(name: str, *arguments: Value) -> Operation:
    """Build an operation from values. Raises an `InvalidOption` that names the argument."""
    kind = KINDS[name]
    given: list[Value | None] = [*arguments]
    given += [None] * (len(kind.arguments) - len(given))
    checked = []
    for argument, wanted in zip(kind.arguments, given, strict=True):
        value = argument.default if wanted is None else wanted
        if value is None:
            message = f"{argument.name} must be {argument.expected}; found nothing"
            raise InvalidOption(name, message)
        try:
            checked.append(argument.check(value))
        except ValueError as error:
            message = f"{argument.name} must be {error}; found {str(value)[:80]}"
            raise InvalidOption(name, message) from error
    return Operation(name, tuple(checked))


def read_operation(name: str, texts: Sequence[str]) -> Operation:
    """Read an operation from its texts, in order; trailing arguments may be optional."""
    kind = KINDS[name]
    if len(texts) > len(kind.arguments):
        raise InvalidOption(name, f"takes {len(kind.arguments)} arguments; found {len(texts)}")
    values = []
    for argument, text in zip(kind.arguments, texts, strict=False):
        try:
            values.append(argument.read(text))
        except ValueError as error:
            message = f"{argument.name} must be {error}; found {text[:80]!r}"
            raise InvalidOption(name, message) from error
    return operation(name, *values)


def write_operation(asked: Operation) -> str:
    """Write an operation without trailing defaults."""
    kinds = KINDS[asked.name].arguments
    texts = [kind.write(value) for kind, value in zip(kinds, asked.arguments, strict=True)]
    while texts and asked.arguments[len(texts) - 1] == kinds[len(texts) - 1].default:
        texts.pop()
    return f"{asked.name}={':'.join(texts)}" if texts else asked.name
