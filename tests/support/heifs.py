"""Writes HEICs of many items, as phones of 200 megapixels and bursts do, and changes AVIFs."""

import io
import struct

import pillow_heif
from PIL import Image

COLOUR = (140, 60, 125)
FULL_ALPHA, LIMITED_ALPHA = bytes.fromhex("181da7fbb0a8"), bytes.fromhex("181da7fbb088")
"""Sequence headers of an alpha of 160 x 120 pixels; they differ in the bit of the range."""


def saved(file: pillow_heif.HeifFile, **options: object) -> bytes:
    """Encode a file of pillow-heif."""
    into = io.BytesIO()
    file.save(into, quality=50, **options)
    return into.getvalue()


def burst(pictures: int) -> bytes:
    """Make a HEIC of many pictures. Each one after the second has the same bytes as that."""
    file = pillow_heif.from_pillow(Image.new("RGB", (16, 16), COLOUR))
    file.add_from_pillow(Image.new("RGB", (16, 16)))
    whole = saved(file)
    start, end = whole.index(b"meta") - 4, whole.index(b"mdat") - 4
    meta = bytearray(whole[start:end])
    _repeat_last_entry(meta, (b"iloc",), pictures, count=(">H", 6), length=18, id_at=0)
    _repeat_last_entry(meta, (b"iinf",), pictures, count=(">H", 4), length=21, id_at=12)
    _repeat_last_entry(meta, (b"ipma", b"iprp"), pictures, count=(">I", 4), length=8, id_at=0)
    unused = struct.pack(">I4s", end - start, b"free").ljust(end - start, b"\0")
    return whole[:start] + unused + whole[end:] + meta


def _repeat_last_entry(
    meta: bytearray,
    kinds: tuple[bytes, ...],
    entries: int,
    *,
    count: tuple[str, int],
    length: int,
    id_at: int,
) -> None:
    """Give the first of these boxes so many entries; the last entry is repeated with further ids.

    The other kinds contain the box, as `meta` does.
    """
    places = [meta.index(kind) - 4 for kind in (*kinds, b"meta")]
    form, count_at = count
    struct.pack_into(form, meta, places[0] + 8 + count_at, entries)
    end = places[0] + struct.unpack_from(">I", meta, places[0])[0]
    last = meta[end - length : end]
    further = b"".join(
        last[:id_at] + struct.pack(">H", item) + last[id_at + 2 :] for item in range(3, entries + 1)
    )
    meta[end:end] = further
    for place in places:
        (size,) = struct.unpack_from(">I", meta, place)
        struct.pack_into(">I", meta, place, size + len(further))


def of_unspecified_numbers(heif: bytes, *, full: bool) -> bytes:
    """Replace the numbers of colours in a HEIC or AVIF, but name its range."""
    at = heif.index(b"colrnclx") + 8
    return heif[:at] + struct.pack(">HHHB", 2, 2, 2, 0x80 * full) + heif[at + 7 :]
