"""Each row of the tables in docs/guide/formats.md has samples, and comes out as the row says."""

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safelight.errors import Reason, Rejection
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset
from tests.support import pictures
from tests.support.kinds import SAMPLES, Sample

GUIDE = (Path(__file__).parents[3] / "docs" / "guide" / "formats.md").read_text()
LIMITS = Limits()
STILL = Preset(name="still", format="png")
MOVING = Preset(name="moving", format="webp", animated=True)
KEEPING = Preset(name="keeping", format="png", keep=["copyright"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Renders files."""

    directory: Path

    def __call__(self, sample: Sample, preset: Preset = STILL) -> Image.Image:
        source = self.directory / "source"
        source.write_bytes(sample.data)
        result = render(plan(probe(source, LIMITS), [preset]), source, self.directory, LIMITS)
        assert result.failures == {}
        return Image.open(io.BytesIO(result.variants[0].path.read_bytes()))

    def pixels(self, sample: Sample) -> np.ndarray:
        picture = self(sample).convert("RGBA")
        return np.asarray(picture, float).reshape(-1, 4).mean(axis=0)


def is_shown(shown: Shown, sample: Sample) -> None:
    assert shown.pixels(sample)[:3] == pytest.approx(sample.mean, abs=4)


def is_opaque(shown: Shown, sample: Sample) -> None:
    assert shown.pixels(sample) == pytest.approx((*sample.mean, 255), abs=4)


def is_transparent(shown: Shown, sample: Sample) -> None:
    alpha = np.asarray(shown(sample).getchannel("A"))
    assert (alpha < 255).sum() > 0


def is_upright(shown: Shown, sample: Sample) -> None:
    picture = shown(sample).convert("RGB")
    assert picture.size == (80, 48)
    corners = [picture.getpixel(place) for place in ((16, 9), (64, 9), (16, 38), (64, 38))]
    wanted = (pictures.RED, pictures.GREEN, pictures.BLUE, pictures.YELLOW)
    assert np.array(corners) == pytest.approx(np.array(wanted), abs=14)


def has_no_metadata(shown: Shown, sample: Sample) -> None:
    assert "SECRETMAKER" in sample.data.decode("latin-1")
    assert not shown(sample).getexif()
    assert 0x010F not in shown(sample, KEEPING).getexif()


def has_all_frames(shown: Shown, sample: Sample) -> None:
    assert shown(sample, MOVING).n_frames == 3
    assert getattr(shown(sample), "n_frames", 1) == 1


def has_one_frame(shown: Shown, sample: Sample) -> None:
    assert shown(sample, MOVING).n_frames == 1
    is_shown(shown, sample)


def costs_only_animations(shown: Shown, sample: Sample) -> None:
    assert shown(sample).getpixel((9, 9)) == pictures.RED
    is_refused(Reason.CORRUPT)(lambda _, each: shown(each, MOVING), sample)


def is_refused(reason: Reason) -> Callable[..., None]:
    def check(shown: Callable[..., object], sample: Sample) -> None:
        with pytest.raises(Rejection) as caught:
            shown(sample) if isinstance(shown, Shown) else shown(None, sample)
        assert caught.value.reason is reason

    return check


RESULTS: Mapping[str, Callable[[Shown, Sample], None]] = {
    "shown": is_shown,
    "shown, not transparent": is_opaque,
    "shown, transparent": is_transparent,
    "converted to sRGB": is_shown,
    "turned upright": is_upright,
    "left out; copyright on request": has_no_metadata,
    "all frames for presets with `animated`, else the first": has_all_frames,
    "the still picture, also for `animated`": has_one_frame,
    "shown; `corrupt` if a preset has `animated`": costs_only_animations,
    **{f"`{reason}`": is_refused(reason) for reason in Reason},
}


def rows() -> Iterator[tuple[str, str, str]]:
    """Read format, kind and result from the tables of the guide."""
    for section in re.split(r"^### ", GUIDE, flags=re.MULTILINE)[1:]:
        format, _, text = section.partition("\n")
        text = text.partition("\n## ")[0]
        for kind, result in re.findall(r"^\| (.+?) \| (.+?) \|$", text, re.MULTILINE):
            if kind != "kind":
                yield format, kind, result


ROWS = list(rows())


@pytest.mark.parametrize(("format", "kind", "result"), ROWS)
def test_a_kind_of_picture_comes_out_as_the_guide_says(tmp_path, format, kind, result):
    for sample in SAMPLES[format]()[kind]:
        RESULTS[result](Shown(directory=tmp_path), sample)


def test_every_kind_of_the_guide_has_samples_and_every_sample_has_its_row():
    told = {(format, kind) for format, kind, _ in ROWS}
    made = {(format, kind): each for format in SAMPLES for kind, each in SAMPLES[format]().items()}
    assert told == made.keys()
    assert len(ROWS) == len(told)
    assert all(made.values())
