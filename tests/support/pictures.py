"""Generates pictures for tests: whole, odd, damaged and hostile ones. None of them is in git."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pillow_heif
import pyvips
from PIL import Image, ImageCms

SAMPLES = Path(__file__).parents[2] / "samples"
INKS = np.random.default_rng(1).integers(0, 256, (40, 50, 4), dtype=np.uint8)
RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 200, 40), (30, 60, 220), (230, 220, 30)


def quarters(width: int = 80, height: int = 48) -> Image.Image:
    """Make red, green over blue, yellow: its corners distinguish every turn and flip."""
    picture = Image.new("RGB", (width, height))
    half = (width // 2, height // 2)
    for at, colour in (
        ((0, 0), RED),
        ((half[0], 0), GREEN),
        ((0, half[1]), BLUE),
        (half, YELLOW),
    ):
        picture.paste(colour, (*at, at[0] + half[0], at[1] + half[1]))
    return picture


def noise(width: int, height: int, seed: int = 1) -> Image.Image:
    """Make noise, which no encoder can compress much."""
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@cache
def slow_jpeg() -> bytes:
    """Make noise that takes seconds to render: time to cause a fault meanwhile."""
    return encoded(noise(4500, 4000), "JPEG", quality=70)


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    if format == "HEIC":
        return heic(picture, **options)
    into = io.BytesIO()
    picture.save(into, format, **options)
    return into.getvalue()


def turned(orientation: int, format: str = "JPEG") -> bytes:
    """Make the quarters, stored so that the orientation turns them upright, with GPS data."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = quarters()
    if orientation in undo:
        picture = picture.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SECRETMAKER"
    exif[0x013B] = "Jane"
    exif[0x8298] = "(c) Jane Doe"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (11.0, 34.0, 0.0)})
    options = {"subsampling": 0} if format == "JPEG" else {}
    return encoded(picture, format, exif=exif.tobytes(), quality=95, **options)


def deep_png() -> bytes:
    """Make RGB of 16 bits per band: the left half mid-red, the right half green."""
    pixels = np.zeros((20, 40, 3), dtype=np.uint16)
    pixels[:, :20, 0] = 0x8000
    pixels[:, 20:, 1] = 0xFFFF
    image = pyvips.Image.new_from_memory(pixels.tobytes(), 40, 20, 3, "ushort")
    return bytes(image.copy(interpretation="rgb16").pngsave_buffer(bitdepth=16))


def palette_png() -> bytes:
    """Make a palette picture whose right half is transparent."""
    picture = Image.new("P", (40, 20), 0)
    picture.putpalette([*RED, *GREEN])
    picture.paste(1, (20, 0, 40, 20))
    return encoded(picture, "PNG", transparency=1)


def grey_alpha_png() -> bytes:
    picture = Image.new("LA", (40, 20), (90, 255))
    picture.paste((90, 0), (20, 0, 40, 20))
    return encoded(picture, "PNG")


def translucent_png(width: int = 40, height: int = 20) -> bytes:
    """Make opaque red beside invisible green."""
    picture = Image.new("RGBA", (width, height), (*RED, 255))
    picture.paste((0, 255, 0, 0), (width // 2, 0, width, height))
    return encoded(picture, "PNG")


def interlaced_png() -> bytes:
    image = pyvips.Image.new_from_memory(quarters().tobytes(), 80, 48, 3, "uchar")
    return bytes(image.copy(interpretation="srgb").pngsave_buffer(interlace=True))


def wide_gamut_jpeg() -> bytes:
    """Make a red of Display P3, which is a stronger red in sRGB."""
    profile = bytes(pyvips.Image.profile_load("p3"))
    picture = Image.new("RGB", (40, 20), (200, 60, 60))
    return encoded(picture, "JPEG", quality=95, icc_profile=profile)


def cmyk_jpeg() -> bytes:
    """Make CMYK as Pillow writes it: Adobe's marker, inverted values, no profile."""
    picture = Image.new("CMYK", (40, 20), (0, 255, 255, 0))
    picture.paste((255, 0, 255, 0), (20, 0, 40, 20))
    return encoded(picture, "JPEG", quality=95)


def untagged_cmyk(format: str, **options: object) -> bytes:
    """Make CMYK of random mixtures of inks."""
    return encoded(Image.fromarray(INKS, "CMYK"), format, **options)


def unusable_profile() -> bytes:
    """Make a CMYK profile whose class is wrongly that of named colours."""
    profile = bytearray(pyvips.Image.profile_load("cmyk"))
    profile[12:16] = b"nmcl"
    return bytes(profile)


def odd_headers() -> dict[str, bytes]:
    """Make JPEGs whose headers make decoders warn, by name."""
    plain = encoded(quarters(), "JPEG", quality=95)
    scan = plain.index(b"\xff\xda")
    limits = scan + 5 + 2 * plain[scan + 4]
    adobe = b"\xff\xee" + struct.pack(">H", 14) + b"Adobe\0\x64\0\0\0\0\x07"
    return {
        "JFIF 9.9": plain[:11] + b"\x09\x09" + plain[13:],
        "scan limits of nothing": plain[:limits] + bytes(3) + plain[limits + 3 :],
        "filling between segments": plain[:20] + bytes(2) + plain[20:],
        "unknown Adobe transform": plain[:2] + adobe + plain[20:],
    }


def tiff_of_many_tags(tags: int, values: int) -> bytes:
    """Make a TIFF whose tags all point to the same long list; no decoder accepts it."""
    place = 8 + 2 + 12 * tags + 4
    entries = b"".join(
        struct.pack("<HHII", 256 + tag % 60_000, 3, values, place) for tag in range(tags)
    )
    start = b"II*\0" + struct.pack("<IH", 8, tags)
    return start + entries + bytes(4) + bytes(2 * values)


def animated(format: str, frames: int = 3, **options: object) -> bytes:
    colours = [RED, GREEN, BLUE]
    first, *rest = (
        Image.new("RGB", (40, 20), (*colours[n % 3][:2], (colours[n % 3][2] + n) % 256))
        for n in range(frames)
    )
    return encoded(first, format, save_all=True, append_images=rest, **options)


def heic(picture: Image.Image, **options: object) -> bytes:
    """Encode as HEVC in HEIF, as phones do."""
    into = io.BytesIO()
    pillow_heif.from_pillow(picture).save(into, **({"quality": 95} | options))
    return into.getvalue()


def deep_heic(picture: Image.Image) -> bytes:
    """Encode as HEIC with 10 bits per band."""
    into = io.BytesIO()
    values = (np.asarray(picture).astype(np.uint16) << 8).tobytes()
    pillow_heif.from_bytes(mode=f"{picture.mode};16", size=picture.size, data=values).save(
        into, quality=95
    )
    return into.getvalue()


def hdr(format: str, transfer: int, *levels: float, icc_profile: bytes | None = None) -> bytes:
    """Make grey stripes from left to right, with levels of 0 to 1 in PQ (16) or HLG (18).

    Pillow's AVIF gets its transfer function afterwards, in its `colr` box. It may have a profile
    too.
    """
    row = np.repeat(np.array(levels), 40)
    picture = np.tile(row[None, :, None], (40, 1, 3))
    size = (picture.shape[1], picture.shape[0])
    if format == "AVIF":
        flat = Image.fromarray((picture * 255).round().astype(np.uint8))
        return numbered_avif(flat, 9, transfer, icc_profile=icc_profile)
    into = io.BytesIO()
    numbers = (picture * 65_535).round().astype(np.uint16).tobytes()
    pillow_heif.from_bytes(mode="RGB;16", size=size, data=numbers).save(
        into, quality=95, color_primaries=9, transfer_characteristics=transfer,
        matrix_coefficients=9, full_range_flag=1,
    )  # fmt: skip
    return into.getvalue()


def numbered_avif(
    picture: Image.Image, primaries: int, transfer: int, *, icc_profile: bytes | None = None
) -> bytes:
    """Make an AVIF with these colour code points, whatever its pixels are."""
    plain = encoded(picture, "AVIF", quality=95, icc_profile=icc_profile)
    at = plain.index(b"colrnclx") + len(b"colrnclx")
    return plain[:at] + struct.pack(">HH", primaries, transfer) + plain[at + 4 :]


def heic_of_two(primary: int) -> bytes:
    """Make a HEIC of a red and a green picture, one of which is primary."""
    file = pillow_heif.from_pillow(Image.new("RGB", (40, 20), RED))
    file.add_from_pillow(Image.new("RGB", (64, 64), GREEN))
    into = io.BytesIO()
    file.save(into, quality=95, primary_index=primary)
    return into.getvalue()


def resized_parts(heif: bytes, width: int, height: int) -> bytes:
    """Replace the size that every part of a HEIC or AVIF announces."""
    parts = heif.split(b"ispe")
    size = bytes(4) + struct.pack(">II", width, height)
    return b"ispe".join([parts[0], *(size + part[12:] for part in parts[1:])])


def ultra_hdr_jpeg(orientation: int = 1) -> bytes:
    """Make the quarters with a gain map: the yellow one is eight times as bright in HDR."""
    plain = pyvips.Image.new_from_buffer(turned(orientation), "").copy()
    rgb = plain.numpy().astype(int)
    shines = (rgb[..., 0] > 200) & (rgb[..., 1] > 200)
    values = (shines[::2, ::2] * 255).astype(np.uint8)
    plain.set_type(
        pyvips.GValue.blob_type,
        "gainmap-data",
        encoded(Image.fromarray(values), "JPEG", quality=95),
    )
    numbers = pyvips.GValue.array_double_type
    for name, value in (
        ("max-content-boost", 8.0), ("min-content-boost", 1.0), ("gamma", 1.0),
        ("offset-sdr", 0.0), ("offset-hdr", 0.0),
    ):  # fmt: skip
        plain.set_type(numbers, f"gainmap-{name}", [value] * 3)
    plain.set_type(pyvips.GValue.gdouble_type, "gainmap-hdr-capacity-min", 1.0)
    plain.set_type(pyvips.GValue.gdouble_type, "gainmap-hdr-capacity-max", 8.0)
    plain.set_type(pyvips.GValue.gint_type, "gainmap-use-base-cg", 1)
    return bytes(plain.jpegsave_buffer(Q=95, subsample_mode="off"))


def svg(content: str = "") -> str:
    """Make a drawing that is red on the left and has `content` on the right."""
    red = f"#{bytes(RED).hex()}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">'
        f'<rect width="20" height="20" fill="{red}"/>{content}</svg>'
    )


def svg_of_references(depth: int) -> str:
    """Make groups that each show the one before ten times."""
    groups = (
        f'<g id="a{level + 1}">' + f'<use href="#a{level}"/>' * 10 + "</g>"
        for level in range(depth)
    )
    return svg('<g id="a0"><rect width="1" height="1"/></g>' + "".join(groups))


def srgb_profile() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def png_with_an_unprintable_name() -> bytes:
    """Make a grey PNG with an RGB profile, whose name is not UTF-8 and appears in a warning."""
    plain = encoded(Image.new("L", (40, 20), 90), "PNG", icc_profile=srgb_profile())
    at = plain.index(b"iCCP")
    end = at + 4 + int.from_bytes(plain[at - 4 : at], "big")
    profile = plain[at + 4 : end].replace(b"ICC Profile", b"ICC Profi\xff\xff")
    return plain[: at - 4] + chunk(b"iCCP", profile) + plain[end + 4 :]


def png_bomb(width: int, height: int, *, bits: int, colour: int, interlace: int = 0) -> bytes:
    """Make a PNG whose header announces more than its data holds."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    data = zlib.compress(bytes(10_000))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", data),
            chunk(b"IEND", b""),
        )
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def gif_of_many_frames(frames: int) -> bytes:
    """Make a GIF of empty frames, a few bytes each."""
    frame = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b";"


def corrupt_scan(jpeg: bytes) -> bytes:
    """Cut a piece out of a JPEG's last scan; its markers stay intact."""
    start = jpeg.rindex(b"\xff\xda") + 2000
    return jpeg[:start] + bytes(400) + jpeg[start + 1000 :]


def burning_svg() -> str:
    """Make a drawing of 252 bytes that takes longer than any limit: clouds on 9 megapixels."""
    clouds = '<feTurbulence type="fractalNoise" baseFrequency="0.05" numOctaves="9"/>'
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="3000" height="3000">'
        f'<filter id="f" x="0" y="0" width="1" height="1">{clouds}</filter>'
        '<rect width="3000" height="3000" filter="url(#f)"/></svg>'
    )
