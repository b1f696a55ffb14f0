"""Finds the result of a request: stored, rendered while the client waits, or a stand-in for it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Protocol

import structlog

from api.delivery.ask import Ask
from api.delivery.deferral import Deferral
from api.delivery.found import Found, How
from api.delivery.on_demand import OnDemand
from api.delivery.query import invalid
from api.delivery.responses import Timings, is_known
from api.delivery.single_flight import Busy
from api.delivery.sources import SourceImage, no_such_asset, not_rendered
from api.metrics import DeliveryMetrics
from api.problems import Problem, Refusal
from api.quotas import Quotas
from safelight.aws.objects import Asset
from safelight.errors import (
    Archived,
    Rejection,
    SafelightError,
    Superseded,
    Unavailable,
    UnusableWatermark,
)
from safelight.making import RenderRequest
from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options
from safelight.wish.wish import Wish

log = structlog.get_logger()

REPLACED_SECONDS = 1
"""Seconds after which to retry while a source is being replaced."""


class Assets(Protocol):
    """The asset bucket."""

    async def read(self, key: str, *, max_bytes: int, first: int = 0) -> Asset | None:
        """Read a part of an asset, if it is stored."""
        ...

    async def look(self, key: str) -> Asset | None:
        """Read the metadata of an asset, if it is stored."""
        ...


class Lookup:
    """Looks results up in the asset bucket, and renders or defers missing ones."""

    def __init__(
        self,
        *,
        assets: Assets,
        on_demand: OnDemand,
        deferral: Deferral | None,
        quotas: Quotas,
        max_bytes: int,
        metrics: DeliveryMetrics,
    ) -> None:
        self._assets = assets
        self._on_demand = on_demand
        self._deferral = deferral
        self._quotas = quotas
        self._max_bytes = max_bytes
        self._metrics = metrics

    async def find(self, ask: Ask, image: SourceImage, timings: Timings) -> Found:
        """Look up the best acceptable result; render it if it is missing. Raises a `Refusal`.

        A costly one is left to the workers, and the next best is returned in its place.
        """
        if ask.key is not None and ask.wish is None:
            return await self._stored_only(ask.key, ask, image, timings)
        how = How.STORED
        wishes = ask.wishes(image)
        for wish in wishes:
            request = replace(image.request(ask.preset.name, wish), stored=ask.stored)
            asset = await self._stored(request.key, ask, image, timings)
            if asset is not None:
                return Found(key=request.key, asset=asset, how=how)
            if wish is wishes[-1] or not await self._deferred(ask, wish, image):
                break
            how = How.STAND_IN
        asset, joined = await self._render(request, ask, timings)
        if how is not How.STAND_IN:
            how = How.JOINED if joined else How.RENDERED
        return Found(key=request.key, asset=asset, how=how)

    async def parts(self, key: str, asset: Asset, first: int, beyond: int) -> AsyncIterator[bytes]:
        """Read an asset part by part, so that a slow client holds no more of it in memory.

        The response has begun, so a failure, or an asset that was replaced, breaks it off.
        """
        part, sha256 = (asset.body or b"")[first:beyond], asset.sha256
        del asset  # frees its first part once that is sent
        while first < beyond:
            part = part or await self._part(key, sha256, first)
            yield part[: beyond - first]
            first += len(part)
            part = b""

    def quota_headers(self, key_id: str | None) -> dict[str, str]:
        """Return headers with the renders that are left to a signing key."""
        return self._quotas.headers(key_id) if key_id else {}

    async def _part(self, key: str, sha256: str, first: int) -> bytes:
        try:
            read = await self._assets.read(key, max_bytes=self._max_bytes, first=first)
            if read is None or read.sha256 != sha256 or not read.body:
                raise Unavailable("s3", f"{key} was replaced while it was sent")
        except SafelightError as error:
            self._metrics.broken.inc()
            log.warning("answer_broken", key=key, error=str(error))
            raise
        return read.body

    async def _deferred(self, ask: Ask, wish: Wish | Options, image: SourceImage) -> bool:
        """Leave a result to the workers if it is costly; return whether it was."""
        if self._deferral is None:
            return False
        demand = self._deferral.demand_for(ask.preset, wish, image)
        if demand is None:
            return False
        await self._deferral.send(demand)
        return True

    async def _stored_only(self, key: str, ask: Ask, image: SourceImage, timings: Timings) -> Found:
        """Find the asset of a key that can no longer be rendered: its preset has changed."""
        asset = await self._stored(key, ask, image, timings)
        if asset is None:
            raise no_such_asset()
        return Found(key=key, asset=asset, how=How.STORED)

    async def _stored(
        self, key: str, ask: Ask, image: SourceImage, timings: Timings
    ) -> Asset | None:
        """Read a stored result: its first part, or only its metadata for HEAD and 304."""
        request = ask.request
        head = request.method == "HEAD"
        with timings.stage("store"):
            known = image.recorded_asset(key)
            if known is None and (head or request.if_none_match):
                known = await self._assets.look(key)
            if known is not None and (head or is_known(request, known)):
                return known
            try:
                return await self._assets.read(key, max_bytes=self._max_bytes)
            except Rejection as rejection:
                raise not_rendered(rejection.reason, rejection.detail) from rejection

    async def _render(
        self, request: RenderRequest, ask: Ask, timings: Timings
    ) -> tuple[Asset, bool]:
        """Render a result within the quota of the signing key; return whether another began it."""
        try:
            with timings.stage("render"):
                return await self._on_demand.render(
                    request, before=lambda: self._take_quota(ask.grant.key_id)
                )
        except Superseded as error:
            raise Busy("The source is being replaced.", retry_seconds=REPLACED_SECONDS) from error
        except Rejection as rejection:
            raise not_rendered(rejection.reason, rejection.detail) from rejection
        except InvalidOption as error:
            raise invalid(str(error)) from error
        except UnusableWatermark as error:
            why = f"watermark: {error.key[:80]!r} cannot be used: {error.detail}"
            raise invalid(why) from error
        except Archived as error:
            raise Refusal(Problem.NOT_RENDERED, "The source is in an archive.") from error

    def _take_quota(self, key_id: str | None) -> None:
        if key_id:
            self._quotas.take(
                key_id, detail="The key that signed the URL has used up its renders for now."
            )
