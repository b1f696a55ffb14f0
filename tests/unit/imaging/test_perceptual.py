import numpy as np
import pytest
import pyvips
from PIL import Image, ImageFilter

from safelight.formats import BY_NAME, WRITABLE
from safelight.imaging.libvips import open_encoded
from safelight.imaging.limits import Limits
from safelight.imaging.perceptual import (
    MAX_ENCODES,
    SAMPLE_PIXELS,
    STEP,
    TILE,
    Search,
    _Compared,
    _sample,
    lowest_quality,
)
from safelight.imaging.plan import plan
from safelight.imaging.probe import Probe, probe
from safelight.imaging.render import render
from safelight.presets import Preset
from tests.support import pictures
from tests.support.pictures import SAMPLES

LOSSY = [format.name for format in WRITABLE if format.quality]
FACE = (
    Image.open(SAMPLES / "astronaut-800px.jpg")
    .convert("RGB")
    .resize((200, 200), Image.Resampling.BOX)
    .crop((40, 0, 40 + TILE, TILE))
)


def in_vips(picture: Image.Image) -> pyvips.Image:
    bands = len(picture.getbands())
    image = pyvips.Image.new_from_memory(picture.tobytes(), *picture.size, bands, "uchar")
    return image.copy(interpretation="srgb")


def photograph(width: int = 200, height: int = 200) -> Image.Image:
    picture = Image.open(SAMPLES / "astronaut-800px.jpg").convert("RGB")
    return picture.resize((width, height), Image.Resampling.BOX)


def tiled() -> Image.Image:
    """Sixteen times the same tile, so that a tile's score is the whole picture's."""
    picture = Image.new("RGB", (4 * TILE, 4 * TILE))
    for number in range(16):
        picture.paste(FACE, (number % 4 * TILE, number // 4 * TILE))
    return picture


def distorted(how: str) -> Image.Image:
    values = np.asarray(tiled()).astype(int)
    grain = np.tile(np.random.default_rng(1).integers(-1, 2, (TILE, TILE, 1)), (4, 4, 1))
    match how.split():
        case ["blurred"]:
            return tiled().filter(ImageFilter.BoxBlur(1))
        case ["noise", strength]:
            values = values + int(strength) * grain
        case ["few", "colours"]:
            values = values // 16 * 16 + 8
        case ["darker"]:
            values = values * 97 // 100
        case ["another", "tint"]:
            values = np.add(values, [[[6, 0, -6]]])
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("same", 100.0),
        ("another tint", 93.46),
        ("noise 2", 92.80),
        ("darker", 90.42),
        ("few colours", 78.74),
        ("noise 6", 77.87),
        ("noise 12", 58.80),
        ("blurred", 55.23),
    ],
)
def test_a_score_is_what_ssimulacra_2_says(how, expected):
    """The answers of PyPI's ssimulacra2 0.3.0 for the whole picture."""
    scores = _Compared(in_vips(tiled())).tiles(in_vips(distorted(how)))
    assert len(scores) == 16
    assert sorted(scores)[8] == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (1, 4000), (100, 63), (3000, 2000), (129, 400)])
def test_a_sample_is_of_whole_tiles_and_bounded(size):
    sample = _sample(in_vips(Image.new("RGB", size, (9, 99, 199))))
    assert (sample.width % TILE, sample.height % TILE) == (0, 0)
    assert sample.width * sample.height <= SAMPLE_PIXELS
    assert sample.avg() == pytest.approx((9 + 99 + 199) / 3)


def test_a_sample_reaches_from_corner_to_corner():
    picture = in_vips(photograph(1000, 700))
    sample = _sample(picture)
    first, last = sample.crop(0, 0, TILE, TILE), sample.crop(3 * TILE, 3 * TILE, TILE, TILE)
    assert (first - picture.crop(0, 0, TILE, TILE)).abs().max() == 0
    assert (last - picture.crop(1000 - TILE, 700 - TILE, TILE, TILE)).abs().max() == 0


class Encoder:
    """Encodes as the engine does, and counts."""

    def __init__(self, format: str) -> None:
        self._format = BY_NAME[format]
        self.qualities: list[int] = []
        self.most_pixels = 0

    def encode(self, image: pyvips.Image, quality: int) -> bytes:
        self.qualities.append(quality)
        self.most_pixels = max(self.most_pixels, image.width * image.height)
        effort = {"effort": self._format.effort.least} if self._format.effort else {}
        return getattr(image, f"{self._format.saver}_buffer")(
            Q=quality, keep="none", **effort, **self._format.save_options
        )

    def search(self, picture: Image.Image, target: int, least: int, most: int):
        search = Search(target=target, least=least, most=most)
        return lowest_quality(in_vips(picture), search, self.encode, self.decode)

    def decode(self, data: bytes) -> pyvips.Image:
        return open_encoded(data, self._format)

    def score(self, picture: Image.Image, quality: int) -> float:
        sample = _sample(in_vips(picture))
        return _Compared(sample).score(self.decode(self.encode(sample, quality)))


@pytest.mark.parametrize(("format", "target"), list(zip(LOSSY, (75, 55, 70), strict=True)))
def test_the_lowest_quality_that_reaches_the_target_is_found(format, target):
    encoder = Encoder(format)
    found = encoder.search(photograph(), target, 11, 99)
    assert found.score >= target
    assert encoder.score(photograph(), found.quality) == found.score
    assert encoder.score(photograph(), found.quality - STEP) < target


def test_a_search_keeps_to_its_budget_and_its_bounds():
    encoder = Encoder("webp")
    for target in (30, 95):
        encoder.qualities.clear()
        encoder.search(photograph(1500, 1000), target, 1, 100)
        assert len(encoder.qualities) == len(set(encoder.qualities)) <= MAX_ENCODES
        assert 1 <= min(encoder.qualities) <= max(encoder.qualities) <= 100
    assert encoder.most_pixels == SAMPLE_PIXELS


def test_where_no_quality_reaches_the_target_the_highest_is_taken_and_its_score_told():
    found = Encoder("jpeg").search(pictures.noise(200, 200), 95, 20, 40)
    assert found.quality == 40
    assert found.score < 95


def test_a_range_of_one_quality_is_that_quality():
    encoder = Encoder("webp")
    assert encoder.search(photograph(), 70, 60, 60).quality == 60
    assert encoder.qualities == [60]


def test_the_same_pixels_get_the_same_quality():
    assert Encoder("webp").search(photograph(), 70, 40, 95) == Encoder("webp").search(
        photograph(), 70, 40, 95
    )


def test_pictures_get_the_quality_that_they_need():
    smooth = photograph(20, 20).resize((200, 200), Image.Resampling.BICUBIC)
    busy = Image.blend(photograph(), pictures.noise(200, 200), 0.15)
    qualities = {
        Encoder("webp").search(picture, 70, 1, 100).quality
        for picture in (smooth, photograph(), busy)
    }
    assert max(qualities) - min(qualities) >= 3 * STEP


def test_flat_areas_do_not_pay_for_busy_ones():
    """A quarter is softly shaded: the mean over all tiles would be content with less."""
    picture = Image.blend(photograph(400, 400), pictures.noise(400, 400), 0.1)
    shades = np.linspace(90, 110, 400)[None, :, None] + np.linspace(0, 9, 100)[:, None, None]
    shaded = np.broadcast_to(shades, (100, 400, 3)).astype(np.uint8)
    picture.paste(Image.fromarray(shaded), (0, 0))
    encoder = Encoder("jpeg")
    found = encoder.search(picture, 70, 1, 99)
    sample = _sample(in_vips(picture))
    lower = encoder.decode(encoder.encode(sample, found.quality - 2 * STEP))
    scores = _Compared(sample).tiles(lower)
    assert sum(scores) / len(scores) > 70 > sorted(scores)[1]


def test_transparent_parts_are_compared_as_they_are_seen():
    picture = photograph().convert("RGBA")
    picture.putalpha(Image.radial_gradient("L").resize(picture.size))
    found = Encoder("webp").search(picture, 70, 1, 99)
    assert found.score >= 70


@pytest.mark.parametrize("format", LOSSY)
def test_a_variant_tells_its_quality_and_its_score(file, tmp_path, format):
    source = file(pictures.encoded(photograph(), "PNG"))
    presets = [
        Preset(name="full", format=format, quality="auto"),
        Preset(name="small", format=format, quality="auto", box=(40, 40), target=60),
        Preset(name="fixed", format=format, quality=50),
        Preset(name="whole", format="png"),
    ]
    rendering = render(plan(probe(source, Limits()), presets), source, tmp_path, Limits())
    made = {variant.preset: variant for variant in rendering.variants}
    least, most = BY_NAME[format].searched_quality
    assert made["full"].score >= 70
    assert made["small"].score >= 60
    assert least <= made["full"].quality <= most
    assert (made["fixed"].quality, made["fixed"].score) == (50, None)
    assert (made["whole"].quality, made["whole"].score) == (None, None)


def test_of_formats_that_look_alike_the_smallest_is_taken(file, tmp_path):
    source = file(pictures.encoded(photograph(), "PNG"))
    presets = [
        Preset(name=name, format=name, quality="auto") for name in ("auto", "webp", "avif", "jpeg")
    ]
    rendering = render(plan(probe(source, Limits()), presets), source, tmp_path, Limits())
    chosen, *others = rendering.variants
    smallest = min(others, key=lambda variant: variant.size_bytes)
    assert chosen.sha256 == smallest.sha256
    assert (chosen.quality, chosen.score) == (smallest.quality, smallest.score)


def test_pixels_are_held_where_a_quality_is_searched_even_if_they_are_many():
    large = Probe(format="jpeg", width=7000, height=5000, size_bytes=1)
    full, _ = plan(large, [Preset(name="a", format="webp", quality="auto")]).decodes
    assert full.keeps_pixels


def test_an_animation_is_searched_by_its_first_frame(file, tmp_path):
    source = file(pictures.animated("GIF", 3))
    preset = Preset(name="a", format="webp", quality="auto", animated=True)
    (variant,) = render(
        plan(probe(source, Limits()), [preset]), source, tmp_path, Limits()
    ).variants
    with Image.open(variant.path) as picture:
        assert picture.n_frames == 3
    assert variant.score is not None


def test_a_searched_variant_is_what_that_quality_gives(file, tmp_path):
    source = file(pictures.encoded(photograph(), "PNG"))

    def made(quality):
        preset = Preset(name="a", format="webp", quality=quality)
        rendering = render(plan(probe(source, Limits()), [preset]), source, tmp_path, Limits())
        return rendering.variants[0]

    searched = made("auto")
    assert made(searched.quality).sha256 == searched.sha256 == made("auto").sha256
