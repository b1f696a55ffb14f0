"""Requests many different results at once, and measures how long `/healthz` takes meanwhile.

A process of its own requests `/healthz`, so that the flooding client does not delay it:

    python -m bench.flood http://127.0.0.1:8080

prints the seconds of each request until its standard input ends.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

SIDES = range(200, 500)
"""Longest sides of the requested results in pixels; each is a result of its own."""
LOOK_SECONDS = 0.02
GOAL_SECONDS = 0.1


@dataclass(frozen=True)
class Flood:
    """Results of one flood. Times in seconds."""

    answers: dict[int, int]
    """Number of answers by HTTP status."""
    health: list[float]
    """Latency of each request for `/healthz`."""

    def __str__(self) -> str:
        """Print the results beside the goal."""
        ordered = sorted(self.health)
        p50, p99 = (1000 * ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
        answers = ", ".join(f"{count} x {status}" for status, count in sorted(self.answers.items()))
        longest, goal = 1000 * ordered[-1], 1000 * GOAL_SECONDS
        return (
            f"/healthz in a flood     p50 {p50:.1f}, p99 {p99:.1f}, longest {longest:.1f} ms "
            f"(goal: {goal:.0f} ms); {answers}"
        )


def presets() -> str:
    """Declare a preset for each side."""
    return "\n".join(
        f'[flood-{side}]\nformat = "webp"\nbox = [{side}, {side}]\naccess = "public"\n'
        for side in SIDES
    )


async def flood(http: aiohttp.ClientSession, base: str, images: Sequence[str]) -> Flood:
    """Request every side of the images in turn, all at once, and `/healthz` meanwhile."""

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
    await watcher.stdout.readline()  # the first answer: it is running
    paths = [f"/flood-{side}/{images[side % len(images)]}" for side in SIDES]
    answers = Counter(await asyncio.gather(*map(ask, paths)))
    printed, _ = await watcher.communicate(b"")
    return Flood(answers=dict(answers), health=[float(line) for line in printed.split()])


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
