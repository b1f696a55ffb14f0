"""Small whole pictures of every format and kind that is read: what fuzzing starts from."""

from collections.abc import Mapping

import pyvips
from PIL import Image

from tests.support import pictures, tiffs
from tests.support.pictures import SAMPLES, encoded


def seeds() -> Mapping[str, bytes]:
    """Make them, by name: the format, and what is special."""
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
        "tiff tiles, 16 bits": bytes(
            deep.tiffsave_buffer(tile=True, tile_width=64, tile_height=64, compression="deflate")
        ),
        "tiff behind a reduced page": tiffs.behind_a_reduced_page(),
        "tiff floats, profile": tiffs.floats(profile),
        "tiff ycbcr": tiffs.ycc(),
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
