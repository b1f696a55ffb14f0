"""The application: its middlewares and the routes of `api/routes.py`. It opens no connection."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry

from api import (
    erasures,
    images,
    listing,
    openapi,
    originals,
    session,
    streams,
    uploads,
    urls,
    vocabulary,
)
from api.auth import Authentication
from api.bodies import MAX_BODY_BYTES
from api.cors import cross_origin, readable_timings
from api.health import Checked, Health
from api.metrics import ApiMetrics, SearchMetrics, WatchMetrics
from api.middlewares import authenticated, observed, with_problems
from api.operations import DOCUMENT
from api.pages.cross_site import same_site_only
from api.pages.login import Login
from api.pages.pages import Pages
from api.pages.sign_in import SignIn
from api.quotas import Quotas
from api.routes import Handlers, Route, pattern_of, served_by
from api.settings import DELIVERY, ApiSettings
from api.thumbnails import Thumbnails
from api.watching import Sleep, Watches, until_set
from safelight.metrics import serve_metrics
from safelight.presets import Preset
from safelight.serving import hide_software, loopback_names_only
from safelight.tracing import OFF, Spans

if TYPE_CHECKING:  # delivery loads the renderer, which a process without that role must not do
    from api.delivery.delivery import Delivery

RUNNER_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "access_log": None,  # the middleware logs each request, once and without its query
        "auto_decompress": False,  # no compressed body is read
        "keepalive_timeout": 75,  # seconds; longer than a load balancer's usual 60
        "lingering_time": 1,  # second to receive the rest of a body that is not read
        "max_field_size": 24 * 1024,  # bytes of one header, so that long tokens get a real answer
    }
)
"""The options that the application is served with, in tests too."""


class Records(uploads.Records, images.Records, listing.Records, Checked, Protocol):
    """What the API needs from the table of images."""


class Presigner(uploads.Presigner, images.Presigner, originals.Presigner, Protocol):
    """What the API needs from the presigner."""


def make_app(
    *,
    settings: ApiSettings,
    records: Records,
    presigner: Presigner | None,
    authentication: Authentication,
    registry: CollectorRegistry,
    delivery: "Delivery | None" = None,
    presets: Sequence[Preset] = (),
    cleanup: erasures.Cleanup | None = None,
    login: Login | None = None,
    spans: Spans = OFF,
    now: Callable[[], float] = time.monotonic,
    sleep: Sleep = until_set,
) -> web.Application:
    """Build the application from its collaborators.

    Without a presigner it does not serve uploads, images and pages; without a delivery no pictures.
    Without a login users of its pages sign in with keys only.
    Lists of images have a URL of delivery for each preset. Without a cleanup no image is erased.
    """
    metrics = ApiMetrics(registry)
    watches: Watches | None = None
    handlers = Handlers(health=Health(records), metrics=serve_metrics(registry), delivery=delivery)
    if presigner is not None:
        watch_metrics = WatchMetrics(registry)
        watches = _watches(settings, watch_metrics, now, sleep)
        image = _images(settings, records, presigner, watches, receipts=cleanup is not None)
        lists = _listing(settings, records, presets, SearchMetrics(registry))
        handlers = replace(
            handlers,
            uploads=_uploads(
                settings, records, presigner, authentication, metrics, receipts=cleanup is not None
            ),
            erasures=_erasures(settings, cleanup, records, image),
            images=image,
            listing=lists,
            streams=streams.Streams(
                records=records,
                images=image,
                listing=lists,
                watches=watches,
                metrics=watch_metrics,
                url_seconds=settings.url_seconds,
            ),
            originals=originals.Originals(presigner, find=image.read)
            if settings.originals
            else None,
            urls=_urls(settings, records, presets),
            presets=vocabulary.Presets(presets, faces=settings.looks_for_faces),
        )
        if settings.serves_pages:
            handlers = _with_pages(settings, handlers, presigner, authentication, login)
    served = served_by(handlers)
    routes = [route for route, _ in served]
    hide_software()
    app = web.Application(
        middlewares=_middlewares(settings, routes, authentication, metrics, spans, now),
        client_max_size=MAX_BODY_BYTES,
    )
    app[DOCUMENT] = openapi.document(
        routes,
        max_upload_bytes=settings.max_upload_bytes,
        anonymous=authentication.anonymous,
        names=handlers.names,
    )
    for route, handler in served:
        pattern = pattern_of(route.path, handlers.names)
        if route.method == "GET":
            app.router.add_get(pattern, handler)  # and HEAD
        else:
            app.router.add_route(route.method, pattern, handler)
    if watches is not None:
        app.on_shutdown.append(_ends(watches))
    return app


def _middlewares(
    settings: ApiSettings,
    routes: Collection[Route],
    authentication: Authentication,
    metrics: ApiMetrics,
    spans: Spans,
    now: Callable[[], float],
) -> list[Middleware]:
    """List what happens around every request, the outermost first."""
    quiet = {route.endpoint for route in routes if route.quiet}
    public = {route.endpoint for route in routes if route.public}
    pictures = {route.endpoint for route in routes if route.pictures}
    return [
        observed(metrics, spans, quiet=quiet),
        cross_origin(
            settings.cors_origins,
            pictures=pictures,
            picture_origins=settings.picture_cors_origins,
        ),
        *(
            [readable_timings(settings.cors_origins, pictures=pictures)]
            if settings.cors_origins
            else []
        ),
        with_problems(now),
        *([same_site_only(settings.cors_origins)] if authentication.anonymous else []),
        authenticated(authentication, public=public),
        *([loopback_names_only] if settings.loopback_names_only else []),
    ]


def _uploads(
    settings: ApiSettings,
    records: Records,
    presigner: Presigner,
    authentication: Authentication,
    metrics: ApiMetrics,
    *,
    receipts: bool,
) -> uploads.Uploads:
    return uploads.Uploads(
        records=records,
        presigner=presigner,
        ids=settings.image_ids,
        metrics=metrics,
        max_upload_bytes=settings.max_upload_bytes,
        accept_svg=settings.accept_svg,
        url_seconds=settings.url_seconds,
        keep_days=settings.keep_days,
        quotas=Quotas(
            settings.uploads_per_minute, policy="uploads", own=authentication.uploads_per_minute
        ),
        receipts=receipts,
    )


def _with_pages(
    settings: ApiSettings,
    handlers: Handlers,
    presigner: Presigner,
    authentication: Authentication,
    login: Login | None,
) -> Handlers:
    endpoints = {route.endpoint for route, _ in served_by(handlers)}
    sessions = authentication.sessions
    return replace(
        handlers,
        pages=Pages(presigner=presigner, delivery_url=settings.delivery_url),
        sign_in=SignIn(sessions, keys=authentication.keys) if sessions else None,
        login=login,
        sessions=session.Sessions(settings, endpoints=endpoints),
    )


def _erasures(
    settings: ApiSettings,
    cleanup: erasures.Cleanup | None,
    records: Records,
    image: images.Images,
) -> erasures.Erasures | None:
    if cleanup is None:
        return None
    quotas = Quotas(settings.erasures_per_minute, policy="erasures")
    return erasures.Erasures(cleanup, records=records, images=image, quotas=quotas)


def _watches(
    settings: ApiSettings, metrics: WatchMetrics, now: Callable[[], float], sleep: Sleep
) -> Watches:
    return Watches(
        most=settings.watches,
        most_of_a_user=settings.watches_per_user,
        metrics=metrics,
        clock=now,
        sleep=sleep,
    )


def _ends(watches: Watches) -> Callable[[web.Application], Awaitable[None]]:
    async def end(_: web.Application) -> None:
        watches.stop()

    return end


def _images(
    settings: ApiSettings,
    records: Records,
    presigner: Presigner,
    watches: Watches,
    *,
    receipts: bool,
) -> images.Images:
    return images.Images(
        records=records,
        presigner=presigner,
        delivery_url=settings.delivery_url,
        url_seconds=settings.url_seconds,
        watches=watches,
        admins=settings.admins,
        receipts=receipts,
    )


def _listing(
    settings: ApiSettings, records: Records, presets: Sequence[Preset], metrics: SearchMetrics
) -> listing.Listing:
    return listing.Listing(
        records=records,
        thumbnails=Thumbnails(
            presets=presets, signing=settings.signing, delivery_url=settings.delivery_url
        ),
        metrics=metrics,
        url_seconds=settings.url_seconds,
        admins=settings.admins,
    )


def _urls(settings: ApiSettings, records: Records, presets: Sequence[Preset]) -> urls.Urls:
    here = "" if DELIVERY in settings.api_roles else None
    return urls.Urls(
        records=records,
        dialects=settings.dialects,
        signing=settings.signing,
        presets=presets,
        delivery_url=here if settings.delivery_url is None else settings.delivery_url,
        quotas=Quotas(settings.urls_per_minute, policy="urls"),
    )
