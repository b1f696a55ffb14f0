"""Finds what a request wants in the asset bucket, or has it made: the second half of its way."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from api.delivery.deferral import Deferral
from api.delivery.on_demand import OnDemand
from api.delivery.query import Query
from api.delivery.responses import Timings, is_known
from api.delivery.signing import Grant
from api.delivery.single_flight import Busy
from api.delivery.sources import SourceImage, not_rendered
from api.problems import Problem, Refusal
from api.quotas import Quotas
from safelight.aws.objects import Asset
from safelight.errors import Archived, Rejection, Superseded, Unavailable, UnusableWatermark
from safelight.making import RenderRequest
from safelight.presets import Preset
from safelight.wish.errors import InvalidOption
from safelight.wish.wish import Wish

PENDING_SECONDS = 1
"""How soon to ask again for a picture that is being worked on."""
STAND_IN = "stand-in"


class Assets(Protocol):
    """The assets to answer with."""

    async def read(self, key: str, *, max_bytes: int, first: int = 0) -> Asset | None:
        """Read a part of an asset, if it is stored."""
        ...

    async def look(self, key: str) -> Asset | None:
        """Read what is known of an asset, if it is stored."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request, and what was read of it."""

    request: web.Request
    preset: Preset
    asked: Query
    grant: Grant
    timings: Timings
    key: str | None = None
    """Of the asset, where that is the URL: nothing is negotiated."""
    wish: Wish | None = None
    """What the key stands for; None if it is of a preset as it was declared once."""


class Lookup:
    """What is stored, what is made while the viewer waits, and what is left to the workers."""

    def __init__(
        self,
        *,
        assets: Assets,
        on_demand: OnDemand,
        deferral: Deferral,
        quotas: Quotas,
        max_bytes: int,
    ) -> None:
        self.quotas = quotas
        self._assets = assets
        self._on_demand = on_demand
        self._deferral = deferral
        self._max_bytes = max_bytes

    async def first_of(
        self, wishes: Sequence[Wish], image: SourceImage, visit: Visit
    ) -> tuple[str, Asset]:
        """Find the first wish that is there or can be made while the viewer waits, and its key."""
        *better, last = wishes
        name = visit.preset.name
        for wish in better:
            wanted = image.wanted(name, wish)
            asset = await self.there(wanted.key, image, visit)
            if asset is not None or not self._deferral.is_for(wish, image):
                return wanted.key, asset or await self._made(wanted, visit)
            await self._deferral.demand(name, wish, image)
            visit.timings.outcome = STAND_IN
        wanted = image.wanted(name, last)
        asset = await self.there(wanted.key, image, visit)
        return wanted.key, asset or await self._made(wanted, visit)

    async def parts(self, key: str, asset: Asset, first: int, beyond: int) -> AsyncIterator[bytes]:
        """Read a result on, a part at a time: a slow viewer holds no more, whatever its size.

        Raises `Unavailable` if other bytes stand there by now: what has begun cannot be ended.
        """
        part, sha256 = (asset.body or b"")[first:beyond], asset.sha256
        del asset  # and with it its first part, once that is sent
        while first < beyond:
            part = part or await self._part(key, sha256, first)
            yield part[: beyond - first]
            first += len(part)
            part = b""

    async def _part(self, key: str, sha256: str, first: int) -> bytes:
        read = await self._assets.read(key, max_bytes=self._max_bytes, first=first)
        if read is None or read.sha256 != sha256 or not read.body:
            raise Unavailable("s3", f"{key} is not what it was when its answer began")
        return read.body

    async def there(self, key: str, image: SourceImage, visit: Visit) -> Asset | None:
        """Look a result up: with its first part, or only what is known where that is enough."""
        request = visit.request
        known = next(
            (
                _recorded(variant.media_type, variant.size, variant.sha256)
                for variant in image.variants.values()
                if variant.key == key
            ),
            None,
        )
        with timed(visit.timings, "store"):
            if known is None and (request.method == "HEAD" or request.if_none_match):
                known = await self._assets.look(key)
            if known is not None and (request.method == "HEAD" or is_known(request, known)):
                return known
            try:
                return await self._assets.read(key, max_bytes=self._max_bytes)
            except Rejection as rejection:
                raise not_rendered(rejection.reason, rejection.detail) from rejection

    async def _made(self, wanted: RenderRequest, visit: Visit) -> Asset:
        """Have a result made, unless the key that signed the URL has had too many made."""
        try:
            with timed(visit.timings, "render"):
                asset, joined = await self._on_demand.render(
                    wanted, before=lambda: self._take_of(visit.grant.key_id)
                )
        except Superseded as error:
            raise Busy("The source is being replaced.", retry_seconds=PENDING_SECONDS) from error
        except Rejection as rejection:
            raise not_rendered(rejection.reason, rejection.detail) from rejection
        except InvalidOption as error:
            raise Refusal(Problem.INVALID_URL, str(error)) from error
        except UnusableWatermark as error:
            why = f"watermark: {error.key[:80]!r} cannot be used: {error.detail}"
            raise Refusal(Problem.INVALID_URL, why) from error
        except Archived as error:
            raise Refusal(Problem.NOT_RENDERED, "The source is in an archive.") from error
        if visit.timings.outcome != STAND_IN:
            visit.timings.outcome = "joined" if joined else "rendered"
        return asset

    def _take_of(self, key_id: str | None) -> None:
        """Count a render that begins against the key that signed for it, if any did."""
        if key_id:
            self.quotas.take(
                key_id, detail="The key that signed the URL has had too many pictures rendered."
            )


def _recorded(media_type: str, size_bytes: int, sha256: str) -> Asset:
    return Asset(media_type=media_type, size_bytes=size_bytes, sha256=sha256, body=None)


@contextmanager
def timed(timings: Timings, stage: str) -> Iterator[None]:
    """Time one stage of a request."""
    started = time.perf_counter()
    try:
        yield
    finally:
        timings.stages[stage] = timings.stages.get(stage, 0) + time.perf_counter() - started
