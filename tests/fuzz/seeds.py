"""Small whole pictures of every format and kind that is read: what fuzzing starts from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyvips
from PIL import Image

from tests.support import apngs, bitmaps, gifs, heifs, jpegs, kinds, pictures, pngs, tiffs
from tests.support.pictures import SAMPLES, encoded
from tests.support.tiffs import LONG, SHORT, page, tiff, with_tag

DATA: Final = Path(__file__).parents[1] / "data"
SMALL: Final = tiffs.PIXELS[::2, ::2]
"""The test picture in a quarter of its bytes: small files are damaged where it matters."""
PICTURE: Final = Image.fromarray(SMALL)


def seeds() -> Mapping[str, bytes]:
    """Make them, by name: the format, and what is special."""
    return {**_usual(), **_odd_jpegs(), **_pngs(), **_tiffs(), **_heifs(), **_bitmaps_and_gifs()}


def _usual() -> dict[str, bytes]:
    photograph = Image.open(SAMPLES / "astronaut-800px.jpg").convert("RGB")
    face = photograph.crop((130, 0, 370, 200)).resize((120, 100))
    large = photograph.resize((200, 200))
    grey, palette, ink = face.convert("L"), face.quantize(64), face.convert("CMYK")
    cutout = face.copy()
    cutout.putalpha(Image.radial_gradient("L").resize(face.size))
    frames = [face.rotate(angle) for angle in (0, 20, 40)]
    moving = {"save_all": True, "append_images": frames[1:], "duration": 50}
    profile = pictures.srgb_profile()
    deep = pyvips.Image.new_from_memory(face.tobytes(), *face.size, 3, "uchar")
    deep = deep.copy(interpretation="srgb").colourspace("rgb16")
    return {
        "jpeg": encoded(face, "JPEG", quality=85),
        "jpeg larger": encoded(large, "JPEG", quality=60),
        "jpeg progressive": encoded(face, "JPEG", quality=85, progressive=True),
        "jpeg grey": encoded(grey, "JPEG"),
        "jpeg 4:4:4, restarts": encoded(face, "JPEG", subsampling=0, restart_marker_rows=1),
        "jpeg cmyk": encoded(ink, "JPEG"),
        "jpeg profile": encoded(face, "JPEG", icc_profile=profile),
        "jpeg turned, gps": pictures.turned(6),
        "png": encoded(face, "PNG"),
        "png palette": encoded(palette, "PNG", transparency=3),
        "png alpha": encoded(cutout, "PNG"),
        "png 1 bit": encoded(grey.convert("1"), "PNG"),
        "png 16 bits": bytes(deep.pngsave_buffer(bitdepth=16)),
        "png interlaced": bytes(deep.colourspace("srgb").pngsave_buffer(interlace=True)),
        "png profile": encoded(grey, "PNG", icc_profile=profile),
        "png animated": encoded(frames[0], "PNG", **moving, disposal=2, blend=1),
        "webp": encoded(face, "WEBP", quality=80),
        "webp lossless": encoded(face, "WEBP", lossless=True),
        "webp alpha": encoded(cutout, "WEBP", quality=70),
        "webp animated": encoded(frames[0], "WEBP", **moving),
        "gif": encoded(palette, "GIF"),
        "gif animated": encoded(frames[0], "GIF", **moving),
        "tiff": encoded(face, "TIFF"),
        "tiff lzw": encoded(face, "TIFF", compression="tiff_lzw"),
        "tiff deflate, alpha": encoded(cutout, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": encoded(face, "TIFF", compression="jpeg"),
        "tiff cmyk": encoded(ink, "TIFF", compression="packbits"),
        "tiff fax": encoded(grey.convert("1"), "TIFF", compression="group4"),
        "tiff tiles, jpeg": kinds.TILES,
        "tiff tiles, 16 bits": bytes(
            deep.tiffsave_buffer(tile=True, tile_width=64, tile_height=64, compression="deflate")
        ),
        "avif": encoded(face, "AVIF", quality=60, speed=10),
        "avif alpha": encoded(cutout, "AVIF", quality=60, speed=10),
        "avif turned": pictures.turned(6, "AVIF"),
        "heic": pictures.heic(face, quality=60),
        "heic alpha": pictures.heic(cutout, quality=60),
        "heic 10 bits": pictures.deep_heic(pictures.quarters()),
        "heic of two": pictures.heic_of_two(1),
        "heic turned": pictures.turned(6, "HEIC"),
        "bmp": encoded(face, "BMP"),
        "bmp alpha": encoded(cutout, "BMP"),
        "bmp palette": encoded(palette, "BMP"),
        "bmp 1 bit": encoded(grey.convert("1"), "BMP"),
        "jpeg gain map": pictures.ultra_hdr_jpeg(6),
        "svg": pictures.svg('<text x="22" y="12">a</text>').encode(),
        "svg of references": pictures.svg_of_references(3).encode(),
    }


def _odd_jpegs() -> dict[str, bytes]:
    """Make JPEGs that are mended, and one that is turned by an odd signature."""
    odd = {f"jpeg {name}": data for name, (data, _) in jpegs.ODD.items()}
    return {**odd, "jpeg odd signature": jpegs.with_orientation(jpegs.PLAIN, 6)}


def _pngs() -> dict[str, bytes]:
    """Make PNGs whose chunks name their colours."""
    wide, opacity = pngs.P3 | pngs.STANDARD, PICTURE.copy()
    opacity.putalpha(Image.linear_gradient("L").resize(PICTURE.size))
    profile = {"icc_profile": pictures.srgb_profile()}
    square = opacity.crop((20, 20, 60, 50))
    frames = [
        apngs.Frame(picture=opacity, disposal=apngs.KEEP),
        apngs.Frame(picture=square, left=30, top=20, disposal=apngs.PREVIOUS, blending=1),
        apngs.Frame(picture=square, left=5, disposal=apngs.BACKGROUND, blending=1),
        apngs.Frame(picture=square, top=9),
    ]
    return {
        "png animated, disposed and blended": apngs.apng(*frames),
        "png animated, default picture apart": apngs.apng(*frames[1:], default=opacity),
        "png animated, 16 bits": apngs.repeated(pictures.deep_png()),
        "png animated, interlaced": apngs.repeated(pictures.interlaced_png()),
        "png cicp, display p3": pngs.png_of(PICTURE, pngs.coding(12, 13)),
        "png cicp, pq": pngs.png_of(PICTURE, pngs.coding(9, 16)),
        "png cicp, hlg, alpha": pngs.png_of(opacity, pngs.coding(9, 18)),
        "png cicp, pq, grey": pngs.png_of(PICTURE.convert("L"), pngs.coding(9, 16)),
        "png gamma": pngs.png_of(PICTURE, pngs.gamma(100_000)),
        "png gamma, chromaticities, srgb": pngs.png_of(PICTURE, wide | pngs.IS_SRGB),
        "png chromaticities, alpha": pngs.png_of(opacity, wide),
        "png profile, cicp": pngs.png_of(PICTURE, pngs.coding(1, 13) | wide, **profile),
    }


def _tiffs() -> dict[str, bytes]:
    """Make TIFFs of odd headers, bands and pages, some of which are opened from a tidy copy."""
    odd = {f"tiff {name}": tiff(page(SMALL, tags)) for name, tags in tiffs.ODD_TAGS.items()}
    opacity = tiffs.with_bands(SMALL, 9, 77)
    raw = with_tag(tiffs.SUBFILE, LONG, 1) | with_tag(50_706, tiffs.BYTE, 1, 4, 0, 0)
    one = page(SMALL)
    first = int.from_bytes(tiff(one)[4:8], "little")
    return odd | {
        "tiff tags out of order": tiff(page(SMALL, ascending=False)),
        "tiff directories in a circle": tiff(one, following=first),
        "tiff fax, tags out of order": tiff(tiffs.group_4(ascending=False)),
        "tiff fax, no lengths": tiff(tiffs.group_4({279: None})),
        "tiff jpeg, no subsampling": tiffs.coded("JPEG", with_tag(tiffs.COMPRESSION, SHORT, 7)),
        "tiff packbits, tags out of order": tiffs.packbits(tiffs.PIXELS[::4], ascending=False),
        "tiff saved selection": tiff(page(tiffs.with_bands(SMALL, 0))),
        "tiff alpha behind a band": tiff(page(opacity, with_tag(tiffs.EXTRA_SAMPLES, SHORT, 0, 2))),
        "tiff camera raw": tiff(page(SMALL[::2, ::2], raw)),
        "tiff behind a reduced page": tiff(page(SMALL, with_tag(tiffs.SUBFILE, LONG, 1)), one),
        "tiff floats, profile": tiffs.floats(pictures.srgb_profile(), pixels=SMALL),
        "tiff ycbcr": tiffs.ycc(),
    }


def _heifs() -> dict[str, bytes]:
    """Make AVIFs and HEICs of the ranges, colours and numbers of items that real ones have."""
    grey, opacity = PICTURE.convert("L"), jpegs.PICTURE.copy()
    opacity.putalpha(200)
    alpha = encoded(opacity, "AVIF", speed=10)
    levels = (0, 0.2, 0.5, 0.8)
    return {
        "avif animated": pictures.animated("AVIF", speed=10),
        "avif grey of limited range": encoded(grey, "AVIF", speed=10, range="limited"),
        "avif grey of 10 bits": (DATA / "pictures" / "grey10_limited.avif").read_bytes(),
        "avif alpha of limited range": alpha.replace(heifs.FULL_ALPHA, heifs.LIMITED_ALPHA),
        "avif premultiplied": encoded(opacity, "AVIF", speed=10, alpha_premultiplied=True),
        "avif pq": pictures.hdr("AVIF", 16, *levels),
        "avif hlg": pictures.hdr("AVIF", 18, *levels),
        "avif display p3": pictures.numbered_avif(PICTURE, 12, 13),
        "heic of a sequence": kinds.heic_sequence(b"hevc"),
        "heic, full range beside unspecified numbers": heifs.of_unspecified_numbers(
            encoded(PICTURE, "HEIC"), full=True
        ),
        "heic pq": pictures.hdr("HEIC", 16, *levels),
        "heic of 300 pictures": heifs.burst(300),
        "heic of 256 tiles": (DATA / "cases" / "h_257items.heic").read_bytes(),
    }


def _bitmaps_and_gifs() -> dict[str, bytes]:
    two = gifs.gif_of_small_frames((5, 5), (25, 5))
    return {
        **{f"bmp {name}": data for name, data in bitmaps.kinds(SMALL).items()},
        **{f"bmp os/2, {name}": data for name, data in bitmaps.os2_kinds(SMALL).items()},
        "bmp of 4-4-4-4": bitmaps.bitmap(16, bitmaps.MASKS, 0xF00, 0xF0, 0xF),
        "gif small first frame": gifs.gif_of_small_frames((5, 5)),
        "gif small frames": two,
        "gif small frames, no trailer": two[:-1],
    }
