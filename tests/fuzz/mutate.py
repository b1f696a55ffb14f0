"""Renders mutated pictures the way the worker does and looks whether anything but pictures is hurt.

    python -m tests.fuzz.mutate [--pictures 100000] [--slots 2] [--seed 1] [--only NUMBER]

Each ends as rendered or as rejected with a reason. Findings are: another outcome; a child that
died; one with more resident memory than it may have, or than was predicted; a probe or a render
that took longer than D + 1 s (D is the time limit of a picture, `Limits.max_seconds`). A finding's
bytes are saved in build/fuzz/mutate/, where report.json has the figures. Exit status 1 if anything
was found.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path

from safelight.errors import Rejection
from safelight.imaging.limits import MIB, Limits
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.presets import Preset
from safelight.wish.wish import Wish
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import seeds

OUT = Path(__file__).parents[2] / "build" / "fuzz" / "mutate"
GRACE_SECONDS = 1
MOST_TOO_LOW = 0.1
"""A prediction may be too low by this part of the memory taken."""
RETAINED_BYTES = 64 * MIB
"""Memory that a child keeps from its earlier pictures, and the modules of this program."""
LIMITS = Limits(accept_svg=True)
PRESETS = (
    Preset(name="full", wish=Wish(format="webp", effort=0)),
    Preset(name="move", wish=Wish(format="webp", effort=0, box=(64, 64), animated=True)),
    Preset(name="fit", wish=Wish(format="jpeg", box=(64, 64), hdr=True, keep=("copyright",))),
    Preset(
        name="cut",
        wish=Wish(format="png", box=(32, 48), fit="cover", gravity="attention", colour="p3"),
    ),
    Preset(name="pad", wish=Wish(format="avif", box=(24, 24), fit="contain")),
)
TELL_EVERY = 2000


@dataclass
class Figures:
    """What was seen, added up."""

    pictures: int = 0
    rendered: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    by_format: dict[str, Counter[str]] = field(default_factory=dict)
    by_mutation: dict[str, Counter[str]] = field(default_factory=dict)
    child_exits: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, object]] = field(default_factory=list)
    longest_seconds: float = 0
    highest_child_bytes: int = 0

    def count(self, sample: str, mutation: str, outcome: str) -> None:
        """Add one picture's outcome."""
        self.pictures += 1
        if outcome == "rendered":
            self.rendered += 1
        else:
            self.rejected[outcome] += 1
        self.by_format.setdefault(sample.split(maxsplit=1)[0], Counter())[outcome] += 1
        self.by_mutation.setdefault(mutation, Counter())[outcome] += 1


class Slot:
    """One pool of one child, so that it is known which picture a child died under."""

    def __init__(self, figures: Figures, directory: Path) -> None:
        self._figures = figures
        self._directory = directory
        self._exits: list[str] = []
        self._seconds: list[float] = []
        self._pool = RenderPool(slots=1, limits=LIMITS, on_child_exit=self._exits.append)

    @contextlib.asynccontextmanager
    async def started(self) -> AsyncIterator["Slot"]:
        """Hold a child for the block."""
        async with self._pool:
            yield self

    async def try_one(self, number: int, seed: int, samples: Mapping[str, bytes]) -> None:
        """Render one mutated picture, count what came of it, save it if that is a finding."""
        sample, mutation, data = mutated(number, seed, samples)
        self._exits.clear()
        self._seconds.clear()
        source = self._directory / "source"
        source.write_bytes(data)
        found: list[str] = []
        try:
            outcome = await self._render(source, found)
        except Rejection as rejection:
            outcome = str(rejection.reason)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            outcome = type(error).__name__
            found.append(f"{outcome}: {error}")
        self._figures.count(sample, mutation, outcome)
        found += self._watched()
        if found:
            name = f"{seed}-{number}"
            (OUT / name).write_bytes(data)
            facts = {"file": name, "sample": sample, "mutation": mutation, "outcome": outcome}
            self._figures.findings.append({**facts, "found": found})

    async def _render(self, source: Path, found: list[str]) -> str:
        with self._timed():
            probe = await self._pool.probe(source)
        made = plan(probe, PRESETS)
        with self._timed():
            rendering = await self._pool.render(made, source, self._directory)
        taken, predicted = rendering.peak_bytes - RETAINED_BYTES, made.predicted_bytes
        if predicted < (1 - MOST_TOO_LOW) * taken:
            found.append(f"took {taken // MIB} MiB, {predicted // MIB} predicted")
        return "rendered"

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds.append(time.monotonic() - started)

    def _watched(self) -> Iterator[str]:
        figures, died = self._figures, [each for each in self._exits if each != "recycle"]
        figures.child_exits.update(self._exits)
        if died:
            yield f"a child died: {', '.join(died)}"
        # A job whose child died is tried again, and a canary is rendered.
        allowed = (1 + len(died)) * (LIMITS.max_seconds + GRACE_SECONDS)
        longest = max(self._seconds)
        figures.longest_seconds = max(figures.longest_seconds, longest)
        if longest > allowed:
            yield f"took {longest:.1f} s"
        highest = max(_peaks_of_children(), default=0)
        figures.highest_child_bytes = max(figures.highest_child_bytes, highest)
        if highest > LIMITS.child_memory_bytes:
            yield f"a child had {highest} bytes"


def _peaks_of_children() -> Iterator[int]:
    """Read each render child's peak of resident memory, which every render resets."""
    server = forkserver._forkserver._forkserver_pid
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{child}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        yield int(line.split()[1]) * 1024


async def run(numbers: Iterator[int], *, seed: int, slots: int) -> Figures:
    """Share the numbers among slots and add up what comes of them."""
    figures, samples = Figures(), seeds()

    async def work() -> None:
        with tempfile.TemporaryDirectory(prefix="safelight-mutate-") as directory:
            async with Slot(figures, Path(directory)).started() as slot:
                for number in numbers:
                    await slot.try_one(number, seed, samples)
                    if figures.pictures % TELL_EVERY == 0:
                        told = dict(figures.rejected.most_common())
                        print(figures.pictures, figures.rendered, told, flush=True)

    OUT.mkdir(parents=True, exist_ok=True)
    await asyncio.gather(*(work() for _ in range(slots)))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="one picture's number, to see it again")
    asked = parser.parse_args()
    numbers = iter(range(asked.pictures)) if asked.only is None else iter([asked.only])
    started = time.monotonic()
    figures = asyncio.run(run(numbers, seed=asked.seed, slots=asked.slots))
    report = {
        **vars(figures),
        "seed": asked.seed,
        "seconds": round(time.monotonic() - started),
        "highest_child_mib": round(figures.highest_child_bytes / MIB),
    }
    (OUT / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    findings = figures.findings
    shown = {name: value for name, value in report.items() if name != "findings"}
    print(json.dumps(shown, indent=1))
    for finding in findings[:20]:
        print(finding)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
