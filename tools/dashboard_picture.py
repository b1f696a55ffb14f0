"""Draws docs/operate/dashboard.svg: the flow page over a few minutes, from a live Prometheus.

A Safelight on this machine receives the photographs of samples/ in three waves of growing size. Run
by `make dashboard-picture`, which needs Debian's prometheus.
"""

import argparse
import asyncio
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import aiohttp

from ops.chart import Panel, Point, time_series
from ops.local.system import LocalSystem
from tests.support import programs
from tests.support.declared import ROOT, rules
from tests.support.person import Person
from tests.support.prometheus import Prometheus
from tools.dashboards import FLOW

WAVES = (20, 40, 80)
PAUSE_SECONDS = 15
KEY = "sl_picture"
LONG = ("1h", "6h", "3d")
"""Windows that are too long to show anything after minutes."""
RECORDED = {rule["record"]: rule["expr"] for rule in rules("record")}


async def live(directory: Path) -> str:
    """Run the waves; return the chart of what Prometheus scraped."""
    settings = {"SAFELIGHT_API_KEYS": f"alice:{sha256(KEY.encode()).hexdigest()}"}
    async with (
        LocalSystem(workers=2, api_settings=settings) as system,
        aiohttp.ClientSession() as http,
        Prometheus(
            directory, {"api": [system.api_url], "worker": list(system.worker_urls.values())}
        ) as prometheus,
    ):
        person = Person(http, system.api_url, KEY)
        start = time.time()
        for pictures in WAVES:
            await asyncio.sleep(PAUSE_SECONDS)
            await _wave(person, pictures)
        await asyncio.sleep(PAUSE_SECONDS)
        panels = [
            Panel(
                title=panel.title,
                lines={
                    _legend(legend, series["metric"]): _points(series)
                    for legend, expression in panel.lines.items()
                    if legend not in LONG
                    for series in await prometheus.query_range(
                        # A rate over five minutes would only rise in this short run.
                        RECORDED.get(expression, expression).replace("[5m]", "[20s]"),
                        start=start,
                        end=time.time(),
                        step=1,
                    )
                },
            )
            for panel in FLOW.panels[:6]
        ]
    return time_series(f"{FLOW.title}: waves of {', '.join(map(str, WAVES))} pictures", panels)


async def _wave(person: Person, pictures: int) -> None:
    photographs = sorted((ROOT / "samples").glob("*.jpg"), key=lambda path: path.stat().st_size)[:3]
    bodies = [path.read_bytes() for path in photographs]
    images = [await person.upload(bodies[number % len(bodies)]) for number in range(pictures)]
    for image_id in images:
        async with asyncio.timeout(600):
            while (await person.image(image_id))[1]["status"] == "pending":
                await asyncio.sleep(0.5)


def _legend(legend: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        legend = legend.replace("{{" + name + "}}", value)
    return legend


def _points(series: dict[str, list[list[str]]]) -> list[Point]:
    return [(float(at), float(value)) for at, value in series["values"]]


def main() -> None:
    """Write the chart to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "operate" / "dashboard.svg")
    arguments = parser.parse_args()
    if missing := programs.reason("prometheus"):
        parser.error(missing)
    with tempfile.TemporaryDirectory() as directory:
        arguments.out.write_text(asyncio.run(live(Path(directory))))


if __name__ == "__main__":
    main()
