"""The application: what answers which path, and what happens around it. Builds, opens nothing."""

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from api import images, openapi, problems, uploads
from api.auth import Authentication
from api.bodies import MAX_BODY_BYTES
from api.cors import cross_origin
from api.health import Checked, Health
from api.metrics import ApiMetrics
from api.middlewares import authenticated, observed, with_problems
from api.quotas import Quotas
from safelight.image_ids import ImageIds
from safelight.metrics import serve_metrics
from safelight.serving import hide_software, loopback_names_only
from safelight.tracing import OFF, Spans

RUNNER_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "access_log": None,  # the middleware logs each request, once and without its query
        "auto_decompress": False,  # nothing compressed is read
        "keepalive_timeout": 75,  # seconds; longer than a load balancer's usual 60
        "lingering_time": 1,  # second to take in what is left of a body that is not read
        "max_field_size": 24 * 1024,  # bytes of one header: long tokens get a true answer
    }
)
"""How the application is to be served, here as in tests."""


class Records(uploads.Records, images.Records, Checked, Protocol):
    """The table of images, as far as the api uses it."""


class Presigner(uploads.Presigner, images.Presigner, Protocol):
    """What signs URLs."""


class FreeForm(Protocol):
    """What reads free-form URLs."""

    @property
    def prefixes(self) -> Sequence[str]:
        """What their paths begin with; the root comes last, if it does."""
        ...


class Delivery(Protocol):
    """What shows pictures. A process without that role loads nothing that renders."""

    @property
    def presets(self) -> Mapping[str, object]:
        """Every preset that is delivered, by name."""
        ...

    @property
    def aliases(self) -> Mapping[str, object]:
        """Every alias, by name."""
        ...

    async def get(self, request: web.Request) -> web.Response:
        """Deliver a variant of an image."""
        ...

    @property
    def freeform(self) -> FreeForm | None:
        """What reads free-form URLs, if any dialect of them is switched on."""
        ...

    async def get_freeform(self, request: web.Request) -> web.Response:
        """Deliver what a free-form URL asks for."""
        ...

    async def get_asset(self, request: web.Request) -> web.Response:
        """Deliver an asset by its key."""
        ...

    async def get_alias(self, request: web.Request) -> web.Response:
        """Deliver a variant of an object in a bucket that an alias names."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the api is set to."""

    max_upload_bytes: int
    url_seconds: int
    uploads_per_minute: int = 120
    delivery_url: str | None = None
    cors_origins: Collection[str] = ()
    loopback_names_only: bool = False
    """Whether a request must name a loopback address in `Host`."""


def make_app(
    *,
    records: Records,
    presigner: Presigner | None,
    authentication: Authentication,
    ids: ImageIds,
    limits: Limits,
    registry: CollectorRegistry,
    delivery: Delivery | None = None,
    spans: Spans = OFF,
    now: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Put the application together from its collaborators.

    Without a presigner it has nothing to do with uploads; without a delivery it shows no pictures.
    """
    metrics = ApiMetrics(registry)
    middlewares = [observed(metrics, spans), with_problems(now), authenticated(authentication)]
    if limits.cors_origins:
        middlewares.insert(1, cross_origin(limits.cors_origins))
    if limits.loopback_names_only:
        middlewares.append(loopback_names_only)
    hide_software()
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    health = Health(records)
    if presigner is not None:
        own = authentication.uploads_per_minute
        quotas = Quotas(limits.uploads_per_minute, policy="uploads", own=own)
        _serve_uploads(app, records, presigner, ids, limits, quotas, metrics)
    app.router.add_get("/healthz", health.healthz)
    app.router.add_get("/readyz", health.readyz)
    app.router.add_get("/metrics", serve_metrics(registry))
    app.router.add_get("/problems/{problem}", problems.explain)
    if delivery is not None:
        app.router.add_get("/images/{shard}/{imageId}/{secret}/{asset}", delivery.get_asset)
        app.router.add_get(f"/{{preset:{_any_of(delivery.presets)}}}/{{image}}", delivery.get)
        if delivery.aliases:
            names = _any_of(delivery.aliases)
            app.router.add_get(f"/{{alias:{names}}}/{{path:.+}}", delivery.get_alias)
    document = openapi.document(
        max_upload_bytes=limits.max_upload_bytes,
        anonymous=authentication.anonymous,
        uploads=presigner is not None,
        presets=delivery.presets if delivery is not None else (),
        aliases=delivery.aliases if delivery is not None else (),
        freeform=bool(delivery and delivery.freeform and "/s/" in delivery.freeform.prefixes),
    )
    app.router.add_get("/openapi.json", _serve(document))
    if delivery is not None and delivery.freeform is not None:
        for prefix in delivery.freeform.prefixes:
            app.router.add_get(f"{prefix}{{freeform:.+}}", delivery.get_freeform)
    return app


def _any_of(names: Collection[str]) -> str:
    return "|".join(map(re.escape, names))


def _serve_uploads(
    app: web.Application,
    records: Records,
    presigner: Presigner,
    ids: ImageIds,
    limits: Limits,
    quotas: Quotas,
    metrics: ApiMetrics,
) -> None:
    upload = uploads.Uploads(
        records=records,
        presigner=presigner,
        ids=ids,
        metrics=metrics,
        max_upload_bytes=limits.max_upload_bytes,
        url_seconds=limits.url_seconds,
        quotas=quotas,
    )
    image = images.Images(
        records=records,
        presigner=presigner,
        delivery_url=limits.delivery_url,
        url_seconds=limits.url_seconds,
    )
    app.router.add_post("/v1/uploads", upload.create)
    app.router.add_get("/v1/images/{imageId}", image.get)


def _serve(document: openapi.Schema) -> Any:
    async def serve(_: web.Request) -> web.Response:
        return web.json_response(document)

    return serve
