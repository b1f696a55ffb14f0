"""Jobs for render children that misbehave: they crash, hang or use too much."""

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
    """Resources that a job used in its child."""

    outcome: str
    """The rejection reason, or `done`."""
    cpu_seconds: float
    more_bytes: int
    """Peak of the resident memory beyond that before the job."""


def measured(job: Callable[..., object], *args: object) -> Effort:
    """Run a job and measure it."""
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
    """Probe, plan and render one picture, in one child."""
    render(plan(probe(source, limits), presets), source, source.parent, limits)


def own_pid() -> int:
    return os.getpid()


def own_environment() -> str:
    return Path("/proc/self/environ").read_text()


def be_busy(mark: Path, seconds: float) -> None:
    """Create a file for a while, to show that a child is busy."""
    mark.touch()
    time.sleep(seconds)
    mark.unlink()


def die_in_turn(attempts: Path, numbers: Sequence[int], busy: Path) -> bool:
    """Die by one signal per attempt; after the last, return whether another child is busy."""
    with attempts.open("ab") as file:
        file.write(b".")
    attempt = attempts.stat().st_size
    if attempt <= len(numbers):
        os.kill(os.getpid(), numbers[attempt - 1])
    return busy.exists()


def die_by(number: int) -> None:
    os.kill(os.getpid(), number)


def die_unless_marked(mark: Path) -> str:
    """Die in the first attempt; answer in the second."""
    if mark.exists():
        return "alive"
    mark.touch()
    os.kill(os.getpid(), signal.SIGSEGV)
    return "unreachable"


def crash_unless_given(size_bytes: int) -> int:
    """Use the result of malloc without a check, as a careless decoder does."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    address = libc.malloc(size_bytes)
    ctypes.memset(address, 0, 1)
    return size_bytes


def hang(started: Path) -> None:
    """Write a file at the start, and never end."""
    started.write_text(str(os.getpid()))
    while True:
        pass


def compute_for_ever(started: Path) -> None:
    """Write a file at the start, and use more CPU time than real time, also on a busy machine."""
    started.write_text(str(os.getpid()))
    for _ in range(16):
        hashes = threading.Thread(
            target=hashlib.pbkdf2_hmac, args=("sha256", b"", b"", 10**9), daemon=True
        )
        hashes.start()
    time.sleep(3600)


def hang_stopped(started: Path) -> None:
    """Write a file at the start, and stop as if frozen."""
    started.write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)


def wait_for(fifo: Path) -> int:
    """End when the test writes into the pipe."""
    fifo.read_bytes()
    return os.getpid()


def raise_it(error: Exception) -> None:
    raise error


def _channel() -> int:
    """Find the child's end of its channel, its only open socket."""
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                return number
    raise LookupError("no socket")


def answer(said: bytes) -> None:
    """Write to the channel directly, as exploited code would, and wait to be killed."""
    os.write(_channel(), said)
    time.sleep(60)


class Marker:
    """A pickle that creates a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self._mark = str(mark)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.open, (self._mark, os.O_CREAT | os.O_WRONLY)


def answer_with_a_pickle(mark: Path) -> None:
    """Write a pickle that would run code in the parent."""
    answer(pickle.dumps(Marker(mark)) + b"\n")


def print_and_answer() -> str:
    """Write to every standard stream, as libraries do that report faults of a picture."""
    for number in range(3):
        with contextlib.suppress(OSError):
            os.write(number, b"a line of the log\n")
    return "printed"
