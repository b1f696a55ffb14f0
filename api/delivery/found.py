"""The result of a lookup: a stored asset, and how it came about."""

from dataclasses import dataclass
from enum import StrEnum

from safelight.aws.objects import Asset


class How(StrEnum):
    """How a request for a picture ended: a label of metrics, and in `Server-Timing`."""

    STORED = "stored"
    """The result was stored already."""
    RENDERED = "rendered"
    """This request rendered it."""
    JOINED = "joined"
    """This request waited for the render of another."""
    STAND_IN = "stand-in"
    """It is in another format, until the workers have made the best one."""
    PENDING = "pending"
    """There is no result, because the image is not processed yet."""
    REFUSED = "refused"
    """There is no result; the response is a problem, or the default picture in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A result in the asset bucket."""

    key: str
    asset: Asset
    """Its metadata, and its first part if the response needs it."""
    how: How
