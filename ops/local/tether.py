"""Runs a program that cannot outlive the process that started it.

    python -I -S tether.py STARTER_PID PROGRAM [ARGUMENT...]

Linux kills the program when its starter is gone, however that ended. On other systems the program
just runs, and its starter's own clean-up stops it. This is a separate process, because Python code
between fork and exec of a threaded program (`preexec_fn`) may deadlock.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind this process to its starter and become the program."""
    starter, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != starter:  # the starter died before
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - runs without a shell


if __name__ == "__main__":
    main()
