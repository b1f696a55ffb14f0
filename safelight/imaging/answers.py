"""The answers of render children: JSON in a closed set of forms, validated by the parent.

A decoder may have been taken over by its picture. So the parent uses only numbers from an answer;
files, presets and media types come from its own plan.
"""

import errno
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from safelight.errors import Reason, Rejection, UnusableWatermark
from safelight.faces import Face, Faces, kept
from safelight.formats import BY_NAME
from safelight.imaging.appearance import Appearance
from safelight.imaging.plan import Plan
from safelight.imaging.probe import Probe
from safelight.imaging.recipe import Recipe
from safelight.imaging.render import RenderedVariant, Rendering, file_of
from safelight.wish.errors import InvalidOption

MOST_BYTES = 1024**2
"""The longest answer in bytes. A rendering takes about 400 bytes for each variant."""
_MOST_CHARACTERS = 2000
"""The longest text from a child: it may be written to logs and records."""
_MOST_PIXELS = 2**31
"""The longest side in pixels: more than any format allows."""
_MOST_SIZE_BYTES = 2**50
"""The largest size of a file or of memory: far more than any machine has."""
_DISK_FAULTS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOENT, errno.EACCES, errno.EPERM}
    | {errno.EMFILE, errno.ENFILE}
)
"""Errors of a spool that is full, broken, inaccessible or removed. No others are accepted."""


class Nonsense(Exception):
    """The answer is invalid: a child that was not taken over never gives it."""


class SuspectedMemory(Exception):
    """The failure may be out-of-memory rather than a damaged picture."""


class JobFailed(Exception):
    """A job raised an unexpected error; the message names it, a note holds the traceback."""


_ERRORS: Mapping[str, Callable[..., Exception]] = MappingProxyType(
    {
        "Rejection": lambda reason, detail: Rejection(Reason(reason), detail),
        "InvalidOption": InvalidOption,
        "UnusableWatermark": UnusableWatermark,
        "SuspectedMemory": SuspectedMemory,
    }
)
"""Errors that are raised again in the parent, made from the texts in the answer."""


def answer_of(job: Callable[..., object], *args: object, **kwargs: object) -> bytes:
    """Run a job in the child, and return its result or its error as one line of JSON."""
    try:
        said = {"result": job(*args, **kwargs)}
        return json.dumps(said, default=_plain).encode() + b"\n"
    except Exception as error:  # noqa: BLE001 - the parent decides what it means
        return json.dumps({"error": _described(error)}).encode() + b"\n"


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is no answer")


def _described(error: Exception) -> list[object]:
    if isinstance(error, OSError) and error.errno is not None:
        return ["OSError", error.errno, str(error.strerror)]
    name = type(error).__name__
    if name in _ERRORS and isinstance(parts := error.__reduce__()[1], tuple):
        return [name, *map(str, parts)]
    trace = "".join(traceback.format_exception(error))
    return ["JobFailed", f"{name}: {error}"[:_MOST_CHARACTERS], trace[-_MOST_CHARACTERS:]]


def read(line: bytes) -> Any:
    """Read an answer: return the job's result as plain JSON values, or raise the job's error.

    Raises `Nonsense` for anything else.
    """
    try:
        said = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Nonsense("not JSON") from error
    match said:
        case {"result": result}:
            return result
        case {"error": ["OSError", int(number), str(text)]} if number in _DISK_FAULTS:
            raise OSError(number, _printable(text))
        case {"error": ["JobFailed", str(text), str(trace)]}:
            failed = JobFailed(_printable(text))
            failed.add_note(_printable(trace))
            raise failed
        case {"error": [str(name), *texts]} if all(isinstance(text, str) for text in texts):
            raise _error(name, *map(_printable, texts))
    raise Nonsense("neither a result nor an error")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _error(name: str, *texts: str) -> Exception:
    try:
        return _ERRORS[name](*texts)
    except (KeyError, TypeError, ValueError) as error:
        raise Nonsense("an error that no job raises") from error


def _printable(text: str) -> str:
    """Shorten a text, and replace characters that could harm a log or a terminal."""
    kept = text[:_MOST_CHARACTERS]
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in kept)


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


_Pixels = Annotated[int, Field(gt=0, le=_MOST_PIXELS)]
_Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


_Share = Annotated[float, Field(ge=0, le=1)]


class _VariantFacts(_Facts):
    preset: str
    extension: str
    width: _Pixels
    height: _Pixels
    size_bytes: int = Field(gt=0, le=_MOST_SIZE_BYTES)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    seconds: _Seconds
    quality: int | None = Field(ge=0, le=100)
    score: int | None = Field(ge=-1000, le=1000)


class _AppearanceFacts(_Facts):
    placeholder: str = Field(pattern="^[A-Za-z0-9+/=]{1,40}$")
    dominant_colour: str | None = Field(pattern="^#[0-9a-f]{6}$")
    perceptual_hash: str = Field(pattern="^[0-9a-f]{16}$")


class _RenderingFacts(_Facts):
    variants: list[_VariantFacts]
    failures: dict[str, str]
    appearance: _AppearanceFacts | None
    seconds: _Seconds
    cpu_seconds: _Seconds
    peak_bytes: int = Field(ge=0, le=_MOST_SIZE_BYTES)


class _FaceFacts(_Facts):
    left: _Share
    top: _Share
    width: _Share
    height: _Share


_PROBE = TypeAdapter(Probe)
_FACES = TypeAdapter(list[_FaceFacts])


def read_probe(result: object) -> Probe:
    """Read a probe. Raises `Nonsense`."""
    try:
        probe = _PROBE.validate_json(json.dumps(result), strict=True)
    except ValidationError as error:
        raise Nonsense("not a probe") from error
    sizes = (probe.width, probe.height, probe.size_bytes, probe.frames, probe.bands, probe.bits)
    sane = all(0 < size <= _MOST_PIXELS for size in sizes) and (
        1 <= probe.orientation <= 8 and 0 <= probe.largest_part <= _MOST_PIXELS**2
    )
    if probe.format not in BY_NAME or not sane or probe.faces is not None:
        raise Nonsense("a probe of no picture")
    return probe


def read_faces(result: object) -> Faces:
    """Read the faces of a picture. Raises `Nonsense`."""
    try:
        facts = _FACES.validate_python(result)
    except ValidationError as error:
        raise Nonsense("not faces") from error
    return kept(Face(**each.model_dump()) for each in facts)


def read_rendering(result: object, *, plan: Plan, directory: Path) -> Rendering:
    """Read the result of a plan: numbers from the answer, everything else from the plan.

    Raises `Nonsense`.
    """
    try:
        facts = _RenderingFacts.model_validate(result)
    except ValidationError as error:
        raise Nonsense("not a rendering") from error
    recipes = {recipe.preset: recipe for recipe in plan.recipes}
    named = [*(variant.preset for variant in facts.variants), *facts.failures]
    if sorted(named) != sorted(recipes):
        raise Nonsense("not a rendering of this plan")
    appearance = facts.appearance
    return Rendering(
        variants=tuple(
            _variant(variant, recipes[variant.preset], directory) for variant in facts.variants
        ),
        failures={preset: _printable(detail) for preset, detail in facts.failures.items()},
        appearance=Appearance(**appearance.model_dump()) if appearance else None,
        seconds=facts.seconds,
        cpu_seconds=facts.cpu_seconds,
        peak_bytes=facts.peak_bytes,
    )


def _variant(facts: _VariantFacts, recipe: Recipe, directory: Path) -> RenderedVariant:
    for each in (recipe, *recipe.alternatives):
        format = BY_NAME[each.format]
        if format.extension == facts.extension:
            return RenderedVariant(
                preset=recipe.preset,
                fingerprint=recipe.fingerprint,
                path=file_of(recipe, format, directory),
                media_type=format.media_type,
                extension=format.extension,
                width=facts.width,
                height=facts.height,
                size_bytes=facts.size_bytes,
                sha256=facts.sha256,
                quality=facts.quality,
                score=facts.score,
                seconds=facts.seconds,
            )
    raise Nonsense("a format that was not planned")
