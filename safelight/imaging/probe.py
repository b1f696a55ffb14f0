"""Reads a picture's format and size from its first bytes and header, and rejects excess.

Runs in a render child, because a header may be as hostile as the pixels. Never decodes a pixel.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import pyvips

from safelight.errors import Reason, Rejection
from safelight.faces import Faces
from safelight.formats import HEADER_BYTES, Format, recognise
from safelight.imaging.hdr import ICC, is_hdr, profile_of, with_its_coding
from safelight.imaging.libvips import open_header
from safelight.imaging.limits import Limits
from safelight.imaging.profile import is_wider_than_srgb
from safelight.imaging.structure import (
    announces_a_gain_map,
    is_cut_short,
    is_of_an_unread_kind,
    largest_part,
    named_coding,
)
from safelight.imaging.tiff_picture import STORED_BANDS

__all__ = ["Limits", "Probe", "probe"]

_BITS = {"uchar": 8, "ushort": 16, "short": 16, "float": 32}
_WHOLE_NUMBERS = frozenset({"uchar", "ushort"})
"""Formats whose range goes from black, or no ink, to the maximum."""
_MEASURES = frozenset({("scrgb", "float"), ("xyz", "float"), ("lab", "float"), ("labs", "short")})
"""Colour spaces that define the meaning of other numbers. Elevations or counts have no colours."""
_MOST_BANDS = 5
"""The bands of CMYK with alpha."""
_SIDEWAYS = 5
"""The first EXIF orientation that swaps width and height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The facts in a picture's header. Sizes in pixels."""

    format: str
    width: int
    """The displayed width: the orientation is applied."""
    height: int
    size_bytes: int
    orientation: int = 1
    """The orientation in EXIF, 1 to 8; 1 is upright."""
    frames: int = 1
    """The number of frames of an animation that the header announces. Pages are no frames."""
    bands: int = 3
    """The bands that the decoder holds, with those that no variant shows."""
    alpha: bool = False
    bits: int = 8
    """The bits per band."""
    interlaced: bool = False
    """Whether it is an interlaced PNG or progressive JPEG, which cannot be decoded line by line."""
    has_icc: bool = False
    wide_gamut: bool = False
    """Whether its profile, or else its coding, has colours outside sRGB."""
    hdr: bool = False
    """Whether its light is coded as PQ or HLG."""
    gain_map: bool = False
    """Whether a JPEG announces a gain map."""
    largest_part: int = 0
    """The pixels of the largest part in the file, if it has parts. A decoder allocates memory for
    them, even if the picture shows only a few."""
    faces: Faces | None = None
    """The faces of the picture; None if they are unknown. They are no fact of a header: the
    pipeline adds them, so that plans frame them."""

    @property
    def pixels(self) -> int:
        """The pixels of one frame."""
        return self.width * self.height


def probe(path: Path, limits: Limits) -> Probe:
    """Read a file's header. Raises a `Rejection` if it will not be rendered."""
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise Rejection(Reason.EMPTY, "the file has no bytes")
    if size_bytes > limits.max_bytes:
        detail = f"{size_bytes} bytes; at most {limits.max_bytes} are accepted"
        raise Rejection(Reason.TOO_MANY_BYTES, detail)
    format = _recognise(path, limits)
    largest = _largest_part(path, format, limits)
    found = _read_header(path, format, size_bytes, limits)
    _refuse_excess(found, limits)
    return replace(found, largest_part=largest)


def _recognise(path: Path, limits: Limits) -> Format:
    with path.open("rb") as file:
        format = recognise(file.read(HEADER_BYTES), accept_svg=limits.accept_svg)
    if format is None:
        raise Rejection(Reason.UNSUPPORTED, "the file is not in a supported format")
    return format


def _largest_part(path: Path, format: Format, limits: Limits) -> int:
    width, height = largest_part(path, format.name)
    if width * height > limits.max_pixels:
        detail = f"a part of {width} x {height} pixels; at most {limits.max_pixels} are accepted"
        raise Rejection(Reason.TOO_MANY_PIXELS, detail)
    return width * height


def _read_header(path: Path, format: Format, size_bytes: int, limits: Limits) -> Probe:
    try:
        image = open_header(path, format, accept_damaged=limits.accept_damaged)
        found = _describe(image, format, size_bytes)
        coding = named_coding(path, format.name)
        named = None if found.has_icc else profile_of(coding)
        return replace(
            found,
            hdr=is_hdr(with_its_coding(image, coding)),
            wide_gamut=found.wide_gamut or is_wider_than_srgb(named or b""),
            gain_map=announces_a_gain_map(path, format.name),
        )
    except pyvips.Error as error:
        raise damaged(path, format.name, "header") from error


def damaged(path: Path, format: str, stage: str) -> Rejection:
    """Return the rejection of a picture that failed to decode: unsupported, truncated, corrupt."""
    if is_cut_short(path, format):
        return Rejection(Reason.TRUNCATED, f"the {format} file ends before its data does")
    if is_of_an_unread_kind(path, format):
        return Rejection(Reason.UNSUPPORTED, f"a {format} file of a kind that is not read here")
    return Rejection(Reason.CORRUPT, f"the {format} {stage} cannot be decoded")


def _describe(image: pyvips.Image, format: Format, size_bytes: int) -> Probe:
    _refuse_unreadable(image, format)
    orientation = _whole(image, "orientation", default=1)
    if not 1 <= orientation <= 8:
        orientation = 1
    width, height = image.width, image.height
    if orientation >= _SIDEWAYS:
        width, height = height, width
    return Probe(
        format=format.name,
        width=width,
        height=height,
        size_bytes=size_bytes,
        orientation=orientation,
        frames=max(1, _whole(image, "n-pages", default=1)) if format.animates else 1,
        bands=_whole(image, STORED_BANDS, default=image.bands),
        alpha=bool(image.hasalpha()),
        bits=_BITS[image.format],
        interlaced=_whole(image, "interlaced", default=0) > 0,
        has_icc=image.get_typeof(ICC) != 0,
        wide_gamut=image.get_typeof(ICC) != 0 and is_wider_than_srgb(image.get(ICC)),
    )


def _refuse_unreadable(image: pyvips.Image, format: Format) -> None:
    """Reject pictures that a loader opens but Safelight cannot convert to colours."""
    coding = "heif-compression"
    if image.get_typeof(coding) and image.get(coding) != format.coding:
        raise Rejection(Reason.UNSUPPORTED, f"{format.name} file with another coding inside")
    colourless = image.interpretation == "multiband"
    meant = image.format in _WHOLE_NUMBERS or (image.interpretation, image.format) in _MEASURES
    if not meant or image.bands > _MOST_BANDS or colourless:
        detail = f"{format.name} with {image.bands} bands of {image.format}"
        raise Rejection(Reason.UNSUPPORTED, detail)


def _whole(image: pyvips.Image, name: str, *, default: int) -> int:
    value = image.get(name) if image.get_typeof(name) else default
    return value if isinstance(value, int) else default


def _refuse_excess(found: Probe, limits: Limits) -> None:
    announced = f"{found.width} x {found.height}"
    most = min(limits.max_pixels, limits.max_total_pixels)
    if found.pixels > most:
        detail = f"{announced} pixels; at most {most} are accepted"
        raise Rejection(Reason.TOO_MANY_PIXELS, detail)
