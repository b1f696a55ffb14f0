import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.formats import (
    AUTO_FORMATS,
    BY_SIZE,
    FORMATS,
    HEADER_BYTES,
    SVG,
    WRITABLE,
    recognise,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("format", WRITABLE, ids=lambda format: format.name)
def test_a_written_format_has_its_memory_and_its_place_by_size(format):
    assert format.encoded_bytes_per_pixel > 0
    assert format.size_rank is not None


def ftyp(major: bytes, *compatible: bytes, size: int | None = None) -> bytes:
    body = b"ftyp" + major + b"\0\0\0\0" + b"".join(compatible)
    return (size if size is not None else len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
        (b"II*\0\x08\0\0\0", "tiff"),
        (b"MM\0*\0\0\0\x08", "tiff"),
        (b"II+\0\x08\0\0\0", "tiff"),
        (ftyp(b"avif"), "avif"),
        (ftyp(b"avis", b"avif"), "avif"),
        (ftyp(b"mif1", b"miaf", b"avif"), "avif"),
        (ftyp(b"heic", b"mif1", b"heic"), "heic"),
        (ftyp(b"heix", b"mif1", b"avif"), "heic"),
        (ftyp(b"mif1", b"heic"), "heic"),
        (ftyp(b"mif2", b"mif1", b"heic"), "heic"),
        (ftyp(b"msf1", b"hevc", b"mif1", b"heic"), "heic"),
        (ftyp(b"hevc", b"msf1", b"mif1", b"heic"), "heic"),
        (ftyp(b"hevx", b"msf1", b"mif1", b"heix"), "heic"),
        *((b"BM" + bytes(12) + bytes((size, 0, 0, 0)), "bmp") for size in (12, 16, 40, 42, 64)),
    ],
)
def test_a_format_is_recognised_by_its_first_bytes(head, name):
    format = recognise(head)
    assert format is not None
    assert format.name == name


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"hello, world",
        b'<svg xmlns="http://www.w3.org/2000/svg">',
        b'<?xml version="1.0"?><svg/>',
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0",
        b"push graphic-context",
        b"RIFF\x10\0\0\0WAVE",
        b"BM\0\0",
        b"II*\0\x10\0\0\0CR\x02\0",
        ftyp(b"hevc", b"msf1", b"hevc"),
        ftyp(b"mif1", b"jpeg"),
        b"BM" + bytes(20),
        ftyp(b"mp42", b"isom"),
        ftyp(b"avif", size=8),
        ftyp(b"avif", size=1),
        ftyp(b"mif1", size=16) + b"avif",
    ],
)
def test_anything_else_is_not_recognised(head):
    assert recognise(head) is None


@pytest.mark.parametrize(
    "head",
    [
        b"<svg/>",
        b"\xef\xbb\xbf \n<svg xmlns='...'>",
        b"<?xml version='1.0'?><!-- a --><!DOCTYPE svg><svg>",
    ],
)
def test_an_svg_is_recognised_only_where_it_is_accepted(head):
    assert recognise(head) is None
    assert recognise(head, accept_svg=True) is SVG
    assert recognise(b"<?xml version='1.0'?><html>", accept_svg=True) is None


@given(st.binary(max_size=2 * HEADER_BYTES))
def test_recognising_never_fails(head):
    assert recognise(head) in (None, *FORMATS)


@given(st.binary(max_size=HEADER_BYTES))
def test_recognising_stays_within_a_damaged_media_header(rest):
    assert recognise(b"\xff\xff\xff\xfcftyp" + rest) in (None, *FORMATS)


def test_what_is_written_is_webp_jpeg_png_and_avif():
    assert {format.name for format in WRITABLE} == {"webp", "jpeg", "png", "avif"}


def test_no_two_formats_share_a_name_a_type_or_an_extension():
    for attribute in ("name", "media_type", "extension"):
        assert len({getattr(format, attribute) for format in FORMATS}) == len(FORMATS)


def test_every_writable_format_has_its_place_by_size():
    ranks = [format.size_rank or 0 for format in WRITABLE]
    assert sorted(ranks) == list(range(1, len(WRITABLE) + 1))
    assert BY_SIZE == ("avif", "webp", "jpeg", "png")
    assert AUTO_FORMATS == ("avif", "webp", "jpeg")


MAY_NAME_FORMATS = {
    "safelight/formats.py": "the table itself",
    "safelight/imaging/encode.py": "the table of encoders that are not libvips",
    "safelight/imaging/structure.py": "readers of the inner structure of sources",
    "safelight/imaging/mend.py": "repairs of sources, by their structure",
    "safelight/imaging/child.py": "the first render of a child, which proves that it works",
    "safelight/looking.py": "the copy that Rekognition is sent",
    "api/dialects": "words of other grammars",
}
WORDS = "|".join({word for format in WRITABLE for word in (format.name, format.extension)})
NAMES_A_FORMAT = re.compile(rf"(image/)?({WORDS})|.*\b({WORDS})\|({WORDS})\b.*", re.DOTALL)


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_a_written_format_is_named_in_its_row_only():
    """A new row is then all that a new format takes: other modules read the columns."""
    named = [
        f"{path}:{line}: {text}"
        for folder in ("safelight", "api", "worker", "ops")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(tuple(MAY_NAME_FORMATS))
        for line, text in texts_of(path)
        if NAMES_A_FORMAT.fullmatch(text)
    ]
    assert named == []
