"""One render child at a time, kept alive: pebble's pool of one process.

Each slot has a pool of its own, so that nothing is shared between children: one that dies while it
holds a lock, or while it is idle, takes nothing of its neighbours with it.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver, resource_tracker
from typing import Any, Literal, ParamSpec, TypeVar

import pebble

from safelight.imaging import child
from safelight.imaging.limits import Limits

P = ParamSpec("P")
T = TypeVar("T")

Cause = Literal["recycle", "signal", "memory", "deadline", "cancelled"]

_KEPT_VARIABLES = frozenset(
    {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}
    | {"PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE"}
)
"""All that a child sees of the environment: above all, no credentials."""
_CHILD_VARIABLES = {
    "VIPS_CONCURRENCY": "1",
    "VIPS_WARNING": "0",
    "VIPS_DISC_THRESHOLD": "1024g",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "MALLOC_TRIM_THRESHOLD_": "1048576",
}
"""One core a child, and no warnings printed (of VIPS_WARNING any value says so). Decoders that work
on whole pictures keep them in memory, which is predicted, and never in a temporary file, as libvips
does from 100 MB on: where it cannot be written, the picture would look damaged. glibc raises its
thresholds by itself and then keeps what pictures gave back: measured, two idle children kept 320 MB
of it, and 130 MB with the thresholds fixed."""
_START_SECONDS = 15
"""The longest that a fresh child may take to answer."""
LOOK_SECONDS = 0.25
"""How often pebble's threads look whether a child has ended or is out of time. Results do not wait
for that; every look of every slot costs the worker, also when it is idle."""
KILL_AFTER_SECONDS = 0.05
"""Children ignore SIGTERM, so pebble need not wait for it to work."""
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""How a child ends that only a kernel short of memory kills unasked."""


class ChildDied(Exception):
    """The child ended under its job."""

    def __init__(self, cause: Cause, detail: str, *, killed: bool = False) -> None:
        super().__init__(detail)
        self.cause = cause
        self.killed = killed
        """By a kernel short of memory, for which another child may be at fault."""


class ChildMissing(Exception):
    """No child took the job: it could not be started, or it ended before it said so."""


class Slot:
    """Room for one job, in a child process that is replaced whenever it ends."""

    def __init__(self, limits: Limits, on_child_exit: Callable[[Cause], None]) -> None:
        self._limits = limits
        self._on_child_exit = on_child_exit
        self._pool: pebble.ProcessPool | None = None
        self._running: Future[Any] | None = None
        self._jobs_of_child = 0
        self._stopped = False

    async def start(self) -> str:
        """Start a child, wait until it answers, and return what it says of itself."""
        await self._discard()
        self._pool = await asyncio.to_thread(self._new_pool)
        answer = await self._answer_of(child.ready, time_limit_seconds=None)
        self._jobs_of_child = 1
        return answer

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a job in the child. Cancelling kills the child.

        Raises what the job raises, `ChildDied`, or `ChildMissing`.
        """
        if not self._stopped and (self._pool is None or not self._pool.active):
            await self.start()  # its child was killed while idle
        self._jobs_of_child += 1
        limit = self._limits.max_seconds
        try:
            return await self._answer_of(job, *args, time_limit_seconds=limit, **kwargs)
        except ChildMissing:
            self._jobs_of_child = 0
            raise
        except (ChildDied, asyncio.CancelledError) as error:
            self._jobs_of_child = 0
            self._on_child_exit(error.cause if isinstance(error, ChildDied) else "cancelled")
            raise
        finally:
            if self._jobs_of_child == self._limits.tasks_per_child:
                self._jobs_of_child = 0
                self._on_child_exit("recycle")

    async def stop(self) -> None:
        """Kill the child, whatever it is doing, for good. Its job ends with `ChildMissing`."""
        self._stopped = True
        await self._discard()

    async def _discard(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]  # pebble annotates half of itself
            await asyncio.to_thread(pool.join)
        if self._running is not None and not self._running.done():
            # pebble leaves a stopped pool's jobs without an answer.
            self._running.set_exception(BrokenProcessPool("the slot was stopped"))

    def _new_pool(self) -> pebble.ProcessPool:
        return pebble.ProcessPool(
            max_workers=1,
            max_tasks=self._limits.tasks_per_child,
            initializer=child.initialise,
            initargs=(self._limits,),
            context=multiprocessing.get_context("forkserver"),
        )

    async def _answer_of(
        self,
        job: Callable[..., T],
        *args: object,
        time_limit_seconds: float | None,
        **kwargs: object,
    ) -> T:
        """Hand a job to the child and translate pebble's errors, which are told by their type."""
        if self._stopped or self._pool is None:
            await self._discard()
            raise ChildMissing("the slot is stopped")
        try:
            future = self._pool.schedule(job, args=args, kwargs=kwargs, timeout=time_limit_seconds)
        except RuntimeError as error:  # so says pebble of a pool whose child died while idle
            raise ChildMissing("the slot has no child") from error
        self._running = future
        try:
            async with asyncio.timeout((time_limit_seconds or 0) + _START_SECONDS) as backstop:
                return await asyncio.wrap_future(future)
        except pebble.ProcessExpired as error:
            status = error.exitcode
            killed = status in _KILLED
            raise ChildDied(_cause_of(status), f"exit status {status}", killed=killed) from error
        except TimeoutError as error:
            if backstop.expired():
                raise ChildMissing("no render child answered") from error
            raise ChildDied("deadline", f"not done after {time_limit_seconds} s") from error
        except BrokenProcessPool as error:
            raise ChildMissing("no render child took the job") from error


def _cause_of(exit_status: int) -> Cause:
    return "memory" if exit_status in (child.OUT_OF_MEMORY_EXIT, *_KILLED) else "signal"


def start_forkserver() -> None:
    """Start the process that children are forked from: one thread, libvips loaded, no credentials.

    Everything is inherited from its first moment: the environment, because glibc reads it then and
    proc(5) shows it for ever; and the blocked signals, because one that is sent to the whole group
    must not end it before the parent has drained.
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
    """Choose what a child sees of this process's environment."""
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
