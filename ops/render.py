"""`safelight render`: render files on this machine as a worker would, without AWS.

Same children, limits, presets and reasons. Variants show in OUT once a picture is done, never half
of them: each picture is worked on in a hidden folder that is then renamed.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ops.client import printable_name
from ops.folders import Unusable, make_writable
from ops.report import dimensions, one_line, size
from safelight.errors import Rejection, SafelightError
from safelight.formats import BY_NAME
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan, plan
from safelight.imaging.pool import RenderPool
from safelight.imaging.probe import Probe
from safelight.imaging.render import RenderedVariant, Rendering
from safelight.imaging.settings import RenderSettings
from safelight.presets import Preset, load_presets

SHIPPED_PRESETS = Path(__file__).resolve().parents[1] / "presets.toml"
FAILED, NOT_ALL_RENDERED = 1, 3
"""Exit codes: a file or a child was at fault; a picture was rejected or lacks a variant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file. What is not known, because it did not come so far, is None."""

    file: Path
    """As it was named."""
    folder: Path
    """Where its variants are, if it was completed."""
    status: str
    """As in records; `failed` if it could not be read or its variants not be saved."""
    reason: str | None = None
    detail: str | None = None
    plan: Plan | None = None
    rendering: Rendering | None = None
    seconds: float
    """In children, or until it was given up."""

    @property
    def probe(self) -> Probe | None:
        """What its header says."""
        return self.plan.probe if self.plan else None

    @property
    def variants(self) -> Sequence[RenderedVariant]:
        """What was made of it."""
        return self.rendering.variants if self.rendering else ()

    @property
    def failures(self) -> Mapping[str, str]:
        """Preset -> why this one variant was not made, while others were."""
        return self.rendering.failures if self.rendering else {}

    def saved(self, variant: RenderedVariant) -> Path:
        """Where one of its variants is."""
        return self.folder / variant.path.name


class Darkroom:
    """Renders one file after another, each in a folder of its own below `work`."""

    def __init__(
        self,
        *,
        pool: RenderPool,
        admission: Admission,
        presets: Sequence[Preset],
        work: Path,
    ) -> None:
        self._pool = pool
        self._admission = admission
        self._presets = presets
        self._work = work

    async def render(self, file: Path, folder: Path) -> Outcome:
        """Render one file and move its variants into a folder."""
        started = time.perf_counter()
        wanted: Plan | None = None
        rendering: Rendering | None = None
        status, reason, detail = "completed", None, None
        try:
            with tempfile.TemporaryDirectory(dir=self._work, ignore_cleanup_errors=True) as own:
                source, directory = _laid_out(file, Path(own))
                wanted = plan(await self._pool.probe(source), self._presets)
                async with self._admission.admit(wanted.predicted_bytes):
                    rendering = await self._pool.render(wanted, source, directory)
                _move(directory, folder)
        except Rejection as rejection:
            status, reason, detail = "rejected", str(rejection.reason), rejection.detail
        except OSError as error:
            status, detail = "failed", error.strerror or str(error)
        except SafelightError as error:
            status, detail = "failed", str(error)
        return Outcome(
            file=file,
            folder=folder,
            status=status,
            reason=reason,
            detail=detail,
            plan=wanted,
            rendering=rendering if status == "completed" else None,
            seconds=time.perf_counter() - started,
        )


async def render(
    files: Sequence[Path], *, out: Path, presets: Path | None, overwrite: bool, as_json: bool
) -> int:
    """Render files and tell the exit code: 0 if every variant of every file was made."""
    settings = RenderSettings.load()
    wanted = load_presets(presets or _presets_of(settings))
    folders = folders_for(files, out)
    if not overwrite:
        _refuse_to_overwrite(folders)
    make_writable(out)
    with tempfile.TemporaryDirectory(dir=out, prefix=".safelight-") as work:
        limits = replace(settings.limits, spool=Path(work))
        async with RenderPool(slots=settings.slots, limits=limits) as pool:
            darkroom = Darkroom(
                pool=pool,
                admission=Admission(settings.memory_budget_bytes),
                presets=wanted,
                work=Path(work),
            )
            outcomes = await _render_all(darkroom, files, folders, settings.slots, quiet=as_json)
    if as_json:
        print(json.dumps([as_told(outcome) for outcome in outcomes], indent=2))
    return _conclude(outcomes, quiet=as_json)


def folders_for(files: Sequence[Path], out: Path) -> list[Path]:
    """Name a folder for each file by its file's name; files of one name get a number, `-2` on."""
    # Where names that differ in case are one name to the file system, they are here.
    taken: set[str] = set()
    own = {file.name.casefold() for file in files}
    folders = []
    for file in files:
        name, number = file.name, 1
        while name.casefold() in taken or (number > 1 and name.casefold() in own):
            number += 1
            name = f"{file.name}-{number}"
        taken.add(name.casefold())
        folders.append(out / name)
    return folders


def as_told(outcome: Outcome) -> dict[str, object]:
    """Write an outcome as `--json` tells it. Sizes in bytes and pixels; files as absolute paths."""
    probe, rendering = outcome.probe, outcome.rendering
    return {
        "file": str(outcome.file),
        "status": outcome.status,
        "reason": outcome.reason,
        "mediaType": BY_NAME[probe.format].media_type if probe else None,
        "width": probe.width if probe else None,
        "height": probe.height if probe else None,
        "frames": probe.frames if probe else None,
        "variants": {
            variant.preset: {
                "file": str(outcome.saved(variant).absolute()),
                "mediaType": variant.media_type,
                "width": variant.width,
                "height": variant.height,
                "size": variant.size_bytes,
                "sha256": variant.sha256,
            }
            for variant in outcome.variants
        },
        "predictedBytes": outcome.plan.predicted_bytes if outcome.plan else None,
        "peakBytes": rendering.peak_bytes if rendering else None,
        "seconds": round(outcome.seconds, 3),
    }


def _presets_of(settings: RenderSettings) -> Path:
    """Take the setting's file; where nothing names one and none is here, the one that ships."""
    chosen = "presets" in settings.model_fields_set
    return settings.presets if chosen or settings.presets.exists() else SHIPPED_PRESETS


def _refuse_to_overwrite(folders: Sequence[Path]) -> None:
    there = [folder for folder in folders if folder.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise Unusable(f"OUT: {there[0]}{more} exists already; --overwrite replaces variants there")


def _laid_out(file: Path, own: Path) -> tuple[Path, Path]:
    """Give a file a plain name, as in a worker's spool, and its variants a folder."""
    source, directory = own / "source", own / "variants"
    shutil.copyfile(file, source)  # a child may read nothing outside the folder
    directory.mkdir()
    return source, directory


def _move(directory: Path, folder: Path) -> None:
    """Rename a folder into place; into one that is there, move its files."""
    if not folder.exists():
        directory.rename(folder)
        return
    for path in directory.iterdir():
        path.replace(folder / path.name)


async def _render_all(
    darkroom: Darkroom,
    files: Sequence[Path],
    folders: Sequence[Path],
    at_once: int,
    *,
    quiet: bool,
) -> list[Outcome]:
    """Render every file, some at once; tell of each when it is done."""
    left = enumerate(zip(files, folders, strict=True))
    outcomes: dict[int, Outcome] = {}

    async def render_what_is_left() -> None:
        for index, (file, folder) in left:
            outcomes[index] = await darkroom.render(file, folder)
            advance()
            _tell(outcomes[index], quiet=quiet)

    with _progress(len(files)) as advance:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(render_what_is_left())
    return [outcomes[index] for index in range(len(files))]


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal, beside the output; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Pictures", total=total)
        yield lambda: bar.advance(task)


def _tell(outcome: Outcome, *, quiet: bool) -> None:
    """Tell people what became of a file; where programs read, only what went wrong, elsewhere."""
    name = one_line(printable_name(outcome.file))
    faults = [f"{name}: {preset}: {why}" for preset, why in outcome.failures.items()]
    if outcome.status != "completed":
        why = ": ".join(part for part in (outcome.reason, outcome.detail) if part)
        faults.append(f"{name}: {outcome.status} {one_line(why)}")
    elif not quiet and outcome.probe:
        shape = dimensions(outcome.probe.width, outcome.probe.height)
        print(f"{name}: completed {shape} in {outcome.seconds:.2f} s")
        for variant in outcome.variants:
            shape = dimensions(variant.width, variant.height)
            where = one_line(str(outcome.saved(variant)))
            print(f"  {variant.preset}  {shape}  {size(variant.size_bytes)}  {where}")
    for fault in faults:
        print(fault, file=sys.stderr if quiet else sys.stdout)


def _conclude(outcomes: Sequence[Outcome], *, quiet: bool) -> int:
    counts = Counter(outcome.status for outcome in outcomes)
    if not quiet:
        print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    if counts["failed"]:
        return FAILED
    lacking = any(outcome.failures for outcome in outcomes)
    return NOT_ALL_RENDERED if counts["rejected"] or lacking else 0
