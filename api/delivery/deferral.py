"""Defers costly renders to the workers: sends a demand to their queue, but not one per viewer."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from api.delivery.sources import SourceImage
from safelight.errors import SafelightError
from safelight.formats import BY_NAME
from safelight.presets import Preset
from safelight.queued import Demand
from safelight.wish.wish import Wish

log = structlog.get_logger()

FIRST_AGAIN_SECONDS = 60
LONGEST_AGAIN_SECONDS = 960
"""Seconds until a missing result is demanded again. The pause doubles with each demand, because a
late result usually waits behind a backlog, which every demand lengthens."""
REMEMBERED = 10_000
"""The most demands that are remembered."""


class Queue(Protocol):
    """RendersQueue."""

    async def send(self, body: str, *, attributes: Mapping[str, str]) -> None:
        """Put a message into the queue."""
        ...


class Deferral:
    """Demands AVIFs with so many pixels that a viewer should not wait for them.

    Without a queue nothing is deferred, and viewers wait.
    """

    def __init__(
        self,
        queue: Queue | None,
        *,
        least_pixels: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._least_pixels = least_pixels
        self._now = now
        self._demanded: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Result -> when it may be demanded again, and the pause until then in seconds."""

    def is_for(self, wish: Wish, image: SourceImage) -> bool:
        """Return whether viewers should get another format until the workers have made this one."""
        if self._queue is None or not image.recorded or not _is_costly(wish):
            return False
        pixels = image.pixels or 0
        if wish.box is not None:
            box = wish.box[0] * wish.box[1]
            pixels = box if wish.enlarge or wish.fit == "contain" else min(pixels, box)
        return pixels >= self._least_pixels

    async def demand(self, name: str, wish: Wish, image: SourceImage) -> None:
        """Send a demand for the result, unless one was sent recently.

        A failure to send is only logged: the viewer gets another format, the next viewer retries.
        """
        preset = Preset(name=name, wish=wish)
        demand = Demand(image_id=image.image_id, revision=image.revision, preset=preset)
        result = f"{demand.image_id}/{demand.revision}/{name}-{wish.fingerprint}"
        again_at, pause = self._demanded.get(result, (float("-inf"), 0.0))
        now = self._now()
        if now < again_at:
            return
        forgotten = now > again_at + LONGEST_AGAIN_SECONDS
        pause = FIRST_AGAIN_SECONDS if forgotten else min(2 * pause, LONGEST_AGAIN_SECONDS)
        self._demanded[result] = (now + pause, pause)
        self._demanded.move_to_end(result)
        if len(self._demanded) > REMEMBERED:
            self._demanded.popitem(last=False)
        assert self._queue is not None  # noqa: S101 - `is_for` returned True
        try:
            await self._queue.send(demand.to_json(), attributes={})
        except SafelightError as error:
            self._demanded.pop(result, None)
            log.warning("demand_not_sent", error=str(error), image_id=demand.image_id)


def _is_costly(wish: Wish) -> bool:
    format = BY_NAME.get(wish.format)
    return format is not None and format.costly
