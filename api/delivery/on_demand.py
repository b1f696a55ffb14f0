"""Renders results that are not stored yet: each once, however many requests wait for it.

When all slots are taken and the short queue is full, a request gets `Busy` at once.
"""

import asyncio
import copy
from collections import OrderedDict
from collections.abc import Callable

from api.delivery.single_flight import SingleFlight
from api.metrics import DeliveryMetrics
from safelight.aws.objects import PART_BYTES, Asset
from safelight.errors import Archived, Rejection, UnusableWatermark
from safelight.making import Maker, RenderRequest
from safelight.wish.errors import InvalidOption

LASTING = (Rejection, InvalidOption, UnusableWatermark, Archived)
"""Failures that another attempt does not change."""
REMEMBERED = 1000
"""The most failures that are remembered, so that each viewer does not cause another attempt."""
REMEMBERED_SECONDS = 60
"""Seconds for which a failure is remembered."""


class OnDemand:
    """Fetches, renders and stores; concurrent requests for one result share one render."""

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
        self._renders: SingleFlight[Asset] = SingleFlight(
            at_once=slots, waiting=queue, wait_seconds=wait_seconds
        )
        metrics.room.set(self._renders.room)
        metrics.under_way.set_function(lambda: len(self._renders))
        self._failures: OrderedDict[str, tuple[float, Exception]] = OrderedDict()

    @property
    def under_way(self) -> int:
        """Results being rendered or waiting for a slot."""
        return len(self._renders)

    async def render(
        self, request: RenderRequest, *, before: Callable[[], None] = lambda: None
    ) -> tuple[Asset, bool]:
        """Render and store a result; also return whether another request had started the render.

        `before` is called only when a render starts, and may raise to prevent it. Raises `Busy`, a
        `LASTING` failure if the source or the wish is at fault, or `Superseded` if the source was
        replaced. A caller that stops waiting does not stop the render: its result is stored.
        """
        self._raise_remembered(request.key)
        joined = request.key in self._renders
        asset = await self._renders.join(request.key, lambda: self._render(request), before=before)
        return asset, joined

    async def _render(self, request: RenderRequest) -> Asset:
        try:
            made, body = await self._maker.make(request)
        except LASTING as error:
            self._remember(request.key, error)
            raise
        return Asset(
            media_type=made.media_type,
            size_bytes=made.size_bytes,
            sha256=made.sha256,
            body=body[:PART_BYTES],
        )

    def _remember(self, key: str, error: Exception) -> None:
        until = asyncio.get_running_loop().time() + REMEMBERED_SECONDS
        self._failures[key] = until, copy.copy(error)  # a copy holds no traceback and its frames
        if len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def _raise_remembered(self, key: str) -> None:
        until, error = self._failures.get(key, (0.0, None))
        if error is None:
            return
        if asyncio.get_running_loop().time() < until:
            raise copy.copy(error)
        del self._failures[key]
