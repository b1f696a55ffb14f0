"""Carries over who made a picture and whose it is, and nothing else of its metadata.

Read from EXIF, else from XMP, else from IPTC; written as EXIF of these two texts alone.
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
"""Of one text: a credit, not a novel."""
_XMP_MOST_BYTES = 256 * 1024
_XMP_TEXT = rb"<dc:%s\b[^>]*>.{0,500}?<rdf:li\b[^>]*>([^<]{1,2000})</rdf:li>"
_IPTC_BY_LINE, _IPTC_COPYRIGHT = 80, 116
"""Datasets of the application record (IPTC IIM 4.2, chapter 6)."""
_IPTC_MOST_BYTES = 64 * 1024
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Two texts in UTF-8, or in whatever the EXIF was written in; empty where nothing is said."""

    artist: bytes = b""
    copyright: bytes = b""

    @classmethod
    def found_in(cls, *, exif: bytes, xmp: bytes, iptc: bytes) -> Self:
        """Read them from a picture's metadata, which is as untrusted as its pixels."""
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
        """Write them as a block of EXIF; empty if nothing is said."""
        texts = {_ARTIST: self.artist, _COPYRIGHT: self.copyright}
        said = [(tag, text + b"\0") for tag, text in texts.items() if text]
        if not said:
            return b""
        place = 8 + 2 + 12 * len(said) + 4
        entries, values = b"", b""
        for tag, text in said:
            # A value of up to four bytes stands in the entry itself (TIFF 6.0, section 2).
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
            warnings.simplefilter("ignore")  # what is damaged is left out
            exif.load(data)
            found = {tag: exif.get(tag) for tag in (_ARTIST, _COPYRIGHT)}
    except (SyntaxError, ValueError, OSError, TypeError, KeyError, IndexError, struct.error):
        return {}  # metadata that makes no sense says nothing
    # Pillow reads texts as Latin-1, so this gives the bytes as they were.
    texts = {tag: text for tag, text in found.items() if isinstance(text, str)}
    return {tag: text.encode("latin-1", "replace") for tag, text in texts.items()}


def _xmp_text(xmp: bytes, name: bytes) -> bytes:
    match = re.search(_XMP_TEXT % name, xmp[:_XMP_MOST_BYTES], re.DOTALL)
    return html.unescape(match[1].decode("utf-8", "replace")).encode() if match else b""


def _iptc_text(iptc: bytes, dataset: int) -> bytes:
    """Read a dataset: a marker, record 2, its number, two bytes of length, the text."""
    at = iptc.find(bytes((0x1C, 2, dataset)), 0, _IPTC_MOST_BYTES)
    if at < 0:
        return b""
    length = int.from_bytes(iptc[at + 3 : at + 5], "big")
    return iptc[at + 5 : at + 5 + min(length, _MOST_BYTES)]


def _cleaned(text: bytes) -> bytes:
    return _CONTROL.sub(b" ", text.rstrip(b"\0")).strip()[:_MOST_BYTES]
