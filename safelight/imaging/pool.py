"""Renders in child processes, so that a crash, a hang or a bomb affects one picture only.

Paths go in and numbers come out. If a child dies, its job is tried once more and watched, without
other jobs if the kernel was short of memory. If a child dies again, the picture is rejected. A job
that used up its time computing is rejected at once: a second try only helps on a busy machine. A
picture is rejected only if the canary still renders: a broken engine rejects nothing.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from safelight.errors import Reason, Rejection, Unavailable
from safelight.faces import Faces
from safelight.imaging import answers, child
from safelight.imaging.limits import Limits
from safelight.imaging.plan import Plan
from safelight.imaging.probe import Probe, probe
from safelight.imaging.render import Rendering
from safelight.imaging.slot import (
    Cause,
    ChildDied,
    ChildMissing,
    Exhausted,
    Slot,
    start_forkserver,
)

P = ParamSpec("P")
T = TypeVar("T")

_DEPENDENCY = "render children"
_REASONS = MappingProxyType(
    {
        "signal": Reason.DECODER_CRASH,
        "memory": Reason.OUT_OF_MEMORY,
        "deadline": Reason.TIMEOUT,
    }
)


def _ignore(_: Cause) -> None:
    pass


class RenderPool:
    """A number of slots for probes and renders; use it as an async context manager.

    Start it early: its children are forked from a process that is started here. Any number of calls
    may run at once; they wait for a slot. Cancelling a call kills its child and frees the slot.
    """

    def __init__(
        self,
        *,
        slots: int,
        limits: Limits | None = None,
        on_child_exit: Callable[[Cause], None] = _ignore,
    ) -> None:
        self.limits = limits or Limits()
        self.webp_encoder = ""
        """The WebP encoder of the children; set once they are started."""
        self.gaps: list[str] = []
        """The missing confinements of the children, with reasons; set once they are started."""
        self._slots = [Slot(self.limits, on_child_exit) for _ in range(slots)]
        self._free: asyncio.LifoQueue[Slot] = asyncio.LifoQueue()
        self._turn = asyncio.Lock()
        self._quarantine = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Start a child in every slot. Raises `Unavailable` if one does not start."""
        start_forkserver()
        try:
            first, *_ = await asyncio.gather(*(slot.start() for slot in self._slots))
        except (ChildDied, ChildMissing) as error:
            await self._stop()
            raise Unavailable(_DEPENDENCY, str(error)) from error
        self.webp_encoder, self.gaps = first["webp_encoder"], first["gaps"]
        for slot in self._slots:
            self._free.put_nowait(slot)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill every child, busy or not."""
        await self._stop()

    async def _stop(self) -> None:
        await asyncio.gather(*(slot.stop() for slot in self._slots))

    @property
    def rendering(self) -> bool:
        """Whether a child works on a picture."""
        return self._free.qsize() < len(self._slots)

    async def probe(self, path: Path) -> Probe:
        """Read a file's header. Raises a `Rejection` if it will not be rendered."""
        return await self._run(answers.read_probe, probe, path, self.limits)

    async def render(self, plan: Plan, source: Path, directory: Path) -> Rendering:
        """Make every variant of a plan in a directory. Raises a `Rejection`.

        A plan with more pixels or frames than the limit, or a prediction above a child's memory,
        is refused before any decode.
        """
        self._refuse_excess(plan)
        read = partial(answers.read_rendering, plan=plan, directory=directory)
        return await self._run(read, child.render_measured, plan, source, directory, self.limits)

    async def find_faces(self, copy: Path) -> Faces:
        """Return the faces of a small upright JPEG. Raises a `Rejection`."""
        return await self._run(answers.read_faces, child.find_faces, copy)

    async def canary(self) -> None:
        """Render a tiny picture in a child; raise any failure. Waits for a slot."""
        async with self._held(1) as slot:
            await self._canary_in(slot)

    async def _canary_in(self, slot: Slot) -> None:
        with tempfile.TemporaryDirectory(
            prefix="safelight-canary-",
            dir=self.limits.spool,
            ignore_cleanup_errors=True,  # a child that is being killed may still write there
        ) as directory:
            await slot.run(_unread, child.canary, Path(directory), self.limits)

    def _refuse_excess(self, plan: Plan) -> None:
        most = self.limits.max_frames
        if plan.frames_used > most:
            detail = f"{plan.frames_used} frames; at most {most} are accepted"
            raise Rejection(Reason.TOO_MANY_FRAMES, detail)
        most = self.limits.max_total_pixels
        if plan.pixels_used > most:
            detail = f"{plan.pixels_used} pixels in all frames; at most {most} are accepted"
            raise Rejection(Reason.TOO_MANY_PIXELS, detail)
        most = self.limits.child_memory_bytes
        if plan.predicted_bytes > most:
            detail = (
                f"about {plan.predicted_bytes} bytes of memory needed; at most {most} are given"
            )
            raise Rejection(Reason.OUT_OF_MEMORY, detail)

    async def run(self, job: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run an importable function in a child; if the child dies, retry once in quarantine.

        Returns the result as plain JSON values. Raises the job's error; a `Rejection` if the child
        died twice or used up its time computing; `Unavailable` if the children are broken and not
        the job.
        """
        return await self._run(_unread, job, *args, **kwargs)

    async def _run(
        self, read: Callable[[Any], T], job: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        slots, once = 1, partial(child.attempt, self.limits, job, *args, **kwargs)
        try:
            async with self._held(1) as slot:
                try:
                    return await slot.run(read, once)
                except Exhausted as error:
                    await self._prove_children_well(slot)
                    raise Rejection(_REASONS[error.cause], str(error)) from error
        except (ChildMissing, answers.SuspectedMemory):
            pass
        except ChildDied as error:
            # If the kernel was short of memory, no other job may run during the second try.
            slots = len(self._slots) if error.killed else 1
        watched = partial(child.attempt_watched, self.limits, job, *args, **kwargs)
        async with self._quarantine:
            while True:
                async with self._held(slots) as slot:
                    try:
                        return await slot.run(read, watched)
                    except ChildMissing as error:
                        raise Unavailable(_DEPENDENCY, str(error)) from error
                    except ChildDied as error:
                        if not error.killed or slots == len(self._slots):
                            await self._prove_children_well(slot)
                            detail = f"a render child ended twice: {error}"
                            raise Rejection(_REASONS[error.cause], detail) from error
                slots = len(self._slots)

    async def _prove_children_well(self, slot: Slot) -> None:
        try:
            await self._canary_in(slot)
        except Exception as error:
            raise Unavailable(_DEPENDENCY, "even the canary fails to render") from error

    @contextlib.asynccontextmanager
    async def _held(self, slots: int) -> AsyncIterator[Slot]:
        """Wait for this number of free slots, and hold them during the block; it uses the first."""
        held: list[Slot] = []
        try:
            async with self._turn:  # or calls for one slot would always overtake a call for several
                while len(held) < slots:
                    held.append(await self._free.get())
            yield held[0]
        finally:
            for slot in held:
                self._free.put_nowait(slot)


def _unread(result: Any) -> Any:
    return result
