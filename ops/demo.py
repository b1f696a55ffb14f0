"""`safelight demo`: process real pictures once, from upload to variants, and show the results."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from ops import KEY_VARIABLE, report
from ops.client import Client
from ops.contact_sheet import is_contact_sheet, write_contact_sheet
from ops.exit_codes import ExitCode, code_of
from ops.folders import (
    NotWritten,
    Unusable,
    files_below,
    make_writable,
    refuse_to_overwrite,
    require_presets,
)
from ops.journey import Journey, Outcome
from ops.local.completions import subscribe
from ops.local.given import Given
from ops.local.system import LocalSystem
from ops.tables import counted

PATIENCE_SECONDS = 60
"""The longest wait for the next completion; then the remaining pictures count as pending."""
REPORT, PAGE = "report.json", "index.html"
OWN_FILES = frozenset({REPORT, PAGE})
"""Files written into OUT beside one folder per picture."""

Settled = Callable[[Outcome], None]


def find_pictures(folder: Path, out: Path | None) -> list[Path]:
    """List the files to upload: all visible files of the folder and of the folders below it."""
    if not folder.is_dir():
        raise Unusable(f"PHOTOS: {folder} is not a folder")
    if out is not None and out.exists() and out.samefile(folder):
        raise Unusable("OUT: must be another folder than PHOTOS")
    pictures = files_below(folder, but=out)
    if not pictures:
        raise Unusable(f"PHOTOS: neither {folder} nor a folder below it holds a file")
    firsts = (path.relative_to(folder).parts[0] for path in pictures)
    if out is not None and (clash := next((one for one in firsts if one in OWN_FILES), None)):
        raise Unusable(f"PHOTOS: {clash} has the name of a file that is written into OUT")
    return pictures


def prepare(out: Path, photos: Path, pictures: Sequence[Path], *, overwrite: bool) -> None:
    """Make OUT. Raises `Unusable` if it holds other files than those of an earlier demo."""
    if not overwrite and not is_contact_sheet(out / PAGE):
        places = [path.relative_to(photos) for path in pictures]
        refuse_to_overwrite(
            (out / one for one in [*map(Path, sorted(OWN_FILES)), *places]),
            by="OVERWRITE=yes make demo (or --overwrite)",
        )
    make_writable(out)


async def demo(photos: Path, out: Path | None, *, presets: Path | None, overwrite: bool) -> int:
    """Run the demo; return the exit code. Raises `Unusable` and `InvalidConfiguration`."""
    pictures = find_pictures(photos, out)
    given = Given.of(os.environ, presets=presets)
    require_presets(given.presets)
    if out is not None:
        prepare(out, photos, pictures, overwrite=overwrite)
    console = Console()
    console.print("Starting the embedded AWS, the stack, api and workers", highlight=False)
    started = time.perf_counter()
    async with LocalSystem(renders=True, cleans=True, **given.settings()) as system:
        seconds = time.perf_counter() - started
        what = f"{counted(len(pictures), 'file')} to {system.api_url}"
        console.print(f"Up after {seconds:.1f} s; uploading {what}", highlight=False)
        outcomes = await _run(system, photos, pictures, out, console)
        if not all(outcome.settled for outcome in outcomes):
            _explain(system, console)
    console.print(report.table(outcomes))
    if out is not None:
        _write(outcomes, out)
    return _conclude(outcomes, out, console)


def _write(outcomes: Sequence[Outcome], out: Path) -> None:
    """Write the report and the contact sheet. Raises `NotWritten`."""
    try:
        report.write_report(outcomes, out / REPORT)
        write_contact_sheet(outcomes, out / PAGE)
    except OSError as error:
        raise NotWritten(f"OUT: cannot write into {out}: {error.strerror}") from error


async def follow_all(
    journey: Journey, pictures: Sequence[Path], settled: Settled, *, patience_seconds: float
) -> list[Outcome]:
    """Follow every picture; give up after `patience_seconds` without any completion."""
    left = {asyncio.create_task(journey.follow(picture)) for picture in pictures}
    try:
        while left:
            done, left = await asyncio.wait(
                left, timeout=patience_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                settled(task.result())
            if not done:
                journey.give_up(f"no completion within {patience_seconds:g} s")
                break
    finally:
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    return [journey.outcomes[picture] for picture in pictures]


async def _run(
    system: LocalSystem, photos: Path, pictures: Sequence[Path], out: Path | None, console: Console
) -> list[Outcome]:
    async with (
        aiohttp.ClientSession() as http,
        subscribe(system.account, system.stack.topic_arn) as completions,
    ):
        client = Client(http, system.api_url, key=os.environ.get(KEY_VARIABLE))
        journey = Journey(client=client, completions=completions, photos=photos, out=out)
        with _progress(console, len(pictures)) as settled:
            return await system.while_up(
                follow_all(journey, pictures, settled, patience_seconds=PATIENCE_SECONDS),
                journey.receive(),
            )


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Settled]:
    """Show progress: a bar on a terminal, one line per picture elsewhere."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("Pictures settled", total=total)
        count = 0

        def settled(outcome: Outcome) -> None:
            nonlocal count
            count += 1
            bar.advance(task)
            if not console.is_terminal:
                name = report.one_line(outcome.file)
                line = f"[{count}/{total}] {name}: {outcome.status} {report.why(outcome)}"
                console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)

        yield settled


def _explain(system: LocalSystem, console: Console) -> None:
    """Print the last log lines of each program, before the logs are removed."""
    for child in (system.api, *system.workers):
        console.print(f"The last log lines of {child.name}:", style="red")
        console.print(child.last_lines(), markup=False, highlight=False, soft_wrap=True)


def _conclude(outcomes: Sequence[Outcome], out: Path | None, console: Console) -> int:
    counts = Counter(outcome.status for outcome in outcomes)
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    console.print(f"{counted(len(outcomes), 'picture')}: {summary}.", highlight=False)
    if out is None:
        console.print("Add OUT=folder to keep the variants and a contact sheet.", highlight=False)
    else:
        console.print(f"Saved in {out}; look at {out / PAGE}", markup=False, soft_wrap=True)
    unsettled = [outcome for outcome in outcomes if not outcome.settled]
    for outcome in unsettled:
        line = f"Not settled: {report.one_line(outcome.file)}: {report.why(outcome)}"
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    code = code_of(outcome.result for outcome in outcomes)
    if code is ExitCode.REFUSED:  # make calls it an error
        rejected = "was rejected" if counts["rejected"] else "lacks a variant"
        console.print(f"Exit code {code.value}: a picture {rejected}.", highlight=False)
    return code
