"""Compares the memory that a plan predicts with a child's peak, over a spread of sources.

    make bench-memory      (or: python -m bench.memory [--megapixels 12] [NAME...])

Sources are made from a sample photograph. Each is rendered in a fresh child, with the presets of
`presets.toml` or those that its name says. A prediction may be too high, but at most 10 % too low.
Writes build/bench/memory.json.
"""

import argparse
import asyncio
import json
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pillow_heif
import pyvips
from PIL import Image

from bench.odd_sources import ODD_SOURCES, moving
from safelight.imaging.limits import Limits
from safelight.imaging.plan import Plan, plan
from safelight.imaging.plan_options import plan_options
from safelight.imaging.pool import RenderPool
from safelight.imaging.probe import Probe
from safelight.presets import Preset, load_presets
from safelight.wish.canonical import read_options
from safelight.wish.wish import Wish

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "build" / "bench" / "memory.json"
MOST_TOO_LOW = 0.10
LIMITS = Limits(
    max_bytes=1024**3,
    max_pixels=100_000_000,
    max_seconds=300,
    child_memory_bytes=8 * 1024**3,
)


def _grey(image: pyvips.Image) -> pyvips.Image:
    return image.colourspace("b-w")


def _translucent(image: pyvips.Image) -> pyvips.Image:
    """Add alpha that changes from pixel to pixel, which is hardest to encode."""
    return image.bandjoin(image.extract_band(1)).copy(interpretation="srgb")


def _deep(image: pyvips.Image) -> pyvips.Image:
    return image.colourspace("rgb16")


def _turned(image: pyvips.Image, path: str) -> None:
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    image.jpegsave(path)


def _with_gain_map(image: pyvips.Image, path: str) -> None:
    """Add a gain map of the bright places, half as wide and high, as phones do."""
    image = image.copy()
    gain = image.colourspace("b-w").resize(0.5)
    image.set_type(pyvips.GValue.blob_type, "gainmap-data", gain.jpegsave_buffer())
    for name, value in (
        ("max-content-boost", 8.0), ("min-content-boost", 1.0), ("gamma", 1.0),
        ("offset-sdr", 0.0), ("offset-hdr", 0.0),
    ):  # fmt: skip
        image.set_type(pyvips.GValue.array_double_type, f"gainmap-{name}", [value] * 3)
    image.set_type(pyvips.GValue.gdouble_type, "gainmap-hdr-capacity-min", 1.0)
    image.set_type(pyvips.GValue.gdouble_type, "gainmap-hdr-capacity-max", 8.0)
    image.set_type(pyvips.GValue.gint_type, "gainmap-use-base-cg", 1)
    image.jpegsave(path)


def _by_pillow(image: pyvips.Image, path: str, mode: str, format: str, **options: Any) -> None:
    size = (image.width, image.height)
    made = Image.frombytes("RGB", size, bytes(image.write_to_memory())).convert(mode)
    made.save(path, format=format, **options)


def _heic(image: pyvips.Image, path: str, **options: object) -> None:
    size = (image.width, image.height)
    picture = pillow_heif.from_bytes("RGB", size, bytes(image.write_to_memory()))
    picture.save(path, quality=60, **options)


def _deep_avif(image: pyvips.Image, path: str) -> None:
    image.heifsave(path, compression="av1", effort=0, bitdepth=10, subsample_mode="off")


def _premultiplied_avif(image: pyvips.Image, path: str) -> None:
    size, data = (image.width, image.height), bytes(_translucent(image).write_to_memory())
    picture = Image.frombytes("RGBA", size, data)
    picture.save(path, format="AVIF", speed=10, alpha_premultiplied=True)


def _hdr_avif(image: pyvips.Image, path: str) -> None:
    """Write 10 bits in PQ: numbers of colours take the place of a profile."""
    image = _deep(image).copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", pyvips.Image.profile_load("srgb"))
    _deep_avif(image, path)
    file = Path(path)
    data = file.read_bytes()
    at = data.index(b"colrrICC") + 4
    numbers = b"nclx" + struct.pack(">HHHB", 9, 16, 9, 0x80)
    file.write_bytes(data[:at] + numbers + data[at + len(numbers) :])


SOURCES: Mapping[str, Callable[[pyvips.Image, str], object]] = MappingProxyType(
    {
        "jpeg": lambda image, path: image.jpegsave(path),
        "jpeg, progressive": lambda image, path: image.jpegsave(path, interlace=True),
        "jpeg, grey": lambda image, path: _grey(image).jpegsave(path),
        "jpeg, CMYK": lambda image, path: _by_pillow(image, path, "CMYK", format="JPEG"),
        "png": lambda image, path: image.pngsave(path, compression=1),
        "png, alpha": lambda image, path: _translucent(image).pngsave(path, compression=1),
        "png, 16 bits": lambda image, path: _deep(image).pngsave(path, compression=1, bitdepth=16),
        "png, interlaced": lambda image, path: image.pngsave(path, compression=1, interlace=True),
        "webp": lambda image, path: image.webpsave(path, effort=0),
        "webp, alpha": lambda image, path: _translucent(image).webpsave(path, effort=0),
        "webp, lossless": lambda image, path: image.webpsave(path, effort=0, lossless=True),
        "gif": lambda image, path: _by_pillow(image, path, "P", format="GIF"),
        "tiff": lambda image, path: image.tiffsave(path),
        "tiff, tiled": lambda image, path: image.tiffsave(path, tile=True),
        "tiff, 16 bits, alpha": lambda image, path: _deep(_translucent(image)).tiffsave(path),
        "avif": lambda image, path: image.heifsave(path, compression="av1", effort=0),
        "avif, 10 bits": lambda image, path: _deep_avif(_deep(image), path),
        "avif, alpha": lambda image, path: _translucent(image).heifsave(
            path, compression="av1", effort=0
        ),
        "avif, premultiplied": _premultiplied_avif,
        "avif, limited grey": lambda image, path: _by_pillow(
            image, path, "L", format="AVIF", speed=10, range="limited"
        ),
        "avif, HDR": _hdr_avif,
        "heic": _heic,
        "heic, HDR": lambda image, path: _heic(
            image, path, color_primaries=9, transfer_characteristics=16
        ),
        "bmp": lambda image, path: _by_pillow(image, path, "RGB", format="BMP"),
        "bmp, palette": lambda image, path: _by_pillow(image, path, "P", format="BMP"),
        "jpeg, to avif": lambda image, path: image.jpegsave(path),
        "jpeg, to png": lambda image, path: image.jpegsave(path),
        "jpeg, to auto": lambda image, path: image.jpegsave(path),
        "jpeg, to auto quality": lambda image, path: image.jpegsave(path),
        "jpeg, turned, to attention": _turned,
        "jpeg, gain map, to hdr": _with_gain_map,
        "png, alpha, to avif": lambda image, path: _translucent(image).pngsave(path, compression=1),
        "gif, 8 frames, to animated": lambda image, path: moving(image, path, "P", "GIF"),
        "webp, 8 frames, to animated": lambda image, path: moving(image, path, "RGB", "WEBP"),
        "png, 8 frames, to animated": lambda image, path: moving(image, path, "RGB", "PNG"),
        **ODD_SOURCES,
    }
)

_FITTED = Preset(name="fit", wish=Wish(format="webp", box=(600, 600), animated=True))
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "jpeg, to avif": Preset(name="full", wish=Wish(format="avif")),
        "jpeg, to png": Preset(name="full", wish=Wish(format="png")),
        "jpeg, to auto": Preset(name="full", wish=Wish(format="auto", budget=100)),
        "jpeg, to auto quality": Preset(name="full", wish=Wish(format="webp", quality="auto")),
        "jpeg, turned, to attention": Preset(
            name="cut", wish=Wish(format="webp", box=(2000, 1000), fit="cover", gravity="attention")
        ),
        "jpeg, gain map, to hdr": Preset(name="full", wish=Wish(format="jpeg", hdr=True)),
        "png, alpha, to avif": Preset(name="full", wish=Wish(format="avif")),
        "gif, 8 frames, to animated": Preset(name="full", wish=Wish(format="webp", animated=True)),
        "webp, 8 frames, to animated": _FITTED,
        "png, 8 frames, to animated": _FITTED,
        "gif, small frames, to animated": _FITTED,
        "avif, 8 frames, to animated": _FITTED,
    }
)
"""Presets of the sources that are not rendered with those of presets.toml."""


WISHES: Mapping[str, str] = MappingProxyType(
    {
        "rotated, to webp": "rotate=30,format=webp",
        "rotated, to jpeg": "rotate=30:white,format=jpeg",
        "blurred a little": "blur=3,format=jpeg",
        "blurred much": "blur=100,format=jpeg",
        "padded": "pad=900:900:900:900:white,format=jpeg",
        "rounded, to webp": "round=900,format=webp",
        "rounded, to jpeg": "round=900:0:white,format=jpeg",
        "turned and cropped": "turn=90,crop=0.8x0.8,format=jpeg",
        "trimmed": "trim=20,format=jpeg",
        "trimmed to a small box": "trim=20,box=300x200,format=jpeg",
        "coloured": "contrast=20,saturation=2,grayscale,format=jpeg",
        "sharpened": "sharpen=1:2,format=webp",
        "pixelated": "pixelate=16,format=png",
        "marked": "watermark=YS9i:repeat:repeat:50:10:10,format=webp",
        "of few bytes": "format=jpeg,max-bytes=100000",
    }
)
"""Free-form options that a JPEG is rendered with, by the name of the result."""


def wished(probe: Probe, text: str, directory: Path) -> Plan:
    """Plan free-form options; every watermark is a sample, copied where a child can read it."""
    options = read_options(text)
    mark = Path(shutil.copy(ROOT / "samples" / "cat-451px.jpg", directory))
    return plan_options(probe, options, dict.fromkeys(options.watermarks, mark))


async def measure(
    source: Path, directory: Path, planned_of: Callable[[Probe], Plan]
) -> dict[str, float]:
    """Render in a fresh child; return predicted and peak memory in bytes, and their ratio."""
    async with RenderPool(slots=1, limits=LIMITS) as pool:
        planned = planned_of(await pool.probe(source))
        rendering = await pool.render(planned, source, directory)
    if rendering.failures:
        raise RuntimeError(f"{source}: {dict(rendering.failures)}")
    predicted, peak = planned.predicted_bytes, rendering.peak_bytes
    return {"predicted": predicted, "peak": peak, "ratio": round(predicted / peak, 3)}


def planner(name: str, directory: Path) -> Callable[[Probe], Plan]:
    """Find how a source of this name is planned."""
    if name in WISHES:
        return partial(wished, text=WISHES[name], directory=directory)
    presets = [PRESETS[name]] if name in PRESETS else load_presets(ROOT / "presets.toml")
    return partial(plan, presets=presets)


def photograph(megapixels: float) -> pyvips.Image:
    """Scale a sample to this size, with grain, so that it stays as hard to encode."""
    image = pyvips.Image.new_from_file(str(ROOT / "samples" / "flower-7mp-1.6mb.jpg"))
    image = image.resize((megapixels * 1e6 / (image.width * image.height)) ** 0.5)
    grain = pyvips.Image.gaussnoise(image.width, image.height, sigma=4, seed=1)
    image = (image + grain).cast("uchar").copy(interpretation="srgb")
    image.remove("icc-profile-data")
    return image.copy_memory()


def main() -> int:
    """Print predictions and peaks; return 1 if a prediction was too low."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--megapixels", type=float, action="append", help="size of the sources; may be repeated"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="sources; default: all")
    arguments = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    print("| source | megapixels | predicted | peak | predicted / peak |\n|---|---|---|---|---|")
    for megapixels in arguments.megapixels or (0.3, 3, 12, 40):
        image = photograph(megapixels)
        for name in arguments.names or (*SOURCES, *WISHES):
            with tempfile.TemporaryDirectory(prefix="safelight-bench-") as directory:
                source = Path(directory) / "source"
                SOURCES.get(name, SOURCES["jpeg"])(image, str(source))
                seen = asyncio.run(measure(source, Path(directory), planner(name, Path(directory))))
            found[f"{name}, {megapixels:g} MP"] = seen
            row = (
                name,
                f"{megapixels:g}",
                *(f"{seen[key] / 1e6:.0f} MB" for key in ("predicted", "peak")),
            )
            low = " too low" if seen["ratio"] < 1 - MOST_TOO_LOW else ""
            print(f"| {' | '.join(row)} | {seen['ratio']:.2f}{low} |", flush=True)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    return int(any(seen["ratio"] < 1 - MOST_TOO_LOW for seen in found.values()))


if __name__ == "__main__":
    sys.exit(main())
