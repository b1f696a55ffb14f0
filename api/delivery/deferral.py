"""Leaves costly renders to the workers: sends a demand to their queue, but not one per viewer."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from api.delivery.ask import UrlPreset
from api.delivery.sources import SourceImage
from safelight.errors import SafelightError
from safelight.formats import BY_NAME
from safelight.presets import Preset
from safelight.queued import Demand
from safelight.wish.options import Options
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
    """Demands pictures that cost so much CPU that a viewer should not wait for them."""

    def __init__(
        self,
        queue: Queue,
        *,
        least_pixels: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._least_pixels = least_pixels
        self._now = now
        self._demanded: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Result -> when it may be demanded again, and the pause until then in seconds."""

    def demand_for(
        self, preset: Preset | UrlPreset, wish: Wish | Options, image: SourceImage
    ) -> Demand | None:
        """Return the demand for a costly result; None if viewers should wait for its render."""
        if not (isinstance(preset, Preset) and isinstance(wish, Wish) and image.recorded):
            return None
        if not BY_NAME[wish.format].costly or _pixels_of(wish, image) < self._least_pixels:
            return None
        return Demand(
            image_id=image.image_id,
            revision=image.revision,
            preset=Preset(name=preset.name, wish=wish),
        )

    async def send(self, demand: Demand) -> None:
        """Send a demand, unless one for the same result was sent recently.

        A failure to send is only logged: the viewer gets another format, the next viewer retries.
        """
        preset = demand.preset
        result = f"{demand.image_id}/{demand.revision}/{preset.name}-{preset.wish.fingerprint}"
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
        try:
            await self._queue.send(demand.to_json(), attributes={})
        except SafelightError as error:
            self._demanded.pop(result, None)
            log.warning("demand_not_sent", error=str(error), image_id=demand.image_id)


def _pixels_of(wish: Wish, image: SourceImage) -> int:
    """Estimate the pixels of a result; 0 if the source's size is unknown."""
    pixels = image.pixels or 0
    if wish.box is None:
        return pixels
    box = wish.box[0] * wish.box[1]
    return box if wish.enlarge or wish.fit == "contain" else min(pixels, box)
