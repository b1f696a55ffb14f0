"""A flood of different results at once, and how long `/healthz` takes meanwhile.

A process of its own looks at the health, so that it is not late with the client that floods:

    python -m bench.flood http://127.0.0.1:8080

prints the seconds of each look until its standard input ends.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

SIDES = range(200, 500)
"""Longest sides of the results that are asked for, each a result of its own."""
LOOK_SECONDS = 0.02
GOAL_SECONDS = 0.1


@dataclass(frozen=True)
class Flood:
    """What became of one. Times in seconds."""

    answers: dict[int, int]
    """HTTP status -> answers."""
    health: list[float]
    """How long each look at `/healthz` took."""

    def __str__(self) -> str:
        """Tell what was seen, beside the goal."""
        ordered = sorted(self.health)
        p50, p99 = (1000 * ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
        told = ", ".join(f"{count} x {status}" for status, count in sorted(self.answers.items()))
        longest, goal = 1000 * ordered[-1], 1000 * GOAL_SECONDS
        return (
            f"/healthz in a flood     p50 {p50:.1f}, p99 {p99:.1f}, longest {longest:.1f} ms "
            f"(goal: {goal:.0f} ms); {told}"
        )


def presets() -> str:
    """Declare a preset of each side."""
    return "\n".join(
        f'[flood-{side}]\nformat = "webp"\nbox = [{side}, {side}]\naccess = "public"\n'
        for side in SIDES
    )


async def flood(http: aiohttp.ClientSession, base: str, images: Sequence[str]) -> Flood:
    """Ask for every side of the images in turn, all at once, and look at the health meanwhile."""

    async def ask(path: str) -> int:
        async with http.get(base + path) as answer:
            await answer.read()
            return answer.status

    watcher = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.flood", base,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if watcher.stdout is None:
        raise AssertionError
    await watcher.stdout.readline()  # the first look: it is there
    paths = [f"/flood-{side}/{images[side % len(images)]}" for side in SIDES]
    answers = Counter(await asyncio.gather(*map(ask, paths)))
    told, _ = await watcher.communicate(b"")
    return Flood(answers=dict(answers), health=[float(line) for line in told.split()])


async def watch(base: str) -> None:
    """Print how long `/healthz` takes, again and again, until standard input ends."""
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        while not ended.done():
            started = time.perf_counter()
            async with http.get(f"{base}/healthz") as answer:
                await answer.read()
            print(time.perf_counter() - started, flush=True)
            await asyncio.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1]))
