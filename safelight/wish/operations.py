"""What may be done to a picture once it has its size: one table, in the words of our own grammar.

Operations are carried out in the order in which they are asked for. `safelight/imaging` has one
function for each row; a test holds the two together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from safelight.wish.arguments import Argument, Choice, Colour, Key, Number, Place, Value
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import GRAVITIES

MAX_SIDE = 8192
"""The most pixels that any side may be asked for."""
MAX_OPERATIONS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of operation."""

    arguments: tuple[Argument, ...]
    meaning: str
    neutral: tuple[Value, ...] | None = None
    """The first arguments with which it changes nothing, and is left out."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation with all its arguments, checked."""

    name: str
    arguments: tuple[Value, ...] = ()

    @property
    def changes_something(self) -> bool:
        """Whether it is worth carrying out."""
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
            meaning="Squares of so many pixels.",
            neutral=(1,),
        ),
        "brightness": Kind(
            arguments=(_per_cent("per cent"),),
            meaning="Adds so much of full white to every colour.",
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
            meaning="Adds so many per cent of full red, green and blue.",
            neutral=(0, 0, 0),
        ),
        "grayscale": Kind(arguments=(), meaning="Shades of grey."),
        "rotate": Kind(
            arguments=(Number(name="degrees", least=-360, most=360), _FILL),
            meaning="Turns clockwise by any angle; the corners that open are filled.",
            neutral=(0,),
        ),
        "scale": Kind(
            arguments=(Number(name="factor", least=0.01, most=1),),
            meaning="Shrinks what is there so far.",
            neutral=(1,),
        ),
        "extract": Kind(
            arguments=(
                _side("left"),
                _side("top"),
                _side("width", least=1, default=None),
                _side("height", least=1, default=None),
            ),
            meaning="Cuts out of what is there so far; what reaches beyond it is left out.",
        ),
        "extend": Kind(
            arguments=(
                _side("width"),
                _side("height"),
                _FILL,
                Choice(name="gravity", choices=tuple(GRAVITIES), default="centre"),
                Choice(name="to", choices=("box", "ratio"), default="box"),
            ),
            meaning="Fills up to a box, or to its ratio of width to height; a side of 0 stays.",
            neutral=(0, 0),
        ),
        "pad": Kind(
            arguments=(*_PADS, _FILL),
            meaning="Adds pixels on each side.",
            neutral=(0, 0, 0, 0),
        ),
        "round": Kind(
            arguments=(_side("x", least=1, default=None), _side("y"), _FILL),
            meaning="Rounds the corners by these radii; y of 0 is the same as x. At most half a "
            "side is rounded.",
        ),
        "flatten": Kind(
            arguments=(Colour(),), meaning="Lays the picture onto a colour; nothing shines through."
        ),
        "watermark": Kind(
            arguments=(
                Key(),
                Place(name="x"),
                Place(name="y"),
                Number(name="transparency", least=0, most=100, default=0),
                Number(name="width", least=0, most=100, default=0),
                Number(name="height", least=0, most=100, default=0),
            ),
            meaning="Lays another picture on top, in per cent transparent; width and height in per "
            "cent of the picture, 0 for its own.",
        ),
    }
)


def operation(name: str, *arguments: Value) -> Operation:
    """Make an operation of values, or raise an `InvalidOption` that names the argument."""
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
    """Read an operation of our own grammar, its arguments in order, the last ones optional."""
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
    """Write an operation in our own grammar, without the defaults at its end."""
    kinds = KINDS[asked.name].arguments
    texts = [kind.write(value) for kind, value in zip(kinds, asked.arguments, strict=True)]
    while texts and asked.arguments[len(texts) - 1] == kinds[len(texts) - 1].default:
        texts.pop()
    return f"{asked.name}={':'.join(texts)}" if texts else asked.name
