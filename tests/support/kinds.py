"""Samples of each kind of picture in docs/guide/formats.md, by format."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image

from tests.support import bitmaps, gifs, heifs, jpegs, pictures, pngs, tiffs
from tests.support.jpegs import PLAIN
from tests.support.pictures import encoded
from tests.support.tiffs import LONG, MEAN, PHOTOMETRIC, SHORT, page, tiff, with_tag

DATA = Path(__file__).parents[1] / "data"
STORED = DATA / "pictures"

PIXELS = tiffs.PIXELS[::2, ::2]
PICTURE = Image.fromarray(PIXELS)
P3 = bytes(pyvips.Image.profile_load("p3"))
GREY, PALETTE, INKS = PICTURE.convert("L"), PICTURE.quantize(256), PICTURE.convert("CMYK")
NOISE = pictures.noise(80, 60)
LINES = PICTURE.convert("1")
IN_P3, IN_PQ, SHOWN_INKS = (118, 124, 122), (106, 111, 88), (127, 127, 127)


def half_opaque(picture: Image.Image = PICTURE) -> Image.Image:
    whole = picture.convert("LA" if picture.mode == "L" else "RGBA")
    whole.putalpha(128)
    return whole


OPEN = half_opaque()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file, and the mean colour in which it is shown."""

    data: bytes
    mean: tuple[float, float, float] = MEAN


Samples = list[Sample]


def plain(*files: bytes, mean: tuple[float, float, float] = MEAN) -> Samples:
    return [Sample(data=data, mean=mean) for data in files]


def of_format(format: str, **options: object) -> dict[str, Samples]:
    """Make the rows that most formats have."""
    whole = encoded(NOISE, format)
    return {
        "with a profile": plain(encoded(PICTURE, format, icc_profile=P3, **options), mean=IN_P3),
        "EXIF orientation": plain(*(pictures.turned(n, format) for n in range(2, 9))),
        "EXIF, GPS": plain(pictures.turned(1, format)),
        "pixels missing at the end": plain(whole[: len(whole) * 2 // 3]),
    }


def deep(kind: str = "rgb16") -> pyvips.Image:
    image = pyvips.Image.new_from_array(PIXELS).copy(interpretation="srgb")
    return image.colourspace(kind)


def as_tiff(*options: Mapping[str, object]) -> list[bytes]:
    return [encoded(PICTURE, "TIFF", **each) for each in options]


def by_libvips(**options: object) -> bytes:
    image = pyvips.Image.new_from_array(PIXELS).copy(interpretation="srgb")
    return bytes(image.tiffsave_buffer(**options))


def lossless_webp_that_denies_alpha() -> bytes:
    data = bytearray(encoded(OPEN, "WEBP", lossless=True, exact=True))
    data[data.index(b"VP8L") + 12] &= 0xEF
    return bytes(data)


def damaged(data: bytes, length: int = 60) -> bytes:
    middle = len(data) // 2
    piece = bytes(byte ^ 0x5A for byte in data[middle : middle + length])
    return data[:middle] + piece + data[middle + length :]


def moving(format: str) -> bytes:
    return pictures.animated(format, 3, duration=100)


def with_bands(kind: int) -> bytes:
    bands = tiffs.with_bands(PIXELS, 128)
    return tiff(page(bands, with_tag(tiffs.EXTRA_SAMPLES, SHORT, kind)))


def heic_sequence(major: bytes) -> bytes:
    data = pictures.heic(PICTURE)
    return data[:8] + major + data[12:]


SEQUENCE_ALONE = b"\0\0\0\x1cftypheic\0\0\0\0msf1hevcheic\0\0\0\x10moov" + bytes(8)
SEPARATE_TILES = {
    322: (LONG, (160,)),
    323: (LONG, (128,)),
    284: (SHORT, (2,)),
    324: (LONG, (8, 8, 8)),
    325: (LONG, (20_480,) * 3),
    273: None,
    279: None,
    278: None,
}
TILES = by_libvips(tile=True, tile_width=64, tile_height=64, compression="jpeg", Q=95)
DAMAGED_TILE = TILES[: TILES.index(b"\xff\xda") + 60] + b"\xff\xd9"
DAMAGED_TILE += TILES[len(DAMAGED_TILE) :]
FRAME = PLAIN.index(b"\xff\xc0")
HALF_OF_A_GIF = encoded(NOISE, "GIF")[:3500]
ANIMATED_PNG = moving("PNG")


@cache
def jpeg_samples() -> Mapping[str, Samples]:
    return {
        "baseline, progressive, arithmetic coding": plain(
            PLAIN, jpegs.jpeg(progressive=True), (STORED / "arithmetic.jpg").read_bytes()
        ),
        "grey": plain(encoded(GREY, "JPEG")),
        "CMYK, also Adobe's inverted one": plain(encoded(INKS, "JPEG")),
        "with a gain map (Ultra HDR)": plain(pictures.ultra_hdr_jpeg(), mean=(127, 128, 80)),
        **of_format("JPEG", quality=95),
        "padding, odd segments, no end marker": plain(
            *(odd for odd, usual in jpegs.ODD.values() if usual is PLAIN),
        ),
        "damaged pixels": plain(
            pictures.corrupt_scan((pictures.SAMPLES / "cat-451px.jpg").read_bytes())
        ),
        "12 bits, lossless, hierarchical": plain(
            (STORED / "grey12.jpg").read_bytes(),
            (STORED / "colours12.jpg").read_bytes(),
            PLAIN[: FRAME + 1] + b"\xc3" + PLAIN[FRAME + 2 :],
            PLAIN[: FRAME + 1] + b"\xc5" + PLAIN[FRAME + 2 :],
        ),
    }


@cache
def png_samples() -> Mapping[str, Samples]:
    return {
        "grey, palette, colours; 1 to 16 bits": plain(
            *(encoded(picture, "PNG") for picture in (LINES, GREY, PALETTE, PICTURE)),
            bytes(deep().pngsave_buffer(bitdepth=16)),
        ),
        "interlaced": plain(bytes(deep("srgb").pngsave_buffer(interlace=True))),
        "alpha": plain(encoded(OPEN, "PNG"), encoded(half_opaque(GREY), "PNG")),
        "`cICP`, `cHRM`": plain(
            *(pngs.png_of(PICTURE, chunks) for chunks in (pngs.coding(12, 13), pngs.P3)), mean=IN_P3
        ),
        "`gAMA`": plain(pngs.png_of(PICTURE, pngs.gamma(100_000)), mean=(175, 175, 185)),
        "PQ and HLG": plain(pngs.png_of(PICTURE, pngs.coding(9, 16)), mean=IN_PQ),
        **of_format("PNG"),
        "animated": plain(ANIMATED_PNG),
        "an animation whose frames are damaged": plain(
            damaged(ANIMATED_PNG[:-14], 1) + ANIMATED_PNG[-14:]
        ),
        "no end, damage behind the pixels": plain(
            encoded(PICTURE, "PNG")[:-12], encoded(PICTURE, "PNG")[:-12] + bytes(40)
        ),
        "damaged pixels": plain(damaged(encoded(NOISE, "PNG"))),
    }


@cache
def webp_samples() -> Mapping[str, Samples]:
    return {
        "lossy, lossless": plain(
            encoded(PICTURE, "WEBP", quality=90), encoded(PICTURE, "WEBP", lossless=True)
        ),
        "alpha": plain(encoded(OPEN, "WEBP")),
        "lossless, whose header denies its alpha": plain(lossless_webp_that_denies_alpha()),
        **of_format("WEBP", quality=95),
        "animated": plain(moving("WEBP")),
    }


@cache
def gif_samples() -> Mapping[str, Samples]:
    return {
        "palettes of up to 256 colours, interlaced": plain(
            encoded(PALETTE, "GIF", interlace=1), encoded(PALETTE, "GIF", interlace=0)
        ),
        "a first frame smaller than the canvas": plain(gifs.gif_of_small_frames((5, 5))),
        "animated": plain(moving("GIF")),
        "pixels missing at the end": plain(HALF_OF_A_GIF),
        "no end, damage behind the last frame": plain(
            encoded(PALETTE, "GIF")[:-1], encoded(PALETTE, "GIF")[:-1] + b"!\xfe\4"
        ),
        "damaged pixels": plain(damaged(encoded(NOISE, "GIF"))),
    }


@cache
def tiff_samples() -> Mapping[str, Samples]:
    return {
        "uncompressed, LZW, deflate, PackBits, JPEG": plain(
            *as_tiff(
                {},
                {"compression": "tiff_lzw"},
                {"compression": "tiff_adobe_deflate"},
                {"compression": "packbits"},
                {"compression": "jpeg", "quality": 90},
            )
        ),
        "fax": plain(*(encoded(LINES, "TIFF", compression=f"group{n}") for n in (3, 4))),
        "tiles": plain(by_libvips(tile=True), by_libvips(tile=True, compression="deflate")),
        "BigTIFF": plain(encoded(PICTURE, "TIFF", big_tiff=True)),
        "grey of 1, 2, 4, 8 and 16 bits": plain(
            encoded(LINES, "TIFF"),
            encoded(GREY, "TIFF"),
        )
        # The grey of libvips is by the light, and lighter.
        + plain(
            bytes(deep("grey16").tiffsave_buffer()),
            bytes(deep("b-w").tiffsave_buffer(bitdepth=4)),
            mean=(138, 138, 138),
        )
        + plain(bytes(deep("b-w").tiffsave_buffer(bitdepth=2)), mean=(143, 143, 143)),
        "palette; RGB of 8 and 16 bits": plain(
            encoded(PALETTE, "TIFF"), bytes(deep().tiffsave_buffer())
        ),
        "RGB in floats, with a profile": plain(
            tiffs.floats(pictures.srgb_profile(), pixels=PIXELS)
        ),
        "inks (CMYK)": plain(encoded(INKS, "TIFF")),
        "YCbCr without subsampling": plain(tiffs.ycc(pixels=np.asarray(PICTURE.convert("YCbCr")))),
        "a band that is named as opacity": plain(with_bands(2)),
        "a band without a meaning": plain(with_bands(0)),
        "a reduced page before the picture": plain(
            tiff(page(PIXELS[::4, ::4], with_tag(tiffs.SUBFILE, LONG, 1)), page(PIXELS))
        ),
        "further pages": plain(tiff(page(PIXELS), page(PIXELS[::-1]))),
        **{kind: samples for kind, samples in of_format("TIFF").items() if "end" not in kind},
        "odd tags": plain(*(tiff(page(PIXELS, tags)) for tags in tiffs.ODD_TAGS.values())),
        "pixels missing at the end": plain(encoded(NOISE, "TIFF")[:9000]),
        "damaged strips in deflate, JPEG, fax; tiles in JPEG": plain(
            DAMAGED_TILE,
            damaged(encoded(NOISE, "TIFF", compression="tiff_adobe_deflate")),
            damaged(encoded(jpegs.PICTURE, "TIFF", compression="jpeg")),
            damaged(encoded(jpegs.PICTURE.convert("1"), "TIFF", compression="group4")),
        ),
        "camera raw (DNG)": plain(tiff(page(PIXELS, with_tag(50_706, tiffs.BYTE, 1, 4, 0, 0)))),
        "grey with several bands without a meaning": plain(
            tiff(page(tiffs.with_bands(PIXELS[..., 0], 1, 2), with_tag(PHOTOMETRIC, SHORT, 1)))
        ),
        "other depths, Lab, doubles, tiles of separate planes": plain(
            (DATA / "cases" / "grey12.tif").read_bytes(),
            tiff(page(np.zeros((128, 160, 3), np.uint8), SEPARATE_TILES)),
            encoded(Image.new("LAB", (30, 20), (90, 20, 30)), "TIFF"),
            bytes(pyvips.Image.black(30, 20, bands=3).cast("double").tiffsave_buffer()),
        ),
        "LZMA, Zstandard, old-style JPEG": plain(
            encoded(pictures.noise(300, 200), "TIFF", compression="lzma"),
            encoded(pictures.noise(300, 200), "TIFF", compression="zstd"),
            tiff(page(PIXELS, with_tag(tiffs.COMPRESSION, SHORT, 6))),
        ),
    }


@cache
def avif_samples() -> Mapping[str, Samples]:
    return {
        "8 and 10 bits, grey": plain(
            encoded(PICTURE, "AVIF", quality=90),
            encoded(GREY, "AVIF", quality=90),
            bytes(deep().heifsave_buffer(compression="av1", effort=0, bitdepth=10, Q=90)),
        ),
        "limited range, also of grey": plain(
            encoded(PICTURE, "AVIF", quality=90, range="limited"),
            encoded(GREY, "AVIF", quality=90, range="limited"),
        ),
        "alpha, also premultiplied": plain(
            encoded(OPEN, "AVIF", quality=90),
            encoded(OPEN, "AVIF", quality=90, subsampling="4:4:4", alpha_premultiplied=True),
        ),
        "colours by number": plain(pictures.numbered_avif(PICTURE, 12, 13), mean=IN_P3),
        "PQ and HLG": plain(pictures.numbered_avif(PICTURE, 9, 16), mean=IN_PQ),
        "rotation of the container": plain(*(pictures.turned(n, "AVIF") for n in range(2, 9))),
        **{
            kind: samples
            for kind, samples in of_format("AVIF", quality=95).items()
            if kind != "EXIF orientation"
        },
        "animated": plain(moving("AVIF")),
        "a sequence without a still picture": plain(
            SEQUENCE_ALONE.replace(b"heic", b"avif").replace(b"hevc", b"avis")
        ),
    }


@cache
def heic_samples() -> Mapping[str, Samples]:
    return {
        "8 and 10 bits": plain(pictures.heic(PICTURE), pictures.deep_heic(PICTURE)),
        "alpha": plain(pictures.heic(OPEN)),
        "colours by number": plain(
            pictures.heic(PICTURE, color_primaries=12, transfer_characteristics=13), mean=IN_P3
        ),
        "PQ and HLG": plain(
            pictures.heic(PICTURE, color_primaries=9, transfer_characteristics=16), mean=IN_PQ
        ),
        "rotation of the container": plain(*(pictures.turned(n, "HEIC") for n in range(2, 9))),
        **{
            kind: samples
            for kind, samples in of_format("HEIC").items()
            if kind != "EXIF orientation"
        },
        "a sequence beside the picture (`hevc`, `msf1`)": plain(
            heic_sequence(b"hevc"), heic_sequence(b"msf1")
        ),
        "a sequence without a still picture": plain(SEQUENCE_ALONE),
        "H.264 and other codings": plain(pictures.heic(PICTURE).replace(b"hvc1", b"avc1")),
        "up to 10,000 items": plain(heifs.burst(300), mean=heifs.COLOUR),
    }


@cache
def bmp_samples() -> Mapping[str, Samples]:
    return {
        "1 to 32 bits, RLE of 4 and 8 bits": plain(
            *(encoded(picture, "BMP") for picture in (LINES, GREY, PALETTE, PICTURE)),
            *(data for name, data in bitmaps.kinds(PIXELS).items() if "opacity" not in name),
        ),
        "OS/2, versions 1 and 2": plain(*bitmaps.os2_kinds(PIXELS).values()),
        "opacity": plain(bitmaps.bitmap_of_version_5(128, PIXELS)),
        "opacity that is 0 everywhere": plain(bitmaps.bitmap_of_version_5(0, PIXELS)),
        "pixels missing at the end": plain(encoded(PICTURE, "BMP")[:9000]),
        "masks with gaps or overlaps": plain(bitmaps.bitmap(32, 3, 0xFF0000, 0xFF0000, 0xFF)),
        "4-4-4-4, 10-10-10, 2 bits, RLE of 24 bits, fax, PNG inside": plain(
            bitmaps.bitmap(16, 3, 0xF00, 0xF0, 0xF),
            bitmaps.bitmap(32, 3, 0x3FF00000, 0xFFC00, 0x3FF),
            *(bitmaps.bitmap(bits, coding) for bits, coding in ((2, 0), (24, 4), (32, 5))),
            bitmaps.os2(64, 1, 3, palette=bytes(8), rows=bytes(100)),
        ),
    }


SAMPLES: Mapping[str, Callable[[], Mapping[str, Samples]]] = {
    "JPEG": jpeg_samples,
    "PNG": png_samples,
    "WebP": webp_samples,
    "GIF": gif_samples,
    "TIFF": tiff_samples,
    "AVIF": avif_samples,
    "HEIC": heic_samples,
    "BMP": bmp_samples,
}
