"""`safelight render`: renders files on this machine as a worker would, without AWS.

It uses the same pipeline, children, limits, presets and reasons. A picture's variants appear in OUT
together: they are collected in a hidden folder, which is renamed once the picture is done.
"""

import asyncio
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ops.folders import Unusable, make_writable, refuse_to_overwrite
from ops.presets import presets_of
from ops.render_output import Outcome, exit_code, json_of, print_counts, print_outcome
from safelight.errors import Rejection, SafelightError
from safelight.face_settings import OFF, REKOGNITION
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan, plan
from safelight.imaging.pool import RenderPool
from safelight.imaging.probe import Probe
from safelight.imaging.settings import RenderSettings
from safelight.looking import FaceFinder, finder_of
from safelight.making import Made, Pipeline, Source
from safelight.presets import Preset


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile:
    """Facts about a file that was copied."""

    size_bytes: int
    sha256: str


class Files:
    """Files on this machine, in place of buckets. Their keys are their paths."""

    async def fetch(self, *, key: str, to: Path, **_: object) -> CopiedFile:
        """Copy a file, because a child may read nothing outside its directory."""
        return _copied(Path(key), to)

    async def put(self, *, key: str, path: Path, **_: object) -> None:
        """Move a file to the path that its key says."""
        shutil.move(path, key)


def _copied(source: Path, to: Path) -> CopiedFile:
    shutil.copyfile(source, to)
    with to.open("rb") as copy:
        digest = hashlib.file_digest(copy, "sha256")
    return CopiedFile(size_bytes=to.stat().st_size, sha256=digest.hexdigest())


class FileRenderer:
    """Renders files, each in a folder of its own below `work`."""

    def __init__(self, *, pipeline: Pipeline, presets: Sequence[Preset], work: Path) -> None:
        self._pipeline = pipeline
        self._presets = presets
        self._work = work

    async def render(self, file: Path, folder: Path) -> Outcome:
        """Render one file and move its variants into a folder."""
        started = time.perf_counter()
        planned: Plan | None = None
        made: Made | None = None
        status, reason, detail = "completed", None, None

        def planned_for(probe: Probe) -> Plan:
            nonlocal planned
            planned = plan(probe, self._presets)
            return planned

        try:
            made = await self._make(file, planned_for, folder)
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
            plan=planned,
            rendering=made.rendering if made else None,
            seconds=time.perf_counter() - started,
        )

    async def _make(self, file: Path, planned_for: Callable[[Probe], Plan], folder: Path) -> Made:
        with tempfile.TemporaryDirectory(dir=self._work, ignore_cleanup_errors=True) as own:
            directory, variants = Path(own) / "work", Path(own) / "variants"
            directory.mkdir()
            variants.mkdir()
            made = await self._pipeline.run(
                Source(bucket=Files(), key=str(file)),
                planned_for,
                key_of=lambda variant: str(variants / variant.path.name),
                directory=directory,
                needs_faces=any(preset.wish.needs_faces for preset in self._presets),
            )
            _move(variants, folder)
            return made


async def render(
    files: Sequence[Path], *, out: Path, presets: Path | None, overwrite: bool, as_json: bool
) -> int:
    """Render files; return the exit code, 0 if every variant of every file was rendered."""
    settings = RenderSettings.load()
    chosen = settings.load_presets(presets or presets_of(settings))
    if settings.faces == REKOGNITION and any(preset.wish.needs_faces for preset in chosen):
        raise Unusable("SAFELIGHT_FACES: this command works without AWS; set it to local")
    folders = folders_for(files, out)
    if not overwrite:
        refuse_to_overwrite(folders)
    make_writable(out)
    with tempfile.TemporaryDirectory(dir=out, prefix=".safelight-") as work:
        limits = settings.limits.model_copy(update={"spool": Path(work)})
        async with RenderPool(slots=settings.slots, limits=limits) as pool:
            admission = Admission(settings.memory_budget_bytes)
            pipeline = Pipeline(
                assets=Files(),
                renderer=pool,
                admission=admission,
                max_source_bytes=settings.max_bytes,
                face_finder=_face_finder(settings, pool, admission),
            )
            renderer = FileRenderer(pipeline=pipeline, presets=chosen, work=Path(work))
            outcomes = await _render_all(renderer, files, folders, settings.slots, quiet=as_json)
    _print_result(outcomes, as_json=as_json)
    return exit_code(outcomes)


def _face_finder(
    settings: RenderSettings, pool: RenderPool, admission: Admission
) -> FaceFinder | None:
    mode = OFF if settings.faces == REKOGNITION else settings.faces
    return finder_of(mode, pool=pool, admission=admission)


def folders_for(files: Sequence[Path], out: Path) -> list[Path]:
    """Return a folder for each file, named like it; files of one name are numbered from `-2`."""
    # File systems that ignore case would take names that differ only in case for one name.
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


def _move(directory: Path, folder: Path) -> None:
    """Rename a folder into place. If the folder exists, move the files into it."""
    if not folder.exists():
        directory.rename(folder)
        return
    for path in directory.iterdir():
        path.replace(folder / path.name)


async def _render_all(
    renderer: FileRenderer,
    files: Sequence[Path],
    folders: Sequence[Path],
    at_once: int,
    *,
    quiet: bool,
) -> list[Outcome]:
    """Render every file, several at once; print each outcome when it is known."""
    remaining = enumerate(zip(files, folders, strict=True))
    outcomes: dict[int, Outcome] = {}

    async def render_remaining() -> None:
        for index, (file, folder) in remaining:
            outcomes[index] = await renderer.render(file, folder)
            advance()
            print_outcome(outcomes[index], faults_only=quiet)

    with _progress(len(files)) as advance:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(render_remaining())
    return [outcomes[index] for index in range(len(files))]


def _print_result(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([json_of(outcome) for outcome in outcomes], indent=2))
    else:
        print_counts(outcomes)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on standard error if that is a terminal."""
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
