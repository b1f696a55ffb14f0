"""Compares delivery with thumbor: the same pictures at 512 px as JPEG, WebP and AVIF.

    python -m bench.delivery [--sizes 4] [--seconds 6]

Both run as processes on this machine. Safelight fetches sources from the embedded S3 and stores
results there; thumbor reads and writes files, which is to its advantage. CPU is user and system
time of all serving processes. The embedded AWS represents AWS and is not counted. Misses alternate
between the two, so other load on the machine slows both: compare the ratios, not the times. A flood
(`bench.flood`) comes last. Prints a table and writes build/bench/delivery.json.
"""

import argparse
import asyncio
import io
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp
import uvloop
from PIL import Image, ImageOps

from bench import flood
from bench.flood import Flood
from ops.client import Client
from ops.local.accounting import cpu_seconds_with_reaped, family_of, resident_bytes
from ops.local.emulator import ROOT
from ops.local.processes import Child
from ops.local.system import LocalSystem

SAMPLES = sorted((ROOT / "samples").glob("*.jpg"))
FORMATS = {"jpeg": 85, "webp": 80, "avif": 60}
"""Quality by format, the same for both."""
LONGEST = 512
CONCURRENCY = {"misses": 2, "hits": 16}
HALF, ROUNDS = "stored hit at half load", 7
"""Rounds at half load; the two servers take turns."""
RESULTS = ROOT / "build" / "bench" / "delivery.json"
THUMBOR = ROOT / ".venv-bench" / "bin" / "thumbor"
SCORER = ROOT / ".venv-bench" / "bin" / "python"
GOAL_MISSES, GOAL_HITS, GOAL_P99_SECONDS = 1.5, 10, 0.020


@dataclass
class Load:
    """Measurements of one kind of request. Times in seconds; CPU of all serving processes."""

    requests: int = 0
    seconds: float = 0
    cpu_seconds: float = 0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    p99s: list[float] = field(default_factory=list)
    """The 99th percentile of each round of an open loop."""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def cpu_each(self) -> float:
        """CPU seconds per request."""
        return self.cpu_seconds / self.requests

    def quantile(self, share: float, *, since: int = 0) -> float:
        """Find the latency that this share of requests, from number `since` on, did not exceed."""
        ordered = sorted(self.latencies[since:])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Contender:
    """One of the two servers with its measurements."""

    name: str
    pid: int
    base: str
    path: Callable[[Path, str, int], str]
    """Makes the path of a URL from photograph, format and longest side."""
    loads: dict[str, Load] = field(default_factory=dict)
    bytes_of: dict[str, int] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    resident_mib: float = 0

    def cpu(self) -> float:
        """Read the CPU seconds that its processes have used so far."""
        return cpu_seconds_with_reaped(family_of(self.pid))

    def url(self, photograph: Path, format: str, longest: int) -> str:
        """Make the URL of one result."""
        return self.base + self.path(photograph, format, longest)


Ask = Callable[[str], Awaitable[int]]


async def closed_loop(
    contender: Contender, kind: str, urls: Sequence[str], ask: Ask, *, seconds: float | None = None
) -> None:
    """Send a request as soon as the last is answered: each URL once, or in turn for `seconds`."""
    load = contender.loads.setdefault(kind, Load())
    cpu, started = contender.cpu(), time.perf_counter()
    pending = iter(urls)

    async def client(offset: int) -> None:
        number = offset
        while True:
            if seconds is None:
                url = next(pending, None)
                if url is None:
                    return
            elif time.perf_counter() - started > seconds:
                return
            else:
                url = urls[number % len(urls)]
                number += 1
            begun = time.perf_counter()
            _count(load, await ask(url), time.perf_counter() - begun)

    clients = CONCURRENCY["misses" if seconds is None else "hits"]
    await asyncio.gather(*(client(offset) for offset in range(clients)))
    load.seconds += time.perf_counter() - started
    load.cpu_seconds += contender.cpu() - cpu


async def open_loop(
    contender: Contender, kind: str, urls: Sequence[str], ask: Ask, *, rate: float, seconds: float
) -> None:
    """Send each request when it is due, whatever the earlier ones do; latency counts from then."""
    load = contender.loads.setdefault(kind, Load())
    before = load.requests
    cpu, started = contender.cpu(), time.perf_counter()

    async def one(url: str, due: float) -> None:
        _count(load, await ask(url), time.perf_counter() - due)

    async with asyncio.TaskGroup() as asking:
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
            asking.create_task(one(urls[number % len(urls)], due))
    load.seconds += time.perf_counter() - started
    load.cpu_seconds += contender.cpu() - cpu
    load.p99s.append(load.quantile(0.99, since=before))


def _count(load: Load, status: int, latency: float) -> None:
    load.requests += 1
    load.latencies.append(latency)
    load.statuses[status] = load.statuses.get(status, 0) + 1


async def measure(
    contenders: Sequence[Contender], http: aiohttp.ClientSession, *, sizes: int, seconds: float
) -> None:
    """Measure misses first, the servers in turn; then stored hits, and 304s."""

    async def ask(url: str) -> int:
        async with http.get(url) as answer:
            await answer.read()
            return answer.status

    for longest in range(LONGEST, LONGEST - sizes, -1):
        for format in FORMATS:
            for contender in contenders:
                urls = [contender.url(photograph, format, longest) for photograph in SAMPLES]
                await closed_loop(contender, f"miss {format}", urls, ask)
    for contender in contenders:
        contender.resident_mib = sum(map(resident_bytes, family_of(contender.pid))) / 1024**2
        urls = [contender.url(one, format, LONGEST) for one in SAMPLES for format in FORMATS]
        await closed_loop(contender, "stored hit", urls, ask, seconds=seconds)
        tags = {url: await _tag(http, url) for url in urls}

        async def ask_again(url: str, tags: Mapping[str, str] = tags) -> int:
            async with http.get(url, headers={"If-None-Match": tags[url]}) as answer:
                await answer.read()
                return answer.status

        await closed_loop(contender, "304", urls, ask_again, seconds=seconds)
    for _ in range(ROUNDS):
        for contender in contenders:
            urls = [contender.url(one, format, LONGEST) for one in SAMPLES for format in FORMATS]
            half = contender.loads["stored hit"].rate / 2
            await open_loop(contender, HALF, urls, ask, rate=half, seconds=seconds / 2)


async def _tag(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(url) as answer:
        return answer.headers.get("ETag", '"none"')


async def compare_quality(contenders: Sequence[Contender], http: aiohttp.ClientSession) -> None:
    """Score every 512 px result against the source scaled by Lanczos to the result's own size."""
    with tempfile.TemporaryDirectory() as work:
        for contender in contenders:
            for format in FORMATS:
                scores = []
                contender.bytes_of[format] = 0
                for photograph in SAMPLES:
                    async with http.get(contender.url(photograph, format, LONGEST)) as answer:
                        body = await answer.read()
                    contender.bytes_of[format] += len(body)
                    scores.append(await asyncio.to_thread(_score, photograph, body, Path(work)))
                contender.scores[format] = statistics.mean(scores)


def _score(photograph: Path, body: bytes, work: Path) -> float:
    with Image.open(io.BytesIO(body)) as result:
        made = result.convert("RGB")
    with Image.open(photograph) as source:
        upright = ImageOps.exif_transpose(source).convert("RGB")
    made.save(work / "made.png")
    upright.resize(made.size, Image.Resampling.LANCZOS).save(work / "wanted.png")
    command = [SCORER, ROOT / "bench" / "score.py", work / "wanted.png", work / "made.png"]
    printed = subprocess.run(command, check=True, capture_output=True).stdout
    return float(json.loads(printed)[0])


def presets(sizes: int) -> str:
    """Declare each format and size as a preset of its own."""
    return "\n".join(
        f'[{format}-{longest}]\nformat = "{format}"\nquality = {quality}\n'
        f'box = [{longest}, {longest}]\naccess = "public"\n'
        for format, quality in FORMATS.items()
        for longest in range(LONGEST, LONGEST - sizes - 1, -1)
    )


def thumbor_conf(results: Path) -> str:
    """Configure thumbor for the same job: it stores results and applies the orientation."""
    return f"""
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {str(ROOT / "samples")!r}
STORAGE = "thumbor.storages.no_storage"
RESULT_STORAGE = "thumbor.result_storages.file_storage"
RESULT_STORAGE_FILE_STORAGE_ROOT_PATH = {str(results)!r}
RESULT_STORAGE_STORES_UNSAFE = True
ALLOW_UNSAFE_URL = True
RESPECT_ORIENTATION = True
QUALITY = {FORMATS["jpeg"]}
"""


async def start_thumbor(directory: Path, http: aiohttp.ClientSession) -> tuple[Child, str]:
    """Start thumbor as installed, in one process; return it with its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = directory / "thumbor.conf"
    conf.write_text(thumbor_conf(directory / "results"))
    command: list[str | Path] = [THUMBOR, "--ip", "127.0.0.1", "--port", str(port), "--conf", conf]
    child = Child("thumbor", command, environment={}, log=directory / "thumbor.log")
    base = f"http://127.0.0.1:{port}"
    while True:
        try:
            async with http.get(f"{base}/healthcheck"):
                return child, base
        except aiohttp.ClientError:
            child.check()
            await asyncio.sleep(0.2)


async def run(*, sizes: int, seconds: float) -> tuple[list[Contender], Flood]:
    """Start both, upload, measure, stop both."""
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as folder:
        directory = Path(folder)
        (directory / "eager.toml").write_text('[tiny]\nformat = "jpeg"\nbox = [16, 16]\n')
        (directory / "presets.toml").write_text(presets(sizes) + flood.presets())
        settings = {"SAFELIGHT_PRESETS": str(directory / "presets.toml"), "SAFELIGHT_SLOTS": "2"}
        async with (
            LocalSystem(
                delivers=True, presets=directory / "eager.toml", delivery_settings=settings
            ) as system,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        ):
            images = await upload(http, system.api_url)
            child, base = await start_thumbor(directory, http)
            try:
                contenders = [
                    Contender(
                        "safelight",
                        system.delivery.pid,
                        system.delivery_url,
                        lambda one, format, longest: f"/{format}-{longest}/{images[one]}",
                    ),
                    Contender(
                        "thumbor",
                        child.pid,
                        base,
                        lambda one, format, longest: (
                            f"/unsafe/fit-in/{longest}x{longest}/"
                            f"filters:format({format}):quality({FORMATS[format]})/{one.name}"
                        ),
                    ),
                ]
                await warm_up(contenders, http, longest=LONGEST - sizes)
                await measure(contenders, http, sizes=sizes, seconds=seconds)
                await compare_quality(contenders, http)
            finally:
                await child.stop(seconds=5)
            flooded = await flood.flood(http, system.delivery_url, list(images.values()))
    return contenders, flooded


async def warm_up(
    contenders: Sequence[Contender], http: aiohttp.ClientSession, *, longest: int
) -> None:
    """Request a size that is not measured, so that both have loaded all their code."""
    for contender in contenders:
        for format in FORMATS:
            async with http.get(contender.url(SAMPLES[0], format, longest)) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"{contender.name}: {await answer.text()}")


async def upload(http: aiohttp.ClientSession, api_url: str) -> dict[Path, str]:
    """Upload every sample and wait until it is settled; return image ids by photograph."""
    client = Client(http, api_url)
    images = {}
    for photograph in SAMPLES:
        ticket = await client.announce(photograph)
        await client.send(ticket, photograph)
        images[photograph] = ticket.image_id
    for image_id in images.values():
        while (await client.image(image_id))["status"] == "pending":  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.2)
    return images


def table(contenders: Sequence[Contender]) -> str:
    """Format the measurements, and the ratios that have goals."""
    lines = [f"{'':26}" + "".join(f"{one.name:>14}" for one in contenders) + f"{'ratio':>10}"]

    def row(name: str, values: Sequence[float], form: str, ratio: float | None = None) -> None:
        shown = "".join(f"{format(value, form):>14}" for value in values)
        lines.append(f"{name:26}{shown}" + (f"{ratio:>9.2f}x" if ratio else ""))

    ours, theirs = contenders
    for kind in ours.loads:
        pair = [one.loads[kind] for one in contenders]
        row(f"{kind}: CPU ms each", [1000 * one.cpu_each for one in pair], ".2f",
            pair[1].cpu_each / pair[0].cpu_each)  # fmt: skip
        row("  requests/s", [one.rate for one in pair], ".1f", pair[0].rate / pair[1].rate)
        row("  p50 ms", [1000 * one.quantile(0.5) for one in pair], ".1f")
        row("  p99 ms", [1000 * one.quantile(0.99) for one in pair], ".1f")
    for format_ in FORMATS:
        row(f"{format_}: SSIMULACRA2", [one.scores[format_] for one in contenders], ".1f")
        row("  bytes", [one.bytes_of[format_] for one in contenders], "d",
            ours.bytes_of[format_] / theirs.bytes_of[format_])  # fmt: skip
    row("resident MiB", [one.resident_mib for one in contenders], ".0f")
    return "\n".join([*lines, "", *goals(ours, theirs)])


def goals(ours: Contender, theirs: Contender) -> list[str]:
    """Compare the ratios with their goals."""
    misses = [kind for kind in ours.loads if kind.startswith("miss")]

    def per_cpu_second(one: Contender) -> float:
        loads = [one.loads[kind] for kind in misses]
        return sum(load.requests for load in loads) / sum(load.cpu_seconds for load in loads)

    hits, half = ours.loads["stored hit"], ours.loads[HALF]
    missed = [ours.loads[kind] for kind in misses]
    miss_rate = sum(load.requests for load in missed) / sum(load.seconds for load in missed)
    ratio, times = per_cpu_second(ours) / per_cpu_second(theirs), hits.rate / miss_rate
    p99, least, most = (1000 * of(half.p99s) for of in (statistics.median, min, max))
    goal = 1000 * GOAL_P99_SECONDS
    return [
        f"misses per CPU second   {ratio:.2f}x thumbor's (goal: {GOAL_MISSES}x)",
        f"stored hits             {times:.1f}x as fast as misses (goal: {GOAL_HITS}x)",
        f"p99 at half load        {p99:.1f} ms ({least:.1f} to {most:.1f}; goal: {goal:.0f} ms)",
    ]


def main() -> int:
    """Print the table; 1 if any request failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, default=4, help="sizes of each format, from 512 down")
    parser.add_argument("--seconds", type=float, default=6, help="how long each load lasts")
    arguments = parser.parse_args()
    contenders, flooded = uvloop.run(run(sizes=arguments.sizes, seconds=arguments.seconds))
    print(table(contenders))
    print(flooded)
    measured = [*(asdict(one) | {"path": None} for one in contenders), asdict(flooded)]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(measured, indent=2))
    bad = {status for one in contenders for load in one.loads.values() for status in load.statuses}
    return 1 if bad - {200, 304} else 0


if __name__ == "__main__":
    sys.exit(main())
