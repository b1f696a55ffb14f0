"""Makes hostile pictures: small files that need much memory or time. None of them is in git."""

import struct
import zlib
from functools import cache

from tests.support import pictures
from tests.support.pictures import chunk, encoded, quarters

MANY_METADATA_BYTES = 512 * 1024**2


def webp_bomb(side: int = 16_383) -> bytes:
    """Make a complete lossless WebP of one colour, a few bytes long.

    The five codes of a pixel have one symbol each, so that a pixel takes no bit at all (RFC 9649,
    3.7.2.1.1). Width and height take 14 bits each.
    """
    size = (side - 1) | (side - 1) << 14
    # No transform, no cache, no code groups; then five codes: simple, one symbol, 1 bit, zero.
    codes = 0b0001_0001_0001_0001_0001 << 3
    data = b"\x2f" + struct.pack("<IQ", size, codes)
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def avif_bomb(side: int = 16_000) -> bytes:
    """Make a small AVIF whose container announces a large picture."""
    plain = encoded(quarters(), "AVIF")
    return plain.replace(
        b"ispe" + struct.pack(">III", 0, 80, 48), b"ispe" + struct.pack(">III", 0, side, side)
    )


def jpeg_bomb(side: int = 20_000) -> bytes:
    """Make a small progressive JPEG whose frame header announces a large picture."""
    plain = encoded(quarters(), "JPEG", progressive=True)
    size = plain.index(b"\xff\xc2") + 5
    return plain[:size] + struct.pack(">HH", side, side) + plain[size + 4 :]


def gif_of_many_large_frames(frames: int = 10_000, side: int = 2000) -> bytes:
    """Make a GIF whose frames each fill the screen and have almost no data."""
    frame = b"," + struct.pack("<HHHH", 0, 0, side, side) + b"\0\2\2D\1\0"
    screen = struct.pack("<HH", side, side)
    return b"GIF89a" + screen + b"\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b";"


@cache
def _many_zeros() -> bytes:
    """Compress `MANY_METADATA_BYTES` of zeros to a thousandth."""
    packer, block = zlib.compressobj(1), bytes(1024**2)
    parts = [packer.compress(block) for _ in range(MANY_METADATA_BYTES // len(block))]
    return b"".join([*parts, packer.flush()])


def _png_with(*chunks: bytes) -> bytes:
    plain = encoded(quarters(), "PNG")
    header = 8 + 25  # the signature, IHDR
    return plain[:header] + b"".join(chunks) + plain[header:]


def png_with_a_text_bomb() -> bytes:
    """Make a PNG with half a gigabyte of compressed text."""
    return _png_with(chunk(b"zTXt", b"Comment\0\0" + _many_zeros()))


def png_with_a_profile_bomb() -> bytes:
    """Make a PNG with half a gigabyte of compressed colour profile."""
    return _png_with(chunk(b"iCCP", b"ICC Profile\0\0" + _many_zeros()))


def png_of_many_texts(count: int = 100_000) -> bytes:
    """Make a PNG with very many text chunks."""
    return _png_with(*(chunk(b"tEXt", b"Key%d\0value" % number) for number in range(count)))


def jpeg_of_many_segments(count: int = 900) -> bytes:
    """Make a JPEG with very many EXIF, XMP, profile and comment segments of the greatest length."""
    plain = encoded(quarters(), "JPEG", quality=95)
    kinds = (
        (0xE1, b"Exif\0\0MM\0*\0\0\0\x08"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
        (0xE2, b"ICC_PROFILE\0\1\xff"),
        (0xED, b"Photoshop 3.0\0"),
        (0xFE, b""),
    )
    segments = [
        bytes((0xFF, kind)) + struct.pack(">H", 65_535) + start.ljust(65_533, b"\1")
        for kind, start in (kinds * (count // len(kinds)))
    ]
    return plain[:2] + b"".join(segments) + plain[2:]


def polyglots() -> dict[str, bytes]:
    """Make complete pictures that are also files of another kind, by description."""
    jpeg, gif = (encoded(quarters(), format) for format in ("JPEG", "GIF"))
    pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n"
    comment = b"\xff\xfe" + struct.pack(">H", len(pdf) + 2) + pdf
    archive = b"PK\x03\x04" + b"zipped" * 50 + b"PK\x05\x06" + bytes(18)
    return {
        "JPEG with an archive behind it": jpeg + archive,
        "JPEG with a page behind it": jpeg + b"<html><script>alert(1)</script></html>",
        "JPEG with a document inside": jpeg[:2] + comment + jpeg[2:],
        "GIFAR": gif + archive,
        "PNG with a script behind it": encoded(quarters(), "PNG") + b"<?php echo 1; ?>",
    }


BOMBS = {
    "PNG of 8 bits": lambda: pictures.png_bomb(50_000, 50_000, bits=8, colour=2),
    "PNG of 1 bit": lambda: pictures.png_bomb(50_000, 50_000, bits=1, colour=0),
    "interlaced PNG": lambda: pictures.png_bomb(20_000, 20_000, bits=8, colour=2, interlace=1),
    "WebP": webp_bomb,
    "AVIF": avif_bomb,
    "progressive JPEG": jpeg_bomb,
}
METADATA_BOMBS = {
    "half a gigabyte of text": png_with_a_text_bomb,
    "half a gigabyte of profile": png_with_a_profile_bomb,
    "100,000 texts": png_of_many_texts,
    "900 segments": jpeg_of_many_segments,
}
