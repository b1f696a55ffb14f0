"""The one table of picture formats: how each is recognised, read and written.

A new format is a new row. Recognition is by content only; names and declared types are claims.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

HEADER_BYTES = 64
"""How many leading bytes `recognise` needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One picture format."""

    name: str
    media_type: str
    extension: str
    matches: Callable[[bytes], bool]
    """Whether the first `HEADER_BYTES` bytes of a file are of this format."""
    loader: str
    """The libvips operation that reads it, the only one un-blocked for it."""
    readable: bool = True
    writable: bool = False
    keeps_alpha: bool = False
    max_side: int = 65_535
    """The longest side the encoder can write, in pixels."""
    multi_frame: bool = False
    decoded_bytes_per_pixel: float = 3.0
    """Memory that decoding takes beyond the plan's own copies, in bytes a pixel."""
    save_options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Encoder options that hold whatever the preset says."""


def _starts(*prefixes: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(prefixes)


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_avif(head: bytes) -> bool:
    """Read the ISO media brand: the major one, or any compatible one in the first box."""
    if head[4:8] != b"ftyp":
        return False
    brands = head[8:12], *(head[i : i + 4] for i in range(16, min(len(head), head[3]), 4))
    return any(brand in (b"avif", b"avis") for brand in brands)


FORMATS: tuple[Format, ...] = (
    Format(
        name="jpeg",
        media_type="image/jpeg",
        extension="jpg",
        matches=_starts(b"\xff\xd8\xff"),
        loader="jpegload",
        writable=True,
        max_side=65_500,
        decoded_bytes_per_pixel=0.05,
        save_options=MappingProxyType({"optimize_coding": True}),
    ),
    Format(
        name="png",
        media_type="image/png",
        extension="png",
        matches=_starts(b"\x89PNG\r\n\x1a\n"),
        loader="pngload",
        writable=True,
        keeps_alpha=True,
        decoded_bytes_per_pixel=0.05,
    ),
    Format(
        name="webp",
        media_type="image/webp",
        extension="webp",
        matches=_is_webp,
        loader="webpload",
        writable=True,
        keeps_alpha=True,
        max_side=16_383,
        multi_frame=True,
        decoded_bytes_per_pixel=8,
    ),
    Format(
        name="gif",
        media_type="image/gif",
        extension="gif",
        matches=_starts(b"GIF87a", b"GIF89a"),
        loader="gifload",
        multi_frame=True,
        decoded_bytes_per_pixel=4,
    ),
    Format(
        name="tiff",
        media_type="image/tiff",
        extension="tif",
        matches=_starts(b"II*\x00", b"MM\x00*"),
        loader="tiffload",
        decoded_bytes_per_pixel=0.05,
    ),
    Format(
        name="avif",
        media_type="image/avif",
        extension="avif",
        matches=_is_avif,
        loader="heifload",
        writable=True,
        keeps_alpha=True,
        max_side=16_384,
        decoded_bytes_per_pixel=20,
    ),
)

BY_NAME: Mapping[str, Format] = MappingProxyType({format.name: format for format in FORMATS})
READABLE = tuple(format for format in FORMATS if format.readable)
WRITABLE = tuple(format for format in FORMATS if format.writable)


def recognise(head: bytes) -> Format | None:
    """Name the readable format that the first `HEADER_BYTES` bytes of a file are of, if any."""
    return next((format for format in READABLE if format.matches(head)), None)
