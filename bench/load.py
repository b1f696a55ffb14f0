"""Measures the cost of working off a backlog, and how much of it is not rendering.

    python -m bench.load [--pictures 2000] [--workers 1 2 4] [--rounds 5] [--photographs 12]

Real workers and the embedded AWS run as processes on this machine. Compare the ratios: other load
on the machine slows rendering and everything else alike. docs/measured.md defines each
figure.
"""

import argparse
import asyncio
import json
import math
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import uvloop

from bench.fleet import Run, Unsettled, open_fleet
from ops.client import Client
from ops.local.completions import subscribe
from ops.local.emulator import ROOT
from ops.local.system import PRESETS, LocalSystem
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.presets import load_presets

T = TypeVar("T")

SAMPLES = ROOT / "samples"
PHOTOGRAPH = SAMPLES / "flower-7mp-1.6mb.jpg"
LARGE_PHOTOGRAPH = SAMPLES / "camera-10mp-5mb.jpg"
MIX = {
    SAMPLES / "cat-451px.jpg": 80,
    SAMPLES / "astronaut-800px.jpg": 12,
    PHOTOGRAPH: 6,
    LARGE_PHOTOGRAPH: 2,
}
"""Pictures per hundred of the backlog: most are avatars, as where users upload both."""
SEED = 1
RESULTS = ROOT / "build" / "bench" / "load.json"

GOAL_OTHER_SHARE = 0.12
GOAL_OVER_BARE = 1.12
GOAL_PROMPT_SHARE = 0.99
GOAL_ADDED_SECONDS = 0.25
SATURATED = 0.8
"""Share of a core. The emulator has one thread; above this its callers wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The same photographs through a worker and then rendered bare. CPU in seconds per picture."""

    render: float
    parent: float
    """The worker's own process."""
    beside: float
    """Its other processes, without rendering."""
    bare: float
    prompt_share: float
    prompt_share_here: float

    @property
    def other_share(self) -> float:
        """CPU of everything but rendering, divided by that of rendering."""
        return (self.parent + self.beside) / self.render

    @property
    def over_bare(self) -> float:
        """CPU of the whole worker, divided by that of the bare render."""
        return (self.render + self.parent + self.beside) / self.bare


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One photograph, uploaded to an idle system. Times in seconds."""

    seconds: float
    """From the accepted upload to the received completion."""
    worker: float
    """The part from its fetch to its commit."""
    render: float
    """The part spent rendering."""


async def photographs(pool: RenderPool, *, rounds: int, pictures: int, slots: int) -> list[Round]:
    """Work off photographs and render the same ones bare, in turn. The first round is a warm-up."""
    measured = []
    sources = [PHOTOGRAPH] * pictures * (rounds + 1)
    async with open_fleet(sources, workers=1, slots=slots) as fleet:
        for number in range(rounds + 1):
            run = await fleet.work_off(pictures)
            bare = await bare_cpu(pool, PHOTOGRAPH, pictures)
            if number:
                measured.append(
                    Round(
                        render=run.render_cpu / pictures,
                        parent=run.cpu.parents / pictures,
                        beside=(run.cpu.others - run.render_cpu) / pictures,
                        bare=bare / pictures,
                        prompt_share=run.prompt_share,
                        prompt_share_here=run.prompt_share_here,
                    )
                )
    return measured


async def bare_cpu(pool: RenderPool, source: Path, pictures: int) -> float:
    """Render a picture repeatedly in warm processes; return the CPU seconds of the renders alone.

    As many run at once as a worker has slots, and each process measures itself, as in a worker.
    """
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as spool:
        # A child can read only files in the folder of temporary files.
        copy = Path(shutil.copy(source, spool))
        planned = plan(await pool.probe(copy), load_presets(PRESETS))

        async def rendered() -> float:
            with tempfile.TemporaryDirectory(dir=spool) as directory:
                return (await pool.render(planned, copy, Path(directory))).cpu_seconds

        return sum(await asyncio.gather(*(rendered() for _ in range(pictures))))


async def backlog(*, pictures: int, workers: int, slots: int) -> Run:
    """Measure a fleet that works off the mix."""
    sources = [path for path, share in MIX.items() for _ in range(share)]
    sources *= math.ceil(pictures / len(sources))
    random.Random(SEED).shuffle(sources)  # noqa: S311 - an order, not a secret
    async with open_fleet(sources[:pictures], workers=workers, slots=slots) as fleet:
        return await fleet.work_off(pictures)


async def one_at_a_time(pictures: int) -> list[Single]:
    """Upload photographs to an idle system, one after another. The first one is a warm-up."""
    singles = []
    async with (
        LocalSystem() as system,
        subscribe(system.account, system.stack.topic_arn) as completions,
        aiohttp.ClientSession() as http,
    ):
        client = Client(http, system.api_url)
        for number in range(pictures + 1):
            ticket = await client.announce(LARGE_PHOTOGRAPH)
            await client.send(ticket, LARGE_PHOTOGRAPH)
            accepted = time.perf_counter()
            while not (received := await completions.receive()):
                pass
            seconds = time.perf_counter() - accepted
            (completion,) = received
            data = completion["data"]
            if completion["subject"] != ticket.image_id or data["status"] != "completed":
                raise Unsettled(f"not the completion of {ticket.image_id}: {completion}")
            if number:
                render, worker = (data[f"{name}TimeMs"] / 1000 for name in ("render", "processing"))
                singles.append(Single(seconds=seconds, worker=worker, render=render))
    return singles


def photographs_table(rounds: Sequence[Round]) -> str:
    """Format the rounds: medians, and the range over the rounds."""
    rows = {
        "render": _spread(rounds, lambda one: one.render, _milliseconds),
        "everything else": _spread(
            rounds,
            lambda one: one.other_share,
            _percent,
            f"of render; goal: at most {GOAL_OTHER_SHARE:.0%}",
        ),
        "  the worker's own process": _spread(rounds, lambda one: one.parent, _milliseconds),
        "  its others beside rendering": _spread(rounds, lambda one: one.beside, _milliseconds),
        "bare render": _spread(rounds, lambda one: one.bare, _milliseconds),
        "whole worker over bare render": _spread(
            rounds, lambda one: one.over_bare, _times, f"goal: at most {GOAL_OVER_BARE:.2f}x"
        ),
        "event loop late by <= 10 ms": _spread(
            rounds, lambda one: one.prompt_share, _percent, f"goal: {GOAL_PROMPT_SHARE:.0%}"
        ),
        "  an idle program's beside it": _spread(
            rounds, lambda one: one.prompt_share_here, _percent
        ),
    }
    return _lines(rows)


def singles_table(singles: Sequence[Single]) -> str:
    """Format the times of single photographs: medians and ranges."""
    rows = {
        "accepted to completion": _spread(singles, lambda one: one.seconds, _milliseconds),
        "  render": _spread(singles, lambda one: one.render, _milliseconds),
        "  everything else": _spread(
            singles,
            lambda one: one.seconds - one.render,
            _milliseconds,
            f"goal: at most {_milliseconds(GOAL_ADDED_SECONDS)}",
        ),
        "    of that, in the worker": _spread(
            singles, lambda one: one.worker - one.render, _milliseconds
        ),
    }
    return _lines(rows)


def backlog_table(runs: Mapping[int, Run]) -> str:
    """Format the results of each fleet, one column each."""
    columns = [_backlog_column(run) for run in runs.values()]
    rows = {"workers": "".join(f"{workers:>22}" for workers in runs)}
    for name in columns[0]:
        rows[name] = "".join(f"{column[name]:>22}" for column in columns)
    return _lines(rows)


def _backlog_column(run: Run) -> Mapping[str, str]:
    each = 1000 / run.pictures
    emulator = run.cpu.emulator / run.seconds
    others = run.cpu.machine - run.cpu.parents - run.cpu.others - run.cpu.emulator
    return {
        "pictures/s": f"{run.pictures / run.seconds:.1f}",
        "end to end, p50/p90/p99": _quantiles([one.end_to_end for one in run.settled]),
        "work on one, p50/p90/p99": _quantiles([one.work for one in run.settled]),
        "CPU a picture: render": f"{each * run.render_cpu:.1f} ms",
        "  workers' own processes": f"{each * run.cpu.parents:.1f} ms",
        "  theirs beside rendering": f"{each * (run.cpu.others - run.render_cpu):.1f} ms",
        "  everything else/render": f"{run.other_cpu / run.render_cpu:.1%}",
        "  emulator": f"{each * run.cpu.emulator:.1f} ms",
        "emulator": f"{emulator:.0%} of a core" + (" !" if emulator > SATURATED else ""),
        "all other programs here": f"{others / run.seconds:.2f} cores",
    }


def _quantiles(values: Sequence[float]) -> str:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return "/".join(f"{cuts[at - 1]:.2f}" for at in (50, 90, 99)) + " s"


def _spread(
    measured: Sequence[T],
    figure: Callable[[T], float],
    write: Callable[[float], str],
    remark: str = "",
) -> str:
    values = [figure(one) for one in measured]
    low, middle, high = map(write, (min(values), statistics.median(values), max(values)))
    return f"{middle:>10}   ({low} .. {high})   {remark}".rstrip()


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _times(ratio: float) -> str:
    return f"{ratio:.3f}x"


def _lines(rows: Mapping[str, str]) -> str:
    return "\n".join(f"{name:<32}{value}".rstrip() for name, value in rows.items())


async def measure(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """Run every part, printing each at its end; return all figures for the JSON file."""
    cores = len(os.sched_getaffinity(0))
    count, slots = arguments.photographs, arguments.slots or cores
    async with RenderPool(slots=slots) as pool:
        print(f"\n{arguments.rounds} rounds of {count} x {PHOTOGRAPH.name}, {slots} slots\n")
        rounds = await photographs(pool, rounds=arguments.rounds, pictures=count, slots=slots)
        print(photographs_table(rounds))
    print(f"\n{LARGE_PHOTOGRAPH.name}: uploaded to an idle worker, {arguments.single} times\n")
    singles = await one_at_a_time(arguments.single)
    print(singles_table(singles))
    print(f"\nA backlog of {arguments.pictures}, by workers of one slot on {cores} cores\n")
    runs = {}
    for workers in arguments.workers:
        runs[workers] = await backlog(pictures=arguments.pictures, workers=workers, slots=1)
    print(backlog_table(runs))
    return {
        "photographs": [asdict(one) for one in rounds],
        "singles": [asdict(one) for one in singles],
        "backlog": {workers: asdict(run) for workers, run in runs.items()},
    }


def main() -> int:
    """Print the measurements and save them; 1 if a picture was not completed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=2000, help="pictures in each backlog")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2, 4], help="sizes of the fleets"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of photographs")
    parser.add_argument("--photographs", type=int, default=12, help="photographs in each round")
    parser.add_argument("--single", type=int, default=10, help="photographs uploaded one at a time")
    parser.add_argument(
        "--slots", type=int, help="slots of the worker in the rounds; default: one per core"
    )
    arguments = parser.parse_args()
    try:
        measured = uvloop.run(measure(arguments))
    except Unsettled as error:
        print(error, file=sys.stderr)
        return 1
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(measured, indent=1))
    print(f"\nEvery single figure: {RESULTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
