"""The local detector, and crops that frame what it finds, in real render children."""

from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image, ImageChops, ImageStat

from safelight.faces import Face
from safelight.imaging.admission import Admission
from safelight.imaging.local_faces import find_faces
from safelight.imaging.plan import plan
from safelight.imaging.plan_options import plan_options
from safelight.imaging.pool import RenderPool
from safelight.imaging.probe import Probe
from safelight.looking import FaceFinder, LocalDetector
from safelight.presets import Preset
from safelight.wish.canonical import read_options

pytestmark = [pytest.mark.starts, pytest.mark.asyncio(loop_scope="module")]

SLOW = pytest.mark.slow
SAMPLES = Path(__file__).parents[3] / "samples"
PORTRAIT = SAMPLES / "astronaut-800px.jpg"
SIDE = 800
"""The width and height of the portrait, in pixels."""
EYES_AND_MOUTH = ((315, 157), (387, 160), (350, 225))
"""Where they are in the portrait, read off a grid, in pixels."""
FACE = (290, 110, 410, 262)
"""The face in the portrait from hairline to chin, read off a grid: left, top, right, bottom."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool():
    async with RenderPool(slots=1) as pool:
        yield pool


async def looked_at(pool: RenderPool, source: Path) -> Probe:
    """Probe a picture, and add its faces."""
    finder = FaceFinder(renderer=pool, admission=Admission(10**9), detector=LocalDetector(pool))
    probe = await pool.probe(source)
    return replace(probe, faces=await finder.find(source, probe, source.parent))


def saved(picture: Image.Image, tmp_path: Path, **options: object) -> Path:
    path = tmp_path / "source.jpg"
    picture.save(path, quality=95, **options)
    return path


def in_pixels(face: Face, width: int, height: int) -> tuple[float, float, float, float]:
    return face.left * width, face.top * height, face.right * width, face.bottom * height


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the share of two boxes together that both cover."""
    left, top = (max(one[side], other[side]) for side in (0, 1))
    right, bottom = (min(one[side], other[side]) for side in (2, 3))
    both = max(0, right - left) * max(0, bottom - top)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)


async def test_the_face_of_the_portrait_is_found(pool, tmp_path):
    probe = await looked_at(pool, saved(Image.open(PORTRAIT), tmp_path))
    (face,) = probe.faces
    assert overlap(in_pixels(face, SIDE, SIDE), FACE) > 0.7


@pytest.mark.parametrize(
    "name",
    [
        "cat-451px.jpg",
        pytest.param("flower-7mp-1.6mb.jpg", marks=SLOW),
        pytest.param("camera-10mp-5mb.jpg", marks=SLOW),
    ],
)
async def test_pictures_without_a_face_have_none(pool, name, tmp_path):
    source = tmp_path / "source"
    source.write_bytes((SAMPLES / name).read_bytes())
    assert (await looked_at(pool, source)).faces == ()


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 15), (40, 40)])
async def test_tiny_and_narrow_pictures_have_no_face(pool, size, tmp_path):
    assert (await looked_at(pool, saved(Image.new("RGB", size), tmp_path))).faces == ()


@pytest.mark.parametrize("mode", ["L", pytest.param("CMYK", marks=SLOW)])
async def test_a_face_is_found_without_colours_and_in_inks(pool, mode, tmp_path):
    probe = await looked_at(pool, saved(Image.open(PORTRAIT).convert(mode), tmp_path))
    assert len(probe.faces) == 1


async def test_a_crop_of_90_pixels_shows_the_middle_of_the_face(pool, tmp_path):
    probe = await looked_at(pool, saved(Image.open(PORTRAIT), tmp_path))
    planned = plan_options(probe, read_options("crop=90x90:faces,format=png"))
    (decode,) = planned.decodes
    left, top, width, height = decode.edits.crop
    assert (width, height) == (90, 90)
    for across, down in EYES_AND_MOUTH:
        assert left < across < left + 90
        assert top < down < top + 90


async def test_a_thumbnail_of_90_pixels_from_a_part_shows_the_whole_face(pool, tmp_path):
    source = saved(Image.open(PORTRAIT), tmp_path)
    probe = await looked_at(pool, source)
    wanted = read_options("crop=240x240:faces,box=90x90,fit=cover,format=png")
    planned = plan_options(probe, wanted)
    (decode,) = planned.decodes
    left, top, width, height = decode.edits.crop
    assert left < FACE[0] < FACE[2] < left + width
    assert top < FACE[1] < FACE[3] < top + height
    (made,) = (await pool.render(planned, source, tmp_path)).variants
    part = Image.open(source).crop((left, top, left + width, top + height)).resize((90, 90))
    assert difference(Image.open(made.path), part) < 5


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two pictures, in levels of a band."""
    bands = ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean
    return sum(bands) / 3


@pytest.mark.parametrize("orientation", [1, 6, *(pytest.param(way, marks=SLOW) for way in (3, 8))])
async def test_a_preset_of_90_pixels_shows_the_face_wherever_it_is(pool, orientation, tmp_path):
    wide = Image.new("RGB", (2400, SIDE), "grey")
    wide.paste(Image.open(PORTRAIT), (1600, 0))
    turned = {1: 0, 3: 180, 6: 90, 8: 270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = saved(wide.rotate(turned, expand=True), tmp_path, exif=exif)
    probe = await looked_at(pool, source)
    preset = Preset(name="a", format="png", box=(90, 90), fit="cover", gravity="faces")
    planned = plan(probe, [preset])
    (recipe,) = planned.recipes
    scale = recipe.scaled[1] / SIDE
    left = recipe.offset[0]
    assert left < (1600 + FACE[0]) * scale < (1600 + FACE[2]) * scale < left + 90
    (made,) = (await pool.render(planned, source, tmp_path)).variants
    part = wide.resize(recipe.scaled).crop((left, 0, left + 90, 90))
    assert difference(Image.open(made.path), part) < 5


@pytest.mark.parametrize("turn", [0, 90, *(pytest.param(turn, marks=SLOW) for turn in (180, 270))])
async def test_faces_turn_and_flip_with_the_picture(pool, turn, tmp_path):
    source = saved(Image.open(PORTRAIT), tmp_path)
    probe = await looked_at(pool, source)
    words = f"turn={turn},crop=240x240:faces,flip=h,format=png"
    planned = plan_options(probe, read_options(words))
    (made,) = (await pool.render(planned, source, tmp_path)).variants
    left, top, width, height = planned.decodes[0].edits.crop
    part = (
        Image.open(source)
        .rotate(-turn)
        .crop((left, top, left + width, top + height))
        .transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    )
    assert difference(Image.open(made.path), part) < 3
    upright = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(turn)
    again = await looked_at(pool, saved(upright, tmp_path))
    assert len(again.faces) == 1


async def test_the_face_is_cut_out_of_the_resized_picture(pool, tmp_path):
    source = saved(Image.open(PORTRAIT), tmp_path)
    probe = await looked_at(pool, source)
    planned = plan_options(probe, read_options("box=400x400,flip=h,face=20,format=png"))
    (made,) = (await pool.render(planned, source, tmp_path)).variants
    (cut,) = planned.recipes[0].operations
    left, top, width, height = cut.arguments
    assert (made.width, made.height) == (width, height)
    half = Image.open(source).resize((400, 400)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert difference(Image.open(made.path), half.crop((left, top, left + width, top + height))) < 5
    for across, down in EYES_AND_MOUTH:
        assert left < 400 - across / 2 < left + width
        assert top < down / 2 < top + height


async def test_a_child_has_the_detectors_code_before_it_is_confined(pool):
    """Where only the packages are on the path, as in an editable install, it could not read it."""
    loaded = f"{find_faces.__module__!r} in __import__('sys').modules"
    assert await pool.run(eval, loaded)
