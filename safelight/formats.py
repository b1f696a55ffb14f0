"""The table of picture formats: how each is recognised, read and written.

A new format is a new row. Recognition is by content only, because file names and declared types
may be wrong. The memory factors are measured; `imaging/memory.py` uses them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

HEADER_BYTES = 1024
"""How many leading bytes of a file `recognise` needs."""

_BMP_HEADERS = frozenset({12, *range(16, 68, 4), 42, 46, 108, 124})
"""Lengths of all known bitmap headers, in bytes. OS/2 allows to leave out the last of 64."""
_NEUTRAL_BRANDS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf", b"hevc", b"hevx"})
"""Major brands that do not name a still picture; compatible brands may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A whole-number option of an encoder: its bounds, and the default of presets."""

    least: int
    most: int
    default: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One picture format: a row of the table."""

    name: str
    media_type: str
    extension: str
    matches: Callable[[bytes], bool]
    """Returns whether the first `HEADER_BYTES` bytes of a file are of this format."""
    loader: str | None = None
    """The libvips operation that reads it, which `restrict` leaves enabled; None if
    `imaging/decoders.py` reads it."""
    also_declared: tuple[str, ...] = ()
    """Other media types that an upload of it may have."""
    misspelt: tuple[str, ...] = ()
    """Names that browsers and phones declare for it. Such an upload gets `media_type`."""
    coding: str | None = None
    """The coding that libvips must report, for containers that may hold several codings."""
    saver: str | None = None
    """The libvips operation that writes it; None if Safelight does not write it."""
    readable: bool = True
    keeps_alpha: bool = False
    """Whether variants may be transparent."""
    max_side: int = 65_535
    """The longest side the encoder can write, in pixels."""
    animates: bool = False
    """Whether the frames of a source form an animation; the pages of a TIFF do not."""
    shrinks_on_load: bool = False
    """Whether the decoder can produce 1/2, 1/4 and 1/8 of the size with less work."""
    copies_of_file: int = 0
    """How many copies of the file decoding holds in memory at once."""
    decoded_bytes_per_pixel: float = 3.0
    """Memory that decoding takes in addition to the plan's own copies, in bytes per pixel."""
    decoded_bytes_per_frame_pixel: float = 0.0
    """Additional bytes per pixel for each frame, if the decoder decodes all frames at once."""
    decoded_bytes_per_sample: float = 0.0
    """The same in bytes per pixel and band of 8 bits; if set, it replaces the first."""
    interlaced_bytes_per_sample: float = 0.0
    """The same for interlaced and progressive files."""
    encoded_bytes_per_pixel: float = 0.0
    """Memory that encoding takes in addition to its input, in bytes per pixel."""
    encoded_alpha_bytes_per_pixel: float = 0.0
    """Additional bytes per pixel for alpha."""
    quality: Scale | None = None
    """None for lossless formats."""
    searched_quality: tuple[int, int] | None = None
    """The default range for `quality = "auto"`."""
    effort: Scale | None = None
    """CPU time spent to save bytes; None if the encoder has no useful choice."""
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
    """Encoder options that presets cannot change."""

    @property
    def writable(self) -> bool:
        """Whether variants may have this format."""
        return self.saver is not None


def _starts(*prefixes: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(prefixes)


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_tiff(head: bytes) -> bool:
    """Recognise TIFF and BigTIFF, but not camera raw files with a TIFF header."""
    return head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")) and head[8:10] != b"CR"


def _is_bmp(head: bytes) -> bool:
    """Recognise a bitmap by its magic number and the length of the next header."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _is_svg(head: bytes) -> bool:
    """Find the root element after a declaration, comments and a document type."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<svg") or (
        text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in text
    )


def _has_brand(*brands: bytes) -> Callable[[bytes], bool]:
    """Match an ISO media file by its brands (ISO/IEC 14496-12, 4.3: size, ftyp, major, minor, ...).

    The major brand decides. Compatible brands count only if the major brand is neutral.
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
        misspelt=("image/jpg", "image/pjpeg", "image/jpe", "image/jfif", "image/pipeg"),
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
        misspelt=("image/x-png", "image/apng", "image/vnd.mozilla.apng"),
        extension="png",
        matches=_starts(b"\x89PNG\r\n\x1a\n"),
        loader="pngload",
        saver="pngsave",
        keeps_alpha=True,
        animates=True,
        decoded_bytes_per_pixel=0.05,
        # The frame itself, and a part of the frame in its file that is decoded.
        decoded_bytes_per_frame_pixel=5,
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
        misspelt=("image/x-webp",),
        extension="webp",
        matches=_is_webp,
        loader="webpload",
        saver="webpsave",
        keeps_alpha=True,
        max_side=16_383,
        animates=True,
        copies_of_file=1,
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
        # One is cut to the frames that are used, the other is the file or libvips' own copy.
        copies_of_file=2,
        decoded_bytes_per_pixel=5.5,
        shown_by_browsers=True,
    ),
    Format(
        name="tiff",
        media_type="image/tiff",
        misspelt=("image/tif", "image/x-tif", "image/x-tiff"),
        extension="tif",
        matches=_is_tiff,
        loader="tiffload",
        # libvips holds up to two rows of tiles, and a tile may be half as high as the picture.
        decoded_bytes_per_sample=1.5,
    ),
    Format(
        name="avif",
        media_type="image/avif",
        misspelt=("image/avif-sequence",),
        extension="avif",
        matches=_has_brand(b"avif", b"avis"),
        loader="heifload",
        coding="av1",
        saver="heifsave",
        keeps_alpha=True,
        max_side=16_384,
        # In 4:4:4 libheif holds the decoder's planes, its own and the joined pixels at once.
        decoded_bytes_per_sample=5.2,
        animates=True,
        copies_of_file=1,
        decoded_bytes_per_frame_pixel=4,
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
        misspelt=("image/heic-sequence", "image/heif-sequence", "image/x-heic", "image/x-heif"),
        extension="heic",
        matches=_has_brand(b"heic", b"heix", b"heim", b"heis"),
        loader="heifload",
        coding="hevc",
        decoded_bytes_per_sample=1.8,
    ),
    Format(
        name="bmp",
        media_type="image/bmp",
        misspelt=("image/x-bmp", "image/x-ms-bmp", "image/x-windows-bmp", "image/ms-bmp"),
        extension="bmp",
        matches=_is_bmp,
        decoded_bytes_per_pixel=14,
        opaque=True,
    ),
)

# Not in FORMATS: an SVG drawing is a program, and is read only if a setting permits it.
SVG = Format(
    name="svg",
    media_type="image/svg+xml",
    misspelt=("image/svg", "image/svg-xml"),
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
    """Convert a quality between the scales of two formats, in proportion to their defaults."""
    if quality is None or scale.quality is None or format.quality is None:
        return quality
    moved = round(quality * format.quality.default / scale.quality.default)
    return min(max(moved, format.quality.least), format.quality.most)


def recognise(head: bytes, *, accept_svg: bool = False) -> Format | None:
    """Return the readable format of a file from its first `HEADER_BYTES` bytes, if any."""
    readable = (*READABLE, SVG) if accept_svg else READABLE
    return next((format for format in readable if format.matches(head)), None)
