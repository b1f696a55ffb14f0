"""Render children as the kernel confines them. A taken-over decoder is played by real attempts."""

import ast
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.doctor.command import finding_of, look_at_confinement
from ops.doctor.findings import Finding
from safelight.errors import Reason, Rejection
from safelight.formats import READABLE, WRITABLE
from safelight.imaging import confinement
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.presets import Preset
from tests.support import pictures, taken_over

ROOT = Path(__file__).parents[3]
USER = os.getuid() or 10001
"""That of the image where the tests run as root."""
LANDLOCK = confinement._landlock_version()

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="mechanisms of Linux")
pytestmark = [pytest.mark.starts, on_linux]

_ANYTHING = {"hidden", "landlock"}
_SIGNALS = {"seccomp"} | ({"landlock"} if LANDLOCK >= 6 else set())
GUARDS = {
    "reads the parent's environment": _ANYTHING,
    "reads the parent's memory": _ANYTHING,
    "traces the parent": {"hidden", "landlock", "seccomp"},
    "signals the parent": _SIGNALS,
    "stops the parent": _SIGNALS,
    "kills the parent": _SIGNALS,
    "has a pipe signal the parent": {"seccomp"},
    "takes memory that outlives it": {"seccomp"},
    "lowers the parent's limits": {"seccomp"},
    "opens a socket": {"seccomp"},
    "connects": {"seccomp"} | ({"landlock"} if LANDLOCK >= 4 else set()),
    "starts a program": {"seccomp", "landlock"},
    "forks": {"seccomp"},
    "opens io_uring": {"seccomp"},
    "makes a symlink": {"seccomp", "landlock"},
    "makes a hard link": {"seccomp"},
    "moves a file": {"seccomp"},
    "writes too large a file": {"limits"},
    "opens more files": {"limits"},
    "allows itself more memory": {"limits"},
    "reads outside its folder": {"landlock"},
    "writes outside its folder": {"landlock"},
    "lists the root": {"landlock"},
}
"""Attempt -> the mechanisms that each refuse it on their own."""
MAY_BE_REFUSED_ANYWAY = {
    "reads the parent's memory", "traces the parent", "opens io_uring", "allows itself more memory",
}  # fmt: skip
"""By the settings of some kernels, also to a process that nothing confines."""
LEFT_OUT = ("", "hidden", "seccomp", "landlock", "limits", "hidden landlock", "seccomp landlock")
LEFT_OUT_AS_ROOT = ("", "landlock")
UNCONFINED = f"{USER} hidden seccomp landlock limits"
SCENARIOS = (
    UNCONFINED,
    *(f"{USER} {left_out}" for left_out in LEFT_OUT),
    *(f"0 {left_out}" for left_out in LEFT_OUT_AS_ROOT if os.getuid() == 0),
)


@pytest.fixture(scope="module")
def folders() -> Iterator[tuple[Path, Path]]:
    """Two folders of the user, where pytest's own are closed to others than root."""
    made = Path(tempfile.mkdtemp(prefix="safelight-confinement-"))
    made.chmod(0o755)
    for name, file in (("own", "picture"), ("outside", "other")):
        (made / name).mkdir()
        (made / name / file).write_bytes(b"x")
        for path in (made / name, made / name / file):
            os.chown(path, USER, USER)
    yield made / "own", made / "outside"
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def played(folders: tuple[Path, Path]) -> dict[str, set[str]]:
    """Scenario -> the attempts that succeeded in it."""
    run = subprocess.run(
        [sys.executable, "-m", taken_over.__name__, *folders, *SCENARIOS],
        cwd=ROOT, env={**os.environ, "KEY": taken_over.SECRET}, check=False, capture_output=True,
    )  # fmt: skip
    assert (run.returncode, run.stderr.decode()) == (0, "")
    lines = run.stdout.splitlines()
    return {name: set(json.loads(line)) for name, line in zip(SCENARIOS, lines, strict=True)}


def expected(unconfined: set[str], off: set[str]) -> set[str]:
    missing = off | (set() if LANDLOCK >= 1 else {"landlock"})
    return {attempt for attempt in unconfined if GUARDS[attempt] <= missing}


def test_without_any_mechanism_every_attempt_succeeds(played: dict[str, set[str]]) -> None:
    assert GUARDS.keys() - MAY_BE_REFUSED_ANYWAY <= played[UNCONFINED] <= GUARDS.keys()


@pytest.mark.parametrize("left_out", LEFT_OUT)
def test_a_decoder_taken_over_gets_only_what_a_missing_mechanism_would_refuse(
    played: dict[str, set[str]], left_out: str
) -> None:
    found = played[f"{USER} {left_out}"]
    assert found == expected(played[UNCONFINED], {*left_out.split()})


@pytest.mark.skipif(os.getuid() != 0, reason="root only")
@pytest.mark.parametrize("left_out", LEFT_OUT_AS_ROOT)
def test_as_root_it_gets_the_parents_secrets_only_without_landlock(
    played: dict[str, set[str]], left_out: str
) -> None:
    found = played[f"0 {left_out}"] - {"opens more files"}  # root may raise any limit
    assert found == expected(played[UNCONFINED], {"hidden", *left_out.split()})


FOREIGN_NUMBERS = """
import ctypes
from pathlib import Path
from safelight.imaging import confinement as c
c.filter_system_calls(c.Bounds(folder=Path('/tmp'), address_space_bytes=1, file_bytes=1))
ctypes.CDLL(None).syscall(0x40000000 + 39)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 is of x86_64")
def test_a_call_by_another_abi_ends_the_process() -> None:
    run = subprocess.run([sys.executable, "-c", FOREIGN_NUMBERS], cwd=ROOT, check=False)
    assert run.returncode == -31  # SIGSYS


PROCESS_METRICS = """
import os, sys
from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector
from safelight.hidden import hide_from_children
from tests.support.taken_over import become
registry = CollectorRegistry()
ProcessCollector(registry=registry)
become(int(sys.argv[1]))
before = {metric.name for metric in registry.collect()}
hide_from_children()
after = {metric.name for metric in registry.collect()}
print(len(before), after == before)
"""


def test_a_hidden_process_still_reports_its_own_metrics() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROCESS_METRICS, str(USER)], cwd=ROOT, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.stdout.split() == ["6", "True"]


@pytest.mark.parametrize("program", ["api", "worker"])
def test_programs_with_secrets_hide_before_anything_else(program: str) -> None:
    """Read from the syntax tree: starting both would cost seconds."""
    _, only = main_of(f"{program}/__main__.py").body
    assert ast.unparse(only).startswith("return Program(")
    assert ast.unparse(only).endswith(").main()")
    _, first, *_ = main_of("safelight/program.py").body
    assert ast.unparse(first) == "hide_from_children()"


def main_of(path: str) -> ast.FunctionDef:
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    (main,) = (node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == "main")
    return main


async def test_a_render_child_reports_what_does_not_confine_it() -> None:
    async with RenderPool(slots=1) as pool:
        missing = [gap.partition(":")[0] for gap in pool.gaps]
    assert missing == ([] if LANDLOCK >= 1 else ["Landlock"])


def test_an_unconfined_process_reports_every_mechanism_as_missing() -> None:
    assert [gap.partition(":")[0] for gap in confinement.gaps()] == ["seccomp", "Landlock"]


async def test_every_format_is_read_and_written_by_a_confined_child(file, tmp_path) -> None:
    wanted = [Preset(name=format.name, format=format.name, box=(20, 20)) for format in WRITABLE]
    async with RenderPool(slots=2, limits=Limits(accept_svg=True)) as pool:

        async def made_of(name: str, data: bytes) -> set[str]:
            source = file(data, name)
            directory = tmp_path / f"made-of-{name}"
            directory.mkdir()
            planned = plan(await pool.probe(source), wanted)
            rendering = await pool.render(planned, source, directory)
            assert rendering.peak_bytes > 0
            return {variant.preset for variant in rendering.variants}

        sources = {
            format.name: pictures.svg('<text y="20">words</text>').encode()
            if format.name == "svg"
            else pictures.encoded(pictures.quarters(), format.name.upper())
            for format in READABLE
        }
        made = await asyncio.gather(*(made_of(*pair) for pair in sources.items()))
    assert made == [{preset.name for preset in wanted}] * len(sources)


async def test_a_variant_larger_than_a_file_may_be_is_a_clear_rejection(file, tmp_path) -> None:
    source = file(pictures.encoded(pictures.noise(60, 60), "PNG"))
    wanted = [Preset(name="full", format="png")]
    async with RenderPool(slots=1, limits=Limits(max_file_bytes=4096)) as pool:
        with pytest.raises(Rejection, match=r"full has \d+ bytes") as caught:
            await pool.render(plan(await pool.probe(source), wanted), source, tmp_path)
    assert caught.value.reason is Reason.TOO_MANY_BYTES


async def test_a_child_opens_nothing_outside_the_spool(file, tmp_path) -> None:
    if LANDLOCK < 1:
        pytest.skip("the kernel has no Landlock")
    spool = tmp_path / "spool"
    spool.mkdir()
    outside = file(b"x", "other")
    async with RenderPool(slots=1, limits=Limits(spool=spool)) as pool:
        await pool.canary()
        with pytest.raises(PermissionError):
            await pool.run(taken_over.read_outside, outside.parent)
        with pytest.raises(PermissionError):  # an .env may lie there
            await pool.run(taken_over.read_file, ROOT / "pyproject.toml")


async def test_the_doctor_starts_a_child_to_find_out() -> None:
    found = await look_at_confinement()
    async with RenderPool(slots=1) as pool:
        assert found == finding_of(Finding(area="confinement", what="render children"), pool.gaps)


@pytest.mark.parametrize(
    ("gaps", "state"),
    [
        ([], "ok"),
        (["Landlock: the kernel has none"], "ok"),
        (["seccomp: libseccomp.so.2 is not installed"], "failed"),
    ],
)
def test_the_doctor_fails_children_without_a_filter_of_system_calls(gaps, state) -> None:
    found = finding_of(Finding(area="confinement", what="render children"), gaps)
    assert found.state == state
    assert all(gap in found.detail for gap in gaps)
