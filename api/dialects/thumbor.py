"""thumbor's grammar, with imagor's additions."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self
from urllib.parse import unquote

from pydantic import Field

from api.dialects.dialect import Dialect, OneDialect
from api.dialects.errors import BadSignature, UnknownPath
from api.dialects.image_url import ImageUrl, source_of
from api.dialects.imagor_filters import IMAGOR_FILTERS, named_in_base64
from api.dialects.key_settings import LEAST, Secrets, keys_in
from api.dialects.rows import Rows
from api.dialects.signatures import (
    Signed,
    base64url,
    digest,
    is_escaped_as_usual,
    refuse_query,
    with_other_brackets,
)
from api.dialects.thumbor_filters import FILTERS, Area, ThumborDraft
from api.dialects.thumbor_path import System, call_of, decoded, filters_in, parts_of, with_slashes
from api.dialects.thumbor_writer import write
from api.dialects.values import number, whole
from safelight.face_settings import FaceSettings
from safelight.wish.errors import InvalidOption
from safelight.wish.gravities import ATTENTION, FACES, GRAVITIES, LOOKED_FOR
from safelight.wish.options import Crop, Point, Trim

SMART_DIFFERS = "What to keep is found by another method than thumbor's detectors."
"""How a picture with the part `smart` differs from thumbor's. imagor's method is our own."""
_ACROSS = {"left": 0.0, "right": 1.0}
_DOWN = {"top": 0.0, "bottom": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbor:
    """URLs of thumbor and imagor.

        /thumbor/{signature}/{trim}/{crop}/{fit-in}/{size}/{align}/{align}/smart/{filters}/{image}

    Every part between signature and image is optional, in this order. A size is
    `{width}x{height}`; filters are `filters:name(arguments):name(arguments)`. The signature is
    URL-safe base64, with padding, of HMAC(key, everything after the signature), by SHA-1 unless
    `SAFELIGHT_THUMBOR_ALGORITHM` names another algorithm.

    `smart` frames the faces where [faces are looked for](faces.md), as thumbor's detectors do.
    Else, and always with imagor, it finds areas that attract attention. `focal` overrides it.
    `debug` and `meta` are refused, and so is `trim` together with a crop. Filters run in the order
    of the URL.

    `make compare-thumbor` compares 70 URLs with thumbor itself: sizes are equal to the pixel,
    gradient hashes and colours are close. A blur a fifth as wide as the picture differed by more,
    and is not one of the 70.

    `SAFELIGHT_THUMBOR_SYSTEM=imagor` reads URLs as imagor does: with `stretch/`, a padding behind
    the size (`10x5/`, or `10x20:15x3/` for left, top, right, bottom; `fill` colours it), images as
    `b64:` and base64url, `+` for a space, and the filters below as imagor carries them out.

    An image whose name begins with a part of the grammar, such as `300x200/` behind a filter, is
    refused: it would be a part in the wrong place. A folder of such a name has its slash escaped:
    `smart%2Fa.jpg`.
    """

    NAME: ClassVar[str] = "thumbor"
    TITLE: ClassVar[str] = "thumbor and imagor"
    PREFIX: ClassVar[str] = "/thumbor/"
    KEYS: ClassVar[str] = "thumbor_keys"
    FACES: ClassVar[str] = "smart"
    ROWS: ClassVar[Rows[Any] | None] = FILTERS
    keys: tuple[str, ...]
    algorithm: str = "sha1"
    signature_length: int | None = None
    """Characters that imagor truncates a signature to."""
    system: System = "thumbor"
    """The system for which the URLs were written."""
    faces: bool = False
    """Whether faces are looked for."""

    @classmethod
    def from_settings(cls, settings: "ThumborSettings") -> Self:
        """Take keys, algorithm and length from the settings."""
        return cls(
            keys=keys_in(settings.thumbor_keys),
            algorithm=settings.thumbor_algorithm,
            signature_length=settings.thumbor_signature_length,
            system=settings.thumbor_system,
            faces=settings.looks_for_faces,
        )

    def split(self, path: str, query: str) -> Signed:
        """Split a URL. Raises `UnknownPath` or, if it is unsigned, `BadSignature`."""
        given, slash, rest = path.removeprefix("/").partition("/")
        if not slash or not rest:
            raise UnknownPath("expected /SIGNATURE/.../IMAGE")
        if given == "unsafe":
            raise BadSignature("unsafe URLs are refused; sign this one")
        # Some clients sign the path and escape it afterwards. A path with a % left after decoding
        # is verified only as it was sent: a second decoding could make it another URL.
        messages = with_other_brackets({rest: ""})
        plain = unquote(rest)
        if "%" not in plain and is_escaped_as_usual(rest):
            messages.setdefault(plain, "the path was escaped after it was signed")
        return Signed(
            given=given,
            messages=tuple(messages),
            notes=tuple(messages.values()),
            target=rest,
            query=query,
        )

    def signature(self, key: str, message: str) -> str:
        """Sign a message."""
        return base64url(digest(key.encode(), message.encode(), self.algorithm))[
            : self.signature_length
        ]

    def join(self, signature: str, target: str, query: str) -> str:
        """Build a URL."""
        return f"/{signature}/{target}{f'?{query}' if query else ''}"

    def unsigned(self, text: str) -> Signed:
        """Prepare a path for signing."""
        return self.split(f"/_/{text.lstrip('/').removeprefix('unsafe/')}", "")

    def knows(self, parameter: str) -> bool:
        """Return False: the grammar has no query."""
        del parameter
        return False

    def read(self, signed: Signed) -> ImageUrl:
        """Read a verified URL."""
        refuse_query(signed)
        smart = FACES if self.faces and self.system == "thumbor" else ATTENTION
        return read_path(signed.target, dialect=self.NAME, system=self.system, smart=smart)

    def write(self, url: ImageUrl) -> str:
        """Write a URL as `unsigned` takes it, without what has no word."""
        return write(url, system=self.system)


class ThumborSettings(OneDialect, FaceSettings):
    """Keys of thumbor's URLs, and how they are signed."""

    DIALECT: ClassVar[type[Dialect]] = Thumbor

    thumbor_keys: Secrets = Field(
        default=None,
        description="Keys of thumbor's and imagor's URLs, `/thumbor/...`, separated by commas, "
        f"{LEAST}. Off without any.",
    )
    thumbor_system: System = Field(
        default="thumbor",
        description="The system for which these URLs were written, `thumbor` or `imagor`: some "
        "parts and filters mean something else to each.",
    )
    thumbor_algorithm: Literal["sha1", "sha256", "sha512"] = Field(
        default="sha1", description="HMAC hash of thumbor's URLs; imagor offers all three."
    )
    thumbor_signature_length: int | None = Field(
        default=None, ge=20, description="Characters that imagor truncates a signature to."
    )


def read_path(
    path: str, *, dialect: str, system: System = "thumbor", smart: str = ATTENTION
) -> ImageUrl:
    """Read a path without its signature, still escaped. `smart` is the gravity of that word."""
    text = decoded(path.replace("+", "%20") if system == "imagor" else path)
    parts = parts_of(text, system=system)
    if parts is None:
        raise UnknownPath("expected .../IMAGE")
    if parts["debug"]:
        raise InvalidOption(parts["debug"], "returns facts, not a picture; ask the API for them")
    draft = ThumborDraft(width=_side(parts["width"]), height=_side(parts["height"]))
    draft.pads = _pads(parts["padding"] or "0x0")
    _fit(draft, parts)
    filters = IMAGOR_FILTERS if system == "imagor" else FILTERS
    for each in filters_in(with_slashes(parts["filters"] or "")):
        filters.read(draft, *call_of(each))
    draft.focal = _focal(draft.focals)
    draft.gravity = _gravity(parts, draft.focal, smart)
    if system == "thumbor" and draft.gravity in LOOKED_FOR:
        draft.differs["smart"] = SMART_DIFFERS
    draft.flip = f"{'h' if parts['flop'] else ''}{'v' if parts['flip'] else ''}"
    least = 1 if system == "imagor" else 0
    options = draft.options(trim=_trim(parts, draft, least), crop=_crop(parts))
    image = with_slashes(parts["image"])
    if system == "imagor":
        image = named_in_base64("image", image)
    return draft.image_url(dialect, source_of(image, option="image"), options)


def _side(text: str | None) -> int | None:
    return None if text in (None, "", "orig") else whole("size", text) or None


def _fit(draft: ThumborDraft, parts: re.Match[str]) -> None:
    """Read how the box is filled; without fit-in a picture is enlarged to it."""
    originals = (parts["width"], parts["height"]).count("orig")
    if originals == 1 or (originals and parts["fit"]):
        raise InvalidOption("orig", "is supported only for both sides, without fit-in")
    draft.swap = (parts["fit"] or "").startswith("adaptive")
    match (parts["fit"] or "").removeprefix("adaptive-"):
        case "fit-in":
            draft.fit, draft.enlarge = "inside", False
        case "full-fit-in":
            draft.fit = "outside"
        case _ if parts["stretch"]:
            draft.fit = "fill"


def _pads(text: str) -> tuple[int, int, int, int]:
    """Read imagor's padding, left x top : right x bottom, as top, right, bottom, left."""
    near, _, far = text.partition(":")
    left, top = (whole("padding", each) for each in near.split("x"))
    right, bottom = (whole("padding", each) for each in (far or near).split("x"))
    return top, right, bottom, left


def _trim(parts: re.Match[str], draft: ThumborDraft, least: int) -> Trim | None:
    if not parts["trim"]:
        return None
    if parts["crop"]:
        raise InvalidOption("trim", "is not supported together with a crop")
    if draft.turn:
        raise InvalidOption("orient", "is not supported together with trim")
    tolerance = max(whole("trim", parts["tolerance"] or "0"), least)
    return Trim(tolerance=min(tolerance, 255), corner=parts["corner"] or "top-left")


def _crop(parts: re.Match[str]) -> Crop | None:
    """Read left, top, right and bottom: pixels, or imagor's fractions of the picture."""
    if not parts["crop"]:
        return None
    left, top, right, bottom = (number("crop", text) for text in re.split("[x:]", parts["crop"]))
    if right <= left or bottom <= top:
        return None  # as thumbor does
    full = (1.0, 1.0) if max(right, bottom) <= 1 else (0.0, 0.0)
    return Crop(
        width=0 if right - left == full[0] else right - left,
        height=0 if bottom - top == full[1] else bottom - top,
        gravity="north-west",
        offset=(left, top),
    )


def _gravity(parts: re.Match[str], focal: Point | None, smart: str) -> str:
    if parts["smart"]:
        return "centre" if focal else smart
    place = (_ACROSS.get(parts["across"] or "", 0.5), _DOWN.get(parts["down"] or "", 0.5))
    return next(name for name, at in GRAVITIES.items() if at == place)


def _focal(areas: list[Area]) -> Point | None:
    """Find the middle of all focal areas, weighted by their sizes."""
    weight = sum(area[2] for area in areas)
    if not weight:
        return None
    across, down = (sum(area[side] * area[2] for area in areas) for side in (0, 1))
    return across / weight, down / weight
