"""Makes what is not stored yet: once, however many ask, and no more at a time than there is room.

All slots taken and the short queue full is an answer too: `Busy`, at once. Nothing piles up.
"""

import asyncio
import copy
from collections import OrderedDict
from collections.abc import Callable

from api.delivery.single_flight import Flights
from api.metrics import DeliveryMetrics
from safelight.aws.objects import PART_BYTES, Asset
from safelight.errors import Archived, Rejection
from safelight.imaging.result import Maker, Wanted
from safelight.imaging.watermark import UnusableWatermark
from safelight.wish.errors import InvalidOption

SETTLED = (Rejection, InvalidOption, UnusableWatermark, Archived)
"""Failures that trying again does not mend."""
REMEMBERED = 1000
"""Of these that are kept in mind, so that a bad picture is not tried again for every viewer."""
REMEMBERED_SECONDS = 60


class Misses:
    """Fetches, renders and stores; of all who want one result, the first one's work serves all."""

    def __init__(
        self,
        maker: Maker,
        *,
        slots: int,
        queue: int,
        wait_seconds: float,
        metrics: DeliveryMetrics,
    ) -> None:
        self._maker = maker
        self._flights: Flights[Asset] = Flights(
            at_once=slots, waiting=queue, wait_seconds=wait_seconds
        )
        metrics.room.set(self._flights.room)
        metrics.under_way.set_function(lambda: len(self._flights))
        self._rejections: OrderedDict[str, tuple[float, Exception]] = OrderedDict()

    @property
    def under_way(self) -> int:
        """Results being made or waiting for a slot."""
        return len(self._flights)

    async def make(
        self, wanted: Wanted, *, before: Callable[[], None] = lambda: None
    ) -> tuple[Asset, bool]:
        """Make a result and store it, or wait for whoever makes it; tell whether it was waited for.

        `before` is called where there is a render to begin, and may raise to prevent it. Raises
        `Busy`, what is `SETTLED` if the source or the wish is at fault, `Superseded` if the source
        was replaced.
        Whoever stops waiting stops nothing: the result is stored for the next one.
        """
        self._refuse_again(wanted.key)
        joined = wanted.key in self._flights
        made = await self._flights.join(wanted.key, lambda: self._make(wanted), before=before)
        return made, joined

    async def _make(self, wanted: Wanted) -> Asset:
        try:
            made, body = await self._maker.make(wanted)
        except SETTLED as error:
            self._remember(wanted.key, error)
            raise
        return Asset(
            media_type=made.media_type,
            size_bytes=made.size_bytes,
            sha256=made.sha256,
            body=body[:PART_BYTES],
        )

    def _remember(self, key: str, error: Exception) -> None:
        until = asyncio.get_running_loop().time() + REMEMBERED_SECONDS
        self._rejections[key] = until, copy.copy(error)  # without what its traceback holds
        if len(self._rejections) > REMEMBERED:
            self._rejections.popitem(last=False)

    def _refuse_again(self, key: str) -> None:
        until, error = self._rejections.get(key, (0.0, None))
        if error is None:
            return
        if asyncio.get_running_loop().time() < until:
            raise copy.copy(error)
        del self._rejections[key]
