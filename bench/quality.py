"""Measures what `quality = "auto"` saves, against one quality for all pictures.

    python -m bench.quality [--side 512]

Each sample is fitted into a square; large ones are also cropped at full size. They are rendered in
each format with `quality = "auto"` and with a ladder of fixed qualities, and scored over the whole
picture by an independent SSIMULACRA 2 (PyPI: ssimulacra2). Then the one fixed quality is
interpolated that gives the pictures the same score as auto: the same mean, or the same worst score,
on which a promise to users depends. Writes build/bench/quality.json. Only the CPU time of rendering
is measured.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pyvips
from ssimulacra2 import compute_ssimulacra2

from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset
from safelight.wish.wish import Wish

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "bench" / "quality.json"
LADDERS = {
    "webp": (55, 65, 72, 78, 84, 90),
    "jpeg": (45, 55, 65, 72, 80, 88),
    "avif": (40, 48, 54, 60, 66, 74),
}
LIMITS = Limits()


@dataclass(frozen=True)
class Made:
    """One variant with its score."""

    quality: int
    size_bytes: int
    score: float
    cpu_seconds: float


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--side", type=int, default=512, help="longest side of the pictures, in pixels"
    )
    side = parser.parse_args().side
    with tempfile.TemporaryDirectory(prefix="safelight-quality-") as place:
        pictures = _pictures(Path(place), side)
        report = {format: _compare(format, pictures) for format in LADDERS}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(report, indent=1) + "\n")


def _pictures(place: Path, side: int) -> Sequence[Path]:
    made = []
    for sample in sorted((ROOT / "samples").glob("*.jpg")):
        whole = pyvips.Image.new_from_file(str(sample)).autorot()
        views = {"fitted": whole.thumbnail_image(side, height=side, size="down")}
        if min(whole.width, whole.height) > 2 * side:
            left, top = (whole.width - side) // 2, (whole.height - side) // 2
            views["middle"] = whole.crop(left, top, side, side)
        for view, image in views.items():
            made.append(place / f"{sample.stem} {view}.png")
            image.pngsave(str(made[-1]), keep="none")
    return made


def _compare(format: str, pictures: Sequence[Path]) -> Mapping[str, object]:
    autos = {picture: _make(picture, format, "auto") for picture in pictures}
    ladders = {
        picture: [_make(picture, format, quality) for quality in LADDERS[format]]
        for picture in pictures
    }
    print(f"{format}: picture, quality found, score, bytes, CPU relative to a fixed quality")
    for picture, auto in autos.items():
        ratio = auto.cpu_seconds / fmean(made.cpu_seconds for made in ladders[picture])
        print(
            f"  {picture.stem:36} {auto.quality:3} {auto.score:5.1f} {auto.size_bytes:8}"
            f" {ratio:5.1f}x"
        )
    against = {
        name: _against(autos, ladders, LADDERS[format], together)
        for name, together in (("the same mean", fmean), ("the same worst", min))
    }
    for name, found in against.items():
        print(
            f"  {name} score, {found['score']:.1f}: one quality for all is {found['quality']:.1f};"
            f" auto saves {100 * found['saved']:.1f} % of its bytes"
        )
    return {
        "auto": {picture.stem: vars(auto) for picture, auto in autos.items()},
        "fixed": {
            picture.stem: [vars(made) for made in ladder] for picture, ladder in ladders.items()
        },
        "against": against,
    }


def _make(picture: Path, format: str, quality: int | str) -> Made:
    wish = Wish.model_validate({"format": format, "quality": quality})
    preset = Preset(name="variant", wish=wish)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        made = plan(probe(picture, LIMITS), [preset])
        (variant,) = render(made, picture, Path(directory), LIMITS).variants
        cpu_seconds = time.process_time() - started
        shown = Path(directory) / "shown.png"
        pyvips.Image.new_from_file(str(variant.path)).pngsave(str(shown))
        score = compute_ssimulacra2(str(picture), str(shown))
    return Made(variant.quality or 0, variant.size_bytes, score, cpu_seconds)


def _against(
    autos: Mapping[Path, Made],
    ladders: Mapping[Path, Sequence[Made]],
    qualities: Sequence[int],
    together: Callable[[Sequence[float]], float],
) -> Mapping[str, float]:
    """Find the fixed quality with auto's score, and the share of its bytes that auto saves."""
    score = together([auto.score for auto in autos.values()])
    scores = [
        together([ladder[step].score for ladder in ladders.values()])
        for step in range(len(qualities))
    ]
    # The place on the ladder: 2.5 is half-way between the third step and the fourth.
    place = _crossing(scores, score)
    fixed_bytes = sum(
        math.exp(_between([math.log(made.size_bytes) for made in ladder], place))
        for ladder in ladders.values()
    )
    auto_bytes = sum(auto.size_bytes for auto in autos.values())
    return {
        "score": score,
        "quality": _between(qualities, place),
        "saved": 1 - auto_bytes / fixed_bytes,
    }


def _crossing(rising: Sequence[float], value: float) -> float:
    for step, (low, high) in enumerate(pairwise(rising)):
        if low <= value <= high:
            return step + (value - low) / (high - low)
    raise SystemExit(f"a score of {value:.1f} is not on the ladder, {rising}: widen it")


def _between(values: Sequence[float], place: float) -> float:
    step = min(int(place), len(values) - 2)
    return values[step] + (place - step) * (values[step + 1] - values[step])


if __name__ == "__main__":
    main()
