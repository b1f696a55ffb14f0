"""Pictures that are meant to hurt: rows 27 to 34 of docs/operate/faults.md.

Time is the processor time of the child, and compared with that of an ordinary picture in the same
child; memory is what the child took more than before.
"""

import asyncio
import io
from dataclasses import replace

import pytest
import pytest_asyncio
from PIL import Image

from safelight.errors import Reason, Rejection
from safelight.imaging.limits import MIB, Limits
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.imaging.probe import probe
from safelight.presets import Preset
from tests.support import hostile, jobs, pictures
from tests.support.pictures import RED, SAMPLES

pytestmark = pytest.mark.starts

LIMITS = Limits()
PRESETS = [
    Preset(name="full", format="webp"),
    Preset(name="small", format="jpeg", box=(150, 150)),
]
MOVING = [Preset(name="moving", format="webp", animated=True)]
PHOTOGRAPH = SAMPLES / "astronaut-800px.jpg"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool():
    exits: list[str] = []
    async with RenderPool(slots=1, on_child_exit=exits.append) as pool:
        pool.exits = exits
        yield pool


module = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def ordinary(pool, tmp_path):
    """Measure the time of an ordinary picture now: 0.6 megapixels, warmed up."""

    async def ordinary() -> jobs.Effort:
        source = tmp_path / "ordinary"
        source.write_bytes(PHOTOGRAPH.read_bytes())
        for _ in range(2):
            effort = await jobs.effort_of(pool, jobs.probe_and_render, source, LIMITS, PRESETS)
        return effort

    return ordinary


@module
@pytest.mark.parametrize("bomb", hostile.BOMBS)
async def test_a_bomb_is_rejected_from_its_header_for_next_to_nothing(pool, file, ordinary, bomb):
    source = file(hostile.BOMBS[bomb]())
    assert source.stat().st_size < 200_000
    usual = await ordinary()
    effort = await jobs.effort_of(pool, probe, source, LIMITS)
    assert effort.outcome == "too_many_pixels"
    assert effort.cpu_seconds < usual.cpu_seconds
    assert effort.more_bytes < 20 * MIB
    assert pool.exits == []


@module
@pytest.mark.parametrize("bomb", hostile.METADATA_BOMBS)
async def test_metadata_is_not_unpacked_and_costs_no_more_than_its_bytes(
    pool, file, ordinary, bomb
):
    source = file(hostile.METADATA_BOMBS[bomb]())
    usual = await ordinary()
    effort = await jobs.effort_of(pool, jobs.probe_and_render, source, LIMITS, PRESETS)
    assert effort.outcome == "done"
    megabytes = source.stat().st_size / 1e6
    assert effort.cpu_seconds < 4 * usual.cpu_seconds * max(1, megabytes / 8)
    assert effort.more_bytes < 30 * MIB + 3 * source.stat().st_size
    assert 2 * (30 * MIB + 3 * LIMITS.max_bytes) < hostile.MANY_METADATA_BYTES
    assert pool.exits == []
    for variant in source.parent.glob("*.*"):
        assert variant.stat().st_size < 100_000


async def test_a_bomb_let_through_costs_itself_alone(file, tmp_path):
    """The limits are off, and the prediction is made to lie: the child's own limits hold."""
    limits = Limits(
        max_pixels=10**10, max_total_pixels=10**10, child_memory_bytes=512 * MIB, max_seconds=5
    )
    exits = []
    (tmp_path / "bomb").mkdir()
    (tmp_path / "good").mkdir()
    bomb, good = (
        file(hostile.webp_bomb(12_000), "bomb/source"),
        file(PHOTOGRAPH.read_bytes(), "good/it"),
    )
    async with RenderPool(slots=2, limits=limits, on_child_exit=exits.append) as pool:
        honest = plan(await pool.probe(bomb), PRESETS)
        with pytest.raises(Rejection) as refused:
            await pool.render(honest, bomb, bomb.parent)
        assert (refused.value.reason, exits) == (Reason.OUT_OF_MEMORY, [])

        lying = replace(honest, probe=replace(honest.probe, width=8, height=8))
        hurt = asyncio.create_task(pool.render(lying, bomb, bomb.parent))
        made = plan(await pool.probe(good), PRESETS)
        neighbours = [await pool.render(made, good, good.parent) for _ in range(3)]
        with pytest.raises(Rejection) as caught:
            await hurt
        assert caught.value.reason in {Reason.OUT_OF_MEMORY, Reason.TIMEOUT}
        assert [len(rendering.variants) for rendering in neighbours] == [2, 2, 2]
        await pool.canary()


@module
async def test_many_frames_are_within_the_limits_or_rejected(pool, file, tmp_path, ordinary):
    usual = await ordinary()
    for data in (pictures.animated("WEBP", 200), hostile.gif_of_many_large_frames()):
        animation = file(data)
        effort = await jobs.effort_of(pool, probe, animation, LIMITS)
        assert effort.cpu_seconds < usual.cpu_seconds
        assert effort.more_bytes < 20 * MIB
        with pytest.raises(Rejection) as caught:
            await pool.render(plan(await pool.probe(animation), MOVING), animation, tmp_path)
        assert caught.value.reason is Reason.TOO_MANY_FRAMES
    within = file(pictures.animated("WEBP", 100))
    effort = await jobs.effort_of(pool, jobs.probe_and_render, within, LIMITS, PRESETS)
    assert effort.outcome == "done"
    assert effort.cpu_seconds < 2 * usual.cpu_seconds


@module
@pytest.mark.parametrize("name", hostile.polyglots())
async def test_nothing_of_what_a_polyglot_is_besides_reaches_a_variant(pool, tmp_path, file, name):
    data = hostile.polyglots()[name]
    source = file(data, "source.pdf")
    probe = await pool.probe(source)
    presets = [Preset(name=format, format=format) for format in ("webp", "jpeg", "png", "avif")]
    rendering = await pool.render(plan(probe, presets), source, tmp_path)
    assert len(rendering.variants) == 4
    for variant in rendering.variants:
        made = variant.path.read_bytes()
        for part in (b"zipped", b"PK\x03\x04", b"%PDF", b"<script", b"<?php"):
            assert part in data or part not in made
            assert part not in made


@module
@pytest.mark.parametrize("size", [(1, 65_500), (65_500, 1)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
async def test_the_longest_lines_are_rendered_in_every_format(pool, file, tmp_path, size, format):
    source = file(pictures.encoded(Image.new("RGB", size, RED), format))
    presets = [Preset(name=format, format=format) for format in ("webp", "jpeg", "png", "avif")]
    made = plan(await pool.probe(source), presets)
    rendering = await pool.render(made, source, tmp_path)
    assert rendering.failures == {}
    for variant in rendering.variants:
        shown = Image.open(io.BytesIO(variant.path.read_bytes()))
        assert shown.size == (variant.width, variant.height)
        assert min(shown.size) == 1
        assert max(shown.size) == min(65_500, {"webp": 16_383, "avif": 16_384}.get(
            variant.preset, 65_500
        ))  # fmt: skip


@module
async def test_bytes_in_a_decoders_message_spoil_no_picture_after_it(pool, file):
    """libvips quotes the name of an item property that it cannot read."""
    quoted = pictures.heic_of_two(1).replace(b"clap", b"cl\xffp")
    for data in (quoted, PHOTOGRAPH.read_bytes()[:300]):
        with pytest.raises(Rejection):
            await pool.probe(file(data))
    assert pool.exits == []


@module
async def test_a_text_in_latin_1_spoils_nothing(pool, file, tmp_path):
    """PNG's keywords are Latin-1 (PNG, 11.3.3.2)."""
    exif = Image.Exif()
    exif[0x8298] = "Jane"
    data = pictures.encoded(pictures.quarters(), "PNG", exif=exif.tobytes())
    text = pictures.chunk(b"tEXt", b"Pr\xe9nom\0Andr\xe9")
    source = file(data[:33] + text + data[33:])
    kept = [Preset(name="kept", format="webp", keep=("copyright",))]
    rendering = await pool.render(plan(await pool.probe(source), kept), source, tmp_path)
    assert not rendering.failures
