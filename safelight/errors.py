"""Every failure that Safelight has a class for, sorted by who can fix it.

    SafelightError
    ├── Rejection          no one: the source is at fault; it is settled with its reason
    ├── Superseded         no one has to: a newer revision of the image is settled instead
    │   └── StaleUpload    no one has to: the upload's token was used, or replaced by a newer one
    ├── Unreadable         no one: the message makes no sense; it becomes a dead letter
    │   └── WrongQueue     no one: the message belongs to another role; it becomes a dead letter
    ├── UnusableWatermark  the client: the picture to lay on top cannot be used
    ├── TooEarly           time: other work on the same image has to end first
    ├── ImageIdTaken       time: another object has the image id; a retry derives another id
    ├── Unavailable        time: throttled, 5xx, timed out, not connected
    ├── Misconfigured      an operator: access denied, no such queue, a wrong clock
    └── Refused            a developer: a service does not accept a request of ours
        └── Archived       an operator: the object has to be restored from its archive first

`InvalidConfiguration` is apart: a program that raises it has not started, and an operator fixes it.
Any other exception is a bug, for a developer to fix. Errors of libraries are translated at the edge
(`safelight/aws`, `safelight/imaging`), once, with `raise ... from error`.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a source was rejected: a closed list, public in records, completions and metrics."""

    EMPTY = "empty"
    """The source has no bytes."""
    UNSUPPORTED = "unsupported"
    """The bytes are in no format that Safelight reads. The file name does not matter."""
    TRUNCATED = "truncated"
    """The file ends before the picture is complete."""
    CORRUPT = "corrupt"
    """The picture's data is damaged."""
    TOO_MANY_BYTES = "too_many_bytes"
    """The source has more bytes than the limit for a file."""
    TOO_MANY_PIXELS = "too_many_pixels"
    """By its header, the picture has more pixels than the limit for a frame or for all frames."""
    TOO_MANY_FRAMES = "too_many_frames"
    """A preset keeps all frames, and by its header, the picture has more than the limit."""
    TIMEOUT = "timeout"
    """The render exceeded the time limit: twice, or once if it was computing all that time."""
    OUT_OF_MEMORY = "out_of_memory"
    """The picture needs more memory than a child may use."""
    DECODER_CRASH = "decoder_crash"
    """The decoder crashed on this picture twice."""
    SOURCE_GONE = "source_gone"
    """The source was deleted before it could be fetched."""


class SafelightError(Exception):
    """A failure that Safelight has a class for."""


class InvalidConfiguration(Exception):
    """The faults of what an operator configured, one on each line. The program does not start."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Rejection(SafelightError):
    """The source itself is at fault. It is settled as rejected, and never tried again."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[Reason, str]]:
        """Return what pickle needs to rebuild the error in another process."""
        return type(self), (self.reason, self.detail)


class Superseded(SafelightError):
    """The source was replaced. The event of the newer revision settles the image."""


class StaleUpload(Superseded):
    """The version was uploaded with a token that the image does not wait for. It does not count."""


class Unreadable(SafelightError):
    """The message has no form that Safelight knows."""


class WrongQueue(Unreadable):
    """The message is of a kind that this queue's role does not process. It may be forged."""


class TooEarly(SafelightError):
    """The state of the data does not allow the work yet. No service is at fault."""


class ImageIdTaken(SafelightError):
    """Another object was settled under the image id meanwhile. A retry adopts this one."""


class Unavailable(SafelightError):
    """A service cannot answer now. The same call may succeed later."""

    def __init__(self, dependency: str, detail: str) -> None:
        super().__init__(f"{dependency} is unavailable: {detail}")
        self.dependency = dependency


class Misconfigured(SafelightError):
    """An operator must act: a permission, a name or a clock is wrong. No picture is at fault."""

    def __init__(self, dependency: str, detail: str) -> None:
        super().__init__(f"{dependency} is misconfigured: {detail}")
        self.dependency = dependency


class UnusableWatermark(SafelightError):
    """The picture to lay on top cannot be used. The source below it is not at fault."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(f"the watermark {key} cannot be used: {detail}")
        self.key = key
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Return what pickle needs to rebuild the error in another process."""
        return type(self), (self.key, self.detail)


class Refused(SafelightError):
    """A service does not accept a request as we send it: a bug of ours, with the service's code.

    It is not `Misconfigured`, which opens the breaker: one odd picture must not delay all others.
    """

    def __init__(self, dependency: str, detail: str) -> None:
        super().__init__(f"{dependency} refused: {detail}")
        self.dependency = dependency


class Archived(Refused):
    """The object is in an archive. It cannot be read until an operator restores it."""

    def __init__(self, dependency: str, detail: str) -> None:
        super().__init__(dependency, detail)
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Return what pickle and copy need to rebuild the error."""
        return type(self), (self.dependency, self.detail)
