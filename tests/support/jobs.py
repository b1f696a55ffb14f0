"""Jobs for render children that do what pictures must not: crash, hang, ask for too much."""

import ctypes
import os
import signal
from pathlib import Path


def own_pid() -> int:
    return os.getpid()


def own_environment() -> str:
    return Path("/proc/self/environ").read_text()


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
