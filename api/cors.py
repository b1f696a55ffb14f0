"""Lets web pages of configured origins call the API, and read pictures by script.

No answer allows credentials, so scripts of these pages cannot use the cookie of a session. Pages
can show any picture. To read its pixels (`fetch`, a canvas, an `<img>` with `crossorigin`) they
need a permission.
"""

from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from api.middlewares import Endpoint, endpoint_of
from api.origins import ANY

METHODS = "DELETE, GET, HEAD, PATCH, POST"
PICTURE_METHODS = "GET, HEAD"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, "
    "X-Api-Key, X-Request-Id, X-Safelight-User"
)
EXPOSED_HEADERS = (
    "ETag, Idempotent-Replayed, Location, Preference-Applied, RateLimit, RateLimit-Policy, "
    "Retry-After, X-Request-Id"
)
PREFLIGHT_SECONDS = 600
"""How long a browser may keep the answer to a preflight request."""


def cross_origin(
    origins: Collection[str],
    *,
    pictures: Collection[Endpoint] = (),
    picture_origins: Collection[str] = (),
) -> Middleware:
    """Answer preflight requests, and let pages of the origins read answers.

    `picture_origins` replaces `origins` for the endpoints in `pictures`. Their OPTIONS requests are
    answered without an Origin too, because a CDN may not forward it.
    """

    @web.middleware
    async def allow(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_picture = await _endpoint_below(request) in pictures
        allowed = picture_origins if is_picture else origins
        if not allowed:
            return await handler(request)
        origin = request.headers.get("Origin", "")
        named = ANY if ANY in allowed else origin if origin in allowed else None
        asks = is_picture or (named and "Access-Control-Request-Method" in request.headers)
        if request.method == "OPTIONS" and asks:
            response: web.StreamResponse = _preflight(of_picture=is_picture)
        else:
            response = await handler(request)
            if named:
                exposed = ANY if is_picture else EXPOSED_HEADERS
                response.headers["Access-Control-Expose-Headers"] = exposed
        if named:
            response.headers["Access-Control-Allow-Origin"] = named
        if named != ANY:
            response.headers.add("Vary", "Origin")
        return response

    return allow


def readable_timings(origins: Collection[str], *, pictures: Collection[Endpoint]) -> Middleware:
    """Let pages of the origins read how long the steps of a picture's answer took.

    All origins are named in each answer: an `<img>` sends no Origin, and caches keep one copy.
    """

    @web.middleware
    async def allow(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if endpoint_of(request) in pictures:
            response.headers["Timing-Allow-Origin"] = ", ".join(origins)
        return response

    return allow


async def _endpoint_below(request: web.Request) -> Endpoint | None:
    """Return the endpoint of a request; of a preflight, that of the request it announces."""
    if request.method != "OPTIONS":
        return endpoint_of(request)
    announced = request.headers.get("Access-Control-Request-Method", "GET")
    method = announced if announced in METHODS.split(", ") else "GET"
    found = await request.app.router.resolve(request.clone(method=method))
    resource = found.route.resource
    return None if resource is None else (method, resource.canonical)


def _preflight(*, of_picture: bool) -> web.Response:
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": PICTURE_METHODS if of_picture else METHODS,
            "Access-Control-Allow-Headers": ANY if of_picture else REQUEST_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        },
    )
