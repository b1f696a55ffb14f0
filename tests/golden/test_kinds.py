"""One photograph as every kind of source, rendered by every kind of preset, as it looked before.

Each fact is type, size, frames, a gradient hash (dHash) and bytes. If this fails because the engine
now gives other pixels on purpose, raise `ENGINE_VERSION` in `safelight/wish/fingerprints.py` and
run `python -m tests.golden.test_kinds` to write the new facts; a new kind needs only the latter.
"""

import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import load_presets
from safelight.wish.fingerprints import ENGINE_VERSION
from tests.support import pictures

LIMITS = Limits()
FACTS = Path(__file__).with_name("kinds.json")
FLAT = 2
"""A step that is not above it says nothing."""
MOST_BITS_APART = 4
MOST_BYTES_APART = 0.08
"""Encoders of another build or processor may differ by as much, the sources' own ones too."""
PRESETS = """
[webp]
format = "webp"
[jpeg]
format = "jpeg"
box = [160, 160]
[png]
format = "png"
box = [160, 160]
[avif]
format = "avif"
box = [160, 160]
[auto]
format = "auto"
box = [160, 160]
[cover]
format = "jpeg"
box = [100, 100]
fit = "cover"
[north-west]
format = "jpeg"
box = [60, 100]
fit = "cover"
gravity = "north-west"
[focal]
format = "jpeg"
box = [60, 100]
fit = "cover"
focal = [0.8, 0.4]
[attention]
format = "jpeg"
box = [60, 100]
fit = "cover"
gravity = "attention"
[contain]
format = "webp"
box = [160, 160]
fit = "contain"
gravity = "south"
background = "#204060"
[enlarged]
format = "jpeg"
box = [600, 600]
enlarge = true
[p3]
format = "webp"
box = [160, 160]
colour = "p3"
[kept]
format = "jpeg"
box = [160, 160]
keep = ["copyright"]
[hdr]
format = "jpeg"
box = [160, 160]
hdr = true
[animated]
format = "webp"
box = [160, 160]
animated = true
"""


@cache
def kinds() -> dict[str, bytes]:
    photograph = Image.open(pictures.SAMPLES / "cat-451px.jpg").convert("RGB").resize((300, 200))
    translucent = photograph.convert("RGBA")
    translucent.putalpha(Image.linear_gradient("L").resize(photograph.size))
    p3 = bytes(pyvips.Image.profile_load("p3"))
    frames = [photograph.rotate(angle) for angle in (0, 90, 180)]
    moves = {"save_all": True, "append_images": frames[1:], "duration": 80}
    deep = pyvips.Image.new_from_array(np.asarray(photograph)).cast("ushort").linear(257, 0)
    return {
        "jpeg": pictures.encoded(photograph, "JPEG", quality=92),
        "jpeg progressive": pictures.encoded(photograph, "JPEG", quality=92, progressive=True),
        "jpeg grey": pictures.encoded(photograph.convert("L"), "JPEG", quality=92),
        "jpeg cmyk": pictures.encoded(photograph.convert("CMYK"), "JPEG", quality=92),
        "jpeg p3": pictures.encoded(photograph, "JPEG", quality=92, icc_profile=p3),
        "jpeg ultra hdr": pictures.ultra_hdr_jpeg(6),
        "png": pictures.encoded(photograph, "PNG"),
        "png translucent": pictures.encoded(translucent, "PNG"),
        "png palette": pictures.encoded(photograph.quantize(64), "PNG"),
        "png animated": pictures.encoded(frames[0], "PNG", **moves),
        "png 16 bits": bytes(deep.cast("ushort").copy(interpretation="rgb16").pngsave_buffer()),
        "webp": pictures.encoded(photograph, "WEBP", quality=90),
        "webp animated": pictures.encoded(frames[0], "WEBP", quality=90, **moves),
        "gif": pictures.encoded(photograph, "GIF"),
        "gif animated": pictures.encoded(frames[0], "GIF", **moves),
        "tiff": pictures.encoded(photograph, "TIFF", compression="tiff_lzw"),
        "avif": pictures.encoded(photograph, "AVIF", quality=85),
        "heic": pictures.heic(photograph, quality=85),
        "heic translucent": pictures.heic(translucent, quality=85),
        "bmp": pictures.encoded(photograph, "BMP"),
    }


def facts(kind: str, directory: Path) -> dict[str, str]:
    """Render a kind by every preset and describe what came of it."""
    source, presets = directory / "source", directory / "presets.toml"
    source.write_bytes(kinds()[kind])
    presets.write_text(PRESETS)
    limits = Limits()
    rendering = render(
        plan(probe(source, limits), load_presets(presets)), source, directory, limits
    )
    assert rendering.failures == {}
    return {variant.preset: described(variant.path) for variant in rendering.variants}


def described(path: Path) -> str:
    with Image.open(path) as picture:
        frames, size = getattr(picture, "n_frames", 1), f"{picture.width}x{picture.height}"
        grey = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=int)
        bits = "".join("01"[int(bit)] for bit in (grey[:, 1:] > grey[:, :-1] + FLAT).flatten())
        return f"{picture.format} {size} {frames} {int(bits, 2):016x} {path.stat().st_size}"


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_preset_gives_of_every_kind_of_source_what_it_gave(kind, tmp_path):
    golden = json.loads(FACTS.read_text())
    assert golden["engineVersion"] == ENGINE_VERSION
    expected, found = golden["kinds"][kind], facts(kind, tmp_path)
    assert found.keys() == expected.keys()
    for preset, fact in found.items():
        *shape, gradients, size_bytes = fact.split()
        *golden_shape, golden_gradients, golden_bytes = expected[preset].split()
        assert shape == golden_shape, preset
        apart = int(gradients, 16) ^ int(golden_gradients, 16)
        assert apart.bit_count() <= MOST_BITS_APART, preset
        assert int(size_bytes) == pytest.approx(int(golden_bytes), rel=MOST_BYTES_APART), preset


def write_facts() -> None:
    described_kinds = {}
    for kind in kinds():
        with tempfile.TemporaryDirectory() as directory:
            described_kinds[kind] = facts(kind, Path(directory))
    golden = {"engineVersion": ENGINE_VERSION, "kinds": described_kinds}
    FACTS.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    write_facts()
