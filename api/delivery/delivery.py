"""The way of a request for a picture: this page tells it.

The record says which revision stands. Of the formats that the client accepts and the preset allows,
the best is looked up in the asset bucket, where uploads' variants and earlier requests' results are
kept under the same keys. What is not there is rendered, stored and answered.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from aiohttp import web

from api.delivery import negotiation
from api.delivery.answers import (
    Freshness,
    Timings,
    Waiting,
    is_known,
    not_modified,
    picture,
    tags_of,
)
from api.delivery.asked import Asked
from api.delivery.later import Later
from api.delivery.misses import Busy, Misses
from api.delivery.signing import PARAMETERS, Expired, Grant, InvalidSignature, SigningKeys
from api.middlewares import note
from api.problems import Problem, Refusal, json_answer
from safelight import keys
from safelight.aws.objects import Asset
from safelight.errors import Reason, Rejection, Superseded
from safelight.formats import AUTO, BY_NAME
from safelight.imaging.result import Sources, Wanted, source_of
from safelight.presets import Preset
from safelight.record import Record, Status

PENDING_SECONDS = 1
"""How soon to ask again for a picture that is being worked on."""
STAND_IN_SECONDS = 30
"""How long what stands in for a result that comes later may be kept."""
PLACEHOLDER_SECONDS = 5
"""How long a default picture may be kept in place of what may come."""
OPAQUE = frozenset({"image/jpeg", "image/bmp"})
"""Media types of sources that cannot be transparent."""
SHOWN_INSTEAD = frozenset({Problem.UNKNOWN_IMAGE, Problem.IMAGE_ERASED, Problem.NOT_RENDERED})
"""Problems in place of which a preset's default picture is shown."""


class Records(Protocol):
    """What is known of images."""

    async def get(self, image_id: str) -> Record | None:
        """Read the record that stands."""
        ...


class Objects(Sources, Protocol):
    """The uploads bucket, and the assets to answer with."""

    async def read(self, key: str, *, max_bytes: int) -> Asset | None:
        """Read an asset whole, if it is stored."""
        ...

    async def look(self, key: str) -> Asset | None:
        """Read what is known of an asset, if it is stored."""
        ...


class Delivery:
    """`GET /{preset}/{imageId}[.extension]`."""

    def __init__(
        self,
        *,
        records: Records,
        objects: Objects,
        misses: Misses,
        presets: Sequence[Preset],
        defaults: Mapping[str, Asset],
        signing: SigningKeys,
        later: Later,
        max_result_bytes: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.presets: Mapping[str, Preset] = {preset.name: preset for preset in presets}
        self._records = records
        self._objects = objects
        self._misses = misses
        self._defaults = defaults
        self._signing = signing
        self._later = later
        self._max_result_bytes = max_result_bytes
        self._now = now

    async def get(self, request: web.Request) -> web.Response:
        """Deliver one variant of an image."""
        preset = self.presets[request.match_info["preset"]]
        timings = Timings()
        headers = {"Vary": _varies_by(preset), "Cross-Origin-Resource-Policy": "cross-origin"}
        try:
            answer = await self._deliver(request, preset, timings)
        except Refusal as refusal:
            timings.outcome = refusal.problem.slug
            refusal.headers = {**headers, **refusal.headers, "Server-Timing": str(timings)}
            answer = self._shown_instead(request, preset, refusal)
        answer.headers.update({**headers, "Server-Timing": str(timings)})
        note(request, preset=preset.name, cache=timings.outcome, **timings.stages)
        return answer

    async def _deliver(
        self, request: web.Request, preset: Preset, timings: Timings
    ) -> web.Response:
        image_id, _, extension = request.match_info["image"].partition(".")
        asked = Asked.read(request.query, extension=extension or None)
        formats = asked.formats(preset)
        grant = self._granted(request, preset)
        with _timed(timings, "lookup"):
            record = await self._find(image_id, grant)
        note(request, image_id=record.image_id)
        if record.status is Status.PENDING:
            return self._pending(request, preset, record)
        transparent = record.media_type not in OPAQUE
        order = negotiation.in_order(request.headers.get("Accept"), formats, alpha=transparent)
        wishes = _wishes(record, negotiation.hinted(preset, request.headers), order)
        key, asset = await self._first_of(wishes, record, request, timings)
        at_most = STAND_IN_SECONDS if timings.outcome == "stand-in" else None
        headers = {
            "Cache-Control": str(Freshness.of(preset, grant, self._now(), at_most=at_most)),
            "Content-Disposition": _disposition(key, download=asked.download),
            **tags_of(key),
        }
        if is_known(request, asset):
            return not_modified(asset, headers)
        return picture(request, asset, headers)

    def _granted(self, request: web.Request, preset: Preset) -> Grant:
        """Check the signature, where the preset wants one or the URL has one."""
        if preset.access == "public" and not PARAMETERS.intersection(request.query):
            return Grant()
        try:
            grant = self._signing.check(request.path, request.query)
        except InvalidSignature as error:
            raise Refusal(Problem.INVALID_SIGNATURE, str(error)) from error
        except Expired as error:
            raise Refusal(Problem.URL_EXPIRED, str(error)) from error
        if preset.access == "private" and grant.expires_at is None:
            raise Refusal(Problem.INVALID_SIGNATURE, "The URL must expire, and does not say when.")
        note(request, signing_key=grant.key_id)
        return grant

    async def _find(self, image_id: str, grant: Grant) -> Record:
        """Find an image. One that is not the key's is refused in the same words as none at all."""
        record = await self._records.get(image_id) if keys.is_image_id(image_id) else None
        if record is None or grant.user_id not in (None, record.user_id):
            raise Refusal(Problem.UNKNOWN_IMAGE, "There is no image of this id.")
        if record.status is Status.ERASED:
            raise Refusal(Problem.IMAGE_ERASED, "The image was erased.")
        if record.status is Status.REJECTED:
            raise _not_rendered(record.reason, record.detail or "")
        return record

    async def _first_of(
        self,
        wishes: Sequence[Preset],
        record: Record,
        request: web.Request,
        timings: Timings,
    ) -> tuple[str, Asset]:
        """Find the first wish that is there or can be made while the viewer waits, and its key."""
        *better, last = wishes
        for wish in better:
            wanted = self._wanted(record, wish)
            asset = await self._there(wanted, record, request, timings)
            if asset is not None or not self._later.is_for(wish, record):
                return wanted.key, asset or await self._made(wanted, timings)
            await self._later.demand(wish, record)
            timings.outcome = "stand-in"
        wanted = self._wanted(record, last)
        asset = await self._there(wanted, record, request, timings)
        return wanted.key, asset or await self._made(wanted, timings)

    def _wanted(self, record: Record, wish: Preset) -> Wanted:
        made = record.variants.get(wish.name) if wish.format == AUTO else None
        name = keys.read_asset_key(made.key) if made else None
        return Wanted.of_preset(
            wish,
            source_of(record, self._objects),
            image_id=record.image_id,
            revision=record.revision or "",
            extension=name.extension if name else None,
        )

    async def _there(
        self, wanted: Wanted, record: Record, request: web.Request, timings: Timings
    ) -> Asset | None:
        """Look a result up: whole, or only what is known of it where that is enough to answer."""
        known = await self._known(request, wanted, record, timings)
        if known is not None and (request.method == "HEAD" or is_known(request, known)):
            return known
        with _timed(timings, "store"):
            return await self._objects.read(wanted.key, max_bytes=self._max_result_bytes)

    async def _known(
        self, request: web.Request, wanted: Wanted, record: Record, timings: Timings
    ) -> Asset | None:
        """Tell what is known without reading a picture: what the record says, or else S3's head."""
        for variant in record.variants.values():
            if variant.key == wanted.key:
                return Asset(
                    media_type=variant.media_type,
                    size_bytes=variant.size,
                    sha256=variant.sha256,
                    body=None,
                )
        if request.method == "HEAD" or request.if_none_match:
            with _timed(timings, "store"):
                return await self._objects.look(wanted.key)
        return None

    async def _made(self, wanted: Wanted, timings: Timings) -> Asset:
        try:
            with _timed(timings, "render"):
                asset, joined = await self._misses.make(wanted)
        except Busy as busy:
            raise Refusal(
                Problem.BUSY,
                "All rendering slots are taken, and so is the queue before them.",
                headers={"Retry-After": str(busy.retry_seconds)},
            ) from busy
        except Superseded as error:
            raise Refusal(
                Problem.BUSY,
                "The source is being replaced.",
                headers={"Retry-After": str(PENDING_SECONDS)},
            ) from error
        except Rejection as rejection:
            raise _not_rendered(rejection.reason, rejection.detail) from rejection
        if timings.outcome == "stored":
            timings.outcome = "joined" if joined else "rendered"
        return asset

    def _pending(self, request: web.Request, preset: Preset, record: Record) -> web.Response:
        """Answer for a picture that is still being worked on: never with a 404."""
        headers = {"Retry-After": str(PENDING_SECONDS)}
        default = self._defaults.get(preset.name)
        if preset.pending == "default" and default is not None:
            return _default(request, preset, default, status=202, headers=headers)
        waiting = Waiting(image_id=record.image_id, status=record.status)
        return json_answer(waiting, status=202, headers=headers)

    def _shown_instead(
        self, request: web.Request, preset: Preset, refusal: Refusal
    ) -> web.Response:
        """Show the preset's default picture where one will be looked at; else tell the problem."""
        default = self._defaults.get(preset.name)
        shown = negotiation.wants_picture(
            request.headers.get("Accept"), request.headers.get("Sec-Fetch-Dest")
        )
        if default is None or not shown or refusal.problem not in SHOWN_INSTEAD:
            raise refusal
        note(request, problem=refusal.problem.slug)
        return _default(request, preset, default, status=refusal.problem.status, headers={})


def _wishes(record: Record, preset: Preset, order: Sequence[str]) -> tuple[Preset, ...]:
    """List what would do, the best first; of `auto` what its render chose, if that is welcome."""
    made = record.variants.get(preset.name) if preset.format == AUTO else None
    name = keys.read_asset_key(made.key) if made else None
    welcome = {BY_NAME[format].media_type for format in order}
    if made and made.media_type in welcome and name and name.fingerprint == preset.fingerprint:
        return (preset,)
    return tuple(preset.in_format(format) for format in order)


def _default(
    request: web.Request,
    preset: Preset,
    default: Asset,
    *,
    status: int,
    headers: Mapping[str, str],
) -> web.Response:
    freshness = Freshness(seconds=PLACEHOLDER_SECONDS, private=preset.access == "private")
    return picture(request, default, {"Cache-Control": str(freshness), **headers}, status=status)


def _not_rendered(reason: Reason | None, detail: str) -> Refusal:
    if reason is Reason.SOURCE_GONE:
        return Refusal(Problem.UNKNOWN_IMAGE, "The image's source is gone.")
    return Refusal(Problem.NOT_RENDERED, f"{reason}: {detail}")


def _varies_by(preset: Preset) -> str:
    return ", ".join(["Accept", *(negotiation.HINTS if preset.hints else ())])


def _disposition(key: str, *, download: bool) -> str:
    """Name the file by what it is; the uploader's own name may tell of the uploader."""
    name = keys.read_asset_key(key)
    file = f"{name.image_id}-{name.preset}.{name.extension}" if name else "picture"
    return f'{"attachment" if download else "inline"}; filename="{file}"'


@contextmanager
def _timed(timings: Timings, stage: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        timings.stages[stage] = timings.stages.get(stage, 0) + time.perf_counter() - started
