"""The exit codes of every command of `safelight`: one table, the same everywhere."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Self

INCOMPLETE = "incomplete"
"""The status of a completed picture that lacks a variant."""


class ExitCode(IntEnum):
    """The result of a command, for the shell."""

    DONE = 0, "Everything was done, or every check passed."
    FAILED = 1, "Something failed that a repetition or a repair may help, or a check failed."
    UNUSABLE = 2, "An argument, a setting or a file cannot be used; nothing was done."
    REFUSED = 3, "A picture was rejected, lacks a variant, or a URL would be refused."
    INTERRUPTED = 130, "Ctrl-C or SIGTERM ended the command before it was done."

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a member of a number and its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


def code_of(statuses: Iterable[str]) -> ExitCode:
    """Return the exit code for pictures with these statuses. A failure outranks a rejection.

    The statuses are those of records, `INCOMPLETE`, and `failed` for pictures without a result.
    """
    found = set(statuses) - {"completed"}
    if not found:
        return ExitCode.DONE
    return ExitCode.FAILED if found - {"rejected", INCOMPLETE} else ExitCode.REFUSED


def listed() -> str:
    """Return the table as one line of text."""
    return " ".join(f"{code.value}: {code.meaning}" for code in ExitCode)
