"""Measures `POST /v1/uploads` at a fixed rate: real api, embedded AWS, both as processes.

    python -m bench.api [--rate 200] [--seconds 10]

Open loop: requests start when they are due, whether earlier ones are answered or not, and latency
counts from when a request was due. So a slow answer cannot hide the requests behind it.
"""

import argparse
import asyncio
import re
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import uvloop

from ops.local.system import LocalSystem

WARM_UP_SECONDS = 2
GOAL_P99_SECONDS = 0.025
TIMEOUT_SECONDS = 10
REQUEST = {"filename": "photo.jpg", "contentType": "image/jpeg", "size": 5_000_000}


@dataclass
class Measured:
    """Results of one run. Times in seconds."""

    rate: float
    latencies: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    """How late this program sent each request: latency that the api did not cause."""
    errors: Counter[str] = field(default_factory=Counter)
    elapsed: float = 0
    api_cpu: float = 0


async def run(api_url: str, *, rate: float, seconds: float) -> Measured:
    """Send requests at this rate for this many seconds."""
    measured = Measured(rate=rate)
    limits = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(api_url, connector=limits, timeout=timeout) as http:
        cpu = await api_cpu(http)
        started = time.perf_counter()
        async with asyncio.TaskGroup() as requests:
            for number in range(int(rate * seconds)):
                due = started + number / rate
                await asyncio.sleep(max(0, due - time.perf_counter()))
                requests.create_task(request(http, due=due, measured=measured))
        measured.elapsed = time.perf_counter() - started
        measured.api_cpu = await api_cpu(http) - cpu
    return measured


async def request(http: aiohttp.ClientSession, *, due: float, measured: Measured) -> None:
    """Request one upload URL."""
    measured.lateness.append(time.perf_counter() - due)
    try:
        async with http.post("/v1/uploads", json=REQUEST) as answer:
            await answer.read()
            if answer.status != 201:
                measured.errors[f"HTTP {answer.status}"] += 1
    except (aiohttp.ClientError, TimeoutError) as error:
        measured.errors[type(error).__name__] += 1
    measured.latencies.append(time.perf_counter() - due)


async def api_cpu(http: aiohttp.ClientSession) -> float:
    """Read the CPU seconds that the api has used."""
    async with http.get("/metrics") as answer:
        text = await answer.text()
    found = re.search(r"^process_cpu_seconds_total (\S+)", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def table(measured: Measured) -> str:
    """Format the measurements for print."""
    cuts = statistics.quantiles(measured.latencies, n=1000)
    count = len(measured.latencies)
    rows = {
        "requests": f"{count}, {sum(measured.errors.values())} errors {dict(measured.errors)}",
        "rate": f"{count / measured.elapsed:.1f}/s, {measured.rate:g}/s requested",
        "p50": _milliseconds(cuts[499]),
        "p90": _milliseconds(cuts[899]),
        "p99": f"{_milliseconds(cuts[989])} (goal: {_milliseconds(GOAL_P99_SECONDS)})",
        "max": _milliseconds(max(measured.latencies)),
        "of that, sent late": f"p99 {_milliseconds(_p99(measured.lateness))}",
        "api CPU": f"{_milliseconds(measured.api_cpu / count)} per request, "
        f"{measured.api_cpu / measured.elapsed:.0%} of a core",
    }
    return "\n".join(f"{name:<28}{value}" for name, value in rows.items())


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


async def measure(*, rate: float, seconds: float) -> Measured:
    """Start everything, warm up, measure, stop everything."""
    async with LocalSystem(workers=0) as system:
        await run(system.api_url, rate=rate / 2, seconds=WARM_UP_SECONDS)
        return await run(system.api_url, rate=rate, seconds=seconds)


def main() -> int:
    """Print the measurements; 1 if any request failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10, help="duration of the measurement")
    arguments = parser.parse_args()
    measured = uvloop.run(measure(rate=arguments.rate, seconds=arguments.seconds))
    print(table(measured))
    return 1 if measured.errors else 0


if __name__ == "__main__":
    sys.exit(main())
