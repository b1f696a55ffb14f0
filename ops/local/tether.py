"""Run a program that cannot outlive whoever started it.

    python -I -S tether.py STARTER_PID PROGRAM [ARGUMENT...]

Linux kills the program once its starter is gone, however that died. Elsewhere the program just
runs, and is stopped by its starter's own clean-up. Asked for between fork and exec in a process of
its own, because Python code run in that place of a threaded program (`preexec_fn`) may deadlock.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its starter and become the program."""
    starter, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != starter:  # it died before the tie was made
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
