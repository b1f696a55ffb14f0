"""The thumbor paths of AWS's image handler, mapped to edits as its own ThumborMapper does.

Only these parts are read, in any order and in any folder; all others are refused:
`WIDTHxHEIGHT`, `LxT:RxB`, `fit-in`, `filters:...` and `s3:BUCKET`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from api.dialects.draft import Draft
from api.dialects.image_url import SourceName, source_of
from api.dialects.rows import Arguments, Rows, accepted, checks, refused
from api.dialects.thumbor_path import call_of, decoded, filters_in, with_slashes, word_in
from api.dialects.values import FORMAT_WORDS, colour, number, whole
from safelight.wish.errors import InvalidOption

_PART = re.compile(
    r"/(?:(?P<crop>\d+x\d+:\d+x\d+)|(?P<size>\d+x\d+)|fit-in|s3:(?P<bucket>[^/]+)"
    r"|filters:(?P<filters>.*?\)))(?=/)",
    re.DOTALL,
)
_CROP = re.compile(r"\d{1,6}x\d{1,6}:\d{1,6}x\d{1,6}")
_PLACE = re.compile(r"-?\d+|(?:100|[1-9]?\d|-(?:100|[1-9]\d?))p")
_WITH_QUALITY = frozenset({"jpg", "jpeg", "png", "webp", "tif", "tiff", "heif", "gif", "avif"})
"""Extensions of names to which the handler applies `quality`, if no format is named."""
_FILTER_OF: Mapping[str, str] = MappingProxyType(
    {
        "flatten": "background_color",
        "overlayWith": "watermark",
        "resize.background": "fill",
        "resize.ratio": "proportion",
        "scale": "proportion",
        "smartCrop": "smart_crop",
        "toFormat": "format",
    }
)
"""Edit that is refused -> the filter that asks for it."""


@dataclass(slots=True)
class PathDraft(Draft):
    """The edits that a path asks for, in the order in which the handler carries them out."""

    edits: dict[str, Any] = field(default_factory=dict)
    extension: str = ""
    """The extension of the image's name."""

    @property
    def resize(self) -> dict[str, Any]:
        """The edit that resizes; it is added if it is missing."""
        resize: dict[str, Any] = self.edits.setdefault("resize", {})
        return resize


def read_path(path: str) -> tuple[SourceName, dict[str, Any]]:
    """Read an escaped path into the name of its image and its edits. Raises an `InvalidOption`."""
    text = f"/{decoded(path)}"
    parts = list(_PART.finditer(text))
    name = with_slashes(_name(text))
    draft = PathDraft(extension=name.rpartition(".")[2])
    _place(draft, parts, inside="fit-in" in text)
    given = [with_slashes(each["filters"]) for each in parts if each["filters"]]
    for each in sorted(one for text in given for one in filters_in(text)):
        FILTERS.read(draft, *call_of(each))
    buckets = [each["bucket"] for each in parts if each["bucket"]]
    if len(buckets) > 1:
        raise InvalidOption(f"s3:{buckets[1]}"[:40], "is a second bucket")
    source = f"s3://{buckets[0]}/{name}" if buckets else name
    return source_of(source, option="image"), draft.edits


def named_by_filter(error: InvalidOption) -> InvalidOption:
    """Return the same error with the name of the filter in place of the edit's."""
    return InvalidOption(_FILTER_OF.get(error.option, error.option), error.message)


def _name(text: str) -> str:
    """Return the name of the image. In place of a filter the handler leaves a slash."""
    name = _PART.sub(lambda found: "/" if found["filters"] else "", text).lstrip("/")
    word = word_in(name)
    if word is not None:
        message = "is not read by AWS's handler there. In a name, escape its slash as %2F"
        raise InvalidOption(word[:40], message)
    if (crop := _CROP.search(name)) is not None:
        raise InvalidOption(crop[0], "is read as a crop by AWS's handler, also within a name")
    return name


def _place(draft: PathDraft, parts: list[re.Match[str]], *, inside: bool) -> None:
    """Read the crop and the size; of several the handler takes the first."""
    crop = next((each["crop"] for each in parts if each["crop"]), None)
    if crop is not None:
        left, top, right, bottom = (whole("crop", side) for side in re.split("[x:]", crop))
        if right <= left or bottom <= top:
            raise InvalidOption(crop[:40], "is an empty crop")
        sides = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        draft.edits |= {"crop": sides, "resize": {}}  # in this order: the crop is made first
    size = next((each["size"] for each in parts if each["size"]), None)
    if size is not None:
        width, height = (whole("size", side) or None for side in size.split("x"))
        draft.resize.update(width=width, height=height)
        inside = inside or None in (width, height)
    if inside:
        draft.resize["fit"] = "inside"


def _sets(edit: str, convert: Callable[..., Any]) -> Callable[[PathDraft, str, Arguments], None]:
    """Read a filter into one edit."""

    def read(draft: PathDraft, option: str, texts: Arguments) -> None:
        draft.edits[edit] = convert(option, *texts)

    return read


def _blur(option: str, radius: str, sigma: str = "") -> float:
    return number(option, sigma) if sigma else number(option, radius) / 2


def _sharpen(option: str, _: str, radius: str, *__: str) -> float:
    return 1 + number(option, radius) / 2


def _format(_: str, text: str) -> str:
    return re.sub("[^0-9a-zA-Z]", "", text).replace("jpg", "jpeg")


def _animated(option: str, text: str = "") -> None:
    if text.lower() != "false":
        raise InvalidOption(option, "is refused: only the first frame is read")


def _rotate(option: str, text: str = "") -> float | None:
    return number(option, text) if text else None


def _fill(draft: PathDraft, option: str, texts: list[str]) -> None:
    (text,) = texts
    draft.resize.update(fit="contain", background=colour(option, text))


def _no_upscale(draft: PathDraft, *_: object) -> None:
    draft.resize["withoutEnlargement"] = True


def _proportion(draft: PathDraft, option: str, texts: list[str]) -> None:
    (text,) = texts
    draft.resize["ratio"] = number(option, text)


def _quality(draft: PathDraft, option: str, texts: list[str]) -> None:
    (text,) = texts
    if draft.extension not in _WITH_QUALITY and "toFormat" not in draft.edits:
        message = "has no effect in AWS's handler unless the name has an extension, or a format is"
        raise InvalidOption(option, f"{message} named")
    draft.edits["quality"] = number(option, text)


def _stretch(draft: PathDraft, *_: object) -> None:
    if draft.resize.get("fit") != "inside":
        draft.resize["fit"] = "fill"


def _stripped(draft: PathDraft, option: str, _: list[str]) -> None:
    if draft.edits.get("rotate"):
        raise InvalidOption(option, "undoes rotate in some versions of AWS's handler")


def _upscale(draft: PathDraft, *_: object) -> None:
    draft.resize["fit"] = "inside"


def _smart_crop(_: str, face: str = "", padding: str = "", *__: str) -> dict[str, int]:
    found = {"faceIndex": face, "padding": padding}
    return {name: whole(name, text) for name, text in found.items() if text}


def _watermark(_: str, bucket: str, key: str, *rest: str) -> dict[str, Any]:
    across, down, *shares = [*rest, *[""] * (5 - len(rest))]
    places = {"left": across, "top": down}
    return {
        "bucket": bucket,
        "key": key,
        **dict(zip(("alpha", "wRatio", "hRatio"), shares, strict=True)),
        "options": {side: at for side, at in places.items() if _PLACE.fullmatch(at)},
    }


FILTERS: Rows[PathDraft] = Rows(
    "filter",
    {
        "animated": accepted("false", "No effect: only the first frame is read.",
                             checks(_animated)),
        "autojpg": accepted("", "JPEG.", _sets("toFormat", lambda _: "jpeg")),
        "background_color": accepted("colour", "Flattens onto the colour.",
                                     _sets("flatten", colour)),
        "blur": accepted("radius[,sigma]", "Gaussian blur; sigma is half the radius if missing.",
                         _sets("blur", _blur)),
        "fill": accepted("colour", "Fits into the size, and fills it up.", _fill),
        "format": accepted(FORMAT_WORDS, "Output format.", _sets("toFormat", _format)),
        "grayscale": accepted("", "Shades of grey.", _sets("grayscale", lambda _: True)),
        "no_upscale": accepted("", "No side grows.", _no_upscale),
        "proportion": accepted("factor", "Multiplies both sides of the size; without both, those "
                               "of the picture.", _proportion),
        "quality": accepted("1..100", "Quality of the format.", _quality),
        "rotate": accepted("degrees", "Clockwise; 90, 180, 270 before resizing.",
                           _sets("rotate", _rotate)),
        "sharpen": accepted("amount,radius[,luminance]", "Sigma is 1 + radius / 2.",
                            _sets("sharpen", _sharpen)),
        "smart_crop": accepted("face[,padding]", "As the edit `smartCrop`.",
                               _sets("smartCrop", _smart_crop)),
        "stretch": accepted("", "Takes the size, ignoring proportions, but not with `fit-in`.",
                            _stretch),
        "strip_exif": accepted("", "No effect: metadata is always removed.", _stripped),
        "strip_icc": accepted("", "No effect: colours are always sRGB.", _stripped),
        "upscale": accepted("", "Fits into the size, also if that enlarges.", _upscale),
        "watermark": accepted("bucket,key,x,y[,alpha[,w%[,h%]]]", "Overlays a picture.",
                              _sets("overlayWith", _watermark)),
        "convolution": refused("its cost is unbounded."),
        "equalize": refused("not supported."),
        "rgb": refused("AWS's handler tints with it, which is not supported."),
    },
)  # fmt: skip
"""The filters of AWS's thumbor paths. Those that its handler ignores are refused by name."""
