"""The program of a render child: it sets its own limits, then runs one job after another.

A job may end the child; then the exit status shows the parent the reason. Nothing here depends on
the texts of error messages.
"""

import contextlib
import ctypes
import io
import os
import pickle
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pyvips

from safelight.errors import Reason, Rejection
from safelight.faces import Faces
from safelight.imaging import confinement, libwebp, local_faces
from safelight.imaging.answers import SuspectedMemory, answer_of
from safelight.imaging.decoders import accept_svg
from safelight.imaging.libvips import restrict
from safelight.imaging.limits import MIB, Limits
from safelight.imaging.plan import Plan, plan
from safelight.imaging.probe import probe
from safelight.imaging.render import Rendering, render
from safelight.presets import Preset
from safelight.wish.wish import Wish

P = ParamSpec("P")
T = TypeVar("T")

OUT_OF_MEMORY_EXIT = 97
"""Exit status of a watched child whose job requested more address space than allowed."""
CREDENTIALS_EXIT = 96
"""Exit status of a child that found credentials or settings in its environment."""
_SECRET_PREFIXES = ("AWS_", "SAFELIGHT_")
_UNTOUCHED_BYTES = 384 * MIB
"""Address space beyond the memory in use. Measured: 60 MiB of libraries, 110 MiB of the allocator's
reserves, and up to 0.15 of a WebP's prediction that its decoder requests and does not fill."""
_SUSPECT_SHARE = 1 / 3
"""The share of a child's memory above which a failure may be a refused allocation."""
_SPARE_FACTOR = 4
"""The factor by which a watched job gets more address space, so that its requests succeed."""
_WATCH_SECONDS = 0.01
_PR_SET_PDEATHSIG = 1


def initialise(limits: Limits) -> None:
    """Make this process a render child: set signals, parent's death, limits and loaders.

    The parent handles a Ctrl-C or SIGTERM to the whole group, because it drains first. If the fork
    server was killed, multiprocessing restarts it with the parent's whole environment. A child of
    that server ends before it gets a picture, and the worker becomes unhealthy.
    """
    if any(name.startswith(_SECRET_PREFIXES) for name in os.environ):
        os._exit(CREDENTIALS_EXIT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_the_parent()
    # pyvips logs libvips' warnings, which no one reads, and prints a traceback if a warning holds a
    # picture's bytes that are no Unicode. Without its handler, VIPS_WARNING (see slot) drops them.
    pyvips._remove_log_handler()  # noqa: SLF001 - there is no public way
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _allow_address_space(_address_space_of(limits))
    restrict()
    if limits.accept_svg:
        accept_svg()
    libwebp.encoder()  # loaded now, so that the first picture does not wait for it
    confinement.confine(_bounds_of(limits))


def serve(channel: socket.socket, limits: Limits) -> None:
    """Run a render child: report that it is ready, then answer each job with one line.

    Jobs come from the parent, pickled. The child ends when the parent closes the channel. Output of
    decoders never reaches the log, where it could look like a line of ours.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    initialise(limits)
    for standard in range(3):
        os.dup2(nowhere, standard)
    with open(channel.detach(), "r+b", buffering=0) as both:  # noqa: PTH123 - not a path
        jobs = io.BufferedReader(both)
        line = answer_of(ready)
        with contextlib.suppress(EOFError, BrokenPipeError):
            while True:
                _write(both, line)
                job, args, kwargs = pickle.load(jobs)  # noqa: S301 - written by the parent
                line = answer_of(job, *args, **kwargs)


def _write(file: io.RawIOBase, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[file.write(rest) :]


def ready() -> dict[str, Any]:
    """Report the WebP encoder of this child, and the gaps in its confinement."""
    return {"webp_encoder": _webp_encoder(), "gaps": confinement.gaps()}


def _webp_encoder() -> str:
    if encoder := libwebp.encoder():
        return f"libwebp {'.'.join(map(str, encoder.version))}"
    return f"libvips {'.'.join(str(pyvips.version(part)) for part in range(3))}"


def _bounds_of(limits: Limits) -> confinement.Bounds:
    return confinement.Bounds(
        folder=confinement.folder_of(limits.spool),
        address_space_bytes=_address_space_of(limits) * _SPARE_FACTOR,
        file_bytes=limits.max_file_bytes,
    )


def attempt(limits: Limits, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a job; raise `SuspectedMemory` if it may have failed because of too little memory."""
    try:
        result = job(*args, **kwargs)
    except Rejection as rejection:
        if rejection.reason is Reason.CORRUPT and _memory_is_suspect(limits):
            raise SuspectedMemory(rejection.detail) from rejection
        raise
    except MemoryError as error:
        raise SuspectedMemory("an allocation was refused") from error
    if isinstance(result, Rendering) and result.failures and _memory_is_suspect(limits):
        raise SuspectedMemory("a variant failed")
    return result


def attempt_watched(limits: Limits, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a job with spare address space, and end this child if it uses too much.

    Under the normal limit a decoder that is refused memory crashes, or calls the picture corrupt.
    With spare space the request succeeds, and the peak size of the process shows it.
    """
    with _watch(limits):
        try:
            return job(*args, **kwargs)
        except MemoryError as error:
            raise Rejection(Reason.OUT_OF_MEMORY, "an allocation was refused") from error


@contextlib.contextmanager
def _watch(limits: Limits) -> Iterator[None]:
    done = threading.Event()

    def end_when_too_large() -> None:
        while not done.wait(_WATCH_SECONDS):
            _exit_if_too_large(limits)

    watcher = threading.Thread(target=end_when_too_large, daemon=True)
    _allow_address_space(_address_space_of(limits) * _SPARE_FACTOR)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        _exit_if_too_large(limits)
        _allow_address_space(_address_space_of(limits))


def render_measured(plan: Plan, source: Path, directory: Path, limits: Limits) -> Rendering:
    """Render, and measure this child's processor time and peak memory."""
    _reset_peak()
    started = time.process_time()
    rendering = render(plan, source, directory, limits)
    cpu_seconds = time.process_time() - started
    return replace(rendering, cpu_seconds=cpu_seconds, peak_bytes=_status_bytes("VmHWM"))


def find_faces(copy: Path) -> Faces:
    """Return the faces of a small upright JPEG. Needs the extra `faces`."""
    return local_faces.find_faces(copy)


def canary(directory: Path, limits: Limits) -> None:
    """Render a tiny picture with every step. Raises any failure.

    The parent owns the directory, because it outlives a child that is killed here.
    """
    presets = [
        Preset(name="full", wish=Wish(format="webp")),
        Preset(name="thumbnail", wish=Wish(format="jpeg", box=(8, 8))),
    ]
    source = directory / "source"
    grey = pyvips.Image.black(32, 32, bands=3).linear(1, 128).cast("uchar")
    source.write_bytes(grey.copy(interpretation="srgb").jpegsave_buffer())
    rendering = render(plan(probe(source, limits), presets), source, directory, limits)
    if rendering.failures:
        raise RuntimeError(f"the canary's variants failed: {dict(rendering.failures)}")


def _die_with_the_parent() -> None:
    """Make the kernel kill this child when the fork server ends, for any reason.

    The fork server ends when the last process closes its pipe. Children inherit that pipe and must
    close it, or a hung child would keep the fork server and itself alive for ever.
    """
    if sys.platform != "linux":
        return
    server = forkserver._forkserver  # noqa: SLF001 - there is no public way to the line
    life_line = getattr(server, "_forkserver_alive_fd", None)
    if life_line is not None:
        os.close(life_line)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:  # the fork server ended before the call
        os._exit(1)


def _address_space_of(limits: Limits) -> int:
    """Convert a child's memory limit to a limit of address space, which is larger."""
    return limits.child_memory_bytes + _UNTOUCHED_BYTES


def _allow_address_space(size_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = size_bytes if hard == resource.RLIM_INFINITY else min(size_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _memory_is_suspect(limits: Limits) -> bool:
    return _status_bytes("VmPeak") > limits.child_memory_bytes * _SUSPECT_SHARE


def _exit_if_too_large(limits: Limits) -> None:
    if _status_bytes("VmPeak") > _address_space_of(limits):
        os._exit(OUT_OF_MEMORY_EXIT)


def _reset_peak() -> None:
    """Reset the peak of resident memory (proc(5), clear_refs), so that it covers one job."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status_bytes(field: str) -> int:
    """Read one size of this process from proc(5); 0 if it is missing."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return 0
