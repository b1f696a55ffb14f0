"""Compares the memory that a plan predicts with a child's peak, over a spread of sources.

    make bench-memory      (or: python -m bench.memory [--megapixels 12] [NAME...])

Sources are made from a sample photograph. Each is rendered with the presets of `presets.toml` in a
fresh child. A prediction may be too high, never more than 10 % too low. Writes
build/bench/memory.json.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pillow_heif
import pyvips
from PIL import Image

from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.presets import load_presets

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "build" / "bench" / "memory.json"
MOST_TOO_LOW = 0.10
LIMITS = Limits(max_seconds=300, child_memory_bytes=8 * 1024**3, max_pixels=100_000_000)


def _grey(image: pyvips.Image) -> pyvips.Image:
    return image.colourspace("b-w")


def _translucent(image: pyvips.Image) -> pyvips.Image:
    """Add alpha that changes from pixel to pixel: what is hardest to encode."""
    return image.bandjoin(image.extract_band(1)).copy(interpretation="srgb")


def _deep(image: pyvips.Image) -> pyvips.Image:
    return image.colourspace("rgb16")


def _by_pillow(image: pyvips.Image, path: str, mode: str, **options: object) -> None:
    size = (image.width, image.height)
    Image.frombytes("RGB", size, bytes(image.write_to_memory())).convert(mode).save(path, **options)


def _heic(image: pyvips.Image, path: str) -> None:
    size = (image.width, image.height)
    pillow_heif.from_bytes("RGB", size, bytes(image.write_to_memory())).save(path, quality=60)


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
        "heic": _heic,
        "bmp": lambda image, path: _by_pillow(image, path, "RGB", format="BMP"),
    }
)


async def measure(source: Path, directory: Path) -> dict[str, float]:
    """Render in a fresh child: what was predicted and what was taken, in bytes."""
    presets = load_presets(ROOT / "presets.toml")
    async with RenderPool(slots=1, limits=LIMITS) as pool:
        planned = plan(await pool.probe(source), presets)
        rendering = await pool.render(planned, source, directory)
    if rendering.failures:
        raise RuntimeError(f"{source}: {dict(rendering.failures)}")
    predicted, peak = planned.predicted_bytes, rendering.peak_bytes
    return {"predicted": predicted, "peak": peak, "ratio": round(predicted / peak, 3)}


def photograph(megapixels: float) -> pyvips.Image:
    """Scale a sample to a size, with grain, so that it stays as hard to encode."""
    image = pyvips.Image.new_from_file(str(ROOT / "samples" / "flower-7mp-1.6mb.jpg"))
    image = image.resize((megapixels * 1e6 / (image.width * image.height)) ** 0.5)
    grain = pyvips.Image.gaussnoise(image.width, image.height, sigma=4, seed=1)
    image = (image + grain).cast("uchar").copy(interpretation="srgb")
    image.remove("icc-profile-data")
    return image.copy_memory()


def main() -> int:
    """Print predicted and taken; 1 if a prediction was too low."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megapixels", type=float, action="append", help="may be given again")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all if none is named")
    arguments = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    print("| source | megapixels | predicted | peak | predicted / peak |\n|---|---|---|---|---|")
    for megapixels in arguments.megapixels or (3, 12, 40):
        image = photograph(megapixels)
        for name in arguments.names or SOURCES:
            with tempfile.TemporaryDirectory(prefix="safelight-bench-") as directory:
                source = Path(directory) / "source"
                SOURCES[name](image, str(source))
                seen = asyncio.run(measure(source, Path(directory)))
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
