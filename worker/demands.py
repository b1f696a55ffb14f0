"""Meets demands: renders one variant that a viewer asked for, beside what uploads get anyway."""

from typing import Protocol

from safelight.errors import Rejection, Superseded
from safelight.imaging.result import Maker, Sources, Wanted, source_of
from safelight.queued import Demand
from safelight.record import Record, Status
from worker.observer import Observer
from worker.verdict import Progress


class Records(Protocol):
    """What is known of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read the record that stands."""
        ...


class Demands:
    """Renders what is demanded, as long as it is wanted still. A repeat writes the same again."""

    def __init__(
        self, *, records: Records, sources: Sources, maker: Maker, observer: Observer
    ) -> None:
        self._records = records
        self._sources = sources
        self._maker = maker
        self._observer = observer

    async def meet(self, demand: Demand) -> Progress:
        """Make the variant and store it. Nothing is committed or published: the bucket knows it."""
        outcome = await self._meet(demand)
        self._observer.demanded(demand, outcome)
        return Progress.STORED if outcome == "met" else Progress.NONE

    async def _meet(self, demand: Demand) -> str:
        record = await self._records.get(demand.image_id)
        stands = record is not None and record.status is Status.COMPLETED
        if record is None or not stands or record.revision != demand.revision:
            return "superseded"
        wanted = Wanted.of_preset(
            demand.preset,
            source_of(record, self._sources),
            image_id=demand.image_id,
            revision=demand.revision,
        )
        try:
            with self._observer.stage("demand"):
                await self._maker.make(wanted)
        except Superseded:
            return "superseded"
        except Rejection:
            return "rejected"
        return "met"
