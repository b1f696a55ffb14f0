"""Delivers pictures by URL. A request takes four steps:

1. Read the URL: what is asked for, and what its signature grants (`Ask`).
2. Find the source image (`SourceImages`): in its record, or in the bucket that an alias names.
3. Look the result up (`Lookup`): the best format that the client accepts and the preset allows.
   Variants of uploads and earlier results are kept under the same keys in the asset bucket.
   A missing result is rendered and stored, or left to the workers.
4. Respond with what was found (`Found`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from aiohttp import web

from api.delivery.aliases import Alias
from api.delivery.ask import Ask, UrlPreset
from api.delivery.defaults import DESTINATION, Defaults
from api.delivery.found import Found, How
from api.delivery.freeform import FreeForm, grant_of, query_of
from api.delivery.lookup import Lookup
from api.delivery.query import (
    OF_ALIASES,
    OF_ASSETS,
    OWN,
    Query,
    invalid,
    listed,
    redirect,
    redirect_other_spellings,
)
from api.delivery.responses import (
    Freshness,
    Timings,
    disposition_of,
    is_known,
    not_modified,
    picture,
    tags_of,
)
from api.delivery.signing import PARAMETERS, Grant, SigningKeys
from api.delivery.sources import NotReady, SourceImage, SourceImages
from api.metrics import DeliveryMetrics
from api.middlewares import note
from api.problems import Problem, Refusal
from safelight import keys
from safelight.presets import Policy, Preset
from safelight.wish.wish import Wish


class Delivery:
    """Handles the URLs of presets, aliases, assets and free-form options."""

    def __init__(
        self,
        *,
        sources: SourceImages,
        lookup: Lookup,
        presets: Sequence[Preset],
        defaults: Defaults,
        signing: SigningKeys,
        metrics: DeliveryMetrics,
        aliases: Mapping[str, Alias],
        freeform: FreeForm | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.presets: Mapping[str, Preset] = {preset.name: preset for preset in presets}
        self.aliases = aliases
        self.freeform = freeform
        self._sources = sources
        self._lookup = lookup
        self._defaults = defaults
        self._signing = signing
        self._metrics = metrics
        self._now = now

    async def get(self, request: web.Request) -> web.Response:
        """Deliver a variant of an image."""
        redirect_other_spellings(request)
        preset = self.presets[request.match_info["preset"]]
        image_id, extension = _image_of(request)

        async def find(grant: Grant) -> SourceImage:
            note(request, image_id=image_id[:26])
            return await self._sources.by_id(image_id, grant)

        def read() -> Ask:
            return Ask(
                request=request,
                preset=preset,
                query=Query.read(request.query, extension=extension),
                grant=self._grant(request, preset.policy),
                find=find,
            )

        return await self._answer(request, preset, read)

    async def get_alias(self, request: web.Request) -> web.Response:
        """Deliver a variant of an object in a bucket that an alias names."""
        redirect_other_spellings(request)
        alias = self.aliases[request.match_info["alias"]]
        note(request, alias=alias.name)
        name = request.query.get("preset", alias.presets[0])
        preset = self.presets[name if name in alias.presets else alias.presets[0]]

        async def find(grant: Grant) -> SourceImage:
            if name not in alias.presets:
                raise invalid(f"{alias.name!r} allows only the presets {listed(alias.presets)}.")
            return await self._sources.by_path(request.match_info["path"], grant, alias=alias)

        def read() -> Ask:
            return Ask(
                request=request,
                preset=preset,
                query=Query.read(request.query, known=OWN | OF_ALIASES),
                grant=self._grant(request, preset.policy),
                find=find,
            )

        return await self._answer(request, preset, read)

    async def get_asset(self, request: web.Request) -> web.Response:
        """Deliver an asset by its key; render it if it is missing."""
        redirect_other_spellings(request)
        key = request.path.removeprefix("/")
        name = keys.read_asset_key(key)
        if name is None or name.preset not in self.presets:
            raise Refusal(Problem.UNKNOWN_IMAGE, "There is no asset of this key.")
        preset = self.presets[name.preset]
        wish = _wish_of(preset, name.fingerprint)

        async def find(grant: Grant) -> SourceImage:
            note(request, image_id=name.image_id)
            return await self._sources.by_key(key, name, wish, grant)

        def read() -> Ask:
            return Ask(
                request=request,
                preset=preset,
                query=Query.read(request.query, known=OF_ASSETS),
                grant=self._grant(request, preset.policy),
                find=find,
                key=key,
                wish=wish,
            )

        return await self._answer(request, preset, read)

    async def get_freeform(self, request: web.Request) -> web.Response:
        """Deliver what a free-form URL asks for."""
        freeform = self.freeform
        if freeform is None:  # then the application has no route to this handler
            raise Refusal(Problem.UNKNOWN_PATH, Problem.UNKNOWN_PATH.remedy)
        url = freeform.read(request, now=self._now())
        note(request, dialect=url.dialect, signing_key=url.key_id)
        preset = freeform.preset_of(url, self.presets)

        def read() -> Ask:
            return Ask(
                request=request,
                preset=preset,
                query=query_of(url),
                grant=grant_of(url),
                find=partial(freeform.find, url),
                stored=url.stored,
            )

        return await self._answer(request, preset, read)

    async def _answer(
        self, request: web.Request, preset: Preset | UrlPreset, read: Callable[[], Ask]
    ) -> web.Response:
        """Read the URL and deliver, or refuse; count and log the outcome."""
        timings = Timings()
        varies: tuple[str, ...] = ()
        try:
            ask = read()
            varies = ask.varies
            answer, how = await self._deliver(ask, timings)
        except Refusal as refusal:
            outcome = refusal.problem.slug
            if self._defaults.replace(preset, refusal.problem):
                varies = tuple(dict.fromkeys(("Accept", *varies, DESTINATION)))
            headers = _headers(varies, timings.header(outcome))
            answer = self._refuse(refusal, request, preset, headers)
        else:
            outcome = how.value
            headers = _headers(varies, timings.header(outcome))
            self._metrics.pictures.labels(outcome).inc()
        answer.headers.update(headers)
        note(request, preset=preset.name, cache=outcome, **timings.stages)
        return answer

    async def _deliver(self, ask: Ask, timings: Timings) -> tuple[web.Response, How]:
        """Find the source, look up or render the result, and respond with it."""
        try:
            with timings.stage("lookup"):
                image = await ask.find(ask.grant)
        except NotReady as pending:
            return self._defaults.pending(pending.record, ask.request, ask.preset), How.PENDING
        found = await self._lookup.find(ask, image, timings)
        return self._respond(ask, found), found.how

    def _grant(self, request: web.Request, policy: Policy) -> Grant:
        """Check the signature, if the policy requires one or the URL has one."""
        grant = self._signing.grant(policy.access, request.path, request.query)
        if grant.key_id is not None:
            note(request, signing_key=grant.key_id)
        return grant

    def _respond(self, ask: Ask, found: Found) -> web.Response:
        freshness = Freshness.of(
            ask.preset.policy,
            ask.grant,
            found.how,
            immutable=ask.key is not None,
            now=self._now(),
        )
        headers = {
            "Cache-Control": str(freshness),
            "Content-Disposition": disposition_of(found.key, ask.query),
            **tags_of(found.key),
            **self._lookup.quota_headers(ask.grant.key_id),
        }
        if is_known(ask.request, found.asset):
            return not_modified(found.asset, headers)
        return picture(
            ask.request, found.asset, headers, parts=partial(self._lookup.parts, found.key)
        )

    def _refuse(
        self,
        refusal: Refusal,
        request: web.Request,
        preset: Preset | UrlPreset,
        headers: Mapping[str, str],
    ) -> web.Response:
        """Count a refusal. Return the default picture in its place, or raise it with headers."""
        problem = refusal.problem
        self._metrics.pictures.labels(How.REFUSED.value).inc()
        self._metrics.refusals.labels(problem.slug).inc()
        default = self._defaults.in_place_of(refusal, request, preset)
        if default is None:
            # A new one: requests that wait for the same work share the exception it raised.
            sent = {**headers, **refusal.headers}
            raise Refusal(problem, refusal.detail, headers=sent, errors=refusal.errors) from refusal
        note(request, problem=problem.slug)
        return default


def _image_of(request: web.Request) -> tuple[str, str | None]:
    """Return the image id and the extension that a URL names, if it names one.

    An id in small letters and an extension in capitals are redirected, so that caches keep each
    picture once. A signature covers one spelling, so a signed URL is answered as it is.
    """
    given = request.match_info["image"]
    stem, dot, extension = given.partition(".")
    image_id = keys.read_image_id(stem)
    if image_id is None:
        return stem, extension if dot else None
    usual = f"{image_id}{dot}{extension.lower()}"
    if given != usual and not PARAMETERS.intersection(request.query):
        redirect(request, request.path.removesuffix(given) + usual)
    return image_id, extension.lower() if dot else None


def _headers(varies: Sequence[str], timing: str) -> dict[str, str]:
    """Return the headers that every response has."""
    return {
        **({"Vary": ", ".join(varies)} if varies else {}),
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Server-Timing": timing,
    }


def _wish_of(preset: Preset, fingerprint: str) -> Wish | None:
    """Return the wish of a preset, in one of its formats, that has this fingerprint."""
    wishes = (preset.wish, *map(preset.wish.in_format, preset.deliverable))
    return next((wish for wish in wishes if wish.fingerprint == fingerprint), None)
