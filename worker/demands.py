"""Renders variants on demand: for a viewer, in addition to the variants that every upload gets."""

from typing import Protocol

from safelight.errors import Rejection, Superseded
from safelight.making import Maker, RenderRequest, Sources, source_of
from safelight.queued import Demand
from safelight.record import Record, Status
from worker.observer import Observer
from worker.tombstones import MetTombstones
from worker.verdict import Progress


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read the current record of an image."""
        ...


class Demands:
    """Renders demanded variants of current revisions. A repeat stores the same asset again."""

    def __init__(
        self,
        *,
        records: Records,
        sources: Sources,
        maker: Maker,
        observer: Observer,
        tombstones: MetTombstones,
    ) -> None:
        self._records = records
        self._tombstones = tombstones
        self._sources = sources
        self._maker = maker
        self._observer = observer

    async def meet(self, demand: Demand) -> Progress:
        """Render and store the variant. Nothing is committed: delivery looks in the bucket."""
        outcome = await self._meet(demand)
        self._observer.demanded(demand, outcome)
        return Progress.STORED if outcome == "met" else Progress.NONE

    async def _meet(self, demand: Demand) -> str:
        record = await self._read(demand)
        if (
            record is None
            or record.status is not Status.COMPLETED
            or record.revision != demand.revision
        ):
            return "superseded"
        request = RenderRequest.of_preset(
            demand.preset.name,
            demand.preset.wish,
            source_of(record, self._sources),
            image_id=demand.image_id,
            revision=demand.revision,
            faces=record.faces,
        )
        try:
            with self._observer.stage("demand"):
                await self._maker.make(request)
        except Superseded:
            return "superseded"
        except Rejection:
            return "rejected"
        # The image may have been erased, and its assets deleted, before this one was stored.
        await self._read(demand, key=record.original_key)
        return "met"

    async def _read(self, demand: Demand, *, key: str | None = None) -> Record | None:
        """Read the record of the image, and have a tombstone's image erased again."""
        record = await self._records.get(demand.image_id)
        if record is not None and record.status is Status.ERASED:
            await self._tombstones.met(demand.image_id, key=key)
        return record
