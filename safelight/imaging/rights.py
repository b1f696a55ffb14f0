"""Copies artist and copyright from a picture's metadata, and nothing else.

They are read from EXIF, else XMP, else IPTC, and written as EXIF with only these two texts.
"""

import html
import re
import struct
import warnings
from dataclasses import dataclass
from typing import Self

from PIL import Image

_ARTIST, _COPYRIGHT = 0x013B, 0x8298
"""EXIF tags (CIPA DC-008, 4.6.5)."""
_ASCII = 2
_MOST_BYTES = 1000
"""The longest text in bytes."""
_XMP_MOST_BYTES = 256 * 1024
_XMP_TEXT = rb"<dc:%s\b[^>]*>.{0,500}?<rdf:li\b[^>]*>([^<]{1,2000})</rdf:li>"
_IPTC_BY_LINE, _IPTC_COPYRIGHT = 80, 116
"""Datasets of the application record (IPTC IIM 4.2, chapter 6)."""
_IPTC_MOST_BYTES = 64 * 1024
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The two texts, in UTF-8 or in the encoding of the EXIF; empty if missing."""

    artist: bytes = b""
    copyright: bytes = b""

    @classmethod
    def found_in(cls, *, exif: bytes, xmp: bytes, iptc: bytes) -> Self:
        """Read them from a picture's metadata, which is untrusted like its pixels."""
        tags = _exif_texts(exif)
        return cls(
            artist=_cleaned(
                tags.get(_ARTIST) or _xmp_text(xmp, b"creator") or _iptc_text(iptc, _IPTC_BY_LINE)
            ),
            copyright=_cleaned(
                tags.get(_COPYRIGHT)
                or _xmp_text(xmp, b"rights")
                or _iptc_text(iptc, _IPTC_COPYRIGHT)
            ),
        )

    def to_exif(self) -> bytes:
        """Return them as a block of EXIF; empty if both are missing."""
        texts = {_ARTIST: self.artist, _COPYRIGHT: self.copyright}
        said = [(tag, text + b"\0") for tag, text in texts.items() if text]
        if not said:
            return b""
        place = 8 + 2 + 12 * len(said) + 4
        entries, values = b"", b""
        for tag, text in said:
            # A value of up to four bytes is inside the entry (TIFF 6.0, section 2).
            inline = len(text) <= 4
            pointer = text.ljust(4, b"\0") if inline else struct.pack("<I", place + len(values))
            entries += struct.pack("<HHI", tag, _ASCII, len(text)) + pointer
            values += b"" if inline else text + b"\0" * (len(text) % 2)
        header = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(said))
        return header + entries + bytes(4) + values


def _exif_texts(data: bytes) -> dict[int, bytes]:
    exif = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged tags are left out
            exif.load(data)
            found = {tag: exif.get(tag) for tag in (_ARTIST, _COPYRIGHT)}
    except (SyntaxError, ValueError, OSError, TypeError, KeyError, IndexError, struct.error):
        return {}  # damaged metadata counts as missing
    # Pillow reads texts as Latin-1, so this returns the original bytes.
    texts = {tag: text for tag, text in found.items() if isinstance(text, str)}
    return {tag: text.encode("latin-1", "replace") for tag, text in texts.items()}


def _xmp_text(xmp: bytes, name: bytes) -> bytes:
    match = re.search(_XMP_TEXT % name, xmp[:_XMP_MOST_BYTES], re.DOTALL)
    return html.unescape(match[1].decode("utf-8", "replace")).encode() if match else b""


def _iptc_text(iptc: bytes, dataset: int) -> bytes:
    """Read a dataset: marker, record 2, number, two bytes of length, text."""
    at = iptc.find(bytes((0x1C, 2, dataset)), 0, _IPTC_MOST_BYTES)
    if at < 0:
        return b""
    length = int.from_bytes(iptc[at + 3 : at + 5], "big")
    return iptc[at + 5 : at + 5 + min(length, _MOST_BYTES)]


def _cleaned(text: bytes) -> bytes:
    return _CONTROL.sub(b" ", text.rstrip(b"\0")).strip()[:_MOST_BYTES]
