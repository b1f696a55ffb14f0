"""Soaks Safelight: sends thousands of mixed pictures through workers, some of which are killed.

    python -m tools.soak [--pictures 10000] [--workers 2] [--erase 5] [--seed N] [--out DIR]

The first worker lives through the whole run and shows whether memory or open files grow. The others
are killed at random moments and replaced at once. Some of the images are erased at random moments,
by two processes of the role cleanup that are killed too. Exits with 0 only if the invariant holds,
everything held by killed workers was recovered in time, and neither memory nor open files grew.
"""

import argparse
import asyncio
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from ops.local.emulator import ROOT, Emulator
from ops.local.processes import ChildDied
from safelight.program import background
from tests.support.faults.cleaning import Cleaning, open_cleaning
from tests.support.faults.corpus import Corpus
from tests.support.faults.footprint import footprint
from tests.support.faults.injector import Source
from tests.support.faults.invariant import World, faults_of
from tests.support.faults.supervisor import Worker
from tests.support.faults.weather import Weather
from tests.support.faults.witness import Witness
from tools.soak_report import MB, draw, table, write_json
from tools.trend import Sample, Trend, trend

SLOTS = 2
VISIBILITY_SECONDS = 6
BACKLOG_PER_WORKER = 8
"""Most unsettled pictures per worker: twice what it holds, so that it is never idle."""
FAIR_SECONDS = 15
"""Mean time between faults of services."""
CLEANERS = 2
"""Processes of the role cleanup."""
LATEST_ERASURE_SECONDS = 20
"""The longest time from a picture's upload until it is erased: before, during or after its turn."""
SAMPLE_SECONDS = 0.25
PROGRESS_SECONDS = 10
PATIENCE_SECONDS = 120
"""Longest time without a settled picture before the run is given up."""
REMEMBERED_CALLS = 1000
INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended, by the convention of shells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The parameters of a run."""

    pictures: int
    workers: int
    seed: int
    kill_seconds: float
    """Mean time between kills."""
    faults: bool = False
    """Whether workers are also frozen and stopped, and services fail."""
    erase: float = 5
    """How many of a hundred pictures are erased."""

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        return (
            f'make soak SOAK="--seed {self.seed} --pictures {self.pictures} --workers '
            f"{self.workers} --kill-seconds {self.kill_seconds:g}{' --faults' * self.faults}"
            f' --erase {self.erase:g}"'
        )


class Stalled(Exception):
    """Nothing was settled for too long."""


class Soak:
    """One run."""

    def __init__(self, cleaning: Cleaning, setup: Setup) -> None:
        self.samples: list[Sample] = []
        self.settled = 0
        self.kills: list[float] = []
        """Times of the kills, in seconds since the start."""
        self.freezes = 0
        self.drains = 0
        self.wrong_exits: list[str] = []
        self.rejected: dict[str, str] = {}
        self.erased: set[str] = set()
        """The images that are or will be erased."""
        self.late_objects = 0
        """Objects of erased images that were stored after the others were deleted."""
        rig = cleaning.rig
        self.weather = Weather(rig.proxy, random.Random(setup.seed), fair_seconds=FAIR_SECONDS)
        self.witness = Witness()
        rig.proxy.watch(self.witness.see)
        self._cleaning = cleaning
        self._rig = rig
        self._setup = setup
        self._corpus = Corpus(random.Random(setup.seed))
        self._draw = random.Random(setup.seed + 1)
        self._unsettled: dict[str, Source] = {}
        self._settled_at = self._started = time.monotonic()

    async def run(self) -> None:
        """Start the workers, send them pictures, kill some, and wait until all are settled."""
        self.veteran, *self._mortals = await self._rig.fleet(
            self._setup.workers, **self._settings()
        )
        for _ in range(CLEANERS):
            await self._cleaning.start("cleanup")
        self._settled_at = self._started = time.monotonic()
        weather = [self.weather.change_forever()] if self._setup.faults else []
        async with background(self._listen(), self._print_progress(), self._watch()):
            disturbing = (self._disturb(), self._disturb_cleanup(), *weather)
            async with background(self._sample(), *disturbing), asyncio.TaskGroup() as erasing:
                await self._feed(erasing)
            while self._unsettled:
                await asyncio.sleep(0.05)
        await self._rig.until_cleaned(seconds=PATIENCE_SECONDS)

    @property
    def seconds(self) -> float:
        """Seconds since the first upload event was sent."""
        return time.monotonic() - self._started

    @property
    def cleanup_kills(self) -> int:
        """How many processes of the role cleanup were killed."""
        return self._cleaning.kills

    def _settings(self) -> dict[str, str]:
        return {"SLOTS": str(SLOTS), "VISIBILITY_SECONDS": str(VISIBILITY_SECONDS)}

    async def _feed(self, erasing: asyncio.TaskGroup) -> None:
        """Upload as fast as the workers settle, so that they are never idle; erase some."""
        for _ in range(self._setup.pictures):
            while len(self._unsettled) >= BACKLOG_PER_WORKER * self._setup.workers:
                await asyncio.sleep(0.02)
            upload = self._corpus.next()
            source = await self._rig.injector.put(upload.body)
            self._unsettled[source.image_id] = source
            if upload.reason:
                self.rejected[source.image_id] = upload.reason
            if self._draw.random() < self._setup.erase / 100:
                self.erased.add(source.image_id)
                erasing.create_task(self._erase(source))
            await self._rig.injector.notify(source)

    async def _erase(self, source: Source) -> None:
        """Erase an image at a random moment."""
        await asyncio.sleep(self._draw.uniform(0, LATEST_ERASURE_SECONDS))
        await self._cleaning.erase(source)

    async def _listen(self) -> None:
        """Receive completions and remove their sources: a worker still rendering one would fail.

        An image that is erased before it is settled counts as settled once its objects are gone.
        """
        while True:
            for completion in await self._rig.some_completions():
                source = self._unsettled.pop(completion["subject"], None)
                if source:
                    self.settled += 1
                    self._settled_at = time.monotonic()
                    await self._rig.injector.remove(source, version=True)

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            parent, *children = self.veteran.processes()
            own = footprint([parent])
            self.samples.append(
                Sample(
                    seconds=self.seconds,
                    settled=self.settled,
                    worker=own + footprint(children),
                    parent=own,
                )
            )

    async def _disturb(self) -> None:
        """Kill workers, the first once a picture is settled; with faults, also freeze or drain."""
        ways = (self._kill, self._freeze, self._drain) if self._setup.faults else (self._kill,)
        while not self.settled:
            await asyncio.sleep(0.02)
        while self._mortals:
            await self._rig.random.choice(ways)()
            await asyncio.sleep(self._rig.random.expovariate(1 / self._setup.kill_seconds))

    async def _disturb_cleanup(self) -> None:
        """Kill and replace processes of the role cleanup."""
        while True:
            await asyncio.sleep(self._rig.random.expovariate(1 / self._setup.kill_seconds))
            await self._cleaning.replace(self._rig.random.choice(self._cleaning.running))

    async def _kill(self) -> None:
        worker = self._take_mortal()
        self.kills.append(self.seconds)
        self.witness.killed(worker.name)
        worker.kill()
        await self._replace()

    async def _freeze(self) -> None:
        """Freeze a worker, long enough that it may lose its leases."""
        worker = self._rig.random.choice([self.veteran, *self._mortals])
        self.freezes += 1
        worker.freeze()
        try:
            await asyncio.sleep(self._rig.random.uniform(0.5, 1.5) * VISIBILITY_SECONDS)
        finally:
            worker.thaw()

    async def _drain(self) -> None:
        """Send a worker SIGTERM and wait for its end."""
        worker = self._take_mortal()
        self.drains += 1
        worker.terminate()
        if code := await worker.wait(seconds=PATIENCE_SECONDS):
            self.wrong_exits.append(f"{worker.name} received SIGTERM and exited with {code}")
        await self._replace()

    def _take_mortal(self) -> Worker:
        return self._mortals.pop(self._rig.random.randrange(len(self._mortals)))

    async def _replace(self) -> None:
        self._mortals += await self._rig.fleet(1, **self._settings())

    async def _watch(self) -> None:
        """Give up if a worker ends without a kill, or if nothing is settled for too long."""
        while True:
            for worker in (self.veteran, *self._mortals, *self._cleaning.running):
                worker.check()
            if time.monotonic() - self._settled_at > PATIENCE_SECONDS:
                raise Stalled(f"nothing was settled for {PATIENCE_SECONDS} s")
            await asyncio.sleep(1)

    async def _print_progress(self) -> None:
        settled, seconds = 0, 0.0
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            rate = (self.settled - settled) / (self.seconds - seconds)
            settled, seconds = self.settled, self.seconds
            taken = self.samples[-1].worker
            print(
                f"{seconds:6.0f} s  {settled:6} settled  {rate:5.1f}/s  {taken.pss / MB:4.0f} MB  "
                f"{taken.open_files:3} open files  {len(self.kills):3} kills",
                flush=True,
            )

    async def faults(self) -> list[str]:
        """List the faults of the stored state and of the worker that lived through the run."""
        world = await self._rig.world()
        faults = faults_of(world, self._rig.injector.notified, rejected=self.rejected)
        grown = self.trend()
        late = [] if self._setup.faults else self.witness.late(VISIBILITY_SECONDS)
        return [
            *faults,
            *self._of_erasures(world),
            *self.wrong_exits,
            *late,  # not with faults: while a service is down, nothing is recovered in time
            *(grown.faults() if grown else ["too few pictures to find out whether anything grew"]),
        ]

    def _of_erasures(self, world: World) -> list[str]:
        """List images that are erased and should not be, or the reverse, and copies in caches."""
        records = world.records.values()
        erased = {record.image_id for record in records if record.erasure is not None}
        self.late_objects = sum(one.erasure.late_objects for one in records if one.erasure)
        return self._cleaning.faults(world) + [
            f"{image_id} is {'not ' * (image_id in self.erased)}erased"
            for image_id in erased ^ self.erased
        ]

    def trend(self) -> Trend | None:
        """Summarise the worker that lived through the run; None if the run was too short."""
        return trend(self.samples, pictures=self._setup.pictures)


async def soak(setup: Setup, out: Path) -> int:
    """Run in a system of its own and report however it ends; return the exit code."""
    logs = out / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    async with (
        Emulator(directory=logs) as emulator,
        open_cleaning(
            emulator, logs, name="soak", seed=setup.seed, remembered_calls=REMEMBERED_CALLS
        ) as cleaning,
    ):
        run, code = Soak(cleaning, setup), 0
        try:
            await run.run()
            faults = await run.faults()
        except asyncio.CancelledError:
            code, faults = INTERRUPTED, ["interrupted: the invariant was not checked"]
        except ExceptionGroup as group:
            known, others = group.split((Stalled, ChildDied))
            if others:
                raise
            faults = [str(error) for error in _leaves(known)]
        report(run, setup, faults, out)
    return code or bool(faults)


def _leaves(error: BaseException | None) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    elif error:
        yield error


def report(run: Soak, setup: Setup, faults: list[str], out: Path) -> None:
    """Print the results and write them to files."""
    grown = run.trend()
    fed_seconds = run.samples[-1].seconds if run.samples else 0
    title = (
        f"{run.settled} pictures settled, fed for {fed_seconds / 60:.1f} min, "
        f"{len(run.rejected)} at fault; {len(run.kills)} kills among {setup.workers - 1} of "
        f"{setup.workers} workers; seed {setup.seed}"
    )
    facts = {
        "command": setup.command,
        "settled": run.settled,
        "seconds": fed_seconds,
        "kills": run.kills,
        "undisturbedP99Seconds": run.witness.p99 if run.witness.undisturbed else None,
        "recoverySeconds": sorted(run.witness.recoveries.values()),
        "freezes": run.freezes,
        "drains": run.drains,
        "weather": run.weather.seen,
        "erased": len(run.erased),
        "lateObjects": run.late_objects,
        "cleanupKills": run.cleanup_kills,
        "faults": faults,
    }
    write_json(out / "soak.json", facts, run.samples, grown)
    if run.samples:
        draw(out / "soak.png", title, run.samples, grown, run.kills)
    print(f"\n{title}")
    if grown:
        print(f"The worker that was not killed, all processes, {SLOTS} slots:\n\n{table(grown)}\n")
        print(f"memory grew to {grown.memory_growth:.2f} and open files to ", end="")
        print(f"{grown.files_growth:.2f} of the reference")
    print(run.witness.summary())
    print(
        f"{len(run.erased)} images erased while cleanup was killed {run.cleanup_kills} times; "
        f"{run.late_objects} objects came late"
    )
    if setup.faults:
        seen = ", ".join(f"{name} {count}x" for name, count in Counter(run.weather.seen).items())
        print(f"{run.freezes} freezes, {run.drains} drains; {seen}")
    print("\n".join([f"{len(faults)} faults", *faults]) if faults else "The invariant holds.")


def main() -> int:
    """Soak; return 0 if all is well, 1 if not, 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="make soak", description="Send pictures through workers while some are killed."
    )
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2, help="the first is never killed")
    parser.add_argument("--kill-seconds", type=float, default=20, help="mean time between kills")
    parser.add_argument(
        "--faults", action="store_true", help="also freeze and drain workers, and let services fail"
    )
    parser.add_argument(
        "--erase", type=float, default=5, help="how many of a hundred pictures are erased"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "soak")
    arguments = parser.parse_args()
    setup = Setup(
        pictures=arguments.pictures,
        workers=arguments.workers,
        seed=arguments.seed,
        kill_seconds=arguments.kill_seconds,
        faults=arguments.faults,
        erase=arguments.erase,
    )
    print(f"replay: {setup.command}", flush=True)
    try:
        return uvloop.run(soak(setup, arguments.out))
    except KeyboardInterrupt:
        print("interrupted before the first picture")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
