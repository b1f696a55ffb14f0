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
MOST_UNSTORED_BYTES = 8 * 1024**2
"""The largest result that is delivered without being stored, in bytes: all of it is in memory while
it is sent, because it cannot be read from S3 part by part."""


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
        most_unstored_bytes: int = MOST_UNSTORED_BYTES,
    ) -> None:
        self._maker = maker
        self._most_unstored_bytes = most_unstored_bytes
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

        A request that stores waits only for renders that store; others wait for either.
        `before` is called only when a render starts, and may raise to prevent it. Raises `Busy`, a
        `LASTING` failure if the source or the wish is at fault, or `Superseded` if the source was
        replaced. A caller that stops waiting does not stop the render: its result is stored.
        """
        stores = request.stored or request.key in self._renders
        name = request.key if stores else f"{request.key}, not stored"
        self._raise_remembered(name)
        joined = name in self._renders
        asset = await self._renders.join(name, lambda: self._render(request, name), before=before)
        return asset, joined

    async def _render(self, request: RenderRequest, name: str) -> Asset:
        try:
            made, body = await self._maker.make(request)
            if not request.stored:
                self._refuse_large(made.size_bytes)
        except LASTING as error:
            self._remember(name, error)
            raise
        return Asset(
            media_type=made.media_type,
            size_bytes=made.size_bytes,
            sha256=made.sha256,
            body=body[:PART_BYTES] if request.stored else body,
        )

    def _refuse_large(self, size_bytes: int) -> None:
        if size_bytes > self._most_unstored_bytes:
            why = f"the result has {size_bytes} bytes, more than {self._most_unstored_bytes}"
            raise InvalidOption("store", why)

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
