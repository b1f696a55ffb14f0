"""Compares Safelight's render with its peers: CPU, wall time, memory, bytes, SSIMULACRA2.

    make bench        (or: python -m bench.render [--rounds 5] [PICTURE...])

Each render runs in a process of its own (bench/peers.py, bench/sharp.mjs), warm, on one core. Every
peer has a turn in every round, and ratios are taken within a round, so that a busy machine slows
all alike. Prints medians with minimum and maximum. Writes build/bench/render.json and draws
docs/benchmarks.svg. A peer that is not installed is left out with a note.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import MappingProxyType

from ops.chart import bars
from safelight.imaging.slot import child_environment

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "build" / "bench" / "render.json"
CHART = ROOT / "docs" / "benchmarks.svg"
SHARP_AT = ROOT / "build" / "bench" / "sharp"
SHARP_VERSION = "0.35.5"
BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
WARM_UP = ROOT / "samples" / "cat-451px.jpg"
PICTURES = tuple(
    ROOT / "samples" / name
    for name in ("camera-10mp-5mb.jpg", "flower-7mp-1.6mb.jpg", "astronaut-800px.jpg")
)
PHOTOGRAPHS = ("camera-10mp-5mb", "flower-7mp-1.6mb")
"""Pictures for which there are goals."""
BASE, OURS = "lambdas", "safelight"
MAX_SECONDS = 300
PEERS_ENVIRONMENT = {"PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}
"""Peers import from the working directory, which a child's environment would prevent."""

PEERS = MappingProxyType(
    {
        BASE: "the published Lambdas' Pillow code",
        "pyvips-naive": "pyvips, a decode per variant",
        "thumbor": "thumbor's engine",
        "sharp": "sharp's best cascade, same effort",
        "safelight-webpsave": "Safelight without libwebp",
        OURS: "Safelight",
        "floor": "floor: decode and full WebP only",
    }
)


@dataclass
class Seen:
    """Measurements of one peer with one picture, over all rounds. Seconds and bytes."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peak: list[int] = field(default_factory=list)
    full_bytes: int = 0
    thumbnail_bytes: int = 0
    score: float | None = None


Measured = dict[str, dict[str, Seen]]
"""Measurements by picture and peer."""


def commands() -> Iterator[tuple[str, list[str]]]:
    """List every peer that can run here, with its command."""
    for name in PEERS:
        if name == "sharp":
            if sharp_is_ready():
                yield name, ["node", "bench/sharp.mjs", str(WARM_UP)]
        elif name == "thumbor":
            if BENCH_PYTHON.exists():
                yield name, [str(BENCH_PYTHON), "-m", "bench.peers", name]
            else:
                print("thumbor is left out, and nothing is scored: make .venv-bench/.ready")
        else:
            yield name, [sys.executable, "-m", "bench.peers", name]


def sharp_is_ready() -> bool:
    """Install sharp into build/ if npm is installed; print why not otherwise."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("sharp is left out: there is no node")
        return False
    if not (SHARP_AT / "node_modules" / "sharp").exists():
        SHARP_AT.mkdir(parents=True, exist_ok=True)
        quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        install = ["npm", "install", *quiet, f"sharp@{SHARP_VERSION}"]
        if subprocess.run(install, cwd=SHARP_AT, check=False).returncode:
            print("sharp is left out: npm could not install it")
            return False
    return True


def measure(pictures: list[Path], *, rounds: int) -> Measured:
    """Have every peer render every picture, round after round."""
    runs = list(commands())
    seen: Measured = {path.stem: {name: Seen() for name, _ in runs} for path in pictures}
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as directory:
        for turn in range(rounds):
            first = turn % len(runs)  # so that no peer always follows the same one
            for path in pictures:
                for name, command in runs[first:] + runs[:first]:
                    into = Path(directory) / path.stem / name
                    into.mkdir(parents=True, exist_ok=True)
                    note(seen[path.stem][name], command, path, into)
            print(f"round {turn + 1} of {rounds} done", file=sys.stderr)
        for path in pictures:
            score(path, Path(directory) / path.stem, seen[path.stem])
    return seen


def note(seen: Seen, command: list[str], source: Path, into: Path) -> None:
    """Run a peer once and add its measurements to `seen`."""
    environment = child_environment() | PEERS_ENVIRONMENT | {"SHARP_AT": str(SHARP_AT)}
    ended = subprocess.run(
        [*command, str(source), str(into)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=MAX_SECONDS,
    )
    took = json.loads(ended.stdout)
    seen.cpu.append(took["cpu"])
    seen.wall.append(took["wall"])
    seen.peak.append(took["peak"])
    seen.full_bytes = (into / "full.webp").stat().st_size
    seen.thumbnail_bytes = sum(path.stat().st_size for path in into.glob("*.jpg"))


def score(source: Path, directory: Path, seen: Mapping[str, Seen]) -> None:
    """Score the full WebPs; equal files are scored once."""
    if not BENCH_PYTHON.exists():
        return
    files = {name: directory / name / "full.webp" for name in seen}
    distinct = {file.read_bytes(): file for file in files.values()}
    command = [str(BENCH_PYTHON), "bench/score.py", str(source), *map(str, distinct.values())]
    environment = child_environment() | PEERS_ENVIRONMENT
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=MAX_SECONDS
    )
    scores = dict(zip(distinct, json.loads(ended.stdout), strict=True))
    for name, file in files.items():
        seen[name].score = scores[file.read_bytes()]


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Divide round by round."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def summary(measured: Measured) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return each figure as a ratio to the Lambdas', and the score unchanged."""
    answer: dict[str, dict[str, dict[str, float | None]]] = {}
    for picture, peers in measured.items():
        base = peers[BASE]
        answer[picture] = {}
        for name, seen in peers.items():
            cpu = ratios(seen.cpu, base.cpu)
            answer[picture][name] = {
                "cpu": round(median(cpu), 3),
                "cpuLeast": round(min(cpu), 3),
                "cpuMost": round(max(cpu), 3),
                "wall": round(median(ratios(seen.wall, base.wall)), 3),
                "peakBytes": median(seen.peak),
                "bytes": round(seen.full_bytes / base.full_bytes, 4),
                "thumbnailBytes": round(seen.thumbnail_bytes / base.thumbnail_bytes, 4)
                if seen.thumbnail_bytes
                else None,
                "score": None if seen.score is None else round(seen.score, 2),
            }
    return answer


def table(found: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> str:
    """Format the summary as Markdown."""
    lines = []
    for picture, peers in found.items():
        lines += [
            f"### {picture}",
            "",
            "| | CPU | minimum to maximum | wall | peak memory | bytes of the WebP | SSIMULACRA2 |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {PEERS[name]} "
            f"| {seen['cpu']:.2f} | {seen['cpuLeast']:.2f} to {seen['cpuMost']:.2f} "
            f"| {seen['wall']:.2f} | {(seen['peakBytes'] or 0) / 1e6:.0f} MB "
            f"| {seen['bytes']:.3f} | {'not scored' if seen['score'] is None else seen['score']} |"
            for name, seen in peers.items()
        ]
        lines.append("")
    return "\n".join(lines)


def goals(
    measured: Measured, found: Mapping[str, Mapping[str, Mapping[str, float | None]]]
) -> Iterator[str]:
    """Compare the figures with the goals, picture by picture."""
    for picture in PHOTOGRAPHS:
        if picture not in found:
            continue
        ours, base = found[picture][OURS], found[picture][BASE]
        yield _goal(f"{picture}: CPU, to the Lambdas'", ours["cpu"], 0.42)
        yield _goal(f"{picture}: bytes, to the Lambdas'", ours["bytes"], 1.05)
        if ours["score"] is not None and base["score"] is not None:
            lost = base["score"] - ours["score"]
            yield _goal(f"{picture}: SSIMULACRA2 lost to the Lambdas'", lost, 1.6)
        if "sharp" in measured[picture]:
            cpu = ratios(measured[picture][OURS].cpu, measured[picture]["sharp"].cpu)
            yield _goal(f"{picture}: CPU, to sharp's", median(cpu), 0.90)


def _goal(name: str, value: float | None, most: float) -> str:
    verdict = "met" if value is not None and value <= most else "MISSED"
    return f"{name:<58}{value:>7.3f}  goal <= {most:.2f}  {verdict}"


def main() -> int:
    """Measure, write the result, print the table and the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each peer")
    parser.add_argument("pictures", nargs="*", type=Path, default=list(PICTURES))
    arguments = parser.parse_args()
    pictures = [path.resolve() for path in arguments.pictures]
    measured = measure(pictures, rounds=arguments.rounds)
    found = summary(measured)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    if pictures == list(PICTURES):  # the document shows the samples
        CHART.write_text(
            bars(
                title="CPU of one picture, the published Lambdas' = 1",
                groups={
                    picture: {
                        PEERS[name]: seen["cpu"] or 0
                        for name, seen in peers.items()
                        if name != "safelight-webpsave"
                    }
                    for picture, peers in found.items()
                },
            )
        )
    print(table(found))
    print("\n".join(goals(measured, found)))
    print(f"\nwritten: {RESULT.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
