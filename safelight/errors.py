"""Every failure Safelight knows, sorted by who can put it right.

    SafelightError
    ├── Rejection       nobody: the source itself is at fault; it is settled with its reason
    ├── Superseded      nobody needs to: a newer revision answers for the image
    ├── Unreadable      nobody: the message makes no sense; the dead-letter queue keeps it
    │   └── WrongQueue  nobody: the message belongs to another role; the dead-letter queue keeps it
    ├── Unavailable     time: throttled, 5xx, timed out, not connected
    ├── Misconfigured   a person: access denied, no such queue, a clock that is wrong
    └── Refused         a developer: a service does not accept what we ask of it
        └── Archived    a person: the object has to be taken out of an archive first

Everything else that is raised is a developer's to mend. Foreign errors are translated at the edge
(`safelight/aws`, `safelight/imaging`), once, with `raise ... from error`.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a source was rejected. A closed list, public in records, completions and metrics."""

    EMPTY = "empty"
    """The source has no bytes."""
    UNSUPPORTED = "unsupported"
    """The bytes are not of a format that Safelight reads, whatever their name says."""
    TRUNCATED = "truncated"
    """The picture ends before its data does."""
    CORRUPT = "corrupt"
    """The picture's data is damaged."""
    TOO_MANY_BYTES = "too_many_bytes"
    """The source is larger than the limit for a file."""
    TOO_MANY_PIXELS = "too_many_pixels"
    """The header announces more pixels than the limit for a frame or for all frames together."""
    TOO_MANY_FRAMES = "too_many_frames"
    """The header announces more frames than the limit."""
    TIMEOUT = "timeout"
    """The picture took longer than the time limit: twice, or once if it computed all the time."""
    OUT_OF_MEMORY = "out_of_memory"
    """The picture needed more memory than a child may have."""
    DECODER_CRASH = "decoder_crash"
    """The decoder crashed on this picture, twice."""
    SOURCE_GONE = "source_gone"
    """The source was removed before it could be fetched."""


class SafelightError(Exception):
    """A failure that Safelight has a word for."""


class Rejection(SafelightError):
    """The source itself is at fault: settled as rejected, never tried again."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[Reason, str]]:
        """Cross a process boundary whole."""
        return type(self), (self.reason, self.detail)


class Superseded(SafelightError):
    """The source was replaced meanwhile: the newer revision's own event settles the image."""


class Unreadable(SafelightError):
    """The message is not an event that Safelight knows."""


class WrongQueue(Unreadable):
    """The message is of a kind that this queue's role does not handle, so it may be forged."""


class Unavailable(SafelightError):
    """A service cannot answer now; the same call may succeed later."""

    def __init__(self, dependency: str, detail: str) -> None:
        super().__init__(f"{dependency} is unavailable: {detail}")
        self.dependency = dependency


class Misconfigured(SafelightError):
    """A person must act: a permission, a name or a clock is wrong. No picture is at fault."""

    def __init__(self, dependency: str, detail: str) -> None:
        super().__init__(f"{dependency} is misconfigured: {detail}")
        self.dependency = dependency


class Refused(SafelightError):
    """A service does not accept a request as we make it: a fault of ours that it has a word for.

    Not `Misconfigured`, which stops the worker: one odd picture must not hold up all others.
    """

    def __init__(self, dependency: str, detail: str) -> None:
        super().__init__(f"{dependency} refused: {detail}")
        self.dependency = dependency


class Archived(Refused):
    """The object is in an archive, of which nothing is read until somebody restores it."""

    def __init__(self, dependency: str, detail: str) -> None:
        super().__init__(dependency, detail)
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Be copied whole."""
        return type(self), (self.dependency, self.detail)
