"""What delivery looks for and, if it is not there, makes: one result of one source.

Whoever reads a URL makes a `Wanted` of it; from there on nobody asks in what grammar it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from safelight.aws.objects import Fetched
from safelight.imaging.plan import Plan
from safelight.imaging.probe import Probe


class Sources(Protocol):
    """A bucket that sources are fetched from."""

    async def fetch(
        self, *, key: str, version_id: str | None, etag: str | None, to: Path, max_bytes: int
    ) -> Fetched:
        """Write one version of a source to a file."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One version of a picture, and where it is."""

    bucket: Sources
    key: str
    version_id: str | None = None
    etag: str | None = None
    sha256: str | None = None
    """In hexadecimal: what must be fetched, if it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One result."""

    key: str
    """Where it is kept in the asset bucket; it stands for the source and everything done to it."""
    source: Source
    plan: Callable[[Probe], Plan]
    """Works out how it is made: a plan with one recipe, in the format of the key."""
