"""Measures what is around a render in a worker: where files lie, what comes after the first
variant, and a child's first picture.

    make bench-spool      (or: python -m bench.spool [--rounds 9])

Each picture is written, rendered in a child and its variants read again, as the worker does without
AWS. Places take their turns in every round, and ratios are taken within a round. Medians with the
least and the most.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.presets import Preset, load_presets

ROOT = Path(__file__).parents[1]
PICTURES = ("camera-10mp-5mb.jpg", "flower-7mp-1.6mb.jpg", "astronaut-800px.jpg")
MEMORY = Path("/dev/shm")  # noqa: S108 - it is the place that is asked about
DISK = ROOT / "build" / "bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Of one picture from its bytes to its variants' bytes. Seconds."""

    wall: float
    cpu: float
    """Of the child's render and of this process around it."""
    rest: float
    """Wall time of the variants after the first: what an early put of that could overlap."""


async def one(pool: RenderPool, data: bytes, presets: Sequence[Preset], place: Path) -> Took:
    """Take one picture all the way."""
    with TemporaryDirectory(dir=place, prefix="spool-") as name:
        directory = Path(name)
        wall, cpu = time.perf_counter(), time.process_time()
        source = directory / "source"
        source.write_bytes(data)
        planned = plan(await pool.probe(source), presets)
        rendering = await pool.render(planned, source, directory)
        for variant in rendering.variants:
            variant.path.read_bytes()
        return Took(
            wall=time.perf_counter() - wall,
            cpu=time.process_time() - cpu + rendering.cpu_seconds,
            rest=sum(variant.seconds for variant in rendering.variants[1:]),
        )


async def places(data: bytes, rounds: int) -> list[str]:
    """Compare a disk with memory."""
    presets = load_presets(ROOT / "presets.toml")
    async with RenderPool(slots=1, limits=Limits()) as pool:
        await one(pool, data, presets, DISK)
        on_disk, in_memory = [], []
        for turn in range(rounds):
            turns = [(DISK, on_disk), (MEMORY, in_memory)]
            for place, seen in turns if turn % 2 else reversed(turns):
                seen.append(await one(pool, data, presets, place))
    pairs = list(zip(on_disk, in_memory, strict=True))
    return [
        spread("wall, disk to memory", [disk.wall / memory.wall for disk, memory in pairs]),
        spread("CPU, disk to memory", [disk.cpu / memory.cpu for disk, memory in pairs]),
        spread("after the first variant, of all", [took.rest / took.wall for took in on_disk]),
    ]


async def first_pictures(data: bytes, rounds: int) -> list[str]:
    """Compare a child's first picture with its next, and the same after a canary."""
    presets = load_presets(ROOT / "presets.toml")
    cold, warm = [], []
    for _ in range(rounds):
        for canary, seen in ((False, cold), (True, warm)):
            async with RenderPool(slots=1, limits=Limits()) as pool:
                if canary:
                    await pool.canary()
                first = await one(pool, data, presets, DISK)
                seen.append(first.cpu - (await one(pool, data, presets, DISK)).cpu)
    return [
        spread("CPU of the first beyond the second, ms", [each * 1000 for each in cold], 1),
        spread("the same after a canary, ms", [each * 1000 for each in warm], 1),
    ]


def spread(what: str, values: Sequence[float], digits: int = 3) -> str:
    """Write a median with the least and the most."""
    numbers = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return f"{what:<40}{next(numbers):>8}  ({' to '.join(numbers)})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    if not MEMORY.is_dir():
        sys.exit(f"{MEMORY} is not there: nothing to compare a disk with")
    DISK.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        print(name)
        for line in asyncio.run(places((ROOT / "samples" / name).read_bytes(), rounds)):
            print(" ", line)
    print("a fresh child,", PICTURES[-1])
    for line in asyncio.run(first_pictures((ROOT / "samples" / PICTURES[-1]).read_bytes(), rounds)):
        print(" ", line)


if __name__ == "__main__":
    main()
