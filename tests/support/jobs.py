"""Jobs for render children that do what pictures must not: crash, hang, ask for too much."""

import contextlib
import ctypes
import hashlib
import os
import pickle
import signal
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safelight.errors import Rejection
from safelight.imaging import child
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset


@dataclass(frozen=True)
class Effort:
    """What a job took in its child."""

    outcome: str
    """A reason, or `done`."""
    cpu_seconds: float
    more_bytes: int
    """Resident memory at its highest, beyond what the child had before."""


def measured(job: Callable[..., object], *args: object) -> Effort:
    """Run a job and say what it took."""
    child._reset_peak()
    before, started = child._status_bytes("VmRSS"), time.process_time()
    try:
        job(*args)
        outcome = "done"
    except Rejection as rejection:
        outcome = str(rejection.reason)
    cpu_seconds = time.process_time() - started
    return Effort(outcome, cpu_seconds, child._status_bytes("VmHWM") - before)


async def effort_of(pool: RenderPool, job: Callable[..., object], *args: object) -> Effort:
    """Measure a job in a child of a pool."""
    return Effort(**await pool.run(measured, job, *args))


def probe_and_render(source: Path, limits: Limits, presets: Sequence[Preset]) -> None:
    """Do all that is done to one picture, in one child."""
    render(plan(probe(source, limits), presets), source, source.parent, limits)


def own_pid() -> int:
    return os.getpid()


def own_environment() -> str:
    return Path("/proc/self/environ").read_text()


def be_busy(mark: Path, seconds: float) -> None:
    """Say for a while that a child is busy."""
    mark.touch()
    time.sleep(seconds)
    mark.unlink()


def die_in_turn(attempts: Path, numbers: Sequence[int], busy: Path) -> bool:
    """Die by one signal after another, an attempt each; then tell whether another child is busy."""
    with attempts.open("ab") as file:
        file.write(b".")
    attempt = attempts.stat().st_size
    if attempt <= len(numbers):
        os.kill(os.getpid(), numbers[attempt - 1])
    return busy.exists()


def die_by(number: int) -> None:
    os.kill(os.getpid(), number)


def die_unless_marked(mark: Path) -> str:
    """Die the first time, answer the second."""
    if mark.exists():
        return "alive"
    mark.touch()
    os.kill(os.getpid(), signal.SIGSEGV)
    return "unreachable"


def crash_unless_given(size_bytes: int) -> int:
    """Do what a careless decoder does: use what malloc returned without looking at it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    address = libc.malloc(size_bytes)
    ctypes.memset(address, 0, 1)
    return size_bytes


def hang(started: Path) -> None:
    """Say that it started, and never end."""
    started.write_text(str(os.getpid()))
    while True:
        pass


def compute_for_ever(started: Path) -> None:
    """Say that it started, and take more processor time than passes, also on a busy machine."""
    started.write_text(str(os.getpid()))
    for _ in range(16):
        hashes = threading.Thread(
            target=hashlib.pbkdf2_hmac, args=("sha256", b"", b"", 10**9), daemon=True
        )
        hashes.start()
    time.sleep(3600)


def hang_stopped(started: Path) -> None:
    """Say that it started, and stop as if frozen."""
    started.write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)


def wait_for(fifo: Path) -> int:
    """End when somebody writes into the pipe."""
    fifo.read_bytes()
    return os.getpid()


def raise_it(error: Exception) -> None:
    raise error


def _channel() -> int:
    """Find the child's end of its channel: the only socket that it has open."""
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                return number
    raise LookupError("no socket")


def answer(said: bytes) -> None:
    """Write to the channel itself, as a decoder that was taken over would, and wait for the end."""
    os.write(_channel(), said)
    time.sleep(60)


class Marker:
    """A pickle that makes a file where it is read."""

    def __init__(self, mark: Path) -> None:
        self._mark = str(mark)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.open, (self._mark, os.O_CREAT | os.O_WRONLY)


def answer_with_a_pickle(mark: Path) -> None:
    """Write a pickle that would run code in the parent."""
    answer(pickle.dumps(Marker(mark)) + b"\n")


def print_and_answer() -> str:
    """Write to every standard file, as libraries do that report what they found in a picture."""
    for number in range(3):
        with contextlib.suppress(OSError):
            os.write(number, b"a line of the log\n")
    return "printed"
