"""Soaks Safelight: mixed pictures by the thousand through workers of which some are killed.

    python -m tools.soak [--pictures 10000] [--workers 2] [--seed N] [--out DIR]

The first worker lives through the whole run: whether Safelight grows is told from it. The others
are killed at random moments and replaced at once, so none of them ever gets old. Exits with 0 only
if the invariant holds, whatever a killed worker held was recovered in time, and neither memory nor
open files grew.
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
from tests.support.faults.corpus import Corpus
from tests.support.faults.footprint import footprint
from tests.support.faults.injector import Source
from tests.support.faults.invariant import faults_of
from tests.support.faults.report import MB, draw, table, write_json
from tests.support.faults.rig import Rig, open_rig
from tests.support.faults.supervisor import Worker
from tests.support.faults.weather import Weather
from tests.support.faults.witness import Witness
from tools.trend import Sample, Trend, trend

SLOTS = 2
VISIBILITY_SECONDS = 6
BACKLOG_PER_WORKER = 8
"""Pictures told and not settled, at most: twice what a worker holds, so that it never waits."""
FAIR_SECONDS = 15
"""Between faults of services, on average."""
SAMPLE_SECONDS = 0.25
PROGRESS_SECONDS = 10
PATIENCE_SECONDS = 120
"""How long nothing may be settled before the run is given up."""
REMEMBERED_CALLS = 1000
INTERRUPTED = 130
"""The exit code that shells give a program that was ended by Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a run is made of."""

    pictures: int
    workers: int
    seed: int
    kill_seconds: float
    """Between kills, on average."""
    faults: bool = False
    """Whether workers are also frozen and told to stop, and services fail."""

    @property
    def command(self) -> str:
        """The command that runs it again."""
        return (
            f'make soak SOAK="--seed {self.seed} --pictures {self.pictures} --workers '
            f'{self.workers} --kill-seconds {self.kill_seconds:g}{" --faults" * self.faults}"'
        )


class Stalled(Exception):
    """Nothing was settled for too long."""


class Soak:
    """One run."""

    def __init__(self, rig: Rig, wanted: Wanted) -> None:
        self.samples: list[Sample] = []
        self.settled = 0
        self.kills: list[float] = []
        """When, in seconds since the start."""
        self.freezes = 0
        self.drains = 0
        self.wrong_exits: list[str] = []
        self.rejected: dict[str, str] = {}
        self.weather = Weather(rig.proxy, random.Random(wanted.seed), fair_seconds=FAIR_SECONDS)
        self.witness = Witness()
        rig.proxy.watch(self.witness.see)
        self._rig = rig
        self._wanted = wanted
        self._corpus = Corpus(random.Random(wanted.seed))
        self._unsettled: dict[str, Source] = {}
        self._settled_at = self._started = time.monotonic()

    async def run(self) -> None:
        """Start the workers, feed them, kill some, and wait until everything is settled."""
        self.veteran, *self._mortals = await self._rig.fleet(
            self._wanted.workers, **self._settings()
        )
        self._settled_at = self._started = time.monotonic()
        weather = [self.weather.change_forever()] if self._wanted.faults else []
        async with background(self._listen(), self._tell(), self._watch()):
            async with background(self._sample(), self._disturb(), *weather):
                await self._feed()
            while self._unsettled:
                await asyncio.sleep(0.05)
        await self._rig.until_empty()

    @property
    def seconds(self) -> float:
        """Since the first picture was told."""
        return time.monotonic() - self._started

    def _settings(self) -> dict[str, str]:
        return {"SLOTS": str(SLOTS), "VISIBILITY_SECONDS": str(VISIBILITY_SECONDS)}

    async def _feed(self) -> None:
        """Upload as the workers settle, so that there is always something to do."""
        for _ in range(self._wanted.pictures):
            while len(self._unsettled) >= BACKLOG_PER_WORKER * self._wanted.workers:
                await asyncio.sleep(0.02)
            upload = self._corpus.next()
            source = await self._rig.injector.put(upload.body)
            self._unsettled[source.image_id] = source
            if upload.reason:
                self.rejected[source.image_id] = upload.reason
            await self._rig.injector.tell(source)

    async def _listen(self) -> None:
        """Hear what is settled, and remove its source: whoever still worked on it would notice."""
        while True:
            for completion in await self._rig.hear_some():
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
        """Kill workers, one as soon as a picture is settled; with faults, also freeze or drain."""
        ways = (self._kill, self._freeze, self._drain) if self._wanted.faults else (self._kill,)
        while not self.settled:
            await asyncio.sleep(0.02)
        while self._mortals:
            await self._rig.random.choice(ways)()
            await asyncio.sleep(self._rig.random.expovariate(1 / self._wanted.kill_seconds))

    async def _kill(self) -> None:
        worker = self._take_mortal()
        self.kills.append(self.seconds)
        self.witness.killed(worker.name)
        worker.kill()
        await self._replace()

    async def _freeze(self) -> None:
        """Freeze any worker for so long that it may lose its leases."""
        worker = self._rig.random.choice([self.veteran, *self._mortals])
        self.freezes += 1
        worker.freeze()
        try:
            await asyncio.sleep(self._rig.random.uniform(0.5, 1.5) * VISIBILITY_SECONDS)
        finally:
            worker.thaw()

    async def _drain(self) -> None:
        """Tell a worker to stop, and wait for it."""
        worker = self._take_mortal()
        self.drains += 1
        worker.terminate()
        if code := await worker.wait(seconds=PATIENCE_SECONDS):
            self.wrong_exits.append(f"{worker.name} was told to stop and exited with {code}")
        await self._replace()

    def _take_mortal(self) -> Worker:
        return self._mortals.pop(self._rig.random.randrange(len(self._mortals)))

    async def _replace(self) -> None:
        self._mortals.append(await self._rig.worker(**self._settings()))

    async def _watch(self) -> None:
        """Give up once a worker ends that nobody killed, or nothing goes on."""
        while True:
            for worker in (self.veteran, *self._mortals):
                worker.check()
            if time.monotonic() - self._settled_at > PATIENCE_SECONDS:
                raise Stalled(f"nothing was settled for {PATIENCE_SECONDS} s")
            await asyncio.sleep(1)

    async def _tell(self) -> None:
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
        """List what is wrong, of the world and of the worker that lived through it."""
        told = self._rig.injector.told
        faults = faults_of(await self._rig.world(), told, rejected=self.rejected)
        grown = self.trend()
        late = [] if self._wanted.faults else self.witness.late(VISIBILITY_SECONDS)
        return [
            *faults,
            *self.wrong_exits,
            *late,  # while a service is down, nothing is recovered in time
            *(grown.faults() if grown else ["too few pictures to tell whether anything grew"]),
        ]

    def trend(self) -> Trend | None:
        """Tell what the worker that lived through it took."""
        return trend(self.samples, pictures=self._wanted.pictures)


async def soak(wanted: Wanted, out: Path) -> int:
    """Run it in a system of its own and report, whatever ends it; the exit code."""
    logs = out / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    async with (
        Emulator(directory=logs) as emulator,
        open_rig(
            emulator, logs, name="soak", seed=wanted.seed, remembered_calls=REMEMBERED_CALLS
        ) as rig,
    ):
        run, code = Soak(rig, wanted), 0
        try:
            await run.run()
            faults = await run.faults()
        except asyncio.CancelledError:
            code, faults = INTERRUPTED, ["it was interrupted: the invariant was not read"]
        except ExceptionGroup as group:
            known, others = group.split((Stalled, ChildDied))
            if others:
                raise
            faults = [str(error) for error in _leaves(known)]
        report(run, wanted, faults, out)
    return code or bool(faults)


def _leaves(error: BaseException | None) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    elif error:
        yield error


def report(run: Soak, wanted: Wanted, faults: list[str], out: Path) -> None:
    """Print and write what was seen."""
    grown = run.trend()
    fed_seconds = run.samples[-1].seconds if run.samples else 0
    title = (
        f"{run.settled} pictures settled, fed for {fed_seconds / 60:.1f} min, "
        f"{len(run.rejected)} at fault; {len(run.kills)} kills among {wanted.workers - 1} of "
        f"{wanted.workers} workers; seed {wanted.seed}"
    )
    facts = {
        "command": wanted.command,
        "settled": run.settled,
        "seconds": fed_seconds,
        "kills": run.kills,
        "undisturbedP99Seconds": run.witness.p99 if run.witness.undisturbed else None,
        "recoverySeconds": sorted(run.witness.recoveries.values()),
        "freezes": run.freezes,
        "drains": run.drains,
        "weather": run.weather.seen,
        "faults": faults,
    }
    write_json(out / "soak.json", facts, run.samples, grown)
    if run.samples:
        draw(out / "soak.png", title, run.samples, grown, run.kills)
    print(f"\n{title}")
    if grown:
        print(
            f"Of the worker that nobody killed, all processes, {SLOTS} slots:\n\n{table(grown)}\n"
        )
        print(f"memory grew to {grown.memory_growth:.2f} and open files to ", end="")
        print(f"{grown.files_growth:.2f} of the reference")
    print(run.witness.summary())
    if wanted.faults:
        seen = ", ".join(f"{name} {count}x" for name, count in Counter(run.weather.seen).items())
        print(f"{run.freezes} freezes, {run.drains} drains; {seen}")
    print("\n".join([f"{len(faults)} faults", *faults]) if faults else "The invariant holds.")


def main() -> int:
    """Soak; 0 if all was well, 1 if not, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog="make soak", description="Soak Safelight.")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2, help="the first is never killed")
    parser.add_argument("--kill-seconds", type=float, default=20, help="between kills, on average")
    parser.add_argument(
        "--faults", action="store_true", help="freeze and drain workers too, and let services fail"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "soak")
    arguments = parser.parse_args()
    wanted = Wanted(
        pictures=arguments.pictures,
        workers=arguments.workers,
        seed=arguments.seed,
        kill_seconds=arguments.kill_seconds,
        faults=arguments.faults,
    )
    print(f"replay: {wanted.command}", flush=True)
    try:
        return uvloop.run(soak(wanted, arguments.out))
    except KeyboardInterrupt:
        print("interrupted before the first picture")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
