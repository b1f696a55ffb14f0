"""Tries what exploited code in a decoder would, each attempt in a confined process of its own.

Run as a program, it plays programs with a secret in their environment. Each scenario is a user id
and the mechanisms to leave out: `taken_over.py FOLDER OUTSIDE "10001 seccomp" ...`.
"""

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from safelight.hidden import hide_from_children
from safelight.imaging import confinement

SECRET = "secret-of-the-test"
LARGEST_FILE = 4096
_PTRACE_SEIZE, _PR_SET_DUMPABLE = 0x4206, 4
_IO_URING_SETUP = 425
_MECHANISMS = {
    "limits": confinement.limit,
    "landlock": confinement.restrict_files,
    "seccomp": confinement.filter_system_calls,
}
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def read_environment(victim: int) -> None:
    assert SECRET in Path(f"/proc/{victim}/environ").read_text()


def read_memory(victim: int) -> None:
    os.close(os.open(f"/proc/{victim}/mem", os.O_RDONLY))


def trace(victim: int) -> None:
    _checked(_libc.ptrace(_PTRACE_SEIZE, victim, None, None))


def signal_it(number: int, victim: int) -> None:
    os.kill(victim, number)


def signal_it_by_a_pipe(victim: int) -> None:
    """Have the kernel send the process SIGKILL for a pipe."""
    readable, writable = os.pipe()
    for what, value in ((fcntl.F_SETOWN, victim), (10, signal.SIGKILL)):
        fcntl.fcntl(readable, what, value)
    fcntl.fcntl(readable, fcntl.F_SETOWN, 0)
    os.close(writable)


def share_memory() -> None:
    _checked(segment := _libc.shmget(0, 4096, 0o600))
    _libc.shmctl(segment, 0, None)  # IPC_RMID


def lower_its_limits(victim: int) -> None:
    resource.prlimit(victim, resource.RLIMIT_CORE, (0, 0))


def open_socket() -> None:
    socket.socket().close()


def connect(port: int) -> None:
    with socket.socket() as opened:
        opened.connect(("127.0.0.1", port))


def start_program() -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606 - that is the attempt


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def open_io_uring() -> None:
    _checked(_libc.syscall(_IO_URING_SETUP, 1, ctypes.create_string_buffer(120)))


def make_symlink(folder: Path) -> None:
    (folder / "symlink").symlink_to("/etc/passwd")


def make_hard_link(folder: Path) -> None:
    (folder / "hard").hardlink_to(folder / "picture")


def move_a_file(folder: Path) -> None:
    """Move a file, as one picture's result could be moved to the place of another's."""
    moved = (folder / "picture").rename(folder / "moved")
    moved.rename(folder / "picture")


def write_too_large_a_file(folder: Path) -> None:
    (folder / "large").write_bytes(bytes(LARGEST_FILE + 1))


def open_more_files() -> None:
    more = confinement.OPEN_FILES + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (more, more))


def allow_more_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    assert hard == resource.RLIM_INFINITY


def read_outside(outside: Path) -> None:
    (outside / "other").read_bytes()


def read_file(path: Path) -> None:
    path.read_bytes()


def write_outside(outside: Path) -> None:
    (outside / "new").write_bytes(b"x")


def list_root() -> None:
    assert list(Path("/").iterdir())


def attempts(victim: int, port: int, folder: Path, outside: Path) -> dict[str, Callable[[], None]]:
    return {
        "reads the parent's environment": partial(read_environment, victim),
        "reads the parent's memory": partial(read_memory, victim),
        "traces the parent": partial(trace, victim),
        "signals the parent": partial(signal_it, 0, victim),
        "has a pipe signal the parent": partial(signal_it_by_a_pipe, victim),
        "takes memory that outlives it": share_memory,
        "lowers the parent's limits": partial(lower_its_limits, victim),
        "opens a socket": open_socket,
        "connects": partial(connect, port),
        "starts a program": start_program,
        "forks": fork,
        "opens io_uring": open_io_uring,
        "makes a symlink": partial(make_symlink, folder),
        "makes a hard link": partial(make_hard_link, folder),
        "moves a file": partial(move_a_file, folder),
        "writes too large a file": partial(write_too_large_a_file, folder),
        "opens more files": open_more_files,
        "allows itself more memory": allow_more_memory,
        "reads outside its folder": partial(read_outside, outside),
        "writes outside its folder": partial(write_outside, outside),
        "lists the root": list_root,
        "stops the parent": partial(signal_it, signal.SIGSTOP, victim),
        "kills the parent": partial(signal_it, signal.SIGKILL, victim),
    }


def succeeded(attempt: Callable[[], None], folder: Path, left_out: frozenset[str]) -> bool:
    """Confine a process as a render child, make one attempt in it, and return its success."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    status = 1
    try:
        bounds = confinement.Bounds(
            folder=folder, address_space_bytes=1024**4, file_bytes=LARGEST_FILE
        )
        kept = [one for name, one in _MECHANISMS.items() if name not in left_out]
        confinement.confine(bounds, kept)
        attempt()
        status = 0
    except (OSError, ValueError, AssertionError):
        pass
    finally:
        os._exit(status)


def become(user: int) -> None:
    """Take a user's id, with memory as readable for that user as after `execve`."""
    if os.getuid() != user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def play(user: int, left_out: frozenset[str], folder: Path, outside: Path) -> list[str]:
    """Run as a program of a user; return the attempts of its children that succeed."""
    become(user)
    if "hidden" not in left_out:
        hide_from_children()
    listener = socket.create_server(("127.0.0.1", 0))
    victim = os.fork()
    if victim == 0:
        time.sleep(60)
        os._exit(0)
    tries = attempts(victim, listener.getsockname()[1], folder, outside)
    done = [name for name, one in tries.items() if succeeded(one, folder, left_out)]
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    return done


def main() -> None:
    """Play every scenario in a process of its own, in order, and print a line of JSON for each."""
    folder, outside = Path(sys.argv[1]), Path(sys.argv[2])
    for scenario in sys.argv[3:]:
        user, *left_out = scenario.split()
        for made in (folder / "symlink", folder / "hard", folder / "large", outside / "new"):
            made.unlink(missing_ok=True)
        program = os.fork()
        if program == 0:
            done = play(int(user), frozenset(left_out), folder, outside)
            os.write(1, json.dumps(done).encode() + b"\n")
            os._exit(0)
        _, status = os.waitpid(program, 0)
        if status:
            sys.exit(f"{scenario}: status {status}")


if __name__ == "__main__":
    main()
