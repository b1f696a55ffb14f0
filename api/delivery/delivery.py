"""The way of a request for a picture: this page tells it.

The record, or the bucket that an alias names, says which revision stands. Of the formats that the
client accepts and the preset allows, the best is looked up in the asset bucket, where uploads'
variants and earlier requests' results are kept under the same keys. What is not there is rendered,
stored and answered.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol
from urllib.parse import quote

import structlog
from aiohttp import web

from api.delivery import negotiation
from api.delivery.aliases import Alias
from api.delivery.freeform import FreeForm, asked_of, grant_of
from api.delivery.lookup import PENDING_SECONDS, STAND_IN, Lookup, Visit, timed
from api.delivery.query import Query, in_one_spelling
from api.delivery.responses import (
    Freshness,
    Timings,
    Waiting,
    is_known,
    not_modified,
    picture,
    tags_of,
)
from api.delivery.signing import PARAMETERS, Grant, SigningKeys
from api.delivery.sources import (
    Bucket,
    NotThereYet,
    Records,
    SourceImage,
    find_image,
    find_object,
)
from api.metrics import DeliveryMetrics
from api.middlewares import note
from api.problems import Problem, Refusal, json_answer
from safelight import keys
from safelight.aws.objects import Asset
from safelight.errors import SafelightError
from safelight.formats import AUTO, AUTO_SCALE, BY_NAME
from safelight.image_ids import ImageIds
from safelight.making import Sources
from safelight.presets import Policy, Preset
from safelight.record import Record
from safelight.wish.canonical import NAME
from safelight.wish.wish import Wish

log = structlog.get_logger()

STAND_IN_SECONDS = 30
"""How long what stands in for a result that comes later may be kept."""
PLACEHOLDER_SECONDS = 5
"""How long a default picture may be kept in place of what may come."""
DESTINATION = "Sec-Fetch-Dest"
"""What a browser will do with an answer: only pictures are shown a default picture."""
SHOWN_INSTEAD = frozenset({Problem.UNKNOWN_IMAGE, Problem.IMAGE_ERASED, Problem.NOT_RENDERED})
"""Problems in place of which a preset's default picture is shown."""


class Delivery:
    """`GET /{preset}/{imageId}[.extension]`, `GET /{alias}/{path}`, assets by their keys, and
    free-form URLs.
    """

    def __init__(
        self,
        *,
        records: Records,
        current: Records,
        bucket: Sources,
        lookup: Lookup,
        presets: Sequence[Preset],
        defaults: Mapping[str, Asset],
        signing: SigningKeys,
        ids: ImageIds,
        metrics: DeliveryMetrics,
        aliases: Mapping[str, tuple[Alias, Bucket]] | None = None,
        freeform: FreeForm | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.presets: Mapping[str, Preset] = {preset.name: preset for preset in presets}
        self.aliases = aliases or {}
        self.freeform = freeform
        self._records = records
        """What may be a moment old."""
        self._current = current
        self._bucket = bucket
        self._lookup = lookup
        self._defaults = defaults
        self._signing = signing
        self._ids = ids
        self._metrics = metrics
        self._now = now

    async def get(self, request: web.Request) -> web.Response:
        """Deliver a variant of an image."""
        in_one_spelling(request)
        preset = self.presets[request.match_info["preset"]]
        image_id, dot, extension = request.match_info["image"].partition(".")

        async def find(grant: Grant) -> SourceImage:
            note(request, image_id=image_id[:26])
            return await find_image(image_id, grant, records=self._records, bucket=self._bucket)

        return await self._answer(request, preset, find, extension=extension if dot else None)

    async def get_alias(self, request: web.Request) -> web.Response:
        """Deliver a variant of an object in a bucket that an alias names."""
        in_one_spelling(request)
        alias, bucket = self.aliases[request.match_info["alias"]]
        name = request.query.get("preset", alias.presets[0])

        async def find(grant: Grant) -> SourceImage:
            if name not in alias.presets:
                allowed = ", ".join(alias.presets)
                raise Refusal(Problem.INVALID_URL, f"{alias.name!r} has the presets {allowed}.")
            path = request.match_info["path"]
            return await find_object(path, grant, alias=alias, bucket=bucket, ids=self._ids)

        note(request, alias=alias.name)
        preset = self.presets[name if name in alias.presets else alias.presets[0]]
        return await self._answer(request, preset, find, of_alias=True)

    async def get_asset(self, request: web.Request) -> web.Response:
        """Deliver an asset by its key, as the bucket does; what is not there yet is rendered."""
        in_one_spelling(request)
        key = request.path.removeprefix("/")
        name = keys.read_asset_key(key)
        if name is None or name.preset not in self.presets:
            raise Refusal(Problem.UNKNOWN_IMAGE, "There is no asset of this key.")
        wish = self._wish_of(name)

        async def find(grant: Grant) -> SourceImage:
            note(request, image_id=name.image_id)
            # Who knows a key may have it of a record that is younger than what is kept of it.
            for records in (self._records, self._current):
                image = await find_image(name.image_id, grant, records=records, bucket=self._bucket)
                if image.has(key) or (wish and image.wanted(name.preset, wish).key == key):
                    return image
            raise Refusal(Problem.UNKNOWN_IMAGE, "There is no asset of this key any more.")

        return await self._answer(request, self.presets[name.preset], find, key=key, wish=wish)

    def _wish_of(self, name: keys.AssetName) -> Wish | None:
        """Find what a key's fingerprint stands for, as the presets are declared now."""
        preset = self.presets[name.preset]
        wishes = (preset.wish, *map(preset.wish.in_format, preset.deliverable))
        return next((one for one in wishes if one.fingerprint == name.fingerprint), None)

    async def get_freeform(self, request: web.Request) -> web.Response:
        """Deliver what a free-form URL asks for."""
        freeform = self.freeform
        if freeform is None:  # without it no route leads here
            raise Refusal(Problem.UNKNOWN_PATH, Problem.UNKNOWN_PATH.remedy)
        wished = freeform.read(request, now=self._now())
        note(request, dialect=wished.dialect, signing_key=wished.key_id)
        preset = freeform.preset(wished, self.presets) or Preset(
            name=NAME, wish=Wish(format=AUTO_SCALE), policy=freeform.policy(wished)
        )

        async def find(grant: Grant) -> SourceImage:
            return await freeform.find(wished, grant)

        return await self._answer(
            request, preset, find, asked=asked_of(wished), grant=grant_of(wished)
        )

    async def _answer(
        self,
        request: web.Request,
        preset: Preset,
        find: "_Find",
        *,
        extension: str | None = None,
        of_alias: bool = False,
        key: str | None = None,
        wish: Wish | None = None,
        asked: Query | None = None,
        grant: Grant | None = None,
    ) -> web.Response:
        """Answer; what is asked and granted is read of the URL, unless somebody has read it."""
        timings = Timings()
        headers = {
            "Vary": _varies_by(preset.policy),
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        try:
            visit = Visit(
                request=request,
                preset=preset,
                asked=asked
                or Query.read(
                    request.query, extension=extension, of_alias=of_alias, of_asset=key is not None
                ),
                grant=_ending(preset.policy, grant or self._granted(request, preset.policy)),
                timings=timings,
                key=key,
                wish=wish,
            )
            answer = await self._deliver(visit, find)
            self._metrics.pictures.labels(timings.outcome).inc()
        except Refusal as refusal:
            timings.outcome = refusal.problem.slug
            self._metrics.pictures.labels("refused").inc()
            self._metrics.refusals.labels(refusal.problem.slug).inc()
            if preset.name in self._defaults and refusal.problem in SHOWN_INSTEAD:
                headers["Vary"] += f", {DESTINATION}"
            # A new one: requests that wait for the same work share the exception it raised.
            told = {**headers, **refusal.headers, "Server-Timing": str(timings)}
            refused = Refusal(refusal.problem, refusal.detail, headers=told, errors=refusal.errors)
            answer = self._shown_instead(request, preset, refused)
        answer.headers.update({**headers, "Server-Timing": str(timings)})
        note(request, preset=preset.name, cache=timings.outcome, **timings.stages)
        return answer

    async def _deliver(self, visit: Visit, find: "_Find") -> web.Response:
        request, preset = visit.request, visit.preset
        formats = visit.asked.formats(preset)
        try:
            with timed(visit.timings, "lookup"):
                image = await find(visit.grant)
        except NotThereYet as pending:
            return self._pending(visit, pending.record)
        key, asset = await self._result(visit, image, formats)
        headers = self._headers(key, visit)
        if is_known(request, asset):
            return not_modified(asset, headers)
        return picture(request, asset, headers, parts=partial(self._parts, key))

    async def _result(
        self, visit: Visit, image: SourceImage, formats: Sequence[str]
    ) -> tuple[str, Asset]:
        """Find or make the best of what is asked for, and its key."""
        if visit.wish is not None:
            return await self._lookup.first_of((visit.wish,), image, visit)
        if visit.key is not None:
            asset = await self._lookup.there(visit.key, image, visit)
            if asset is None:
                raise Refusal(Problem.UNKNOWN_IMAGE, "There is no asset of this key any more.")
            return visit.key, asset
        order = negotiation.in_order(_accept(visit.request), formats, alpha=image.transparent)
        hinted = negotiation.hinted(visit.preset, visit.request.headers)
        wishes = _wishes(image, visit.preset.name, hinted, order)
        return await self._lookup.first_of(wishes, image, visit)

    async def _parts(self, key: str, asset: Asset, first: int, beyond: int) -> AsyncIterator[bytes]:
        """Send a picture on. Its answer has begun: a failure can only be told here."""
        parts = self._lookup.parts(key, asset, first, beyond)
        del asset
        try:
            async for part in parts:
                yield part
        except SafelightError as error:
            self._metrics.broken.inc()
            log.warning("answer_broken", key=key, error=str(error))
            raise

    def _granted(self, request: web.Request, policy: Policy) -> Grant:
        """Check the signature, where the policy wants one or the URL has one."""
        if policy.access == "public" and not PARAMETERS.intersection(request.query):
            return Grant()
        grant = self._signing.check(request.path, request.query)
        note(request, signing_key=grant.key_id)
        return grant

    def _headers(self, key: str, visit: Visit) -> dict[str, str]:
        at_most = STAND_IN_SECONDS if visit.timings.outcome == STAND_IN else None
        freshness = Freshness.of(
            visit.preset.policy,
            visit.grant,
            self._now(),
            at_most=at_most,
            immutable=visit.key is not None,
        )
        key_id, quotas = visit.grant.key_id, self._lookup.quotas
        return {
            "Cache-Control": str(freshness),
            "Content-Disposition": _disposition(key, visit.asked),
            **tags_of(key),
            **(quotas.headers(key_id) if quotas and key_id else {}),
        }

    def _pending(self, visit: Visit, record: Record) -> web.Response:
        """Answer for a picture that is still being worked on: never with a 404."""
        headers = {"Retry-After": str(PENDING_SECONDS)}
        default = self._defaults.get(visit.preset.name)
        visit.timings.outcome = "pending"
        if visit.preset.policy.pending == "default" and default is not None:
            return _default(
                visit.request, visit.preset.policy, default, status=202, headers=headers
            )
        waiting = Waiting(image_id=record.image_id, status=record.status)
        return json_answer(waiting, status=202, headers=headers)

    def _shown_instead(
        self, request: web.Request, preset: Preset, refusal: Refusal
    ) -> web.Response:
        """Show the preset's default picture where one will be looked at; else tell the problem."""
        default = self._defaults.get(preset.name)
        shown = negotiation.wants_picture(_accept(request), request.headers.get(DESTINATION))
        if default is None or not shown or refusal.problem not in SHOWN_INSTEAD:
            raise refusal
        note(request, problem=refusal.problem.slug)
        return _default(request, preset.policy, default, status=refusal.problem.status, headers={})


class _Find(Protocol):
    async def __call__(self, grant: Grant) -> SourceImage: ...


def _ending(policy: Policy, grant: Grant) -> Grant:
    """Hold what is private to URLs that end, whoever read them."""
    if policy.access == "private" and grant.expires_at is None:
        raise Refusal(Problem.INVALID_SIGNATURE, "The URL must expire, and does not say when.")
    return grant


def _accept(request: web.Request) -> str | None:
    """Read Accept, which may come in several lines."""
    lines = request.headers.getall("Accept", [])
    return ", ".join(lines) if lines else None


def _wishes(image: SourceImage, preset: str, wish: Wish, order: Sequence[str]) -> tuple[Wish, ...]:
    """List what would do, the best first; of `auto` what its render chose, if that is welcome."""
    made = image.variants.get(preset) if wish.format == AUTO else None
    name = keys.read_asset_key(made.key) if made else None
    welcome = {BY_NAME[format].media_type for format in order}
    if made and made.media_type in welcome and name and name.fingerprint == wish.fingerprint:
        return (wish,)
    return tuple(wish.in_format(format) for format in order)


def _default(
    request: web.Request,
    policy: Policy,
    default: Asset,
    *,
    status: int,
    headers: Mapping[str, str],
) -> web.Response:
    freshness = Freshness(seconds=PLACEHOLDER_SECONDS, private=policy.access == "private")
    return picture(request, default, {"Cache-Control": str(freshness), **headers}, status=status)


def _varies_by(policy: Policy) -> str:
    return ", ".join(["Accept", *(negotiation.HINTS if policy.hints else ())])


def _disposition(key: str, asked: Query) -> str:
    """Name the file by what it is; the uploader's own name may tell of the uploader."""
    kind = "attachment" if asked.download else "inline"
    if asked.file_name is not None:  # RFC 8187, 3.2: nothing in it can end the header
        return f"{kind}; filename*=UTF-8''{quote(asked.file_name, safe='')}"
    name = keys.read_asset_key(key)
    file = f"{name.image_id}-{name.preset}.{name.extension}" if name else "picture"
    return f'{kind}; filename="{file}"'
