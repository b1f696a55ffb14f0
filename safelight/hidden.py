"""Hides this process's environment and memory from other processes of the same user."""

import ctypes
import sys

_PR_SET_DUMPABLE = 4


def hide_from_children() -> None:
    """Make the kernel refuse `/proc/PID/environ`, `/proc/PID/mem` and ptrace to the same user.

    Both files hold signing keys and credentials. Root can still read them. Programs started by
    `execve` are not hidden. On systems other than Linux this does nothing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
