"""Real children are really killed. Misbehaving jobs play the part of bad decoders."""

import asyncio
import errno
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pyvips

from safelight.errors import Reason, Rejection, Unavailable, UnusableWatermark
from safelight.imaging.answers import JobFailed
from safelight.imaging.limits import MIB, Limits
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.imaging.slot import ChildMissing, Slot
from safelight.presets import Preset
from safelight.wish.errors import InvalidOption
from tests.support import jobs, pictures

pytestmark = pytest.mark.starts

BRIEF = Limits(max_seconds=1)
ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def pool_of(slots: int, limits: Limits | None = None):
    exits: list[str] = []
    async with RenderPool(slots=slots, limits=limits, on_child_exit=exits.append) as pool:
        pool.exits = exits
        yield pool


@pytest.fixture
async def pool():
    async with pool_of(2) as pool:
        yield pool


async def reason_of(awaitable) -> Reason:
    with pytest.raises(Rejection) as caught:
        await awaitable
    return caught.value.reason


async def appeared(path: Path) -> str:
    """Wait until a child has written its file; the test's own time limit bounds it."""
    while not (path.exists() and (text := path.read_text())):
        await asyncio.sleep(0.01)
    return text


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def until_ended(pid: int) -> None:
    while not ended(pid):
        await asyncio.sleep(0.01)


async def output_of(code: str, *arguments: object) -> str:
    """Run a program of its own, for what a process decides once, and read what it printed."""
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *map(str, arguments), cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    output, errors = await command.communicate()
    assert (command.returncode, errors) == (0, b"")
    return output.decode()


async def test_a_picture_is_probed_planned_and_rendered_in_a_child(pool, file, tmp_path):
    source = file(pictures.encoded(pictures.quarters(), "PNG"))
    probe = await pool.probe(source)
    presets = [Preset(name="full", format="webp"), Preset(name="t", format="jpeg", box=(9, 9))]
    rendering = await pool.render(plan(probe, presets), source, tmp_path)
    assert [variant.path.name for variant in rendering.variants] == ["full.webp", "t.jpg"]
    assert all(variant.path.stat().st_size == variant.size_bytes for variant in rendering.variants)
    assert rendering.cpu_seconds > 0
    assert 10 * MIB < rendering.peak_bytes < 300 * MIB


async def test_an_animation_is_refused_for_its_pixels_only_where_they_are_used(file, tmp_path):
    source = file(pictures.animated("GIF", 5))
    limits = Limits(max_total_pixels=4 * 40 * 20)
    async with pool_of(1, limits) as pool:
        probe = await pool.probe(source)
        still, moves = (Preset(name="a", format="webp", animated=how) for how in (False, True))
        assert (await pool.render(plan(probe, [still]), source, tmp_path)).variants
        assert await reason_of(pool.render(plan(probe, [moves]), source, tmp_path)) is (
            Reason.TOO_MANY_PIXELS
        )


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
@pytest.mark.parametrize(("frames", "accepted"), [(100, True), (101, False)])
async def test_frames_are_limited_only_where_they_are_used(
    pool, file, tmp_path, format, frames, accepted
):
    source = file(pictures.animated(format, frames))
    probe = await pool.probe(source)
    still, moves = (Preset(name="a", format="webp", animated=how) for how in (False, True))
    assert (await pool.render(plan(probe, [still]), source, tmp_path)).variants
    if accepted:
        assert (await pool.render(plan(probe, [moves]), source, tmp_path)).variants
    else:
        refused = await reason_of(pool.render(plan(probe, [still, moves]), source, tmp_path))
        assert refused is Reason.TOO_MANY_FRAMES


async def test_a_rejection_comes_back_whole_and_costs_no_child(pool, file):
    before = await pool.run(jobs.own_pid), await pool.run(jobs.own_pid)
    assert await reason_of(pool.probe(file(b"words"))) is Reason.UNSUPPORTED
    assert await pool.run(jobs.own_pid) in before
    assert pool.exits == []


async def test_an_error_that_means_nothing_to_the_parent_comes_with_its_trace(pool):
    with pytest.raises(JobFailed, match="ZeroDivisionError: mine") as caught:
        await pool.run(jobs.raise_it, ZeroDivisionError("mine"))
    assert "in raise_it" in caught.value.__notes__[0]
    with pytest.raises(JobFailed) as caught:
        await pool.run(jobs.raise_it, ZeroDivisionError("mine " * 1000))
    assert len(caught.value.__notes__[0]) == len(str(caught.value)) == 2000
    assert caught.value.__notes__[0].endswith("mine \n")  # where it happened is at the end
    assert pool.exits == []


@pytest.mark.parametrize(
    "error",
    [
        Rejection(Reason.CORRUPT, "a detail"),
        InvalidOption("trim", "a message"),
        UnusableWatermark("a key", "a detail"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_errors_that_the_parent_knows_come_back_whole(pool, error):
    with pytest.raises(type(error), match=re.escape(str(error))):
        await pool.run(jobs.raise_it, error)
    assert pool.exits == []


async def test_children_encode_webp_by_libwebp_itself_and_say_so(pool):
    assert re.fullmatch(r"libwebp 1\.\d+\.\d+", pool.webp_encoder)


async def test_the_canary_renders(pool):
    await pool.canary()


ENVIRONMENT = """
import asyncio
from safelight.imaging.pool import RenderPool
from tests.support import jobs
async def main():
    async with RenderPool(slots=1) as pool:
        print(await pool.run(jobs.own_environment))
asyncio.run(main())
"""


async def test_children_see_no_credentials(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/secret-of-the-test")
    output = await output_of(ENVIRONMENT)
    assert "secret-of-the-test" not in output
    assert "VIPS_CONCURRENCY=1" in output
    assert "MALLOC_ARENA_MAX=2" in output
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "secret-of-the-test"


SHRINKING = """
import asyncio, sys
from pathlib import Path
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.presets import Preset
async def main():
    async with RenderPool(slots=1) as pool:
        source = Path(sys.argv[1])
        small = [Preset(name='small', format='png', box=(8, 8))]
        made = plan(await pool.probe(source), small)
        print(await pool.render(made, source, source.parent))
asyncio.run(main())
"""


async def test_children_need_no_temporary_files_however_large_the_picture(monkeypatch, tmp_path):
    """libvips decodes a whole WebP, and would write it to a disk from 100 MB on."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    large = pyvips.Image.black(6000, 6000, bands=3).copy(interpretation="srgb")
    large.webpsave(str(tmp_path / "source"), lossless=True, effort=0)
    output = await output_of(SHRINKING, tmp_path / "source")
    assert "width=8" in output


WITHOUT_A_SERVER = """
import asyncio, os, signal
from multiprocessing import forkserver
from safelight.errors import Unavailable
from safelight.imaging.pool import RenderPool
from tests.support import jobs
async def main():
    async with RenderPool(slots=1) as pool:
        child = await pool.run(jobs.own_pid)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
        while os.path.exists(f'/proc/{child}'):
            await asyncio.sleep(0.01)
        try:
            print(await pool.run(jobs.own_environment))
        except Unavailable:
            print('no child')
asyncio.run(main())
"""


async def test_children_of_a_fork_server_that_was_killed_see_no_picture(monkeypatch):
    """multiprocessing starts it again with the parent's whole environment."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
    output = await output_of(WITHOUT_A_SERVER)
    assert output == "no child\n"


async def test_a_child_that_crashes_once_is_replaced_and_the_job_done(pool, tmp_path):
    assert await pool.run(jobs.die_unless_marked, tmp_path / "mark") == "alive"
    assert pool.exits == ["signal"]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTRAP, signal.SIGBUS])
async def test_a_job_that_crashes_twice_is_a_decoder_crash(pool, number):
    assert await reason_of(pool.run(jobs.die_by, number)) is Reason.DECODER_CRASH
    assert pool.exits == ["signal", "signal"]
    assert await pool.run(jobs.own_pid)


async def test_a_child_that_the_kernel_kills_was_out_of_memory(pool):
    assert await reason_of(pool.run(jobs.die_by, signal.SIGKILL)) is Reason.OUT_OF_MEMORY
    assert pool.exits == ["memory", "memory"]


@pytest.mark.parametrize(
    "numbers",
    [[signal.SIGKILL], [signal.SIGSEGV, signal.SIGKILL]],
    ids=["at once", "when it was watched"],
)
async def test_what_the_kernel_killed_is_tried_again_when_nothing_else_takes_memory(
    tmp_path, numbers
):
    busy, attempts = tmp_path / "busy", tmp_path / "attempts"
    async with pool_of(2) as pool:
        other = asyncio.create_task(pool.run(jobs.be_busy, busy, 2))
        while not busy.exists():
            await asyncio.sleep(0.01)
        again = asyncio.create_task(pool.run(jobs.die_in_turn, attempts, numbers, busy))
        assert await again is False
        await other


async def test_whoever_wants_every_slot_is_not_passed_by_those_who_want_one():
    order = []

    async def use(pool, slots, name):
        async with pool._held(slots):
            order.append(name)
            await asyncio.sleep(0.01)

    async with pool_of(2) as pool, asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(use(pool, 1, number))
        await asyncio.sleep(0)
        group.create_task(use(pool, 2, "every"))
        await asyncio.sleep(0)
        for number in range(4, 12):
            group.create_task(use(pool, 1, number))
    assert order.index("every") == 4


async def test_a_crash_for_want_of_memory_is_told_from_any_other():
    async with pool_of(1, Limits(child_memory_bytes=512 * MIB)) as pool:
        assert await pool.run(jobs.crash_unless_given, 500 * MIB) == 500 * MIB
        asked = pool.run(jobs.crash_unless_given, 1000 * MIB)
        assert await reason_of(asked) is Reason.OUT_OF_MEMORY
        assert pool.exits == ["signal", "memory"]


async def test_a_picture_predicted_to_need_more_than_a_child_has_costs_no_child(file, tmp_path):
    source = file(pictures.encoded(pictures.noise(4000, 4000), "PNG", compress_level=1))
    presets = [Preset(name="a", format="avif"), Preset(name="b", format="webp")]
    async with pool_of(1, Limits(child_memory_bytes=256 * MIB, max_seconds=60)) as pool:
        made = plan(await pool.probe(source), presets)
        with pytest.raises(Rejection, match=f"about {made.predicted_bytes} bytes") as caught:
            await pool.render(made, source, tmp_path)
        assert caught.value.reason is Reason.OUT_OF_MEMORY
        assert pool.exits == []


async def test_a_picture_that_needs_more_than_was_predicted_is_out_of_memory(file, tmp_path):
    source = file(pictures.encoded(pictures.noise(4000, 4000), "PNG", compress_level=1))
    async with pool_of(1, Limits(child_memory_bytes=256 * MIB, max_seconds=60)) as pool:
        probe = await pool.probe(source)
        small = replace(probe, width=100, height=100)
        made = plan(small, [Preset(name="a", format="avif")])
        true = plan(probe, [Preset(name="a", format="avif")])
        lying = replace(true, probe=small)
        assert made.predicted_bytes < 256 * MIB
        assert await reason_of(pool.render(lying, source, tmp_path)) is Reason.OUT_OF_MEMORY
        await pool.canary()


async def test_a_canary_that_is_killed_leaves_no_file(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    canary = asyncio.create_task(pool.canary())
    while not list(tmp_path.glob("*/source")):
        await asyncio.sleep(0)
    canary.cancel()
    await asyncio.wait([canary])
    assert list(tmp_path.iterdir()) == []


async def test_a_job_that_hangs_is_killed_and_times_out(tmp_path):
    async with pool_of(1, BRIEF) as pool:
        mark = tmp_path / "started"
        assert await reason_of(pool.run(jobs.hang_stopped, mark)) is Reason.TIMEOUT
        assert pool.exits == ["deadline", "deadline"]
        assert ended(int(mark.read_text()))
        assert await pool.run(jobs.own_pid)


async def test_a_job_that_used_up_its_time_computing_is_not_tried_again(tmp_path):
    """How much of its time a child gets is the machine's to say: one of several will do."""
    mark, attempts = tmp_path / "started", []
    while ["deadline"] not in attempts and len(attempts) < 8:
        async with pool_of(1, BRIEF) as pool:
            assert await reason_of(pool.run(jobs.compute_for_ever, mark)) is Reason.TIMEOUT
            attempts.append(pool.exits)
            assert ended(int(mark.read_text()))
            assert await pool.run(jobs.own_pid)
    assert ["deadline"] in attempts


async def test_a_job_that_computes_for_ever_is_not_blamed_while_the_canary_fails(tmp_path):
    async with pool_of(1, BRIEF.model_copy(update={"max_pixels": 1})) as pool:
        with pytest.raises(Unavailable, match="canary"):
            await pool.run(jobs.compute_for_ever, tmp_path / "started")


async def test_a_crash_leaves_its_neighbours_at_work(pool, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    neighbour = asyncio.create_task(pool.run(jobs.wait_for, fifo))
    assert await reason_of(pool.run(jobs.die_by, signal.SIGSEGV)) is Reason.DECODER_CRASH
    assert not neighbour.done()
    await asyncio.to_thread(fifo.write_bytes, b"go")
    assert await neighbour


async def test_a_pool_says_whether_a_child_works_on_a_picture(tmp_path):
    async with pool_of(2) as pool:
        assert not pool.rendering
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        job = asyncio.create_task(pool.run(jobs.wait_for, fifo))
        with await asyncio.to_thread(fifo.open, "wb"):  # once the child has opened it
            assert pool.rendering
        await job
        assert not pool.rendering


async def test_cancelling_kills_the_child_and_frees_the_slot(tmp_path):
    async with pool_of(1) as pool:
        mark = tmp_path / "started"
        job = asyncio.create_task(pool.run(jobs.hang, mark))
        pid = int(await appeared(mark))
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert await pool.run(jobs.own_pid) != pid
        assert ended(pid)
        assert pool.exits == ["cancelled"]


async def test_a_job_that_is_cancelled_while_it_waits_harms_nobody(tmp_path):
    async with pool_of(1) as pool:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        first = asyncio.create_task(pool.run(jobs.wait_for, fifo))
        waiting = asyncio.create_task(pool.run(jobs.own_pid))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.to_thread(fifo.write_bytes, b"go")
        assert await first == await pool.run(jobs.own_pid)
        assert pool.exits == []


async def test_a_child_killed_while_idle_costs_no_picture(pool):
    for _ in range(3):
        pid = await pool.run(jobs.own_pid)
        os.kill(pid, signal.SIGKILL)
        await until_ended(pid)
        assert await pool.run(jobs.own_pid) != pid


async def test_a_child_makes_room_for_a_fresh_one_after_its_share_of_tasks():
    async with pool_of(1, Limits(tasks_per_child=3)) as pool:
        pids = [await pool.run(jobs.own_pid) for _ in range(7)]
        assert len(set(pids)) == 3
        assert pool.exits == ["recycle", "recycle"]


async def test_signals_to_the_whole_group_are_the_parents_to_answer(pool, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    pid = await pool.run(jobs.own_pid)
    job = asyncio.create_task(pool.run(jobs.wait_for, fifo))
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
        os.kill(multiprocessing.forkserver._forkserver._forkserver_pid, number)
    await asyncio.to_thread(fifo.write_bytes, b"go")
    assert await job
    assert pool.exits == []


async def test_stopping_kills_what_is_running(tmp_path):
    mark = tmp_path / "started"
    async with pool_of(2) as pool:
        job = asyncio.create_task(pool.run(jobs.hang_stopped, mark))
        pid = int(await appeared(mark))
    assert ended(pid)
    with pytest.raises(Unavailable):
        await job


async def test_a_stopped_pool_starts_no_child_again():
    async with pool_of(1) as pool:
        pass
    with pytest.raises(Unavailable):
        await pool.run(jobs.own_pid)


async def test_a_slot_that_is_stopped_while_it_starts_keeps_no_child():
    async with pool_of(1):  # for the server that children are forked from
        slot = Slot(Limits(), lambda _: None)
        starting = asyncio.create_task(slot.start())
        await asyncio.sleep(0)
        await slot.stop()
        with pytest.raises(ChildMissing):
            await starting
        assert slot._child is None


async def test_all_who_wait_for_the_end_of_a_child_notice_it_at_once():
    async with pool_of(1), asyncio.timeout(3):  # less than a child's end is waited for
        slot = Slot(Limits(), lambda _: None)
        await slot.start()
        child = slot._child
        waiting = [asyncio.create_task(child.status()) for _ in range(2)]
        await asyncio.sleep(0)
        await slot.stop()
        assert await asyncio.gather(*waiting) == [-signal.SIGKILL] * 2


async def test_children_that_cannot_start_are_told_at_once():
    with pytest.raises(Unavailable, match="render children"):
        async with pool_of(1, Limits(child_memory_bytes=2**70)):
            pass


async def test_no_picture_is_blamed_while_even_the_canary_fails():
    async with pool_of(1, Limits(max_pixels=1)) as pool:  # of which the canary has more
        with pytest.raises(Unavailable, match="canary"):
            await pool.run(jobs.die_by, signal.SIGSEGV)


PROBING = """
import asyncio, pathlib, sys
from safelight.imaging.pool import RenderPool

async def main():
    async with RenderPool(slots=1) as pool:
        print((await pool.probe(pathlib.Path(sys.argv[1]))).format)

asyncio.run(main())
"""


async def test_a_picture_cannot_write_into_the_log(file):
    source = file(pictures.png_with_an_unprintable_name())
    assert await output_of(PROBING, source) == "png\n"


PRINTING = """
import asyncio
from safelight.imaging.pool import RenderPool
from tests.support import jobs

async def main():
    async with RenderPool(slots=1) as pool:
        print(await pool.run(jobs.print_and_answer))

asyncio.run(main())
"""


async def test_a_child_cannot_write_into_the_log():
    assert await output_of(PRINTING) == "printed\n"


ORPHANS = """
import asyncio, pathlib, sys
from safelight.imaging.pool import RenderPool
from tests.support import jobs

async def main():
    async with RenderPool(slots=2) as pool:
        places = [pathlib.Path(place) for place in sys.argv[1:]]
        await asyncio.gather(*(
            pool.run(job, place)
            for job, place in zip((jobs.hang, jobs.hang_stopped), places, strict=True)
        ))

asyncio.run(main())
"""


async def test_no_child_outlives_a_parent_that_is_killed(tmp_path):
    marks = [tmp_path / "looping", tmp_path / "stopped"]
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ORPHANS, *map(str, marks), cwd=ROOT, stderr=subprocess.DEVNULL
    )
    children = [int(await appeared(mark)) for mark in marks]
    parent.kill()
    await parent.wait()
    for pid in children:
        await until_ended(pid)
