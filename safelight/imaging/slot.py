"""Keeps one render child alive, with its own channel.

Children share nothing, so one that dies, idle or with a lock, does not affect the others. Jobs are
sent to the child pickled. Its answers are never unpickled, because the decoder that wrote them may
have been taken over.
"""

import asyncio
import contextlib
import multiprocessing
import os
import pickle
import signal
import socket
from collections.abc import Callable, Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing import process as processes
from pathlib import Path
from typing import Any, Literal, ParamSpec, Self, TypeVar

from safelight.imaging import answers, child
from safelight.imaging.limits import Limits

P = ParamSpec("P")
T = TypeVar("T")

Cause = Literal["recycle", "signal", "memory", "deadline", "cancelled"]

_KEPT_VARIABLES = frozenset(
    {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}
    | {"PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE"}
)
"""The variables that a child inherits. Credentials are not among them."""
_CHILD_VARIABLES = {
    "PYTHONSAFEPATH": "1",
    "VIPS_CONCURRENCY": "1",
    "VIPS_WARNING": "0",
    "VIPS_DISC_THRESHOLD": "1024g",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "MALLOC_TRIM_THRESHOLD_": "1048576",
}
"""Variables that are set for a child. It imports no module from the current folder, which may have
files of strangers. It uses one core and prints no warnings (any value of VIPS_WARNING does that).

Decoders of whole pictures keep them in memory, which is predicted, and never in a temporary file,
as libvips does above 100 MB: if that cannot be written, the picture would look damaged. glibc would
raise its thresholds and then keep freed memory. Measured: two idle children kept 320 MB, and 130 MB
with fixed thresholds."""
_START_SECONDS = 15
"""The longest wait for the first answer of a new child, in seconds."""
_END_SECONDS = 5
"""The longest wait for a child's end, in seconds: the kernel may need time to free its memory."""
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit statuses of a child that was killed. Only a kernel short of memory does this unasked."""
_BUSY_SHARE = 0.75
"""The share of its time limit that a child must have computed to be blamed for the time-out."""


class ChildDied(Exception):
    """The child ended during its job."""

    def __init__(self, cause: Cause, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        self.killed = status in _KILLED
        """Whether the kernel was short of memory, perhaps because of another child."""


class Exhausted(ChildDied):
    """The job used up its time computing, so a second try would do the same."""


class ChildMissing(Exception):
    """No child ran the job: none could be started, or the slot was stopped."""


class Slot:
    """Runs one job at a time in a child process, which is replaced whenever it ends."""

    def __init__(self, limits: Limits, on_child_exit: Callable[[Cause], None]) -> None:
        self._limits = limits
        self._on_child_exit = on_child_exit
        self._child: _Child | None = None
        self._jobs_of_child = 0
        self._stopped = asyncio.Event()

    async def start(self) -> dict[str, Any]:
        """Start a child, wait for its first answer, and return that."""
        await self._discard()
        if self._stopped.is_set():
            raise ChildMissing("the slot is stopped")
        started = await _Child.started(self._limits)
        if self._stopped.is_set():
            await started.end()
            raise ChildMissing("the slot is stopped")
        self._child = started
        self._jobs_of_child = 0
        return started.greeting

    async def run(
        self, read: Callable[[Any], T], job: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a job in the child, and read its result. Cancelling kills the child.

        Raises the job's error, `ChildDied`, or `ChildMissing`.
        """
        if self._child is None or self._child.ended:  # it may have been killed while idle
            await self.start()
        assert self._child is not None  # noqa: S101 - for the type checker
        try:
            try:
                answer = await self._answer_of(self._child, pickle.dumps((job, args, kwargs)))
                return read(answers.read(answer))
            except answers.Nonsense as error:
                raise ChildDied("signal", f"it answered {error}") from error
        except (ChildDied, asyncio.CancelledError) as error:
            await self._discard()
            self._on_child_exit(error.cause if isinstance(error, ChildDied) else "cancelled")
            raise
        finally:
            self._jobs_of_child += 1
            if self._child and self._jobs_of_child >= self._limits.tasks_per_child:
                await self._discard()
                self._on_child_exit("recycle")

    async def stop(self) -> None:
        """Kill the child, and start no other. A running job ends with `ChildMissing`."""
        self._stopped.set()
        await self._discard()

    async def _discard(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.end()

    async def _answer_of(self, child: "_Child", job: bytes) -> bytes:
        limit = self._limits.max_seconds
        before = child.cpu_seconds()
        try:
            async with asyncio.timeout(limit):
                return await child.ask(job)
        except TimeoutError as error:
            computed = child.cpu_seconds() - before
            detail = f"not done after {limit} s, {computed:.1f} s of them on a processor"
            died = Exhausted if computed >= _BUSY_SHARE * limit else ChildDied
            raise died("deadline", detail) from error
        except (EOFError, OSError) as error:
            if self._stopped.is_set():
                raise ChildMissing("the slot was stopped") from error
            status = await child.status()
            raise ChildDied(_cause_of(status), f"exit status {status}", status=status) from error


class _Child:
    """A process and the channel to it."""

    def __init__(
        self,
        process: multiprocessing.process.BaseProcess,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.greeting: dict[str, Any] = {}
        """The child's first answer."""
        self._gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, self._notice_end)

    @classmethod
    async def started(cls, limits: Limits) -> Self:
        """Start a child, and wait until it is ready. Raises `ChildMissing`."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.to_thread(_start, theirs, limits)  # closes `theirs` here
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=answers.MOST_BYTES)
        except BaseException:
            ours.close()  # this also ends a child that was started
            raise
        started = cls(process, reader, writer)
        try:
            async with asyncio.timeout(_START_SECONDS):
                started.greeting = answers.read(await started._line())
        except (TimeoutError, EOFError, OSError, answers.Nonsense) as error:
            status = await started.end()
            raise ChildMissing(f"a render child did not start: exit status {status}") from error
        except BaseException:
            await started.end()
            raise
        return started

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.exitcode is not None

    async def ask(self, job: bytes) -> bytes:
        """Send a pickled job and wait for the line of its answer.

        Raises `EOFError` or `OSError` if the child ends.
        """
        self._writer.write(job)
        await self._writer.drain()
        return await self._line()

    async def _line(self) -> bytes:
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            raise answers.Nonsense("too much") from error

    async def status(self) -> int | None:
        """Wait for the end of a child that is ending; return its `exitcode`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), _END_SECONDS)
        return self._process.exitcode

    def _notice_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._gone.set()

    async def end(self) -> int | None:
        """Kill it and wait for its end; return its `exitcode`."""
        self._writer.close()
        if not self.ended:
            self._process.kill()
        return await self.status()

    def cpu_seconds(self) -> float:
        """Return the processor time of all its threads, from proc(5); 0 if unknown."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _start(channel: socket.socket, limits: Limits) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=child.serve, args=(channel, limits))
    with channel:
        process.start()
    # Otherwise multiprocessing would wait for it at the end of this program, and poll it from any
    # thread that starts the next one.
    processes._children.discard(process)  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
    return process


def _cause_of(exit_status: int | None) -> Cause:
    return "memory" if exit_status in (child.OUT_OF_MEMORY_EXIT, *_KILLED) else "signal"


def start_forkserver() -> None:
    """Start the process that children are forked from: one thread, libvips loaded, no credentials.

    The environment must be right from the start, because glibc reads it then and proc(5) shows it
    for ever. So must the blocked signals, because a signal to the whole group must not end this
    process before the parent has drained.
    """
    forkserver.set_forkserver_preload([child.__name__])
    with _environment_of_children():
        resource_tracker.ensure_running()  # first, because starting it unblocks the signals
        with _signals_blocked():
            forkserver.ensure_running()


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def child_environment() -> dict[str, str]:
    """Return the environment of children."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES}
    return kept | _CHILD_VARIABLES


@contextlib.contextmanager
def _environment_of_children() -> Iterator[None]:
    before, childs = dict(os.environ), child_environment()
    os.environ.clear()
    os.environ.update(childs)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
