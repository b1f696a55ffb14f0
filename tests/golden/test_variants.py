"""The samples' variants as they looked when `ENGINE_VERSION` was set.

If this fails because the engine now gives other pixels on purpose, raise `ENGINE_VERSION` in
`safelight/wish/fingerprints.py` and run `python -m tests.golden.test_variants` to write the new
facts.
"""

import json
from pathlib import Path

import pytest
from PIL import Image

from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import load_presets
from safelight.wish.fingerprints import ENGINE_VERSION

ROOT = Path(__file__).parents[2]
FACTS = Path(__file__).with_name("variants.json")
GRID = 6
MAX_COLOUR_DIFFERENCE = 4
MAX_SIZE_DIFFERENCE = 0.04
"""Encoders of another build or processor may differ by as much."""


def samples() -> list[Path]:
    return sorted((ROOT / "samples").glob("*.jpg"))


def facts(source: Path, directory: Path) -> dict[str, dict[str, object]]:
    """Render a sample and describe each variant: type, size, and colours on a coarse grid."""
    presets = load_presets(ROOT / "presets.toml")
    rendering = render(plan(probe(source, Limits()), presets), source, directory, Limits())
    described = {}
    for variant in rendering.variants:
        with Image.open(variant.path) as picture:
            grid = picture.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX)
            described[variant.preset] = {
                "format": picture.format,
                "width": picture.width,
                "height": picture.height,
                "bytes": variant.size_bytes,
                "colours": list(grid.tobytes()),
            }
    return described


@pytest.mark.parametrize("source", samples(), ids=lambda path: path.stem)
def test_a_sample_is_rendered_as_it_was(source, tmp_path):
    golden = json.loads(FACTS.read_text())
    assert golden["engineVersion"] == ENGINE_VERSION
    expected, found = golden["samples"][source.name], facts(source, tmp_path)
    assert found.keys() == expected.keys()
    for preset, fact in found.items():
        golden_fact = expected[preset]
        for key in ("format", "width", "height"):
            assert fact[key] == golden_fact[key]
        assert fact["bytes"] == pytest.approx(golden_fact["bytes"], rel=MAX_SIZE_DIFFERENCE)
        differences = zip(fact["colours"], golden_fact["colours"], strict=True)
        assert max(abs(a - b) for a, b in differences) <= MAX_COLOUR_DIFFERENCE


def write_facts() -> None:
    import tempfile  # noqa: PLC0415 - only a person who rewrites the facts needs it

    with tempfile.TemporaryDirectory() as directory:
        described = {source.name: facts(source, Path(directory)) for source in samples()}
    golden = {"engineVersion": ENGINE_VERSION, "samples": described}
    # One line a sample's variant, so that a change shows as one.
    FACTS.write_text(json.dumps(golden, indent=1).replace(",\n     ", ", ") + "\n")


if __name__ == "__main__":
    write_facts()
