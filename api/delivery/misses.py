"""Makes what is not stored yet: once, however many ask, and no more at a time than there is room.

All slots taken and the short queue full is an answer too: `Busy`, at once. Nothing piles up.
"""

import asyncio
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from api.delivery.wanted import Wanted
from safelight.aws.objects import Asset
from safelight.errors import Reason, Rejection, Superseded
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan
from safelight.imaging.probe import Probe
from safelight.imaging.render import Rendering
from safelight.imaging.spool import Spool

REMEMBERED = 1000
"""Rejections that are kept in mind, so that a bad picture is not tried again for every viewer."""
REMEMBERED_SECONDS = 60


class Busy(Exception):
    """There is no room for another render now; after so many seconds there may be."""

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(f"no room for another render; in {retry_seconds} s there may be")
        self.retry_seconds = retry_seconds


class Assets(Protocol):
    """Where results are kept."""

    async def put(self, *, key: str, path: Path, media_type: str, sha256: str) -> None:
        """Store a file as an asset."""
        ...


class Renderer(Protocol):
    """Who looks at pictures: in other processes, because a picture may kill."""

    async def probe(self, path: Path) -> Probe:
        """Read what the header says."""
        ...

    async def render(self, plan: Plan, source: Path, directory: Path) -> Rendering:
        """Make the plan's variants as files in a directory."""
        ...


class Misses:
    """Fetches, renders and stores; of all who want one result, the first one's work serves all."""

    def __init__(
        self,
        *,
        assets: Assets,
        renderer: Renderer,
        admission: Admission,
        spool: Spool,
        slots: int,
        queue: int,
        wait_seconds: float,
        max_source_bytes: int,
        max_result_bytes: int,
    ) -> None:
        self._assets = assets
        self._renderer = renderer
        self._admission = admission
        self._spool = spool
        self._room = slots + queue
        self._slots = asyncio.Semaphore(slots)
        self._wait_seconds = wait_seconds
        self._max_source_bytes = max_source_bytes
        self._max_result_bytes = max_result_bytes
        self._flights: dict[str, asyncio.Task[Asset]] = {}
        self._rejections: OrderedDict[str, tuple[float, Rejection]] = OrderedDict()

    @property
    def under_way(self) -> int:
        """Results being made or waiting for a slot."""
        return len(self._flights)

    async def make(self, wanted: Wanted) -> tuple[Asset, bool]:
        """Make a result and store it, or wait for whoever makes it; tell whether it was waited for.

        Raises `Busy`, a `Rejection` if the source is at fault, `Superseded` if it was replaced.
        Whoever stops waiting stops nothing: the result is stored for the next one.
        """
        self._refuse_again(wanted.key)
        flight = self._flights.get(wanted.key)
        joined = flight is not None
        if flight is None:
            if len(self._flights) >= self._room:
                raise Busy(self._retry_seconds)
            flight = asyncio.create_task(self._in_a_slot(wanted))
            self._flights[wanted.key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(wanted.key, None))
        return await asyncio.shield(flight), joined

    @property
    def _retry_seconds(self) -> int:
        return max(1, round(self._wait_seconds / 2))

    async def _in_a_slot(self, wanted: Wanted) -> Asset:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise Busy(self._retry_seconds) from None
        try:
            return await self._make(wanted)
        except Rejection as rejection:
            self._remember(wanted.key, rejection)
            raise
        finally:
            self._slots.release()

    async def _make(self, wanted: Wanted) -> Asset:
        """Fetch, probe, plan, admit, render, put: as a worker does, for one variant."""
        with self._spool.directory() as directory:
            path = directory / "source"
            source = wanted.source
            fetched = await source.bucket.fetch(
                key=source.key,
                version_id=source.version_id,
                etag=source.etag,
                to=path,
                max_bytes=self._max_source_bytes,
            )
            if source.sha256 is not None and fetched.sha256 != source.sha256:
                raise Superseded(f"{source.key} was replaced")
            plan = wanted.plan(await self._renderer.probe(path))
            async with self._admission.admit(plan.predicted_bytes):
                rendering = await self._renderer.render(plan, path, directory)
            (made,) = rendering.variants
            if made.size_bytes > self._max_result_bytes:
                detail = f"the result has {made.size_bytes} bytes"
                raise Rejection(Reason.TOO_MANY_BYTES, detail)
            await self._assets.put(
                key=wanted.key, path=made.path, media_type=made.media_type, sha256=made.sha256
            )
            return Asset(
                media_type=made.media_type,
                size_bytes=made.size_bytes,
                sha256=made.sha256,
                body=made.path.read_bytes(),
            )

    def _remember(self, key: str, rejection: Rejection) -> None:
        until = asyncio.get_running_loop().time() + REMEMBERED_SECONDS
        self._rejections[key] = until, rejection
        if len(self._rejections) > REMEMBERED:
            self._rejections.popitem(last=False)

    def _refuse_again(self, key: str) -> None:
        until, rejection = self._rejections.get(key, (0.0, None))
        if rejection is None:
            return
        if asyncio.get_running_loop().time() < until:
            raise Rejection(rejection.reason, rejection.detail)
        del self._rejections[key]
