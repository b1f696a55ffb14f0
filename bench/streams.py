"""Measures `POST /v1/uploads` beside idle streams: two real APIs, each with its embedded AWS.

    python -m bench.streams [--streams 2000] [--rate 40] [--seconds 20] [--rounds 5]

One of the APIs has streams of pending images open. Requests go to both in turn, so that other load
on the machine affects both alike. The ratio of their latencies is what the streams cost.
"""

import argparse
import asyncio
import re
import statistics
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import uvloop

from bench.api import REQUEST, TIMEOUT_SECONDS, Measured, request
from ops.local.system import LocalSystem

IMAGES = 100
"""The number of pending images that the streams follow."""
OPENED_AT_ONCE = 20
QUIET_SECONDS = 20
"""How long streams are open before the measurement: they read often in their first 10 s."""


@dataclass
class Figures:
    """Results of one API. Times in seconds, sizes in bytes."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    errors: int = 0
    cpu_cores: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    """Reads of the table a second."""


class Api:
    """One API, its metrics and its figures."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.figures = Figures()

    async def metric(self, pattern: str) -> float:
        """Read one sample of the metrics."""
        async with self.http.get("/metrics") as answer:
            found = re.search(rf"^{pattern} (\S+)", await answer.text(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def memory(self) -> float:
        """Read the resident memory of the process."""
        return await self.metric("process_resident_memory_bytes")

    async def reads(self) -> float:
        """Read how many records were read so far."""
        labels = r'\{dependency="dynamodb",operation="GetItem"\}'
        return await self.metric(f"safelight_dependency_request_seconds_count{labels}")

    async def cpu(self) -> float:
        """Read the CPU seconds that the process has used."""
        return await self.metric("process_cpu_seconds_total")


async def follow(api: Api, image_id: str, opened: asyncio.Semaphore) -> None:
    """Open a stream and read it for ever."""
    async with opened:
        answer = await api.http.get(f"/v1/images/{image_id}/events")
        answer.raise_for_status()
        await answer.content.readline()
    async for _ in answer.content:
        pass


async def announce(api: Api) -> str:
    """Request an upload that never comes; return the id of the pending image."""
    async with api.http.post("/v1/uploads", json=REQUEST) as answer:
        return str((await answer.json())["imageId"])


async def all_open(api: Api, streams: int) -> None:
    """Wait until the API has this many streams."""
    while await api.metric(r'safelight_watches\{kind="image"\}') < streams:  # noqa: ASYNC110 - another process
        await asyncio.sleep(1)


async def refused_stream(api: Api, image_id: str) -> tuple[int, str]:
    """Ask for one stream more than there is room for; return status and Retry-After."""
    async with api.http.get(f"/v1/images/{image_id}/events") as answer:
        return answer.status, answer.headers.get("Retry-After", "")


async def measured_round(apis: list[Api], *, rate: float, seconds: float, first: int) -> None:
    """Send requests at this rate, to the APIs in turn."""
    results = [Measured(rate=rate) for _ in apis]
    before = [(await api.cpu(), await api.reads()) for api in apis]
    started = time.perf_counter()
    async with asyncio.TaskGroup() as requests:
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
            turn = (number + first) % len(apis)
            requests.create_task(request(apis[turn].http, due=due, measured=results[turn]))
    for api, result, (cpu, reads) in zip(apis, results, before, strict=True):
        elapsed = time.perf_counter() - started
        cuts = statistics.quantiles(result.latencies, n=100)
        api.figures.p50.append(cuts[49])
        api.figures.p99.append(cuts[98])
        api.figures.errors += sum(result.errors.values())
        api.figures.cpu_cores.append((await api.cpu() - cpu) / elapsed)
        api.figures.reads.append((await api.reads() - reads) / elapsed)


async def measure(*, streams: int, rate: float, seconds: float, rounds: int) -> bool:
    """Start both systems, open the streams, measure, and print; False if anything failed."""
    room = {"SAFELIGHT_WATCHES": str(streams), "SAFELIGHT_WATCHES_PER_USER": str(streams + 1)}
    async with AsyncExitStack() as opened:
        apis = []
        for _ in range(2):
            system = await opened.enter_async_context(LocalSystem(workers=0, api_settings=room))
            http = aiohttp.ClientSession(
                system.api_url,
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_SECONDS),
            )
            apis.append(Api(await opened.enter_async_context(http)))
        streaming, _ = apis
        images = [await announce(streaming) for _ in range(IMAGES)]
        memory = await streaming.memory()
        gate = asyncio.Semaphore(OPENED_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            followers = [
                group.create_task(follow(streaming, images[number % IMAGES], gate))
                for number in range(streams)
            ]
            await all_open(streaming, streams)
            await asyncio.sleep(QUIET_SECONDS)
            refused = await refused_stream(streaming, images[0])
            for number in range(rounds):
                await measured_round(apis, rate=rate, seconds=seconds, first=number)
            memory = await streaming.memory() - memory
            for follower in followers:
                follower.cancel()
    print(table(apis, streams=streams, memory=memory, refused=refused))
    return refused == (503, "10") and not any(api.figures.errors for api in apis)


def table(apis: list[Api], *, streams: int, memory: float, refused: tuple[int, str]) -> str:
    """Format the figures for print."""
    with_streams, without = (api.figures for api in apis)
    rows = {
        "p50 of POST, with and without": _compared(with_streams.p50, without.p50),
        "p99 of POST, with and without": _compared(with_streams.p99, without.p99),
        "CPU of the API, in cores": f"{statistics.median(with_streams.cpu_cores):.2f} and "
        f"{statistics.median(without.cpu_cores):.2f}",
        "reads of the table": f"{statistics.median(with_streams.reads):.0f} a second",
        "memory": f"{memory / 2**20:.0f} MiB more for {streams} streams, "
        f"{memory / streams / 1024:.1f} KiB each",
        "one stream more": f"HTTP {refused[0]}, Retry-After {refused[1]}",
        "errors": f"{with_streams.errors} and {without.errors}",
    }
    return "\n".join(f"{name:<32}{value}" for name, value in rows.items())


def _compared(some: list[float], others: list[float]) -> str:
    ratios = [one / other for one, other in zip(some, others, strict=True)]
    return (
        f"{1000 * statistics.median(some):.1f} ms and {1000 * statistics.median(others):.1f} ms: "
        f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def main() -> int:
    """Print the figures; 1 if any request failed, or one stream too many was not refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=2000, help="streams that are open")
    parser.add_argument("--rate", type=float, default=40, help="requests a second, to both APIs")
    parser.add_argument("--seconds", type=float, default=20, help="duration of a round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    passed = uvloop.run(
        measure(streams=given.streams, rate=given.rate, seconds=given.seconds, rounds=given.rounds)
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
