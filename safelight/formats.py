"""The one table of picture formats: how each is recognised, read and written.

A new format is a new row. Recognition is by content only; names and declared types are claims.
The factors of memory are measured bytes a pixel (docs of `imaging/plan.py` say how they are used).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

HEADER_BYTES = 1024
"""How many leading bytes `recognise` needs."""

_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
"""Lengths of the bitmap headers that were ever defined."""
_NEUTRAL_BRANDS = frozenset({b"mif1", b"msf1", b"miaf"})
"""Major brands of the container that leave the coding to the compatible brands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A whole-number option of an encoder: its bounds, and what it is if a preset says nothing."""

    least: int
    most: int
    default: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One picture format."""

    name: str
    media_type: str
    extension: str
    matches: Callable[[bytes], bool]
    """Whether the first `HEADER_BYTES` bytes of a file are of this format."""
    loader: str | None = None
    """The libvips operation that reads it, the only one un-blocked for it; None where libvips has
    none (`imaging/decoders.py`)."""
    also_declared: tuple[str, ...] = ()
    """Other media types under which clients upload it."""
    coding: str | None = None
    """What libvips must call the coding inside its container, where that may hold several."""
    saver: str | None = None
    """The libvips operation that writes it; None where Safelight does not."""
    readable: bool = True
    keeps_alpha: bool = False
    max_side: int = 65_535
    """The longest side the encoder can write, in pixels."""
    animates: bool = False
    """Whether a file's frames follow one another in time; a TIFF's pages do not."""
    shrinks_on_load: bool = False
    """Whether the decoder can give 1/2, 1/4 and 1/8 of the size for less work."""
    decoded_bytes_per_pixel: float = 3.0
    """Memory that decoding takes beyond the plan's own copies, in bytes a pixel."""
    decoded_bytes_per_frame_pixel: float = 0.0
    """What each frame of an animation adds to that: where the decoder gives all frames at once."""
    decoded_bytes_per_sample: float = 0.0
    """The same in bytes a pixel and band of 8 bits; it counts instead where it is given."""
    interlaced_bytes_per_sample: float = 0.0
    """The same for an interlaced or progressive file."""
    encoded_bytes_per_pixel: float = 0.0
    """Memory that encoding takes beyond the pixels given to it, in bytes a pixel."""
    encoded_alpha_bytes_per_pixel: float = 0.0
    """What alpha adds to that."""
    quality: Scale | None = None
    """None where the format is lossless."""
    searched_quality: tuple[int, int] | None = None
    """The least and most that `quality = "auto"` takes if a preset says nothing."""
    effort: Scale | None = None
    """Time spent for fewer bytes; None where the encoder has no such choice worth making."""
    size_rank: int | None = None
    """Order of typical file sizes of writable formats: 1 is the smallest."""
    tried_by_auto: bool = False
    """Whether `format = "auto"` tries it."""
    costly: bool = False
    """Whether encoding takes so much CPU that `auto` tries it within its budget only, and delivery
    leaves large pictures to the workers."""
    writes_animations: bool = False
    """Whether variants may keep all frames of an animation."""
    carries_gain_maps: bool = False
    """Whether variants may keep the gain map of an Ultra HDR source."""
    opaque: bool = False
    """Whether sources of this format have no alpha."""
    shown_by_browsers: bool = False
    """Whether current browsers show it in a page."""
    shown_everywhere: bool = False
    """Whether every client shows it, also one that sends `Accept: */*`."""
    save_options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Encoder options that hold whatever the preset says."""

    @property
    def writable(self) -> bool:
        """Whether a preset may ask for it."""
        return self.saver is not None


def _starts(*prefixes: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(prefixes)


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_tiff(head: bytes) -> bool:
    """Tell TIFF and BigTIFF from the camera raw files that borrow TIFF's header."""
    return head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")) and head[8:10] != b"CR"


def _is_bmp(head: bytes) -> bool:
    """Tell a bitmap by its magic number and the length of the header that follows."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _is_svg(head: bytes) -> bool:
    """Find the root element behind a declaration, comments and a document type."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<svg") or (
        text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in text
    )


def _has_brand(*brands: bytes) -> Callable[[bytes], bool]:
    """Read an ISO media file's brands (ISO/IEC 14496-12, 4.3: size, ftyp, major, minor, ...).

    A file stays what its major brand names it, whatever else it is compatible with.
    """

    def matches(head: bytes) -> bool:
        size = int.from_bytes(head[:4], "big")
        if head[4:8] != b"ftyp" or size < 16 or size % 4:
            return False
        major, end = head[8:12], min(size, len(head))
        compatible = {head[start : start + 4] for start in range(16, end, 4)}
        return major in brands or (major in _NEUTRAL_BRANDS and not compatible.isdisjoint(brands))

    return matches


FORMATS: tuple[Format, ...] = (
    Format(
        name="jpeg",
        media_type="image/jpeg",
        extension="jpg",
        matches=_starts(b"\xff\xd8\xff"),
        loader="jpegload",
        saver="jpegsave",
        max_side=65_500,
        shrinks_on_load=True,
        decoded_bytes_per_pixel=0.05,
        interlaced_bytes_per_sample=2,
        encoded_bytes_per_pixel=6.5,
        quality=Scale(least=1, most=100, default=85),
        searched_quality=(50, 95),
        save_options=MappingProxyType({"optimize_coding": True}),
        size_rank=3,
        tried_by_auto=True,
        carries_gain_maps=True,
        opaque=True,
        shown_by_browsers=True,
        shown_everywhere=True,
    ),
    Format(
        name="png",
        media_type="image/png",
        extension="png",
        matches=_starts(b"\x89PNG\r\n\x1a\n"),
        loader="pngload",
        saver="pngsave",
        keeps_alpha=True,
        decoded_bytes_per_pixel=0.05,
        interlaced_bytes_per_sample=1.07,
        encoded_bytes_per_pixel=3,
        save_options=MappingProxyType({"compression": 6, "filter": "all"}),
        size_rank=4,
        shown_by_browsers=True,
        shown_everywhere=True,
    ),
    Format(
        name="webp",
        media_type="image/webp",
        extension="webp",
        matches=_is_webp,
        loader="webpload",
        saver="webpsave",
        keeps_alpha=True,
        max_side=16_383,
        animates=True,
        decoded_bytes_per_pixel=8,
        decoded_bytes_per_frame_pixel=4,
        encoded_bytes_per_pixel=6.5,
        encoded_alpha_bytes_per_pixel=30,
        quality=Scale(least=1, most=100, default=80),
        searched_quality=(45, 95),
        effort=Scale(least=0, most=6, default=2),
        size_rank=2,
        tried_by_auto=True,
        writes_animations=True,
        shown_by_browsers=True,
    ),
    Format(
        name="gif",
        media_type="image/gif",
        extension="gif",
        matches=_starts(b"GIF87a", b"GIF89a"),
        loader="gifload",
        animates=True,
        decoded_bytes_per_pixel=5.5,
        shown_by_browsers=True,
    ),
    Format(
        name="tiff",
        media_type="image/tiff",
        extension="tif",
        matches=_is_tiff,
        loader="tiffload",
        # Up to two rows of tiles are held, and tiles may be half as high as the picture.
        decoded_bytes_per_sample=1.5,
    ),
    Format(
        name="avif",
        media_type="image/avif",
        extension="avif",
        matches=_has_brand(b"avif", b"avis"),
        loader="heifload",
        coding="av1",
        saver="heifsave",
        keeps_alpha=True,
        max_side=16_384,
        decoded_bytes_per_pixel=20,
        encoded_bytes_per_pixel=25,
        encoded_alpha_bytes_per_pixel=15,
        quality=Scale(least=1, most=100, default=60),
        searched_quality=(35, 90),
        effort=Scale(least=0, most=9, default=0),
        save_options=MappingProxyType({"compression": "av1", "bitdepth": 8}),
        size_rank=1,
        tried_by_auto=True,
        costly=True,
        shown_by_browsers=True,
    ),
    Format(
        name="heic",
        media_type="image/heic",
        also_declared=("image/heif",),
        extension="heic",
        matches=_has_brand(b"heic", b"heix", b"heim", b"heis"),
        loader="heifload",
        coding="hevc",
        decoded_bytes_per_sample=1.8,
    ),
    Format(
        name="bmp",
        media_type="image/bmp",
        extension="bmp",
        matches=_is_bmp,
        decoded_bytes_per_pixel=14,
        opaque=True,
    ),
)

# Apart from the others: a drawing is a program, and is read only where a setting says so.
SVG = Format(
    name="svg",
    media_type="image/svg+xml",
    extension="svg",
    matches=_is_svg,
    decoded_bytes_per_pixel=8,
)
BY_NAME: Mapping[str, Format] = MappingProxyType(
    {format.name: format for format in (*FORMATS, SVG)}
)
READABLE = tuple(format for format in FORMATS if format.readable)
WRITABLE = tuple(format for format in FORMATS if format.writable)
WRITABLE_NAMES = tuple(format.name for format in WRITABLE)
WRITABLE_WORDS: Mapping[str, str] = MappingProxyType(
    {word: format.name for format in WRITABLE for word in (format.extension, format.name)}
)
"""Extension or name of a writable format, as URLs have it -> its name."""
BY_SIZE = tuple(
    format.name for format in sorted(WRITABLE, key=lambda format: format.size_rank or len(FORMATS))
)
"""Names of the writable formats, the one with the smallest files first."""
AUTO = "auto"
"""The word that presets use in place of a format, to get the smallest file of several formats."""
AUTO_FORMATS = tuple(name for name in BY_SIZE if BY_NAME[name].tried_by_auto)
"""The formats that `auto` tries, the one with the smallest files first."""
AUTO_SCALE = "webp"
"""The format on whose scale the quality of `auto` is; `equivalent_quality` converts it."""


def equivalent_quality(quality: int | None, scale: Format, format: Format) -> int | None:
    """Take a quality from one format's scale to another's, as far apart as their defaults are."""
    if quality is None or scale.quality is None or format.quality is None:
        return quality
    moved = round(quality * format.quality.default / scale.quality.default)
    return min(max(moved, format.quality.least), format.quality.most)


def recognise(head: bytes, *, accept_svg: bool = False) -> Format | None:
    """Name the readable format that the first `HEADER_BYTES` bytes of a file are of, if any."""
    readable = (*READABLE, SVG) if accept_svg else READABLE
    return next((format for format in readable if format.matches(head)), None)
