"""Leaves costly renders to the workers: a demand into their queue, not one for every viewer."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from api.delivery.sources import Subject
from safelight.errors import SafelightError
from safelight.presets import Preset
from safelight.queued import Demand

log = structlog.get_logger()

FIRST_AGAIN_SECONDS = 60
LONGEST_AGAIN_SECONDS = 960
"""How soon one result is demanded again, if it is still not there: each time after twice as long,
since what is late is mostly behind a backlog, and every demand makes that longer."""
REMEMBERED = 10_000
"""Demands that are kept in mind."""


class Queue(Protocol):
    """RendersQueue."""

    async def send(self, body: str, *, attributes: Mapping[str, str]) -> None:
        """Put a message into the queue."""
        ...


class Later:
    """Demands AVIFs of so many pixels that a viewer should not wait for them.

    Without a queue nothing is left to anybody, and viewers wait.
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
        """By result: from when on it may be demanded again, and how long that was."""

    def is_for(self, preset: Preset, subject: Subject) -> bool:
        """Tell whether a viewer had better see something else first."""
        if self._queue is None or not subject.recorded or preset.format != "avif":
            return False
        pixels = subject.pixels or 0
        if preset.box is not None:
            box = preset.box[0] * preset.box[1]
            pixels = box if preset.enlarge or preset.fit == "contain" else min(pixels, box)
        return pixels >= self._least_pixels

    async def demand(self, preset: Preset, subject: Subject) -> None:
        """Have it rendered, unless that was asked for a moment ago.

        A queue that is out of reach is no reason to show nothing: the next viewer asks again.
        """
        demand = Demand(image_id=subject.image_id, revision=subject.revision, preset=preset)
        name = f"{demand.image_id}/{demand.revision}/{preset.name}-{preset.fingerprint}"
        again_at, pause = self._demanded.get(name, (float("-inf"), 0.0))
        now = self._now()
        if now < again_at:
            return
        forgotten = now > again_at + LONGEST_AGAIN_SECONDS
        pause = FIRST_AGAIN_SECONDS if forgotten else min(2 * pause, LONGEST_AGAIN_SECONDS)
        self._demanded[name] = (now + pause, pause)
        self._demanded.move_to_end(name)
        if len(self._demanded) > REMEMBERED:
            self._demanded.popitem(last=False)
        assert self._queue is not None  # noqa: S101 - `is_for` says so
        try:
            await self._queue.send(demand.to_json(), attributes={})
        except SafelightError as error:
            self._demanded.pop(name, None)
            log.warning("not_demanded", error=str(error), image_id=demand.image_id)
