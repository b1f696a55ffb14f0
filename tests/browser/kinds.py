"""Pictures of every kind that a browser and Safelight might show differently, by name."""

from collections.abc import Mapping
from pathlib import Path

import pyvips
from PIL import Image

from safelight.imaging.matrix_profile import matrix_profile
from safelight.imaging.spaces import Space
from tests.fuzz.seeds import seeds
from tests.support import jpegs, pictures, pngs
from tests.support.pictures import SAMPLES, encoded

CASES = Path(__file__).parents[1] / "data" / "cases"
ADOBE_RGB = Space(
    points=(0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06),
    curve=(2.199_218_75, 1, 0, 0, 0),
)
TURNED = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIC")


def kinds() -> Mapping[str, bytes]:
    """Make them all, by a name that begins with the format."""
    cases = (path for path in CASES.iterdir() if path.suffix != ".md")
    return {
        **seeds(),
        **{f"jpg {path.stem}": path.read_bytes() for path in sorted(SAMPLES.glob("*.jpg"))},
        **{f"{path.suffix[1:]} {path.stem}": path.read_bytes() for path in sorted(cases)},
        **_turned(),
        **_coloured(),
        **_stored(),
    }


def _turned() -> Mapping[str, bytes]:
    return {
        f"{format.lower()} orientation {number}": pictures.turned(number, format)
        for format in TURNED
        for number in range(1, 9)
    }


def _coloured() -> Mapping[str, bytes]:
    """Make pictures in other colours than sRGB."""
    picture, grey = jpegs.PICTURE, jpegs.PICTURE.convert("L")
    profiles = {
        "adobe rgb": matrix_profile(ADOBE_RGB, grey=False),
        "display p3": bytes(pyvips.Image.profile_load("p3")),
        "srgb": pictures.srgb_profile(),
        "nonsense": b"nonsense" * 40,
    }
    of_profiles = {
        f"{format.lower()} {name}": encoded(picture, format, icc_profile=profile)
        for name, profile in profiles.items()
        for format in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")
    }
    adobe = pngs.primaries(31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000)
    press = bytes(pyvips.Image.profile_load("cmyk"))
    inks = Image.merge("CMYK", (*picture.split(), Image.linear_gradient("L").resize(picture.size)))
    return of_profiles | {
        "jpeg cmyk of a press": encoded(inks, "JPEG", icc_profile=press),
        "jpeg cmyk of four inks": encoded(inks, "JPEG"),
        "jpeg cmyk, srgb": encoded(inks, "JPEG", icc_profile=pictures.srgb_profile()),
        "png adobe rgb by chunks": pngs.png_of(picture, adobe | pngs.gamma(45_470)),
        "png grey, linear": pngs.png_of(grey, pngs.gamma(100_000)),
        "png hlg": pngs.png_of(picture, pngs.coding(9, 18)),
        "png pq, p3": pngs.png_of(picture, pngs.coding(12, 16)),
        "png bt.2020": pngs.png_of(picture, pngs.coding(9, 1)),
        "png bt.709": pngs.png_of(picture, pngs.coding(1, 1)),
        "avif bt.2020": pictures.numbered_avif(picture, 9, 1),
        "png grey, rgb profile": pictures.png_with_an_unprintable_name(),
    }


def _stored() -> Mapping[str, bytes]:
    """Make pictures in other depths, ranges and forms of opacity."""
    picture = jpegs.PICTURE
    opacity, cutout = picture.copy(), picture.copy()
    opacity.putalpha(Image.linear_gradient("L").resize(picture.size))
    cutout.putalpha(Image.linear_gradient("L").resize(picture.size).point([0] * 128 + [255] * 128))
    moving = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)]}
    return {
        **{f"jpeg {name}": data for name, data in pictures.odd_headers().items()},
        "jpeg 4:2:0": encoded(picture, "JPEG", quality=90, subsampling="4:2:0"),
        "jpeg 4:2:2, progressive": encoded(
            picture, "JPEG", quality=90, subsampling="4:2:2", progressive=True
        ),
        "jpeg gain map": pictures.ultra_hdr_jpeg(1),
        "png 16 bits": pictures.deep_png(),
        "png palette, transparent": pictures.palette_png(),
        "png grey, transparent": pictures.grey_alpha_png(),
        "png grey of 16 bits": encoded(Image.new("I;16", (40, 20), 0x6464), "PNG"),
        "png half transparent": encoded(opacity, "PNG"),
        "webp half transparent": encoded(opacity, "WEBP", quality=90),
        "webp lossless, half transparent": encoded(opacity, "WEBP", lossless=True),
        "webp lossless, denying its opacity": _denying_its_opacity(opacity),
        "webp animated, transparent": encoded(opacity, "WEBP", quality=90, **moving),
        "avif half transparent": encoded(opacity, "AVIF", quality=90),
        "avif 4:4:4": encoded(picture, "AVIF", quality=90, subsampling="4:4:4"),
        "avif of limited range": encoded(picture, "AVIF", quality=90, range="limited"),
        "avif half transparent, premultiplied": encoded(
            opacity, "AVIF", quality=90, alpha_premultiplied=True
        ),
        "gif transparent": encoded(cutout, "GIF"),
        "gif animated": encoded(picture, "GIF", **moving),
        "gif of 101 frames": pictures.animated("GIF", 101),
        "svg half transparent": pictures.svg('<rect x="20" width="9" height="9"/>').encode(),
    }


def _denying_its_opacity(picture: Image.Image) -> bytes:
    """Clear the bit of a lossless WebP that says that it is transparent (RFC 9649, 3.4)."""
    data = bytearray(encoded(picture, "WEBP", lossless=True))
    data[data.index(b"VP8L") + 12] &= ~0x10
    return bytes(data)
